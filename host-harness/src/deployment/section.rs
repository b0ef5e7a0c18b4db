//! Sections of the deployment file: what fields they have, read and documented from one list.
//!
//! Owns the `section!` macro and the collecting of problems. [`mod@super::reference`] prints the same
//! lists, so the file, its reader and its documentation cannot differ.

use std::ffi::OsString;
use std::ops::Range;

use super::code::Code;
use super::node::{Entry, Kind, Node};
use super::value::Value;
use crate::diagnostics::{Problem, Weight};
use crate::secrecy::{Hidden, distance};

/// A field of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) shape: fn() -> String,
    pub(super) presence: Presence,
}

/// What happens where a field is not written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Presence {
    /// The type knows, in these words.
    Computed(&'static str),
    /// It is as if this was written.
    Default(&'static str),
    /// There is none.
    Optional,
    /// The file is refused.
    Required,
}

/// A mapping with a fixed list of fields.
pub(super) trait Section: Value {
    const NAME: &'static str;
    const ABOUT: &'static str;
    fn fields() -> Vec<Field>;
}

/// Declares a section: its struct, its reader and its documentation.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident as $title:literal {
            $(
                $(#[doc = $doc:literal])+
                pub $field:ident: $type:ty [$presence:ident $($words:literal)?],
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl $crate::deployment::section::Section for $name {
            const NAME: &'static str = $title;
            const ABOUT: &'static str = concat!($($about, "\n"),+);

            fn fields() -> Vec<$crate::deployment::section::Field> {
                vec![$($crate::deployment::section::Field {
                    name: stringify!($field),
                    doc: concat!($($doc, "\n"),+),
                    shape: <$type as $crate::deployment::value::Value>::shape,
                    presence: $crate::deployment::section::Presence::$presence $(($words))?,
                }),+]
            }
        }

        impl $crate::deployment::value::Value for $name {
            fn shape() -> String {
                concat!("mapping, see [", $title, "](#", $title, ")").to_owned()
            }

            fn absent() -> Option<Self> {
                let nothing = $crate::deployment::node::Node {
                    kind: $crate::deployment::node::Kind::Mapping(Vec::new()),
                    span: 0..0,
                };
                // Only a section without required fields is declared `Computed`; a test reads all.
                Self::read(&nothing, &mut $crate::deployment::section::Reading::new(&|_| None))
            }

            fn read(
                node: &$crate::deployment::node::Node,
                reading: &mut $crate::deployment::section::Reading<'_>,
            ) -> Option<Self> {
                let fields = reading.fields::<Self>(node)?;
                $(let $field = fields.read(
                    stringify!($field),
                    $crate::deployment::section::Presence::$presence $(($words))?,
                    reading,
                );)+
                Some(Self { $($field: $field?,)+ })
            }
        }
    };
}
pub(super) use section;

/// A reading of one file: the environment it sees and the problems found so far.
pub(super) struct Reading<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<OsString>,
    pub(super) problems: Vec<Problem>,
    /// What deserves a look but refuses nothing.
    pub(super) warnings: Vec<Problem>,
    /// What of the file is not shown.
    pub(super) hidden: Hidden,
}

impl<'a> Reading<'a> {
    pub(super) fn new(environment: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        let (problems, warnings) = (Vec::new(), Vec::new());
        Self { environment, problems, warnings, hidden: Hidden::default() }
    }

    /// Notes a problem that refuses the file.
    pub(super) fn refuse(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(problem(Weight::Error, code, span, message.into(), help.into()));
    }

    /// Notes what deserves a look but refuses nothing.
    pub(super) fn warn(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.warnings.push(problem(Weight::Warning, code, span, message.into(), help.into()));
    }

    /// Adds to the last problem the other place it is about.
    pub(super) fn relate(&mut self, span: &Range<usize>, label: &'static str) {
        if let Some(problem) = self.problems.last_mut() {
            problem.related = Some((span.clone(), label));
        }
    }

    /// The entries of a section, after every key has been found to be one of its fields.
    pub(super) fn fields<'n, S: Section>(&mut self, node: &'n Node) -> Option<Fields<'n>> {
        let known: Vec<_> = S::fields().iter().map(|field| field.name).collect();
        let listed = known.join("`, `");
        let Kind::Mapping(entries) = &node.kind else {
            let message = format!("expected {}, found {}", S::NAME, node.words());
            self.refuse(Code::WrongType, &node.span, message, format!("its fields are `{listed}`"));
            return None;
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let message = match self.hidden.has(&entry.key_span) {
                true => format!("what stands here is no field of {}", S::NAME),
                false => format!("`{}` is no field of {}", entry.key, S::NAME),
            };
            let help = match nearest(&entry.key, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its fields are `{listed}`"),
            };
            self.refuse(Code::UnknownField, &entry.key_span, message, help);
        }
        let span = entries.first().map_or(&node.span, |first| &first.key_span).clone();
        Some(Fields { entries, section: S::NAME, span, whole: node.span.clone() })
    }
}

fn problem(
    weight: Weight,
    code: Code,
    span: &Range<usize>,
    message: String,
    help: String,
) -> Problem {
    let (code, span, help) = (code.as_str(), span.clone(), Some(help));
    Problem { weight, code, message, span, related: None, pointer: None, help }
}

/// The entries of one section of a file.
pub(super) struct Fields<'n> {
    entries: &'n [Entry],
    section: &'static str,
    span: Range<usize>,
    whole: Range<usize>,
}

impl Fields<'_> {
    /// Reads a field, or what stands for it where it is not written.
    pub(super) fn read<T: Value>(
        &self,
        name: &str,
        presence: Presence,
        reading: &mut Reading<'_>,
    ) -> Option<T> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == name) {
            return T::read(&entry.value, reading);
        }
        match presence {
            Presence::Computed(_) | Presence::Optional => T::absent(),
            Presence::Default(text) => {
                let before = reading.problems.len();
                let value = T::read(&Node::default_text(text), reading);
                // A default stands nowhere; what is wrong with it is told of its section.
                for problem in reading.problems.iter_mut().skip(before) {
                    problem.span = self.whole.clone();
                }
                value
            }
            Presence::Required => {
                let message = format!("{} has no `{name}`", self.section);
                let help = format!("add `{name}`: {}", T::shape());
                reading.refuse(Code::MissingField, &self.span, message, help);
                None
            }
        }
    }
}

/// The known name a mistyped one was probably meant to be.
fn nearest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
    let typed = plain(typed);
    let close = |name: &&&str| {
        let name = plain(name);
        name == typed
            || (typed.len() > 2 && (name.starts_with(&typed) || typed.starts_with(&name)))
            || distance(&name, &typed) <= name.len() / 3
    };
    known.iter().find(close).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names_find_their_own() {
        let known = ["listen", "buckets", "object_bytes", "secret_access_key"];
        for (typed, meant) in [
            ("lsten", Some("listen")),
            ("bucket", Some("buckets")),
            ("objectBytes", Some("object_bytes")),
            ("secret_acces_key", Some("secret_access_key")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, &known), meant, "{typed}");
        }
    }
}
