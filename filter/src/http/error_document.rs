//! The XML body of an S3 error, as every S3 and OSS client parses it.

use std::fmt::Write as _;

use super::percent;

/// The code of an error: S3's and OSS's own words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorCode {
    /// 403: the bucket does not say whether it has the object.
    AccessDenied,
    /// 416: the range starts behind the object's end.
    InvalidRange,
    /// 424: the object could not be had from the origin (OSS).
    MirrorFailed,
    /// 404: neither the bucket nor the origin has the object.
    NoSuchKey,
    /// 412: the client asked for another version of the object.
    PreconditionFailed,
}

impl ErrorCode {
    /// The code as it stands in the document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            Self::InvalidRange => "InvalidRange",
            Self::MirrorFailed => "MirrorFailed",
            Self::NoSuchKey => "NoSuchKey",
            Self::PreconditionFailed => "PreconditionFailed",
        }
    }

    /// The status the code is sent with.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::AccessDenied => 403,
            Self::InvalidRange => 416,
            Self::MirrorFailed => 424,
            Self::NoSuchKey => 404,
            Self::PreconditionFailed => 412,
        }
    }
}

/// Writes the document.
#[must_use]
pub fn error_document(
    code: ErrorCode,
    message: &str,
    bucket: &str,
    key: &[u8],
    request_id: Option<&str>,
) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    element(&mut xml, "Code", code.as_str());
    element(&mut xml, "Message", message);
    element(&mut xml, "BucketName", bucket);
    element(&mut xml, "Key", &percent::readable(key));
    if let Some(id) = request_id {
        element(&mut xml, "RequestId", id);
    }
    xml.push_str("</Error>");
    xml
}

fn element(xml: &mut String, name: &str, text: &str) {
    // Writing into a String cannot fail.
    let _ = write!(xml, "<{name}>");
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // XML 1.0 has no way to write these at all.
            other if other.is_control() || matches!(other, '\u{fffe}' | '\u{ffff}') => {
                xml.push('\u{fffd}');
            }
            other => xml.push(other),
        }
    }
    let _ = write!(xml, "</{name}>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_key_stays_inside_its_element() {
        let xml = error_document(
            ErrorCode::NoSuchKey,
            "none",
            "b",
            b"</Key><x a=\"&\">",
            Some("id\u{0}"),
        );
        assert_eq!(
            xml,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code>\
             <Message>none</Message><BucketName>b</BucketName>\
             <Key>&lt;/Key&gt;&lt;x a=&quot;&amp;&quot;&gt;</Key><RequestId>id\u{fffd}</RequestId></Error>"
        );
    }

    #[test]
    fn a_key_that_is_no_text_is_encoded() {
        let xml = error_document(ErrorCode::NoSuchKey, "none", "b", b"\xff\x01", None);
        assert!(xml.contains("<Key>%FF%01</Key>"), "{xml}");
    }
}
