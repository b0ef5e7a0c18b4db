//! `b2o image`: the module as an image for registries.

use std::path::PathBuf;

use super::failure::Failure;
use super::print;
use crate::FILTER_WASM;
use crate::image::{Image, PushError, Reference, push};

/// Make an image of the filter's module, as Istio and Envoy Gateway fetch modules.
///
/// The image is the same whenever and wherever it is made of the same module: the digest that is
/// printed last is what to pin it by. --out writes it as a directory in OCI's layout, which skopeo,
/// crane and oras copy from; --push brings it into a registry itself, with the login that `docker
/// login` or `podman login` has left. A registry on this machine is spoken to over plain HTTP, any
/// other over HTTPS.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  b2o image --out image
  b2o image --push registry.example.com/back-to-origin:0.1.0
  b2o image --push localhost:5000/back-to-origin:0.1.0
  skopeo copy oci:image docker://registry.example.com/back-to-origin:0.1.0

Exit codes:
  0  the image is there
  1  a file cannot be written, or the registry does not take it
  2  wrong usage"
)]
#[group(required = true, multiple = true)]
pub(super) struct Arguments {
    /// The directory to write to.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The registry, the repository and the tag to push it as.
    #[arg(long, value_name = "REGISTRY/NAME:TAG", value_parser = tagged)]
    push: Option<Reference>,
}

/// A reference with a tag, and without a digest: that comes of the image.
fn tagged(text: &str) -> Result<Reference, String> {
    let reference: Reference = text.parse().map_err(|error| format!("{error}"))?;
    match (&reference.tag, &reference.digest) {
        (Some(_), None) => Ok(reference),
        (None, None) => Err(format!("a tag is missing, as in {reference}:0.1.0")),
        (_, Some(_)) => Err("the digest comes of the image; leave it out".to_owned()),
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let image = Image::of(FILTER_WASM);
    let image = image.map_err(|error| Failure::new(format!("cannot make the image: {error}")))?;
    if let Some(directory) = &arguments.out {
        let changes = image.write(directory).map_err(|error| Failure::new(error.to_string()))?;
        for (name, change) in changes {
            print(&format!("{change:<9}  {}\n", directory.join(name).display()));
        }
    }
    if let Some(reference) = &arguments.push {
        push(&image, reference).await.map_err(|error| refused(&error))?;
        print(&format!("pushed     {reference}, {} bytes\n", image.size()));
        let Reference { registry, name, .. } = reference;
        print(&format!("pinned     {registry}/{name}@{}\n", image.digest()));
    } else {
        print(&format!("digest     {}\n", image.digest()));
    }
    Ok(())
}

fn refused(error: &PushError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        PushError::Login(_) => failure.help("`docker login REGISTRY` or `podman login REGISTRY`"),
        PushError::Changed { .. }
        | PushError::Protocol(_)
        | PushError::Refused { .. }
        | PushError::Unreached { .. } => failure,
    }
}
