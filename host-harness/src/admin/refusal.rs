//! Why a request is refused, in the words and the XML of OSS and of S3.
//!
//! Owns codes, statuses and the error document. OSS's `EC` stands where its documents give one.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::StatusCode;

use super::call::Manner;
use super::keeper::KeeperError;
use crate::diagnostics::{Problem, Report, Weight};
use crate::rule_file::code::Code;

/// Why a request is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: Cow<'static, str>,
    pub(super) message: String,
    /// OSS's number for the exact case.
    ec: Option<&'static str>,
    /// What is wrong with an argument: its name and its value.
    argument: Option<(String, String)>,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        let (code, message) = (code.into(), message.into());
        Self { status, code, message, ec: None, argument: None }
    }

    const fn ec(mut self, ec: &'static str) -> Self {
        self.ec = Some(ec);
        self
    }

    pub(super) fn access_denied(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", message).ec("0003-00000001")
    }

    pub(super) fn bad_digest(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadDigest", message)
    }

    pub(super) fn entity_too_large(most: usize) -> Self {
        let message = format!("A website configuration has at most {most} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "EntityTooLarge", message)
    }

    pub(super) fn incomplete_body() -> Self {
        let message = "The body ended, or paused for too long, before all of it had arrived.";
        Self::new(StatusCode::BAD_REQUEST, "IncompleteBody", message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    pub(super) fn invalid_access_key() -> Self {
        let message = "The access key ID you provided does not exist in our records.";
        Self::new(StatusCode::FORBIDDEN, "InvalidAccessKeyId", message)
    }

    pub(super) fn invalid_digest(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidDigest", message)
    }

    /// A header that cannot be understood.
    pub(super) fn invalid_header(name: &str, value: &str, expected: &str) -> Self {
        let message = format!("{name} is Invalid: expected {expected}.");
        let refusal = Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message);
        Self { argument: Some((name.to_owned(), value.to_owned())), ..refusal }
    }

    pub(super) fn malformed_xml(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MalformedXML", message)
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "A website configuration takes PUT, GET and DELETE.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(super) fn no_such_bucket() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist.")
    }

    pub(super) fn no_such_website() -> Self {
        let message = "The specified bucket does not have a website configuration.";
        Self::new(StatusCode::NOT_FOUND, "NoSuchWebsiteConfiguration", message)
    }

    pub(super) fn not_implemented() -> Self {
        let message = "This is the API for website configurations: PUT, GET or DELETE a bucket's \
                       ?website, and nothing else.";
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    pub(super) fn signature_does_not_match(ec: &'static str) -> Self {
        let message = "The request signature we calculated does not match the signature you \
                       provided. Check your key and signing method.";
        Self::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message).ec(ec)
    }

    pub(super) fn signed_by_query() -> Self {
        Self::access_denied("Sign the request in its Authorization header, not in its address.")
    }

    pub(super) fn time_too_skewed() -> Self {
        let message = "The difference between the request time and the current time is too large.";
        Self::new(StatusCode::FORBIDDEN, "RequestTimeTooSkewed", message).ec("0002-00000504")
    }

    /// A configuration that is not taken, by the worst that was found in it.
    pub(super) fn rules(report: &Report) -> Self {
        let mut errors = report.problems.iter().filter(|problem| problem.weight == Weight::Error);
        let Some(problem) = errors.next() else {
            return Self::internal("the configuration is refused without a reason");
        };
        let (line, column) = report.document.position(problem.span.start);
        let mut message = format!("{} (line {line}, column {column})", problem.message);
        if let Some(help) = &problem.help {
            let _ = write!(message, "; {help}");
        }
        match errors.count() {
            0 => {}
            more => {
                let _ = write!(message, "; and {more} more");
            }
        }
        if problem.code == Code::TooLarge.as_str() {
            return Self::new(StatusCode::PAYLOAD_TOO_LARGE, "EntityTooLarge", message);
        }
        if is_form(problem.code) {
            return Self::malformed_xml(message);
        }
        let name = element(problem);
        let message = format!("{name} is Invalid: {message}");
        let is_number = problem.code == Code::RuleNumberInS3.as_str();
        let ec = if is_number { "0019-00000010" } else { "0019-00000002" };
        let refusal = Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message).ec(ec);
        Self { argument: Some((name, value(report, problem))), ..refusal }
    }

    /// As a document. Codes, names and values are escaped.
    pub(super) fn to_xml(&self, manner: Manner, about: &About<'_>) -> String {
        let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n".to_owned();
        let mut element = |name: &str, value: &str| {
            let _ = writeln!(xml, "  <{name}>{}</{name}>", escaped(value));
        };
        element("Code", &self.code);
        element("Message", &self.message);
        if let Some(bucket) = about.bucket {
            element("BucketName", bucket);
        }
        if let Some((name, value)) = &self.argument {
            element("ArgumentName", name);
            element("ArgumentValue", value);
        }
        element("RequestId", about.request_id);
        element("HostId", about.host);
        if let (Manner::Oss, Some(ec)) = (manner, self.ec) {
            element("EC", ec);
        }
        xml.push_str("</Error>\n");
        xml
    }

    /// OSS's number for the exact case, where its documents give one.
    pub(super) const fn exact(&self) -> Option<&'static str> {
        self.ec
    }
}

