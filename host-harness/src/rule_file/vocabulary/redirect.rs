//! The elements of `Redirect`, in the order they are written and described.

use back_to_origin::rule::element::ALIBABAS_NETWORK;

use super::{Element, Page, Shape, State};

const HEADER_NAME: &str = "1 to 1,024 characters of 0-9, A-Z, a-z and -";
const HEADER_VALUE: &str = "1,024 bytes, no line break";
const URL: &str = "`http(s)://host/[path/][?x-oss-process=image/...]`";

/// What a rule does.
pub(crate) const REDIRECT: &[Element] = &[
    Element::new(
        "RedirectType",
        Shape::Word(&["Mirror", "External", "AliCDN", "Internal"]),
        "What kind of rule it is. Mirror: fetch the object, answer with it, store it. External: \
         send the client elsewhere. AliCDN does the same here: the header by which Alibaba's CDN \
         follows the redirect is documented nowhere. Internal is documented nowhere, and refused.",
    )
    .default("External"),
    // Both kinds.
    Element::new(
        "PassQueryString",
        Shape::Boolean,
        "The client's query goes along. Signatures and `response-*` never do.",
    )
    .default("false"),
    Element::new(
        "EnableReplacePrefix",
        Shape::Boolean,
        "`KeyPrefixEquals` gives way to `ReplaceKeyPrefixWith`; with that empty it is cut off.",
    )
    .default("false")
    .limits("not beside `ReplaceKeyWith`"),
    Element::new(
        "ReplaceKeyPrefixWith",
        Shape::Text,
        "What stands in place of `KeyPrefixEquals`, or before the key where there is none. \
         Mirror: on the origin's side only, and with `EnableReplacePrefix`. External: a part of the \
         Location, which stays as it is written, `?`, `#` and `%` too; the key behind it is encoded: \
         `resize?key=`.",
    )
    .in_s3()
    .limits("not beside `ReplaceKeyWith`"),
    // External.
    Element::new(
        "ReplaceKeyWith",
        Shape::Text,
        "The whole new key, as written as `ReplaceKeyPrefixWith`. `${key}` stands for the old one; \
         in S3's form it does not.",
    )
    .in_s3()
    .limits("the only variable is `${key}`"),
    Element::new("Protocol", Shape::Word(&["http", "https"]), "The scheme of the Location.")
        .in_s3()
        .default("the request's"),
    Element::new("HostName", Shape::Token, "The host of the Location.")
        .in_s3()
        .default("the request's")
        .limits("a domain name or an address, perhaps with a port"),
    Element::new("HttpRedirectCode", Shape::Integer(301, 399), "The status of the redirect.")
        .in_s3()
        .default("301")
        .limits("301, 302, 307; in S3's form 301 to 399"),
    // Mirror: where from.
    Element::new("MirrorURL", Shape::Url, "The object is fetched from MirrorURL + key. Image processing stands behind the key then, and \
         what the origin makes is the object; video snapshots are refused, as by OSS.")
        .default("required for Mirror")
        .limits(URL),
    Element::new(
        "MirrorPassQueryString",
        Shape::Boolean,
        "As `PassQueryString`, for the origin; where both stand, this one counts. An image that \
         the client wants made (`x-oss-process=image/...`) is asked for then, and not stored.",
    )
    .default("`PassQueryString`"),
    Element::new(
        "MirrorPassOriginalSlashes",
        Shape::Boolean,
        "Slashes that the key begins with stay behind the MirrorURL's own.",
    )
    .default("false"),
    Element::new(
        "MirrorFollowRedirect",
        Shape::Boolean,
        "The origin's 301, 302, 303, 307 and 308 are followed, up to 10 times, to origins that \
         the configuration names. Another server gets no `Set` header, and nothing whose name \
         speaks of a secret. `false`: they are the client's.",
    )
    .default("true"),
    Element::new(
        "MirrorSNI",
        Shape::Boolean,
        "The origin's name is told in the TLS handshake. It always is here.",
    ),
    Element::new(
        "MirrorAuth",
        Shape::Object(AUTH),
        "Every request of the rule is signed, to alternates and the probe too; so are redirects \
         of the origin's to itself, and to nobody else. The keys never enter the filter. Where an \
         API gives rules back, `********` stands in place of the secret, and is refused when it \
         is put.",
    )
    .page(Page::Sdk),
    Element::new(
        "MirrorURLSlave",
        Shape::Url,
        "A second origin, asked where the first fails: 5xx, silence, broken off, a false digest.",
    )
    .limits(URL),
    Element::new(
        "MirrorURLProbe",
        Shape::Url,
        "While it does not answer 200, the MirrorURL is asked last.",
    ),
    Element::new(
        "MirrorSwitchAllErrors",
        Shape::Boolean,
        "Any answer but 200, 206, 301, 302, 303, 307 and 404 is a failure too.",
    )
    .default("false")
    .page(Page::Sdk),
    Element::new(
        "MirrorMultiAlternates",
        Shape::Object(ALTERNATES),
        "More origins, behind `MirrorURLSlave`, in the order of their numbers.",
    )
    .limits("8 are honoured")
    .page(Page::Sdk),
    Element::new(
        "MirrorNegativeCache",
        Shape::Integer(0, 3_600_000),
        "How long it is kept that no origin of the rule has an object, in place of the bucket's `negative_cache`. 0 switches it off.",
    )
    .default("the bucket's")
    .limits("milliseconds, an hour")
    .page(Page::Ours),
    Element::new(
        "MirrorTimeout",
        Shape::Integer(1, 3_600_000),
        "How long the origin's whole answer may take, in place of `timeouts.origin`.",
    )
    .default("the deployment's")
    .limits("milliseconds, an hour")
    .page(Page::Ours),
    Element::new(
        "MirrorConnectTimeout",
        Shape::Integer(1, 3_600_000),
        "How long a connection to the origin may take.",
    )
    .default("5 seconds")
    .limits("milliseconds, an hour")
    .page(Page::Ours),
    Element::new(
        "MirrorIdleTimeout",
        Shape::Integer(1, 3_600_000),
        "How long an object that streams may stand still on its way to the client. In Envoy not \
         less than three times what the origin's answer may take, and a second.",
    )
    .default("the gateway's")
    .limits("milliseconds, an hour")
    .page(Page::Ours),
    Element::new(
        "MirrorFallThrough",
        Shape::Boolean,
        "Where the origin has nothing, the rules behind are tried.",
    )
    .default("false")
    .page(Page::Ours),
    Element::new(
        "MirrorOnServerError",
        Shape::Boolean,
        "Lets the rule be about 5xx, the gateway's own too. The object is served then and not \
         stored: a failing bucket may have it, or have had it deleted.",
    )
    .default("false")
    .page(Page::Ours),
    // Mirror: what is asked.
    Element::new(
        "MirrorHeaders",
        Shape::Object(HEADERS),
        "Which of the client's headers the origin gets; without it none.",
    ),
    Element::new(
        "MirrorAllowHeadObject",
        Shape::Boolean,
        "A HEAD of a missing object is answered by the origin's HEAD, and the object is stored. \
         `aws s3 cp`, boto3's `download_file`, rclone and s3cmd ask HEAD first.",
    )
    .default("false")
    .page(Page::Sdk),
    Element::new(
        "MirrorAllowGetImageInfo",
        Shape::Boolean,
        "Image processing works on an object that is missing.",
    )
    .page(Page::Sdk),
    Element::new(
        "MirrorAllowVideoSnapshot",
        Shape::Boolean,
        "Video snapshots work on an object that is missing.",
    )
    .page(Page::Sdk),
    // Mirror: what comes of the answer.
    Element::new(
        "MirrorCheckMd5",
        Shape::Boolean,
        "An object is stored only if its bytes have the digests that its origin announces; \
         [which](../README.md#digests).",
    )
    .default("false"),
    Element::new(
        "TransparentMirrorResponseCodes",
        Shape::Token,
        "Statuses of the origin that are the client's as they are, as `400,404`; ours: classes.",
    )
    .limits("4xx and 5xx")
    .page(Page::Sdk),
    Element::new(
        "MirrorReturnHeaders",
        Shape::Object(RETURN_HEADERS),
        "Headers that clients get with the answer that comes from the origin; they are not kept.",
    )
    .limits("10 of them")
    .page(Page::Sdk),
    Element::new("MirrorTaggings", Shape::Object(TAGGINGS), "Tags of the stored object.")
        .limits("10 of them")
        .page(Page::Sdk),
    Element::new(
        "MirrorSaveOssMeta",
        Shape::Boolean,
        "The origin's `x-oss-meta-*` and `x-amz-meta-*` become the object's `x-amz-meta-*`.",
    )
    .default("false")
    .limits("8 KB, of which S3 keeps 2 KB")
    .page(Page::Sdk),
    Element::new(
        "MirrorUserLastModified",
        Shape::Boolean,
        "The origin's Last-Modified is kept as `x-amz-meta-x-oss-last-modified`, and given back \
         by the gateway; conditional requests are still answered by the store's own time.",
    )
    .default("false")
    .page(Page::Sdk),
    Element::new(
        "MirrorProxyPass",
        Shape::Boolean,
        "The object is answered and not stored; beside `MirrorAsyncStatus` it is not fetched.",
    )
    .default("false")
        .page(Page::Sdk),
    Element::new(
        "MirrorAsyncStatus",
        Shape::Integer(300, 399),
        "The client is sent to the origin at once with this status, and the object is fetched \
         meanwhile.",
    )
    .limits("301, 302, 303, 307, 308")
    .page(Page::Sdk),
    Element::new(
        "MirrorTooLarge",
        Shape::Word(&["Redirect", "Fail"]),
        "What the client gets in place of an object over the limit: 302 to the origin, or 424.",
    )
    .default("Redirect; beside `MirrorAuth`, Fail")
    .page(Page::Ours),
    Element::new(
        "MirrorMaxSize",
        Shape::Integer(1, 5 << 40),
        "The largest object that is fetched. Where no length is announced, streaming, a larger one reaches its client and is not stored.",
    )
    .default("the deployment's")
    .limits("bytes, 5 TiB")
    .page(Page::Ours),
    Element::new(
        "MirrorRequestsPerSecond",
        Shape::Integer(1, i64::MAX),
        "How many requests the rule makes to origins in a second at most; a client beyond that gets \
         424 with Retry-After.",
    )
    .default("the bucket's")
    .page(Page::Ours),
    Element::new(
        "MirrorBitsPerSecond",
        Shape::Integer(1, i64::MAX),
        "How fast the rule's objects stream to clients, all of them together.",
    )
    .default("the bucket's")
    .limits("bits")
    .page(Page::Ours),
    Element::new("StorageClass", Shape::Token, "The storage class of the stored object.")
        .default("the bucket's")
        .page(Page::Ours),
    Element::new(
        "ServerSideEncryption",
        Shape::Word(&["AES256", "aws:kms", "aws:kms:dsse"]),
        "How the store encrypts the object.",
    )
    .default("the bucket's")
    .page(Page::Ours),
    // Mirror: Alibaba Cloud's own.
    Element::new("MirrorUsingRole", Shape::Boolean, "The origin is a private OSS bucket.")
        .page(Page::Sdk),
    Element::new("MirrorRole", Shape::Token, "The role that may read it.").page(Page::Sdk),
    Element::new("MirrorIsExpressTunnel", Shape::Boolean, "The origin is behind a tunnel.")
        .page(Page::Sdk),
    Element::new("MirrorTunnelId", Shape::Token, "The tunnel.").page(Page::Sdk),
    Element::new("MirrorDstRegion", Shape::Token, "The region behind the tunnel.").page(Page::Sdk),
    Element::new("MirrorDstVpcId", Shape::Token, "The network of `MirrorURL`.").page(Page::Sdk),
    Element::new("MirrorDstSlaveVpcId", Shape::Token, "The network of `MirrorURLSlave`.")
        .page(Page::Sdk),
];

