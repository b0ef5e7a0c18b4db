//! What real clients send, as it was captured from them.

use super::super::{Dialect, Format, Website};
use super::{file, found};

macro_rules! captured {
    ($($name:literal)+) => {
        &[$(($name, include_bytes!(concat!("../../../../tests/fixtures/oss-xml/", $name, ".xml")))),+]
    };
}

const CAPTURED: &[(&str, &[u8])] = captured![
    "awscli-put-bucket-website"
    "boto3-redirect-all"
    "boto3-routing-full"
    "oss2-mirror-full"
    "oss2-mirror-minimal"
    "oss2-no-rules"
    "oss2-unicode-key"
    "ossv2-25-rules-no-client-check"
    "ossv2-mirror-full"
    "ossv2-mirror-minimal"
];

/// What is found in the file that has every element: a token over plain http, clients sent to a
/// private origin, and what only Alibaba Cloud has.
const FULL: &[&str] = &[
    "warning no-effect /RoutingRules/0/Redirect/MirrorHeaders/Remove",
    "warning credentials-in-clear /RoutingRules/0/Redirect/MirrorHeaders/Set/0/Key",
    "warning sent-to-private-origin /RoutingRules/0/Redirect/MirrorAsyncStatus",
    "warning credentials-in-clear /RoutingRules/0/Redirect/MirrorAuth",
    "error unsupported-element /RoutingRules/0/Redirect/MirrorDstRegion",
    "error unsupported-element /RoutingRules/0/Redirect/MirrorDstVpcId",
    "error unsupported-element /RoutingRules/0/Redirect/MirrorTunnelId",
    "error unsupported-element /RoutingRules/0/Redirect/MirrorRole",
    "error unsupported-element /RoutingRules/0/Redirect/MirrorDstSlaveVpcId",
    "error unsupported-element /RoutingRules/0/Redirect/MirrorMultiAlternates/\
     MirrorMultiAlternate/0/MirrorMultiAlternateVpcId",
    "error unsupported-element /RoutingRules/0/Redirect/MirrorMultiAlternates/\
     MirrorMultiAlternate/0/MirrorMultiAlternateDstRegion",
    "error unsupported-element /RoutingRules/0/LuaConfig",
];

fn of_s3(name: &str) -> bool {
    name.starts_with("boto3") || name.starts_with("awscli")
}

#[test]
fn every_file_is_taken_apart_and_known() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/oss-xml");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), CAPTURED.len());
    for (name, bytes) in CAPTURED {
        let file = file(bytes);
        assert_eq!(file.format, Some(Format::Xml), "{name}");
        let dialect = if of_s3(name) { Dialect::S3 } else { Dialect::Oss };
        assert_eq!(file.dialect, Some(dialect), "{name}");
        assert!(file.website.is_some(), "{name}: {:?}", found(&file));
    }
}

#[test]
fn every_file_says_the_same_in_every_form_that_can_say_it() {
    for (name, bytes) in CAPTURED {
        let website = file(bytes).website.unwrap();
        let json = website.to_json();
        assert_eq!(file(&json).website.unwrap(), website, "{name}: {json}");
        let write = match *name {
            name if of_s3(name) => Website::to_s3_xml,
            // OSS itself takes twenty.
            "ossv2-25-rules-no-client-check" => Website::to_xml,
            _ => Website::to_oss_xml,
        };
        let written = write(&website);
        assert_eq!(written.losses, [], "{name}");
        let again = file(&written.text);
        assert_eq!(again.website.unwrap(), website, "{name}: {}", written.text);
        // What is written no longer changes.
        let website = file(&written.text).website.unwrap();
        let twice = write(&website);
        assert_eq!(twice.text, written.text, "{name}");
    }
}

#[test]
fn booleans_are_written_as_every_client_reads_them() {
    let (_, bytes) = CAPTURED.iter().find(|(name, _)| *name == "oss2-mirror-full").unwrap();
    assert!(String::from_utf8_lossy(bytes).contains(">True<"));
    let text = file(bytes).website.unwrap().to_oss_xml().text;
    assert!(text.contains("<PassAll>true</PassAll>"), "{text}");
    assert!(!text.contains(">True<") && !text.contains(">False<"), "{text}");
}

#[test]
fn nothing_is_found_in_them_but_what_is_there() {
    let page = |name: &str| format!("warning not-served /{name}");
    let pages = [page("IndexDocument"), page("ErrorDocument")];
    for (name, bytes) in CAPTURED {
        let mut expected = pages.to_vec();
        match *name {
            "awscli-put-bucket-website" => drop(expected.pop()),
            "boto3-redirect-all" => expected.clear(),
            // A token of its own goes over plain http.
            "oss2-mirror-full" => expected.push(
                "warning credentials-in-clear /RoutingRules/0/Redirect/MirrorHeaders/Set/0/Key"
                    .to_owned(),
            ),
            "ossv2-25-rules-no-client-check" => {
                expected.push("error too-many /RoutingRules".to_owned());
            }
            "ossv2-mirror-full" => expected.extend(FULL.iter().map(ToString::to_string)),
            _ => {}
        }
        let file = file(bytes);
        let found: Vec<_> =
            found(&file).iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
        assert_eq!(found, expected, "{name}");
    }
}
