//! The vocabulary of rule files: every element, what it takes and what it means.
//!
//! Owns what is the same for every form a rule file can have: names, types, defaults and limits.
//! XML's texts become values by it, and the reference page and the schema are printed from it.
//! What is done with an element is the filter's to say ([`state()`]), and whether its value is right.

mod redirect;
mod state;

pub(crate) use redirect::REDIRECT;
pub(crate) use state::{State, state};

/// Where an element is described by who invented it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Page {
    /// OSS's PutBucketWebsite.
    Oss,
    /// This project.
    Ours,
    /// S3's guide to redirects.
    S3,
    /// Only the SDKs of OSS and the resource made from them name it.
    Sdk,
}

impl Page {
    /// What a link to it says.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Oss => "OSS",
            Self::Ours => "",
            Self::S3 => "S3",
            Self::Sdk => "SDK",
        }
    }

    /// Its address.
    pub(crate) const fn url(self) -> Option<&'static str> {
        match self {
            Self::Oss => Some(
                "https://www.alibabacloud.com/help/en/oss/developer-reference/putbucketwebsite",
            ),
            Self::Ours => None,
            Self::S3 => Some(
                "https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-page-redirect.html",
            ),
            Self::Sdk => Some("https://help.aliyun.com/zh/terraform/alicloud-oss-bucket-website"),
        }
    }
}

/// What an element takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// `true` or `false`, in any case.
    Boolean,
    /// A whole number, at least and at most.
    Integer(i64, i64),
    /// An array; in XML, an element around the items, each under this name.
    List(&'static str, &'static Self),
    /// Elements of its own.
    Object(&'static [Element]),
    /// A status; ours: a class such as `4XX`, and several of both.
    Status,
    /// A text, taken as it stands, spaces and all.
    Text,
    /// A text without spaces around it: a name, an address.
    Token,
    /// A URL.
    Url,
    /// One of a few words.
    Word(&'static [&'static str]),
}

/// What a value is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    /// Elements.
    Elements(&'static [Element]),
    /// Items, each of which has this name in XML.
    Items(&'static str, &'static Shape),
    /// Nothing that has a shape of its own.
    Scalar,
}

impl Shape {
    /// What such a value is made of.
    pub(crate) const fn content(self) -> Content {
        match self {
            Self::List(item, of) => Content::Items(item, of),
            Self::Object(elements) => Content::Elements(elements),
            Self::Boolean
            | Self::Integer(..)
            | Self::Status
            | Self::Text
            | Self::Token
            | Self::Url
            | Self::Word(_) => Content::Scalar,
        }
    }
}

/// An element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Whether it may stand several times in XML; it is an array in JSON then.
    pub(crate) repeats: bool,
    /// Whether S3's website configuration has it too.
    pub(crate) in_s3: bool,
    pub(crate) default: &'static str,
    pub(crate) limits: &'static str,
    pub(crate) meaning: &'static str,
    /// What is done with it, where the filter has no table for it.
    pub(crate) state: State,
    pub(crate) page: Page,
}

impl Element {
    const fn new(name: &'static str, shape: Shape, meaning: &'static str) -> Self {
        Self {
            name,
            shape,
            repeats: false,
            in_s3: false,
            default: "none",
            limits: "",
            meaning,
            state: State::Honoured,
            page: Page::Oss,
        }
    }

    const fn repeats(self) -> Self {
        Self { repeats: true, ..self }
    }

