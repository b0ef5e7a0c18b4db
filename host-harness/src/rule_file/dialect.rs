//! Whose form a rule file has, OSS's or S3's, and S3's form made OSS's.
//!
//! S3 has no RuleNumber: its order is that of the text. It may leave Condition out, and knows few
//! of the elements. What it says otherwise than OSS is a problem here and never a guess.

use std::ops::Range;

use back_to_origin::finding::Code::{BadRedirect, TooMany};

use super::code::Code;
use super::tree::{Field, Kind, Node, token};
use super::vocabulary::{Content, Element, ROUTING_RULE, Shape, WEBSITE, named};
use crate::diagnostics::Problem;

/// The most rules that OSS takes.
pub(super) const MOST_OF_OSS: usize = 20;

/// The statuses that OSS redirects with.
pub(super) const CODES_OF_OSS: [i64; 3] = [301, 302, 307];

/// Whose form a rule file has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// Alibaba Cloud OSS's, and this project's own JSON.
    Oss,
    /// Amazon S3's.
    S3,
}

/// What a file without a namespace is: S3's if it has rules, and nothing that S3 lacks.
pub(super) fn recognise(root: &Node) -> Dialect {
    let rules = rules(root);
    let is_s3 = root.get("RedirectAllRequestsTo").is_some()
        || (!rules.is_empty() && only_s3(root, &of_root(root)));
    if is_s3 { Dialect::S3 } else { Dialect::Oss }
}

/// The rules of a file: the file itself, or what it calls `RoutingRules`.
pub(super) fn rules(root: &Node) -> &[Node] {
    root.get("RoutingRules").unwrap_or(root).items()
}

/// Makes JSON as others of S3's tools write it what S3's own API takes: without the element around
/// it, and without CloudFormation's other names.
pub(super) fn unwrap(root: &mut Node) {
    if let Kind::Object(fields) = &mut root.kind
        && let [Field { name, node: Node { kind: Kind::Object(_), .. }, .. }] = fields.as_slice()
        && name == "WebsiteConfiguration"
        && let Some(website) = fields.pop()
    {
        *root = website.node;
    }
    let rules = match &mut root.kind {
        Kind::List(items) => items,
        Kind::Object(fields) => {
            let rules = fields.iter_mut().find(|field| field.name == "RoutingRules");
            match rules.map(|field| &mut field.node.kind) {
                Some(Kind::List(items)) => items,
                Some(_) | None => return,
            }
        }
        Kind::Boolean(_) | Kind::Fraction(_) | Kind::Integer(_) | Kind::Nothing | Kind::Text(_) => {
            return;
        }
    };
    for rule in rules {
        let Kind::Object(fields) = &mut rule.kind else { continue };
        for field in fields {
            match field.name.as_str() {
                "RedirectRule" => "Redirect".clone_into(&mut field.name),
                "RoutingRuleCondition" => "Condition".clone_into(&mut field.name),
                _ => {}
            }
        }
    }
}

/// Tells what S3's form may have and OSS's may not.
pub(super) fn beyond_oss(root: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    let is_inside = root.field("RoutingRules");
    let above = if is_inside.is_some() { "/RoutingRules" } else { "" };
    let count = rules(root).len();
    if count > MOST_OF_OSS {
        let span = is_inside.map_or(&root.span, |field| &field.name_span).clone();
        let message = format!("OSS takes at most {MOST_OF_OSS} rules, and these are {count}");
        problems.push(
            Problem::error(TooMany.as_str(), span, message)
                .at(above)
                .help("S3's form takes 50: without RuleNumber, and with S3's elements alone"),
        );
    }
    for (index, rule) in rules(root).iter().enumerate() {
        let Some(redirect) = rule.get("Redirect") else { continue };
        let Some(code) = redirect.get("HttpRedirectCode") else { continue };
        let Some(number) = code.integer().filter(|number| (301..400).contains(number)) else {
            continue;
        };
        if !CODES_OF_OSS.contains(&number) {
            let message = format!("expected 301, 302 or 307, found {number}");
            problems.push(
                Problem::error(BadRedirect.as_str(), code.span.clone(), message)
                    .at(format!("{above}/{index}/Redirect/HttpRedirectCode"))
                    .help(
                        "S3's form takes every status from 301: without RuleNumber, and with \
                           S3's elements alone",
                    ),
            );
        }
    }
    problems
}

