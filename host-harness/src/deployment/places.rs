//! Where the fields of a deployment's buckets stand, for who finds something to say of them later.
//!
//! Owns places alone, and no text: some of it is secret.

use std::ops::Range;

use super::node::{Kind, Node};

/// Where the fields of each bucket stand.
#[derive(Clone, Debug, Default)]
pub struct Places {
    buckets: Vec<Vec<(String, Range<usize>)>>,
    origins: Vec<Range<usize>>,
}

impl Places {
    /// Those of a file.
    pub(super) fn of(root: &Node) -> Self {
        let items = |name| match root.get(name).map(|node| &node.kind) {
            Some(Kind::List(items)) => items.as_slice(),
            Some(Kind::Mapping(_) | Kind::Nothing | Kind::Text(_)) | None => &[],
        };
        let fields = |bucket: &Node| {
            let mut places = Vec::new();
            collect(bucket, "", &mut places);
            places
        };
        Self {
            buckets: items("buckets").iter().map(fields).collect(),
            origins: items("origins").iter().map(|origin| origin.span.clone()).collect(),
        }
    }

    /// Where the first of these fields of a bucket that is written stands, such as
    /// `credentials.inline.access_key_id`; of none of them, the bucket's name.
    #[must_use]
    pub fn of_bucket(&self, bucket: usize, fields: &[&str]) -> Range<usize> {
        let places = self.buckets.get(bucket).map_or(&[][..], Vec::as_slice);
        let find = |field: &&str| places.iter().find(|(name, _)| name == field);
        let found = fields.iter().find_map(find).or_else(|| find(&"name"));
        found.map_or(0..0, |(_, span)| span.clone())
    }

    /// Where one of the file's own `origins` stands.
    #[must_use]
    pub fn of_origin(&self, origin: usize) -> Range<usize> {
        self.origins.get(origin).cloned().unwrap_or(0..0)
    }
}

fn collect(node: &Node, above: &str, places: &mut Vec<(String, Range<usize>)>) {
    let Kind::Mapping(entries) = &node.kind else { return };
    for entry in entries {
        let name = format!("{above}{}", entry.key);
        let span = match &entry.value.kind {
            // What it consists of stands on other lines.
            Kind::Mapping(_) | Kind::List(_) | Kind::Nothing => entry.key_span.clone(),
            Kind::Text(_) => entry.value.span.clone(),
        };
        collect(&entry.value, &format!("{name}."), places);
        places.push((name, span));
    }
}
