//! `b2o explain`: what the rules would do with a request, and why.

use std::path::PathBuf;

use back_to_origin::explain::{Question, explain};

use super::check::{refusal, tally};
use super::failure::Failure;
use super::loading::read_rules;
use super::{colour_out, print};

/// Say what a rule file does with a request the bucket could not answer, and why.
///
/// Nothing is sent anywhere. Each rule that does not apply is listed with the condition that fails.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o explain envoy/rules/mirror.json --key examplefolder/example.txt
  b2o explain website.xml --key old/a.txt --status 404 --json
  b2o explain envoy/rules/mirror-headers.json --key examplefolder/a --query x=1 -H 'aaa-header: aaa'

Exit codes:
  0  explained, whether or not a rule applies
  1  the rules are refused
  2  wrong usage, or the file cannot be read"
)]
pub(super) struct Arguments {
    /// The rule file, XML or JSON; `-` is standard input.
    rules: PathBuf,
    /// The object's key, decoded and without a leading slash.
    #[arg(long, value_name = "KEY")]
    key: String,
    /// What the bucket answers.
    #[arg(long, default_value_t = 404, value_parser = clap::value_parser!(u16).range(100..=599))]
    status: u16,
    /// The request's method.
    #[arg(long, default_value = "GET", value_parser = method)]
    method: String,
    /// The request's query string, without the question mark.
    #[arg(long, default_value = "", value_name = "QUERY")]
    query: String,
    /// A header of the request; can be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The bucket's name.
    #[arg(long, default_value = "examplebucket")]
    bucket: String,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = read_rules(&arguments.rules)?;
    let Some(rules) = file.rules else {
        let report = file.report;
        print(&report.render(colour_out()));
        return Err(refusal(&report.document.path, &tally(&report)));
    };
    let explanation = explain(
        &rules,
        &Question {
            bucket: arguments.bucket.clone(),
            method: arguments.method.clone(),
            key: arguments.key.clone().into_bytes(),
            query: arguments.query.clone(),
            headers: arguments.headers.clone(),
            status: arguments.status,
        },
    );
    let text = if arguments.json {
        serde_json::to_string_pretty(&explanation)
            .map_err(|error| Failure::new(format!("cannot print the explanation: {error}")))?
    } else {
        explanation.to_string()
    };
    print(&(text.trim_end().to_owned() + "\n"));
    Ok(())
}

fn method(text: &str) -> Result<String, String> {
    let method: http::Method = text.parse().map_err(|_| "expected a method, such as GET")?;
    Ok(method.to_string())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected `NAME: VALUE`")?;
    let name: http::HeaderName =
        name.trim().parse().map_err(|_| format!("`{name}` is no header name"))?;
    let value = value.trim();
    let is_value = http::HeaderValue::from_str(value).is_ok();
    is_value
        .then(|| (name.to_string(), value.to_owned()))
        .ok_or_else(|| format!("the value of `{name}` has characters that no header can carry"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_curl_reads_them() {
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(header("AAA-header:  a: b "), pair("aaa-header", "a: b"));
        assert_eq!(header("empty:"), pair("empty", ""));
        for wrong in ["no colon", ": x", "a b: c", "a: \u{1}"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }
}
