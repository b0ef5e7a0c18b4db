//! What holds of any rule file, whatever its bytes.
//!
//! The reader of rule files is taken in by its source: as a part of `b2o` it would bring the
//! whole of wasmtime, instrumented.

// The rest of `b2o` uses what is unused here.
#![allow(dead_code, unused_imports)]

pub mod answers;

#[path = "../../host-harness/src/address.rs"]
mod address;
/// The codes of a deployment's problems, some of which are a rule file's too.
#[path = "../../host-harness/src/deployment"]
mod deployment {
    pub mod code;
}
#[path = "../../host-harness/src/diagnostics/mod.rs"]
mod diagnostics;
#[path = "../../host-harness/src/rule_file/mod.rs"]
mod rule_file;
#[path = "../../host-harness/src/secrecy.rs"]
mod secrecy;

use rule_file::{Dialect, Home, RuleFile, Surroundings, Website};

/// Reads a file as everybody does, and wherever it is sound, writes it in every form and reads
/// that again: it must say the same.
pub fn read(bytes: &[u8]) {
    for dialect in [None, Some(Dialect::Oss), Some(Dialect::S3)] {
        let file = rule_file::read_in("rules", bytes, dialect, &surroundings());
        told(&file);
        assert!(file.rules.is_none() || file.website.is_some(), "rules of a file that is none");
        if let Some(website) = &file.website {
            // What was read as OSS's need not look like it; what was S3's has numbers now.
            rewritten(website, file.dialect.filter(|dialect| *dialect == Dialect::Oss));
        }
    }
}

fn told(file: &RuleFile) {
    let length = file.report.document.text.len();
    for problem in &file.report.problems {
        assert!(problem.span.start <= problem.span.end && problem.span.end <= length, "{problem:?}");
    }
    // Drawing is slow where lines are long.
    if length < 4_096 {
        drop(file.report.render(false));
    }
}

fn rewritten(website: &Website, dialect: Option<Dialect>) {
    let json = website.to_json();
    assert_eq!(again(&json, dialect).as_ref(), Some(website), "{json}");
    for written in [website.to_xml(), website.to_oss_xml()] {
        let read = again(&written.text, Some(Dialect::Oss));
        assert!(read.is_some(), "{}", written.text);
        if written.losses.is_empty() {
            assert_eq!(read.as_ref(), Some(website), "{}", written.text);
        }
    }
    let written = website.to_s3_xml();
    assert!(again(&written.text, None).is_some(), "{}", written.text);
}

fn again(text: &str, dialect: Option<Dialect>) -> Option<Website> {
    rule_file::read("written", text.as_bytes(), dialect).website
}

fn surroundings() -> Surroundings {
    let home = Home {
        name: "pictures".to_owned(),
        store_host: "store.example".to_owned(),
        store_port: 80,
        is_virtual: false,
        listen: std::net::SocketAddr::from(([127, 0, 0, 1], 8080)),
        domain: Some("s3.example".to_owned()),
        managed: Vec::new(),
    };
    Surroundings { bucket: Some(home), ..Surroundings::default() }
}
