//! The kinds of troubles that only asking a server shows; stable between releases.

use crate::rule_file::code::codes;

codes! {
    /// `b2o doctor`: the keys may not abort a multipart upload.
    AbortDenied = "abort-denied";
    /// `b2o doctor`: a server's certificate is not valid any more, or not yet.
    CertificateExpired = "certificate-expired";
    /// `b2o doctor`: a server's certificate is for other names than the one it is asked by.
    CertificateName = "certificate-name";
    /// `b2o doctor`: nobody whom the gateway trusts vouches for a server's certificate.
    CertificateUnknown = "certificate-unknown";
    /// `b2o doctor`: the clocks of a store and of this machine differ.
    ClockSkew = "clock-skew";
    /// `b2o doctor`: a store does with the conditions of writes something else than
    /// `conditional_writes` says.
    ConditionalWrites = "conditional-writes";
    /// `b2o doctor`: the keys may not delete objects.
    DeleteDenied = "delete-denied";
    /// `b2o doctor`: an origin answers HEAD and GET differently.
    HeadDiffers = "head-differs";
    /// `b2o doctor`: a store closes silent connections earlier than `idle_timeout` says.
    IdleTimeout = "idle-timeout";
    /// An origin on the inside of a network, which OSS refuses.
    InternalOrigin = "internal-origin";
    /// `b2o doctor`: a store answers 200 for an object that cannot exist.
    InventedObject = "invented-object";
    /// `b2o doctor`: a probe of the doctor's own could not be removed.
    LeftBehind = "left-behind";
    /// `b2o doctor`: the keys may not list objects.
    ListDenied = "list-denied";
    /// `b2o doctor`: a store does not keep the metadata of an object.
    MetadataLost = "metadata-lost";
    /// `b2o doctor`: a store answers 403, and not 404, for what is missing.
    MissForbidden = "miss-forbidden";
    /// `b2o doctor`: a server's name leads to no address.
    NoAddress = "no-address";
    /// `b2o doctor`: a server takes a connection, and does not answer.
    NoAnswer = "no-answer";
    /// `b2o doctor`: no connection to a server can be made.
    NoConnection = "no-connection";
    /// `b2o doctor`: an origin does not say how long an object is.
    NoLength = "no-length";
    /// `b2o doctor`: an origin gives no ranges of an object.
    NoRanges = "no-ranges";
    /// `b2o doctor`: an origin gives an object no strong ETag.
    NoStrongEtag = "no-strong-etag";
    /// `b2o doctor`: a store does not have the bucket.
    NoSuchBucket = "no-such-bucket";
    /// `b2o doctor`: a server, or a part of it, was left out.
    NotAsked = "not-asked";
    /// `b2o doctor`: what a server answers is no HTTP.
    NotHttp = "not-http";
    /// `b2o doctor`: what a server answers is hardly that of an S3 store.
    NotS3 = "not-s3";
    /// `b2o doctor`: an origin does not have the object that was named.
    ObjectAbsent = "object-absent";
    /// `b2o doctor`: an origin answers 401 or 403.
    OriginDenied = "origin-denied";
    /// `b2o doctor`: an origin fails.
    OriginFailing = "origin-failing";
    /// `b2o doctor`: an origin's redirect leads where the gateway does not follow.
    OriginRedirect = "origin-redirect";
    /// `b2o doctor`: what an origin answers for a missing object is no 404.
    OriginStatus = "origin-status";
    /// `b2o doctor`: a `MirrorURLProbe` does not answer 200.
    ProbeFailing = "probe-failing";
    /// `b2o doctor`: the keys may not read objects.
    ReadDenied = "read-denied";
    /// `b2o doctor`: an origin answers 200 for an object that cannot exist.
    SoftNotFound = "soft-not-found";
    /// `b2o doctor`: a store fails.
    StoreFailing = "store-failing";
    /// `b2o doctor`: a store sends elsewhere.
    StoreMoved = "store-moved";
    /// `b2o doctor`: a server does not speak TLS, or not one that the gateway speaks.
    TlsFailed = "tls-failed";
    /// `b2o doctor`: a store does not take a multipart upload.
    UploadFailed = "upload-failed";
    /// `b2o doctor`: the uploads of a bucket cannot be listed.
    UploadsUnlisted = "uploads-unlisted";
    /// `b2o doctor`: the keys may not write objects.
    WriteDenied = "write-denied";
    /// `b2o doctor`: a store does not take an object.
    WriteFailed = "write-failed";
    /// `b2o doctor`: a store confirms a write, and does not have the object then.
    WriteLost = "write-lost";
    /// `b2o doctor`: a store expects the bucket's name elsewhere than `addressing` says.
    WrongAddressing = "wrong-addressing";
    /// `b2o doctor`: a store does not take the keys.
    WrongKeys = "wrong-keys";
    /// `b2o doctor`: a bucket is in another region.
    WrongRegion = "wrong-region";
}