const HEADERS: &[Element] = &[
    Element::new(
        "PassAll",
        Shape::Boolean,
        "All of the client's headers, but those that never reach an origin, and Accept-Encoding only \
         beside `MirrorProxyPass` or by a `Pass` of its own: what is stored is for all clients.",
    )
    .default("false"),
    Element::new("Pass", Shape::Token, "A header that is passed.")
        .repeats()
        .limits("10 of them; 1 to 1,024 characters of 0-9, A-Z, a-z and -"),
    Element::new("Remove", Shape::Token, "A header that `PassAll` does not pass.")
        .repeats()
        .limits("10 of them; 1 to 1,024 characters of 0-9, A-Z, a-z and -"),
    Element::new("Set", Shape::Object(SET), "A header that is sent always; it comes last.")
        .repeats()
        .limits("10 of them"),
];

const SET: &[Element] = &[
    Element::new("Key", Shape::Token, "The header's name.").limits(HEADER_NAME),
    Element::new("Value", Shape::Text, "Its value.").limits(HEADER_VALUE),
];

const RETURN_HEADERS: &[Element] =
    &[Element::new("ReturnHeader", Shape::Object(PAIR), "A header.").repeats().page(Page::Sdk)];

const TAGGINGS: &[Element] =
    &[Element::new("Taggings", Shape::Object(PAIR), "A tag.").repeats().page(Page::Sdk)];

