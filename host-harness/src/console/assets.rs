//! The style sheet and the script: files of this crate, each under a name that its content has.

use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

const STYLE: &str = concat!(
    include_str!("assets/base.css"),
    include_str!("assets/parts.css"),
    include_str!("assets/rules.css")
);
const SCRIPT: &str = include_str!("assets/console.js");

/// A file that browsers may keep for ever.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its name below `/assets/`.
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) text: &'static str,
}

impl Asset {
    fn new(ending: &str, kind: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let start = digest.get(..8).unwrap_or_default();
        let hash = hex_simd::encode_to_string(start, hex_simd::AsciiCase::Lower);
        Self { name: format!("console-{hash}.{ending}"), kind, text }
    }
}

/// The style sheet.
pub(super) fn style() -> &'static Asset {
    static ASSET: OnceLock<Asset> = OnceLock::new();
    ASSET.get_or_init(|| Asset::new("css", "text/css; charset=utf-8", STYLE))
}

/// The script.
pub(super) fn script() -> &'static Asset {
    static ASSET: OnceLock<Asset> = OnceLock::new();
    ASSET.get_or_init(|| Asset::new("js", "text/javascript; charset=utf-8", SCRIPT))
}
