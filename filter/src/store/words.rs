//! What the words of a store's answer say, where its status says that all is well.

/// What the words of a store's answer to a write say, whose status says that it is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Words {
    /// That it is done.
    Done,
    /// That it failed: S3 can begin a 200 before it knows how a completion ends.
    Failed,
    /// Nothing, or what nobody understands.
    Silent,
}

/// What a store says of a PutObject: nothing, where all is well.
#[must_use]
pub fn on_put(xml: &str) -> Words {
    match root(xml) {
        Some("Error") => Words::Failed,
        Some(_) | None => Words::Done,
    }
}

/// What a store says of a CompleteMultipartUpload: that it is done is a document of its own, with
/// the ETag of the object.
#[must_use]
pub fn on_completion(xml: &str) -> Words {
    match root(xml) {
        Some("Error") => Words::Failed,
        Some("CompleteMultipartUploadResult") if has_etag(xml) => Words::Done,
        Some(_) | None => Words::Silent,
    }
}

/// The name of a document's root element, without its namespace's prefix. `None` for what is no
/// document.
fn root(xml: &str) -> Option<&str> {
    let mut rest = xml.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    while let Some(behind) = rest.strip_prefix("<?").or_else(|| rest.strip_prefix("<!")) {
        rest = behind.split_once('>')?.1.trim_start();
    }
    let name = rest.strip_prefix('<')?;
    let name = name.split(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).next()?;
    Some(local(name))
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Whether there is an element `ETag` with something in it.
fn has_etag(xml: &str) -> bool {
    xml.split('<').any(|piece| {
        piece.split_once('>').is_some_and(|(tag, text)| {
            let name = tag.split_ascii_whitespace().next().unwrap_or_default();
            local(name) == "ETag" && !text.trim().is_empty()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn done_is_what_a_store_says_in_so_many_words() {
        let result = "<CompleteMultipartUploadResult";
        let cases = [
            (format!("{result}><ETag>\"e\"</ETag></CompleteMultipartUploadResult>"), Words::Done),
            (
                format!(
                    "<?xml version=\"1.0\"?>\n<!-- x -->{result} xmlns=\"y\"><Key>k</Key><ETag>&quot;e&quot;</ETag>"
                ),
                Words::Done,
            ),
            (
                "  \n<s3:CompleteMultipartUploadResult><s3:ETag x=\"\">e</s3:ETag>".to_owned(),
                Words::Done,
            ),
            (format!("{result}><ETag></ETag>"), Words::Silent),
            (format!("{result}><ETag/>"), Words::Silent),
            (format!("{result}/>"), Words::Silent),
            (format!("{result}s><ETag>e</ETag>"), Words::Silent),
            ("<Error><Code>InternalError</Code></Error>".to_owned(), Words::Failed),
            ("<?xml?>\r\n<Error xmlns=\"x\"><ETag>e</ETag>".to_owned(), Words::Failed),
            ("<x:Error/>".to_owned(), Words::Failed),
            (String::new(), Words::Silent),
            ("   ".to_owned(), Words::Silent),
            ("<html><body><ETag>e</ETag>".to_owned(), Words::Silent),
            ("<!DOCTYPE html><html>".to_owned(), Words::Silent),
            ("ok".to_owned(), Words::Silent),
            ("<?".to_owned(), Words::Silent),
        ];
        for (xml, expected) in cases {
            assert_eq!(on_completion(&xml), expected, "{xml}");
            let expected_on_put =
                if expected == Words::Failed { Words::Failed } else { Words::Done };
            assert_eq!(on_put(&xml), expected_on_put, "{xml}");
        }
    }
}
