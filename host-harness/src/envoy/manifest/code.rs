//! The kinds of problems that the manifests of a deployment can have; stable between releases.

use crate::rule_file::code::codes;

codes! {
    /// The files of a deployment are larger than what a ConfigMap or a Secret holds.
    LargeFiles = "large-files";
    /// A cluster's name of more than 60 characters, which statistics and labels cut.
    LongName = "long-name";
    /// A field of a deployment that must be there is not.
    MissingField = "missing-field";
    /// An option that this form needs is not there.
    MissingOption = "missing-option";
    /// A bucket's name that is no label of DNS, where hosts name buckets.
    NotALabel = "not-a-label";
    /// The administration interface can be reached from other pods.
    OpenAdmin = "open-admin";
    /// Two deployments would be one gateway's.
    OtherDeployment = "other-deployment";
    /// A file that is not below the deployment file's directory, and so is in no volume.
    OutsideFile = "outside-file";
    /// A port that only root may listen on.
    PrivilegedPort = "privileged-port";
    /// A field that the definitions in a cluster do not have, or a kind that they lack.
    UnknownKind = "unknown-kind";
    /// An image by a tag, which may be another one tomorrow.
    UnpinnedImage = "unpinned-image";
    /// An address that nobody can reach from outside of the pod.
    Unreachable = "unreachable";
    /// What this form cannot do for a deployment.
    Unsupported = "unsupported";
}