/// What a request was about.
pub(super) struct About<'a> {
    pub(super) bucket: Option<&'a str>,
    pub(super) host: &'a str,
    pub(super) request_id: &'a str,
}

impl From<KeeperError> for Refusal {
    fn from(error: KeeperError) -> Self {
        match &error {
            KeeperError::NoSuchBucket(_) => Self::no_such_bucket(),
            KeeperError::Refused(reports) => {
                let refusing = |report: &&Report| report.count(Weight::Error) > 0;
                let report = reports.iter().find(refusing);
                report.map_or_else(|| Self::internal(error.to_string()), Self::rules)
            }
            KeeperError::Unsaid { .. } => Self::malformed_xml(error.to_string()),
            KeeperError::Broken(_)
            | KeeperError::Deployment(_)
            | KeeperError::Envoy(_)
            | KeeperError::Read { .. }
            | KeeperError::Shared { .. }
            | KeeperError::Write(_) => Self::internal(error.to_string()),
        }
    }
}

/// Whether a finding is about the document's form, and not about what an element says.
fn is_form(code: &str) -> bool {
    use back_to_origin::finding::Code as Filter;
    let native = [
        Code::DocumentType,
        Code::EmptyCondition,
        Code::Encoding,
        Code::Namespace,
        Code::NotOfS3,
        Code::UnexpectedText,
    ];
    let filter = [
        Filter::DuplicateElement,
        Filter::MissingElement,
        Filter::Syntax,
        Filter::TooMany,
        Filter::UnknownElement,
    ];
    native.iter().any(|form| form.as_str() == code)
        || filter.iter().any(|form| form.as_str() == code)
}

/// The name of the element that a finding is about.
fn element(problem: &Problem) -> String {
    let pointer = problem.pointer.as_deref().unwrap_or_default();
    let is_name = |part: &&str| !part.is_empty() && !part.bytes().all(|b| b.is_ascii_digit());
    pointer.rsplit('/').find(is_name).unwrap_or("WebsiteConfiguration").to_owned()
}

/// What stands there, as far as it may be shown.
fn value(report: &Report, problem: &Problem) -> String {
    const MOST: usize = 200;
    let text = report.document.text.get(problem.span.clone()).unwrap_or_default();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Text as it may stand in XML: markup escaped, and without the characters that XML does not have.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule_file::{Dialect, read};

    fn refused(text: &str, dialect: Dialect) -> Refusal {
        let file = read("body", text.as_bytes(), Some(dialect));
        assert!(file.rules.is_none(), "{text}");
        Refusal::rules(&file.report)
    }

    fn oss(rule: &str) -> Refusal {
        let text = format!(
            "<WebsiteConfiguration><RoutingRules>{rule}</RoutingRules></WebsiteConfiguration>"
        );
        refused(&text, Dialect::Oss)
    }

    #[test]
    fn a_wrong_value_is_named_with_its_element() {
        let refusal = oss("<RoutingRule><RuleNumber>1</RuleNumber><Condition>\
            <HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition><Redirect>\
            <RedirectType>Mirror</RedirectType><MirrorURL>ftp://a&amp;b/</MirrorURL></Redirect>\
            </RoutingRule>");
        let about = About { bucket: Some("abc"), host: "h", request_id: "R" };
        let xml = refusal.to_xml(Manner::Oss, &about);
        let document = roxmltree::Document::parse(&xml).unwrap();
        let of = |name: &str| {
            let element = document.descendants().find(|node| node.has_tag_name(name));
            element.and_then(|node| node.text()).unwrap_or_default().to_owned()
        };
        assert_eq!((refusal.status.as_u16(), of("Code").as_str()), (400, "InvalidArgument"));
        assert!(of("Message").starts_with("MirrorURL is Invalid: "), "{xml}");
        assert_eq!(
            (of("ArgumentName").as_str(), of("EC").as_str()),
            ("MirrorURL", "0019-00000002")
        );
        assert!(of("ArgumentValue").contains("ftp://a"), "{xml}");
        assert_eq!((of("BucketName").as_str(), of("RequestId").as_str()), ("abc", "R"));
        assert!(!refusal.to_xml(Manner::S3, &about).contains("<EC>"));
    }

    #[test]
    fn what_is_no_website_configuration_is_malformed() {
        for rule in
            ["<RoutingRule>", "<Rule/>", "<RoutingRule><RuleNumber>1</RuleNumber></RoutingRule>"]
        {
            assert_eq!(oss(rule).code, "MalformedXML", "{rule}");
        }
        for text in [
            "",
            "no xml",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><WebsiteConfiguration>&b;</WebsiteConfiguration>",
            "<WebsiteConfiguration xmlns=\"urn:other\"/>",
        ] {
            assert_eq!(refused(text, Dialect::Oss).code, "MalformedXML", "{text}");
        }
    }

    #[test]
    fn a_number_in_s3s_form_has_an_ec_of_its_own() {
        let text = "<WebsiteConfiguration><RoutingRules><RoutingRule><RuleNumber>1</RuleNumber>\
            <Redirect><HostName>a.example</HostName></Redirect></RoutingRule></RoutingRules>\
            </WebsiteConfiguration>";
        let refusal = refused(text, Dialect::S3);
        assert_eq!((&*refusal.code, refusal.ec), ("InvalidArgument", Some("0019-00000010")));
    }
}