const ALTERNATES: &[Element] =
    &[Element::new("MirrorMultiAlternate", Shape::Object(ALTERNATE), "An origin.")
        .repeats()
        .page(Page::Sdk)];

const PAIR: &[Element] = &[
    Element::new("Key", Shape::Token, "The name.").page(Page::Sdk),
    Element::new("Value", Shape::Text, "The value; `${key}` stands for the key.").page(Page::Sdk),
];

const AUTH: &[Element] = &[
    Element::new("AuthType", Shape::Word(&["S3V4"]), "Signatures of S3, version 4.")
        .default("required")
        .page(Page::Sdk),
    Element::new("Region", Shape::Token, "The region that signatures name.")
        .default("required")
        .page(Page::Sdk),
    Element::new("AccessKeyId", Shape::Token, "The public half of the key.")
        .default("required")
        .page(Page::Sdk),
    Element::new(
        "AccessKeySecret",
        Shape::Token,
        "The secret half, in plain text: keep such a file from other eyes.",
    )
    .default("required")
    .page(Page::Sdk),
];

const ALTERNATE: &[Element] = &[
    Element::new("MirrorMultiAlternateNumber", super::POSITIVE, "Its place in the order.")
        .page(Page::Sdk),
    Element::new("MirrorMultiAlternateURL", Shape::Url, "As `MirrorURL`.")
        .limits(URL)
        .page(Page::Sdk),
    Element::new("MirrorMultiAlternateVpcId", Shape::Token, "Its network.")
        .state(State::Refused(ALIBABAS_NETWORK))
        .page(Page::Sdk),
    Element::new("MirrorMultiAlternateDstRegion", Shape::Token, "Its region.")
        .state(State::Refused(ALIBABAS_NETWORK))
        .page(Page::Sdk),
];
