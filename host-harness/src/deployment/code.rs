//! The kinds of problems that a deployment file can have; stable between releases.

use crate::rule_file::code::codes;

codes! {
    /// The certificate that clients are to be shown, or its key, cannot be used.
    BadCertificate = "bad-certificate";
    /// A limit or a time is outside what the filter can honour.
    BadLimit = "bad-limit";
    /// Two things of a deployment that exclude each other, such as the same address twice.
    Conflict = "conflict";
    /// A deployment names the same bucket twice.
    DuplicateBucket = "duplicate-bucket";
    /// An origin on the inside of a network, which OSS refuses.
    InternalOrigin = "internal-origin";
    /// Something of a deployment needs keys, and there are none.
    MissingCredentials = "missing-credentials";
    /// A field of a deployment that must be there is not.
    MissingField = "missing-field";
    /// What callouts may hold is more than this machine has.
    MuchMemory = "much-memory";
    /// The element has no effect where it stands.
    NoEffect = "no-effect";
    /// The text is not JSON, XML or YAML.
    Syntax = "syntax";
    /// Nothing keeps a fetched object from replacing what a client has written meanwhile.
    UnconditionalWrites = "unconditional-writes";
    /// A field that no deployment has.
    UnknownField = "unknown-field";
    /// The rule file of a bucket cannot be read.
    UnreadableRules = "unreadable-rules";
    /// An environment variable that a deployment names is not set.
    UnsetVariable = "unset-variable";
    /// A value of another type than the element takes.
    WrongType = "wrong-type";
    /// A value that a field of a deployment does not take.
    WrongValue = "wrong-value";
}
