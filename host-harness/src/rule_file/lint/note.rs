//! What is taken as it stands, and surprises people later.

use super::rule::Rule;
use crate::diagnostics::Problem;
use crate::rule_file::code::Code;
use crate::rule_file::tree::Node;

/// A Mirror rule that says nothing of HEAD: most clients of S3's ask that first.
pub(super) fn without_head(rule: &Rule<'_>) -> Option<Problem> {
    let named = rule.redirect.field("RedirectType").filter(|_| rule.is_mirror())?;
    if rule.redirect.get("MirrorAllowHeadObject").is_some() {
        return None;
    }
    let message = "a HEAD of a missing object stays 404: `aws s3 cp`, boto3's `download_file`, rclone \
                   and s3cmd ask it first, and go no further";
    let problem = Problem::info(Code::WithoutHead.as_str(), named.name_span.clone(), message);
    let help = "add \"MirrorAllowHeadObject\": true; false says that it is meant so";
    Some(problem.at(format!("{}/Redirect", rule.pointer)).help(help))
}

/// A rule by which an origin is told what its client likes, and all others get the same.
pub(super) fn varies_by_client(rule: &Rule<'_>) -> Option<Problem> {
    if !rule.is_mirror() || rule.is_on("MirrorProxyPass") {
        return None;
    }
    let headers = rule.redirect.get("MirrorHeaders")?;
    let pass_all = headers.field("PassAll").filter(|field| Node::is_true(&field.node))?;
    let message = "an origin that varies its answer by a header (Accept, Accept-Language, Cookie) \
                   has that of the first client kept for all; only Accept-Encoding is not passed so";
    let problem = Problem::info(Code::VariesByClient.as_str(), pass_all.name_span.clone(), message);
    let help = "name what the origin needs by `Pass`, or take away by `Remove` what it varies by";
    Some(problem.at(format!("{}/Redirect/MirrorHeaders/PassAll", rule.pointer)).help(help))
}