fn of_root(root: &Node) -> Shape {
    match root.kind {
        Kind::List(_) => Shape::List("RoutingRule", &Shape::Object(ROUTING_RULE)),
        Kind::Boolean(_)
        | Kind::Fraction(_)
        | Kind::Integer(_)
        | Kind::Nothing
        | Kind::Object(_)
        | Kind::Text(_) => Shape::Object(WEBSITE),
    }
}

/// Whether every known element is S3's too; a misspelt one says nothing.
fn only_s3(node: &Node, shape: &Shape) -> bool {
    match shape.content() {
        Content::Items(_, of) => node.items().iter().all(|item| only_s3(item, of)),
        Content::Elements(elements) => {
            node.fields().iter().all(|field| match named(elements, &field.name) {
                Some(element) => element.in_s3 && only_s3(&field.node, &element.shape),
                None => true,
            })
        }
        Content::Scalar => true,
    }
}

/// Makes a file of S3's form one of OSS's: numbers in the order of the text, and what may be left
/// out written down. What has no meaning in S3's form is a problem.
pub(super) fn from_s3(root: &mut Node, problems: &mut Vec<Problem>) {
    foreign(root, &of_root(root), "", problems);
    redirect_all(root, problems);
    let (list, pointer) = match &mut root.kind {
        Kind::List(items) => (Some(items), ""),
        Kind::Object(fields) => {
            let rules = fields.iter_mut().find(|field| field.name == "RoutingRules");
            let list = rules.and_then(|field| match &mut field.node.kind {
                Kind::List(items) => Some(items),
                Kind::Boolean(_)
                | Kind::Fraction(_)
                | Kind::Integer(_)
                | Kind::Nothing
                | Kind::Object(_)
                | Kind::Text(_) => None,
            });
            (list, "/RoutingRules")
        }
        Kind::Boolean(_) | Kind::Fraction(_) | Kind::Integer(_) | Kind::Nothing | Kind::Text(_) => {
            (None, "")
        }
    };
    for (index, rule) in list.into_iter().flatten().enumerate() {
        let number = i64::try_from(index + 1).unwrap_or(i64::MAX);
        complete(rule, number, &format!("{pointer}/{index}"), problems);
    }
}

/// Tells what OSS does not have.
pub(super) fn not_of_oss(root: &Node) -> Option<Problem> {
    let all = root.field("RedirectAllRequestsTo")?;
    let message = "`RedirectAllRequestsTo` is an element of S3, and this file has OSS's form";
    Some(
        Problem::error(Code::NotOfOss.as_str(), all.name_span.clone(), message)
            .at("/RedirectAllRequestsTo")
            .help("write a rule of type External without a condition"),
    )
}

/// Tells what S3 does not have.
fn foreign(node: &Node, shape: &Shape, pointer: &str, problems: &mut Vec<Problem>) {
    let object: &[Element] = match shape.content() {
        Content::Items(_, of) => {
            for (index, item) in node.items().iter().enumerate() {
                foreign(item, of, &format!("{pointer}/{index}"), problems);
            }
            return;
        }
        Content::Elements(elements) => elements,
        Content::Scalar => return,
    };
    for Field { name, name_span, node } in node.fields() {
        let pointer = format!("{pointer}/{}", token(name));
        let Some(element) = named(object, name) else { continue };
        if element.in_s3 {
            foreign(node, &element.shape, &pointer, problems);
        } else if name == "RuleNumber" {
            let message = "`RuleNumber` in a file of S3's form, whose order is that of the text";
            problems.push(
                Problem::error(Code::RuleNumberInS3.as_str(), name_span.clone(), message)
                    .at(pointer)
                    .help("remove it, or write the file in OSS's form, without S3's `xmlns`"),
            );
        } else {
            let message = format!("`{name}` is an element of OSS, and this file has S3's form");
            problems.push(
                Problem::error(Code::NotOfS3.as_str(), name_span.clone(), message)
                    .at(pointer)
                    .help("write the file in OSS's form, with a RuleNumber and no S3 `xmlns`"),
            );
        }
    }
}