    const fn in_s3(self) -> Self {
        Self { in_s3: true, ..self }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    const fn limits(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }

    const fn state(self, state: State) -> Self {
        Self { state, ..self }
    }

    const fn page(self, page: Page) -> Self {
        Self { page, ..self }
    }
}

/// The element of a name among others.
pub(crate) fn named(elements: &'static [Element], name: &str) -> Option<&'static Element> {
    elements.iter().find(|element| element.name == name)
}

/// Elements and all that stands in them, each by its path, as
/// [`back_to_origin::rule::element::paths`] has it. Rules are not looked into.
#[cfg(test)]
pub(crate) fn paths(elements: &'static [Element]) -> Vec<String> {
    let own = elements.iter().flat_map(|element| {
        let inner = match element.shape.content() {
            Content::Elements(inner) => paths(inner),
            Content::Items(..) | Content::Scalar => Vec::new(),
        };
        let below = inner.into_iter().map(|path| format!("{}/{path}", element.name));
        std::iter::once(element.name.to_owned()).chain(below)
    });
    own.collect()
}

const POSITIVE: Shape = Shape::Integer(1, i64::MAX);

/// The whole file.
pub(crate) const WEBSITE: &[Element] = &[
    Element::new("IndexDocument", Shape::Object(INDEX_DOCUMENT), "The page of a folder.")
        .in_s3()
        .state(State::Kept("kept, and not served: this is no web site")),
    Element::new("ErrorDocument", Shape::Object(ERROR_DOCUMENT), "The page for a missing object.")
        .in_s3()
        .state(State::Kept("kept, and not served: this is no web site")),
    Element::new(
        "RedirectAllRequestsTo",
        Shape::Object(REDIRECT_ALL),
        "Every request is redirected to another host. Excludes everything else. It is taken as \
         one External rule without a condition.",
    )
    .in_s3()
    .page(Page::S3),
    Element::new(
        "RoutingRules",
        Shape::List("RoutingRule", &Shape::Object(ROUTING_RULE)),
        "The rules.",
    )
    .in_s3()
    .limits("20 rules; in S3's form 50"),
];

const INDEX_DOCUMENT: &[Element] = &[
    Element::new("Suffix", Shape::Text, "What is added to the key of a folder.").in_s3(),
    Element::new("SupportSubDir", Shape::Boolean, "Whether folders below the first have a page.")
        .default("false"),
    Element::new("Type", Shape::Integer(0, 2), "What becomes of a folder's name without `/`.")
        .default("0"),
];

const ERROR_DOCUMENT: &[Element] = &[
    Element::new("Key", Shape::Text, "The key of the page.").in_s3(),
    Element::new("HttpStatus", Shape::Integer(200, 404), "The status the page is sent with.")
        .default("404")
        .limits("200 or 404"),
];

const REDIRECT_ALL: &[Element] = &[
    Element::new("HostName", Shape::Token, "The other host.").in_s3().page(Page::S3),
    Element::new("Protocol", Shape::Word(&["http", "https"]), "Its scheme.")
        .in_s3()
        .default("the request's")
        .page(Page::S3),
];

/// A rule.
pub(crate) const ROUTING_RULE: &[Element] = &[
    Element::new(
        "RuleNumber",
        POSITIVE,
        "Rules are tried in the order of their numbers; the first whose whole condition holds \
         applies. In files of S3's form the order is that of the text, and there is no number.",
    )
    .limits("from 1, unique, gaps allowed"),
    Element::new(
        "Condition",
        Shape::Object(CONDITION),
        "When the rule applies: all of it must hold. S3's form may leave it out.",
    )
    .in_s3(),
    Element::new("Redirect", Shape::Object(REDIRECT), "What it does then.").in_s3(),
    Element::new("LuaConfig", Shape::Object(LUA_CONFIG), "A script that OSS runs on the rule.")
        .page(Page::Sdk),
];

/// When a rule applies.
pub(crate) const CONDITION: &[Element] = &[
    Element::new("KeyPrefixEquals", Shape::Text, "The decoded key starts with it.").in_s3(),
    Element::new("KeySuffixEquals", Shape::Text, "The decoded key ends with it.")
        .default("none; empty is none"),
    Element::new(
        "HttpErrorCodeReturnedEquals",
        Shape::Status,
        "The bucket's status. A Mirror rule needs it, and it is 404; ours: 403 too, which is a miss \
         where the gateway's own keys find that the object is not there \
         ([how](MISSES.md#a-403-that-is-a-miss)). An External rule without it \
         applies to every request, whatever the bucket answers. Ours: several, and `4XX` or `5XX`; a \
         class is not about a 403.",
    )
    .in_s3()
    .limits("400 to 599"),
    Element::new("IncludeHeader", Shape::Object(INCLUDE_HEADER), "A header the request has, `host` too; without a word, with any value.")
        .repeats()
        .limits("10 of them"),
];

const INCLUDE_HEADER: &[Element] = &[
    Element::new("Key", Shape::Token, "The header's name."),
    Element::new("Equals", Shape::Text, "Some value of it is this."),
    Element::new("StartsWith", Shape::Text, "Some value starts with this.").page(Page::Sdk),
    Element::new("EndsWith", Shape::Text, "Some value ends with this.").page(Page::Sdk),
];

const LUA_CONFIG: &[Element] =
    &[Element::new("Script", Shape::Token, "The script's name.").page(Page::Sdk)];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use back_to_origin::rule::element;

    use super::*;

    #[test]
    fn the_filter_knows_the_same_elements() {
        let own: BTreeSet<String> = paths(ROUTING_RULE).into_iter().collect();
        let of_filter: BTreeSet<String> = element::paths().collect();
        let unknown: Vec<_> = of_filter.difference(&own).collect();
        assert!(unknown.is_empty(), "not described here: {unknown:?}");
        // Whose keys sign, and what a refused script is called, is nothing the filter is told.
        let beyond: Vec<_> = own.difference(&of_filter).collect();
        let elsewhere = |path: &str| path == "LuaConfig/Script" || path.contains("/MirrorAuth/");
        assert!(beyond.iter().all(|path| elsewhere(path)), "unknown to the filter: {beyond:?}");
    }

    #[test]
    fn extensions_are_described_by_nobody_else() {
        for element in REDIRECT.iter().chain(CONDITION).chain(ROUTING_RULE) {
            let is_ours = state(element) == State::Extension;
            assert_eq!(element.page == Page::Ours, is_ours, "{}", element.name);
        }
    }
}
