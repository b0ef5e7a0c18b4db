//! The module as an image, as Istio and Envoy Gateway fetch modules from a registry.
//!
//! Owns what is in the image, which is the same for the same module, wherever and whenever it is
//! made: nothing in it says when. It is of the *compat* form (one layer, a gzipped tar with
//! `plugin.wasm`), which everybody takes; that of OCI artifacts some refuse. It is one manifest and no
//! index, so that its digest is the `sha256` that is pinned.

mod layout;
mod login;
mod reference;
mod registry;

use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub use layout::LayoutError;
pub use reference::{Reference, ReferenceError};
pub use registry::{PushError, push};

/// The name of the module in the layer; those who fetch it look for this one.
const PLUGIN: &str = "plugin.wasm";

/// What a manifest is.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What images of the project say of themselves.
const TITLE: (&str, &str) = ("org.opencontainers.image.title", "back-to-origin");

/// The operating system that gzip's header has for "unknown".
const UNKNOWN_SYSTEM: u8 = 255;

/// Bytes that go by their digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Blob {
    media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// `sha256:` and the digest in hexadecimal digits.
    pub(crate) digest: String,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        let digest = digest(&bytes);
        Self { media_type, bytes, digest }
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len(),
        })
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    hex_simd::encode_to_string(bytes, hex_simd::AsciiCase::Lower)
}

/// An image with the module.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Image {
    pub(crate) config: Blob,
    pub(crate) layer: Blob,
    pub(crate) manifest: Blob,
}

impl Image {
    /// The image of a module.
    ///
    /// # Errors
    ///
    /// Never for a module that fits into memory: the bytes are written to there.
    pub fn of(module: &[u8]) -> io::Result<Self> {
        let archive = archive(module)?;
        let packed = GzBuilder::new().operating_system(UNKNOWN_SYSTEM).mtime(0);
        let mut packed = packed.write(Vec::new(), Compression::best());
        packed.write_all(&archive)?;
        let layer = Blob::new(LAYER, packed.finish()?);
        // As `docker build` on the machines of most clusters would: nobody asks for one of wasm.
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [digest(&archive)] },
        });
        let config = Blob::new(CONFIG, serde_json::to_vec(&config)?);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": config.descriptor(), "layers": [layer.descriptor()],
            "annotations": {
                "module.wasm.image/variant": "compat",
                TITLE.0: TITLE.1,
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            },
        });
        let manifest = Blob::new(MANIFEST, serde_json::to_vec(&manifest)?);
        Ok(Self { config, layer, manifest })
    }

    /// The digest of the manifest, `sha256:` in front: what an image is pinned by.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.manifest.digest
    }

    /// The bytes that a client fetches, without the manifest.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.config.bytes.len() + self.layer.bytes.len()
    }
}

/// The layer, before it is packed: one file, of nobody and of no time.
fn archive(module: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(module.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, PLUGIN, module)?;
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn the_layer_holds_the_module_byte_for_byte_and_nothing_else() {
        let module = crate::FILTER_WASM;
        let image = Image::of(module).unwrap();
        let mut archive = Vec::new();
        GzDecoder::new(image.layer.bytes.as_slice()).read_to_end(&mut archive).unwrap();
        let mut files = tar::Archive::new(archive.as_slice());
        let mut files = files.entries().unwrap();
        let mut file = files.next().unwrap().unwrap();
        assert_eq!(file.path().unwrap().to_str(), Some(PLUGIN));
        let mut found = Vec::new();
        file.read_to_end(&mut found).unwrap();
        assert!(found == module);
        assert!(files.next().is_none());
        let config: Value = serde_json::from_slice(&image.config.bytes).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], json!([digest(&archive)]));
    }

    #[test]
    fn two_builds_are_the_same_and_another_module_is_another_image() {
        let image = Image::of(b"module").unwrap();
        assert_eq!(image, Image::of(b"module").unwrap());
        assert_ne!(image.digest(), Image::of(b"Module").unwrap().digest());
    }

    #[test]
    fn the_manifest_names_its_blobs() {
        let image = Image::of(b"module").unwrap();
        let manifest: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
        assert_eq!(manifest["layers"], json!([image.layer.descriptor()]));
        assert_eq!(manifest["config"], image.config.descriptor());
        assert_eq!(manifest["mediaType"], MANIFEST);
        assert_eq!(image.digest(), digest(&image.manifest.bytes));
    }
}