/// `RedirectAllRequestsTo` as the one rule that it is.
fn redirect_all(root: &mut Node, problems: &mut Vec<Problem>) {
    let Some(all) = root.field("RedirectAllRequestsTo") else { return };
    let (span, name_span) = (all.node.span.clone(), all.name_span.clone());
    let other = root.fields().iter().find(|field| field.name != "RedirectAllRequestsTo");
    if let Some(other) = other {
        let message = format!("`RedirectAllRequestsTo` excludes `{}`", other.name);
        let code = back_to_origin::finding::Code::NoEffect.as_str();
        problems.push(
            Problem::error(code, name_span, message)
                .related(other.name_span.clone(), "it has no effect")
                .at("/RedirectAllRequestsTo")
                .help("keep one of the two"),
        );
        return;
    }
    let target = all.node.fields().iter().cloned();
    let mut redirect = vec![text("RedirectType", "External", &span)];
    redirect.extend(target);
    let rule = vec![
        Field::implied("Condition", Kind::Object(Vec::new()), &span),
        Field::implied("Redirect", Kind::Object(redirect), &span),
    ];
    let rule = Node { kind: Kind::Object(rule), span: span.clone() };
    let rules = Field::implied("RoutingRules", Kind::List(vec![rule]), &span);
    if let Kind::Object(fields) = &mut root.kind {
        fields.push(rules);
    }
}

/// A rule of S3's with everything that OSS's has to have.
fn complete(rule: &mut Node, number: i64, pointer: &str, problems: &mut Vec<Problem>) {
    let span = rule.span.clone();
    let Kind::Object(fields) = &mut rule.kind else { return };
    fields.retain(|field| field.name != "RuleNumber");
    let implied = fields.iter().any(|field| field.name_span == span);
    match fields.iter().find(|field| field.name == "Condition") {
        None => fields.push(Field::implied("Condition", Kind::Object(Vec::new()), &span)),
        Some(condition) if condition.node.fields().is_empty() && !implied => {
            let message = "a `Condition` of S3's form has at least one child";
            problems.push(
                Problem::error(Code::EmptyCondition.as_str(), condition.name_span.clone(), message)
                    .at(format!("{pointer}/Condition"))
                    .help("leave it out for a rule that applies to every request"),
            );
        }
        Some(_) => {}
    }
    fields.insert(0, Field::implied("RuleNumber", Kind::Integer(number), &span));
    let redirect = fields.iter_mut().find(|field| field.name == "Redirect");
    let Some(redirect) = redirect else { return };
    let redirect_span = redirect.node.span.clone();
    let Kind::Object(fields) = &mut redirect.node.kind else { return };
    if let Some(template) = fields.iter().find(|field| field.name == "ReplaceKeyWith")
        && template.node.text().is_some_and(|text| text.contains("${"))
    {
        let message = "S3 takes this text as it stands, and OSS replaces `${key}` in it";
        problems.push(
            Problem::error(Code::TemplateInS3.as_str(), template.node.span.clone(), message)
                .at(format!("{pointer}/Redirect/ReplaceKeyWith"))
                .help("write the file in OSS's form if the key is meant"),
        );
    }
    // A redirect that says nothing stays one, for the filter to refuse.
    if !fields.is_empty() && fields.iter().all(|field| field.name != "RedirectType") {
        fields.insert(0, text("RedirectType", "External", &redirect_span));
    }
}

fn text(name: &str, value: &str, span: &Range<usize>) -> Field {
    Field::implied(name, Kind::Text(value.to_owned()), span)
}
