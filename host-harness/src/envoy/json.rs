//! JSON for people, in a file of YAML.

use std::fmt::Write as _;

use super::yaml::{LINE, escape};

/// JSON for people, as it stands in a file of YAML; of what is written an element a line, that is put
/// on one line which fits there.
pub(super) fn json(pretty: &str) -> String {
    let text = escape(pretty);
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    fold(&lines, &mut out);
    out
}

/// One element of JSON, with all its lines.
fn fold(lines: &[&str], out: &mut String) {
    /// How far JSON stands to the right in the file.
    const MARGIN: usize = 14;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let joined = |lines: &[&str]| {
        let words: Vec<_> = lines.iter().map(|line| line.trim_start()).collect();
        words.join(" ")
    };
    let [first, inner @ .., last] = lines else {
        let _ = writeln!(out, "{}", lines.concat());
        return;
    };
    let line = format!("{}{}", " ".repeat(depth(first)), joined(lines));
    if MARGIN + line.len() <= LINE {
        let _ = writeln!(out, "{line}");
        return;
    }
    let mut within = Vec::new();
    let mut rest = inner;
    // What stands on the line that has begun.
    let mut begun = String::new();
    while let Some(start) = rest.first() {
        let ends = |line: &&str| depth(line) == depth(start);
        let is_open = start.ends_with(['[', '{']);
        let end = rest.iter().skip(1).position(ends).filter(|_| is_open).map_or(0, |at| at + 1);
        let (element, others) = rest.split_at(end + 1);
        rest = others;
        let text = joined(element);
        // Elements that are lists or the like begin a line of their own.
        let is_own = begun.is_empty() || start.trim_start().starts_with(['[', '{']);
        if !is_own && MARGIN + begun.len() + 1 + text.len() <= LINE {
            begun = format!("{begun} {text}");
            continue;
        }
        within.extend((!begun.is_empty()).then(|| std::mem::take(&mut begun)));
        if MARGIN + depth(start) + text.len() <= LINE {
            begun = format!("{}{text}", " ".repeat(depth(start)));
        } else {
            let mut lines = String::new();
            fold(element, &mut lines);
            within.extend(lines.lines().map(str::to_owned));
        }
    }
    within.extend((!begun.is_empty()).then_some(begun));
    // What has no name begins and ends where its first and last elements do.
    let is_nameless = first.trim_start() == "{" && depth(first) > 0;
    match within.as_mut_slice() {
        [begin, ..] if is_nameless => {
            *begin = format!("{first} {}", begin.trim_start());
            if let Some(end) = within.last_mut() {
                *end = format!("{end} {}", last.trim_start());
            }
        }
        _ => {
            within.insert(0, (*first).to_owned());
            within.push((*last).to_owned());
        }
    }
    for line in within {
        let _ = writeln!(out, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json as value};

    use super::*;

    #[test]
    fn it_says_the_same_on_fewer_lines() {
        let long = "x".repeat(100);
        for original in [
            value!({}),
            value!({ "a": [], "b": {}, "c": [1, "{", "]"] }),
            value!({ "a": [{ "b": long, "c": { "d": long } }, { "e": [long, long] }], "f": long }),
            value!([[long, [long]], { "a": long, "b": [{ "c": long, "d": long }] }]),
        ] {
            let pretty = serde_json::to_string_pretty(&original).unwrap();
            let text = json(&pretty);
            assert!(text.lines().count() <= pretty.lines().count(), "{text}");
            assert!(text.lines().all(|line| line.len() <= LINE), "{text}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), original, "{text}");
        }
    }
}
