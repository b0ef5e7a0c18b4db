//! Whether a cluster's own definitions know all that manifests say: an unknown field is dropped
//! there without a word.

use std::path::Path;

use serde_json::{Map, Value};

use super::code::Code;
use super::{Findings, Manifest};
use crate::diagnostics::{Document, Problem, Report};

/// Definitions, as `kubectl get crds --output yaml` prints them.
pub(super) struct Definitions(Vec<Value>);

impl Definitions {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let read: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        for document in read {
            match document["items"].as_array() {
                Some(items) => all.extend(items.iter().cloned()),
                None => all.push(document),
            }
        }
        all.retain(|one| one["kind"] == "CustomResourceDefinition");
        Ok(Self(all))
    }

    /// Judges all resources whose groups are defined at all, and those that are wanted.
    pub(super) fn judge(
        &self,
        path: &Path,
        manifests: &[Manifest],
        groups: &[&str],
        findings: &mut Findings<'_>,
    ) {
        let mut problems = Vec::new();
        for manifest in manifests {
            let resources: Vec<Value> =
                serde_saphyr::from_multiple(&manifest.text).unwrap_or_default();
            for resource in resources {
                let (Some(api), Some(kind)) =
                    (resource["apiVersion"].as_str(), resource["kind"].as_str())
                else {
                    continue;
                };
                let Some((group, version)) = api.split_once('/') else { continue };
                if !groups.contains(&group) {
                    continue;
                }
                let mut said = Vec::new();
                match self.schema(group, kind, version) {
                    Err(missing) => said.push(missing),
                    Ok(schema) => unknown(schema, &resource, "", &mut said),
                }
                for what in said {
                    let message = format!(
                        "{} {kind} {}: {what}",
                        path.display(),
                        resource["metadata"]["name"].as_str().unwrap_or_default()
                    );
                    let problem = Problem::error(Code::UnknownKind.as_str(), 0..0, message);
                    problems.push(problem.help("this form takes newer definitions than these"));
                }
            }
        }
        if !problems.is_empty() {
            let shown = path.display().to_string();
            findings.in_other(Report::new(
                Document::new(shown, b"the cluster's definitions\n"),
                problems,
            ));
        }
    }

    fn schema(&self, group: &str, kind: &str, version: &str) -> Result<&Value, String> {
        let of =
            |one: &&Value| one["spec"]["group"] == group && one["spec"]["names"]["kind"] == kind;
        let found = self.0.iter().find(of).ok_or_else(|| format!("{group} has no {kind} there"))?;
        let versions = found["spec"]["versions"].as_array().map_or(&[][..], Vec::as_slice);
        let is_it = |one: &&Value| one["name"] == version && one["served"] != false;
        let found = versions.iter().find(is_it);
        found
            .map(|one| &one["schema"]["openAPIV3Schema"])
            .ok_or_else(|| format!("{group}/{version} of {kind} is not served there"))
    }
}

/// The fields of a value that its schema does not have.
fn unknown(schema: &Value, value: &Value, place: &str, said: &mut Vec<String>) {
    match value {
        Value::Object(fields) => of_object(schema, fields, place, said),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                unknown(&schema["items"], item, &format!("{place}/{at}"), said);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn of_object(schema: &Value, fields: &Map<String, Value>, place: &str, said: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    for (name, value) in fields {
        // What every resource has.
        if place.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name.as_str()) {
            continue;
        }
        let place = format!("{place}/{name}");
        let known = schema["properties"]
            .get(name)
            .or_else(|| schema.get("additionalProperties").filter(|others| others.is_object()));
        match known {
            Some(known) => unknown(known, value, &place, said),
            None => said.push(format!("the field {place} is not known there")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRD: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: example.com
  names: { kind: Thing }
  versions:
  - name: v1
    served: true
    schema:
      openAPIV3Schema:
        properties:
          spec:
            properties:
              known: { type: string }
              map: { additionalProperties: { type: string } }
              free: { x-kubernetes-preserve-unknown-fields: true }
              list: { items: { properties: { a: { type: string } } } }
";

    fn said(resource: &str) -> Vec<String> {
        let definitions = Definitions::read(CRD).unwrap();
        let resource: Value = serde_saphyr::from_str(resource).unwrap();
        let schema = definitions.schema("example.com", "Thing", "v1").unwrap();
        let mut said = Vec::new();
        unknown(schema, &resource, "", &mut said);
        said
    }

    #[test]
    fn fields_that_a_definition_lacks_are_named_by_their_place() {
        let known = "{ kind: Thing, metadata: { name: x }, spec: { known: x, map: { any: y }, \
                     free: { any: { thing: 1 } }, list: [{ a: b }] } }";
        assert_eq!(said(known), Vec::<String>::new());
        assert_eq!(
            said("{ kind: Thing, spec: { other: x, list: [{}, { b: c }] } }"),
            [
                "the field /spec/list/1/b is not known there",
                "the field /spec/other is not known there"
            ]
        );
        let definitions =
            Definitions::read(&format!("kind: List\nitems:\n- {}", CRD.replace('\n', "\n  ")))
                .unwrap();
        assert!(definitions.schema("example.com", "Thing", "v1").is_ok());
        assert!(definitions.schema("example.com", "Thing", "v2").is_err());
        assert!(definitions.schema("example.com", "Other", "v1").is_err());
    }
}
