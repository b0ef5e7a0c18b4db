//! The reference of the deployment file, printed from what reads it.

use std::fmt::Write as _;

use back_to_origin::record;

use super::credentials::{Environment, Inline};
use super::section::{Field, Presence, Section};
use super::{
    AccessLog, Api, Breaker, Bucket, Console, Deployment, Limits, MirrorLimits, RateLimitService,
    Timeouts, Tls, Tracing,
};

/// The example that the reference shows; it is also a file to start from.
const EXAMPLE: &str = include_str!("../../../envoy/deployment.yaml");

/// `envoy/DEPLOYMENT.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = format!(
        "<!-- Printed from host-harness/src/deployment. To renew: UPDATE=1 cargo test -p b2o -->\n\n\
         # The deployment file\n\n\
         One YAML file says which buckets there are, where their stores are and which rules they\n\
         have. `b2o serve` runs a gateway from it, and `b2o envoy` writes what Envoy needs to.\n\n\
         ```yaml\n{EXAMPLE}```\n\n\
         Unknown fields are errors, as are variables that are not set and rule files that cannot\n\
         be read or hold an error. All problems of a file are shown at once, each with its line\n\
         and column. The text of a secret is never shown.\n"
    );
    for section in sections() {
        describe(&section, &mut page);
    }
    fields(&mut page);
    page.push_str(CONDITIONS);
    page
}

/// What a line of the access log has.
fn fields(page: &mut String) {
    page.push_str(RECORDS);
    for field in record::Field::ALL {
        let (name, kind, about) =
            (field.name(), field.kind().name(), sentence(field.description()));
        // Writing into a string cannot fail.
        let _ = writeln!(page, "| `{name}` | {kind} | {about} |");
    }
}

/// What the access log is.
const RECORDS: &str = "
## Fields of the access log

Each line is one JSON object with all of these, in any order; what is not known is null. No field has
a query, a header or a key of a store. A field that a later release adds is no break.

| Field | In JSON | Meaning |
|---|---|---|
";

/// What stores know of the conditions of writes.
const CONDITIONS: &str = "
## What stores know of conditional writes

A fetched object must not replace one that a client has written meanwhile. What was tried is by the
version that is named; anything else is what the store's documents say.

| Store | `If-None-Match: *` on a PUT | on a completion | Set `conditional_writes` to |
|---|---|---|---|
| Amazon S3 (its documents) | judged | judged | `if-none-match` |
| `b2o store` | judged | judged | `if-none-match` |
| moto 5.2 | judged | judged | `if-none-match` |
| Ceph RGW 16.2 | judged | ignored | `head`; `if-none-match` where no object is larger than `part_bytes` |
| Garage 2.5, s3rver 3.7 | ignored | ignored | `head` |
| Alibaba Cloud OSS (its documents) | refused with 501 | refused with 501 | `oss` |

A store that ignores the header overwrites, and says nothing. One that refuses it is told of in the
log, once in each worker, and gets no other write of the kind for ten minutes; what is missed is
served meanwhile and not stored. With `head`, what a client writes between the look and the write, a
few milliseconds, is replaced; a store that does not let the gateway look, or does not answer, gets
nothing.
";

/// A section and all that is known of it.
pub(super) struct Described {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) fields: Vec<Field>,
}

impl Described {
    fn of<S: Section>() -> Self {
        Self { name: S::NAME, about: S::ABOUT, fields: S::fields() }
    }
}

/// Every section a file can have.
pub(super) fn sections() -> [Described; 14] {
    [
        Described::of::<Deployment>(),
        Described::of::<Tls>(),
        Described::of::<Limits>(),
        Described::of::<Timeouts>(),
        Described::of::<Tracing>(),
        Described::of::<RateLimitService>(),
        Described::of::<AccessLog>(),
        Described::of::<Breaker>(),
        Described::of::<Bucket>(),
        Described::of::<MirrorLimits>(),
        Described::of::<Api>(),
        Described::of::<Console>(),
        Described::of::<Inline>(),
        Described::of::<Environment>(),
    ]
}

fn describe(section: &Described, page: &mut String) {
    // Writing into a string cannot fail.
    let _ = write!(page, "\n## {}\n\n{}\n\n", section.name, sentence(section.about));
    let _ = write!(page, "| Field | Value | Default | Meaning |\n|---|---|---|---|\n");
    for field in &section.fields {
        let default = match field.presence {
            Presence::Computed(words) => words.to_owned(),
            Presence::Default(text) => format!("`{text}`"),
            Presence::Optional => "none".to_owned(),
            Presence::Required => "**required**".to_owned(),
        };
        let (name, shape, doc) = (field.name, (field.shape)(), sentence(field.doc));
        let _ = writeln!(page, "| `{name}` | {shape} | {default} | {doc} |");
    }
}

/// A doc comment as running text.
fn sentence(doc: &str) -> String {
    doc.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_printed_reference_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/DEPLOYMENT.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, reference()).unwrap();
        }
        let printed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            printed == reference(),
            "envoy/DEPLOYMENT.md is stale; renew it with: UPDATE=1 cargo test -p b2o"
        );
    }
}
