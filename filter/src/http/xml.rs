//! Elements of a document that a store or its client has written: what S3's protocol says of them is
//! all that is read, and there is no document type, no comment and no CDATA in it.

/// What is between two marks, and what is behind them.
pub(crate) fn between<'x>(xml: &'x str, open: &str, close: &str) -> Option<(&'x str, &'x str)> {
    xml.split_once(open)?.1.split_once(close)
}

/// What stands in each element of this name, from the first to the last.
pub(crate) fn elements<'x>(xml: &'x str, name: &str) -> impl Iterator<Item = &'x str> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        loop {
            let (_, behind) = rest.split_once(&open)?;
            rest = behind;
            let (attributes, content) = behind.split_once('>')?;
            // Of a longer name, or without anything in it.
            let is_it = attributes.is_empty() || attributes.starts_with([' ', '\t', '\r', '\n']);
            if is_it && !attributes.ends_with('/') {
                let (content, behind) = content.split_once(&close)?;
                rest = behind;
                return Some(content);
            }
        }
    })
}

/// The text that a piece of XML stands for, where it is nothing but text.
pub(crate) fn text(xml: &str) -> Option<String> {
    let (mut text, mut rest) = (String::new(), xml);
    while let Some((before, behind)) = rest.split_once('&') {
        let (reference, behind) = behind.split_once(';')?;
        text.push_str(before);
        text.push(match reference {
            "amp" => '&',
            "apos" => '\'',
            "gt" => '>',
            "lt" => '<',
            "quot" => '"',
            _ => {
                let number = reference.strip_prefix('#')?;
                let (digits, radix) = match number.strip_prefix('x') {
                    Some(digits) => (digits, 16),
                    None => (number, 10),
                };
                char::from_u32(u32::from_str_radix(digits, radix).ok()?)?
            }
        });
        rest = behind;
    }
    text.push_str(rest);
    (!xml.contains('<')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_their_whole_name() {
        let xml = "<A><Key>1</Key><Keys>2</Keys><Key x=\"y\">3</Key><Key/><Key>4</Key></A>";
        assert_eq!(elements(xml, "Key").collect::<Vec<_>>(), ["1", "3", "4"]);
        assert_eq!(elements("<Key>never ends", "Key").next(), None);
    }
}
