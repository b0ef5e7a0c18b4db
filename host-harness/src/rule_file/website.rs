//! A whole website configuration whose structure is sound, and its other forms.

use super::mirror_auth;
use super::tree::{Field, Kind, Node};
use super::vocabulary::{Element, Shape, WEBSITE, named};
use super::write;
use crate::diagnostics::Problem;

/// A website configuration: the rules, and what OSS keeps beside them.
///
/// It may hold what is not honoured here, so that every file can be given back as it came.
#[derive(Clone, Debug)]
pub struct Website {
    /// An object, its elements in the order of the vocabulary.
    root: Node,
}

/// A configuration in another form.
#[derive(Clone, Debug)]
pub struct Written {
    /// The text.
    pub text: String,
    /// What the form cannot say, each at its place in the file that was read. The text is without
    /// it.
    pub losses: Vec<Problem>,
}

impl Website {
    /// From a tree whose structure is sound.
    pub(super) fn new(root: &Node) -> Self {
        let span = root.span.clone();
        let root = match &root.kind {
            Kind::List(_) => {
                let mut rules = Field::implied("RoutingRules", Kind::Nothing, &span);
                rules.node = root.clone();
                Node { kind: Kind::Object(vec![rules]), span }
            }
            Kind::Boolean(_)
            | Kind::Fraction(_)
            | Kind::Integer(_)
            | Kind::Nothing
            | Kind::Object(_)
            | Kind::Text(_) => root.clone(),
        };
        Self { root: ordered(&root, &Shape::Object(WEBSITE)) }
    }

    /// The rules, as the filter is given them.
    #[must_use]
    pub fn routing_rules(&self) -> serde_json::Value {
        let rules = self.root.get("RoutingRules").map(|rules| rules.json(false));
        // A sound tree holds nothing that JSON cannot say.
        rules
            .and_then(|json| serde_json::from_str(&json).ok())
            .unwrap_or_else(|| Vec::<()>::new().into())
    }

    /// The same with every secret masked: for who may see the rules, and not the keys in them.
    #[must_use]
    pub fn masked(&self) -> Self {
        Self { root: mirror_auth::masked(&self.root) }
    }

    /// The same with every key masked, and the headers that rules set left: for who may set them.
    #[must_use]
    pub fn without_keys(&self) -> Self {
        Self { root: mirror_auth::without_keys(&self.root) }
    }

    /// Whether there is a secret in it.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        mirror_auth::has_secrets(&self.root)
    }

    /// As this project's JSON, which says everything.
    #[must_use]
    pub fn to_json(&self) -> String {
        write::json(&self.root)
    }

    /// As XML in OSS's form, with the extensions that OSS does not have: what an API gives back.
    ///
    /// Its losses are characters that XML does not have.
    #[must_use]
    pub fn to_xml(&self) -> Written {
        write::oss_xml(&self.root)
    }

    /// As XML that OSS takes.
    #[must_use]
    pub fn to_oss_xml(&self) -> Written {
        write::pure_oss_xml(&self.root)
    }

    /// As XML that S3 takes.
    #[must_use]
    pub fn to_s3_xml(&self) -> Written {
        write::s3_xml(&self.root)
    }

    /// Whether there is an `IndexDocument`, without which S3 takes no rules.
    #[must_use]
    pub fn has_index(&self) -> bool {
        self.root.get("IndexDocument").is_some()
    }
}

/// Two configurations are the same if they say the same, in whatever order.
impl PartialEq for Website {
    fn eq(&self, other: &Self) -> bool {
        let said = |website: &Self| {
            let mut said = meaning(&website.root, &Shape::Object(WEBSITE));
            // Beside it stands the rule that it is.
            said.as_object_mut().and_then(|fields| fields.remove("RedirectAllRequestsTo"));
            said
        };
        said(self) == said(other)
    }
}

/// A tree with its elements in the order of the vocabulary.
fn ordered(node: &Node, shape: &Shape) -> Node {
    let span = node.span.clone();
    let kind = match (&node.kind, shape) {
        (Kind::Object(fields), Shape::Object(elements)) => {
            let mut fields: Vec<Field> = fields
                .iter()
                .map(|field| Field { node: ordered_field(field, elements), ..field.clone() })
                .collect();
            fields.sort_by_key(|field| {
                elements.iter().position(|element| element.name == field.name)
            });
            Kind::Object(fields)
        }
        (Kind::List(items), Shape::List(_, of)) => {
            Kind::List(items.iter().map(|item| ordered(item, of)).collect())
        }
        (kind, _) => kind.clone(),
    };
    Node { kind, span }
}

fn ordered_field(field: &Field, elements: &'static [Element]) -> Node {
    match (named(elements, &field.name), &field.node.kind) {
        (Some(Element { repeats: true, shape, .. }), Kind::List(items)) => {
            let items = items.iter().map(|item| ordered(item, shape)).collect();
            Node { kind: Kind::List(items), span: field.node.span.clone() }
        }
        (Some(element), _) => ordered(&field.node, &element.shape),
        (None, _) => field.node.clone(),
    }
}

/// What a value says, without order and without lists of nothing.
fn meaning(node: &Node, shape: &Shape) -> serde_json::Value {
    match (&node.kind, shape) {
        (Kind::Object(fields), Shape::Object(elements)) => {
            let said = fields.iter().filter_map(|field| {
                let element = named(elements, &field.name)?;
                let items = field.node.items();
                let value = match element.repeats {
                    true if items.is_empty() => return None,
                    true => items.iter().map(|item| meaning(item, &element.shape)).collect(),
                    false => meaning(&field.node, &element.shape),
                };
                Some((field.name.clone(), value))
            });
            said.collect::<serde_json::Map<_, _>>().into()
        }
        (Kind::List(items), Shape::List(_, of)) => {
            items.iter().map(|item| meaning(item, of)).collect()
        }
        // A sound tree holds nothing that JSON cannot say.
        (_, _) => serde_json::from_str(&node.json(false)).unwrap_or_default(),
    }
}
