//! The elements of `Redirect`, in the order they are written and described.

use super::{Element, Page, Shape};

const HEADER_NAME: &str = "1 to 1,024 characters of 0-9, A-Z, a-z and -";
const HEADER_VALUE: &str = "1,024 bytes, no line break";
const URL: &str = "`http(s)://host/[path/]`";
const CLOUD: &str = "it names the inside of Alibaba Cloud's network";
const ROLE: &str = "roles are Alibaba Cloud's; a private origin takes `MirrorAuth`";
const NOT_YET: &str = "not honoured yet";

/// What a rule does.
pub(crate) const REDIRECT: &[Element] = &[
    Element::new(
        "RedirectType",
        Shape::Word(&["Mirror", "External", "AliCDN", "Internal"]),
        "What kind of rule it is. Mirror: fetch the object, answer with it, store it. External: \
         send the client elsewhere.",
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
         Mirror: on the origin's side only, and with `EnableReplacePrefix`.",
    )
    .in_s3()
    .limits("not beside `ReplaceKeyWith`"),
    // External.
    Element::new(
        "ReplaceKeyWith",
        Shape::Text,
        "The whole new key. `${key}` stands for the old one; in S3's form it does not.",
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
    Element::new("HttpRedirectCode", Shape::Integer(300, 399), "The status of the redirect.")
        .in_s3()
        .default("301")
        .limits("301, 302, 307"),
    // Mirror: where from.
    Element::new("MirrorURL", Shape::Url, "The object is fetched from MirrorURL + key.")
        .default("required for Mirror")
        .limits(URL),
    Element::new(
        "MirrorPassQueryString",
        Shape::Boolean,
        "As `PassQueryString`, for the origin; where both stand, this one counts.",
    )
    .default("`PassQueryString`"),
    Element::new(
        "MirrorPassOriginalSlashes",
        Shape::Boolean,
        "Slashes at the start of the key reach the origin as they are.",
    )
    .default("false")
    .refusal(NOT_YET),
    Element::new(
        "MirrorFollowRedirect",
        Shape::Boolean,
        "A redirect of the origin's is followed, up to 10 times; if not, the client gets it.",
    )
    .default("true")
    .refusal(NOT_YET),
    Element::new("MirrorSNI", Shape::Boolean, "The origin's name is told in the TLS handshake.")
        .refusal(NOT_YET),
    Element::new("MirrorAuth", Shape::Object(AUTH), "Requests to the origin are signed.")
        .refusal(NOT_YET)
        .page(Page::Sdk),
    Element::new("MirrorURLSlave", Shape::Url, "Where to fetch from while the first origin fails.")
        .limits(URL)
        .refusal(NOT_YET),
    Element::new(
        "MirrorURLProbe",
        Shape::Url,
        "While it does not answer 200, `MirrorURLSlave` is asked.",
    )
    .refusal(NOT_YET),
    Element::new(
        "MirrorSwitchAllErrors",
        Shape::Boolean,
        "Which answers are failures of the first origin: all but 200, 206, 301, 302, 303, 307 and \
         404, or only 5xx and silence.",
    )
    .default("false")
    .refusal(NOT_YET)
    .page(Page::Sdk),
    Element::new(
        "MirrorMultiAlternates",
        Shape::Object(ALTERNATES),
        "More origins, in the order of their numbers.",
    )
    .refusal(NOT_YET)
    .page(Page::Sdk),
    // Mirror: what is asked.
    Element::new(
        "MirrorHeaders",
        Shape::Object(HEADERS),
        "Which of the client's headers the origin gets; without it none.",
    ),
    Element::new("MirrorAllowHeadObject", Shape::Boolean, "HEAD mirrors too.")
        .default("false")
        .refusal(NOT_YET)
        .page(Page::Sdk),
    Element::new(
        "MirrorAllowGetImageInfo",
        Shape::Boolean,
        "Image processing works on an object that is missing.",
    )
    .refusal("no images are processed here")
    .page(Page::Sdk),
    Element::new(
        "MirrorAllowVideoSnapshot",
        Shape::Boolean,
        "Video snapshots work on an object that is missing.",
    )
    .refusal("no videos are processed here")
    .page(Page::Sdk),
    // Mirror: what comes of the answer.
    Element::new(
        "MirrorCheckMd5",
        Shape::Boolean,
        "An object that does not match the origin's Content-MD5 is not stored.",
    )
    .default("false")
    .refusal(NOT_YET),
    Element::new(
        "TransparentMirrorResponseCodes",
        Shape::Token,
        "Statuses of the origin that reach the client with their body, as `400,404`.",
    )
    .limits("4xx and 5xx")
    .refusal(NOT_YET)
    .page(Page::Sdk),
    Element::new(
        "MirrorReturnHeaders",
        Shape::Object(RETURN_HEADERS),
        "Headers that the client gets with the object.",
    )
    .refusal(NOT_YET)
    .page(Page::Sdk),
    Element::new("MirrorTaggings", Shape::Object(TAGGINGS), "Tags of the stored object.")
        .refusal(NOT_YET)
        .page(Page::Sdk),
    Element::new(
        "MirrorSaveOssMeta",
        Shape::Boolean,
        "The origin's user metadata is stored with the object.",
    )
    .refusal(NOT_YET)
    .page(Page::Sdk),
    Element::new(
        "MirrorUserLastModified",
        Shape::Boolean,
        "The stored object keeps the origin's Last-Modified.",
    )
    .default("false")
    .refusal(NOT_YET)
    .page(Page::Sdk),
    Element::new("MirrorProxyPass", Shape::Boolean, "The object is answered and not stored.")
        .refusal(NOT_YET)
        .page(Page::Sdk),
    Element::new(
        "MirrorAsyncStatus",
        Shape::Integer(300, 599),
        "The client is answered at once with this status, and the object is fetched by itself.",
    )
    .refusal(NOT_YET)
    .page(Page::Sdk),
    Element::new(
        "MirrorTooLarge",
        Shape::Word(&["Redirect", "Fail"]),
        "What the client gets in place of an object over the limit: 302 to the origin, or 424.",
    )
    .default("Redirect")
    .page(Page::Ours),
    // Mirror: Alibaba Cloud's own network.
    Element::new("MirrorUsingRole", Shape::Boolean, "The origin is a private OSS bucket.")
        .refusal(ROLE)
        .page(Page::Sdk),
    Element::new("MirrorRole", Shape::Token, "The role that may read it.")
        .refusal(ROLE)
        .page(Page::Sdk),
    Element::new("MirrorIsExpressTunnel", Shape::Boolean, "The origin is behind a tunnel.")
        .refusal(CLOUD)
        .page(Page::Sdk),
    Element::new("MirrorTunnelId", Shape::Token, "The tunnel.").refusal(CLOUD).page(Page::Sdk),
    Element::new("MirrorDstRegion", Shape::Token, "The region behind the tunnel.")
        .refusal(CLOUD)
        .page(Page::Sdk),
    Element::new("MirrorDstVpcId", Shape::Token, "The network of `MirrorURL`.")
        .refusal(CLOUD)
        .page(Page::Sdk),
    Element::new("MirrorDstSlaveVpcId", Shape::Token, "The network of `MirrorURLSlave`.")
        .refusal(CLOUD)
        .page(Page::Sdk),
];

const HEADERS: &[Element] = &[
    Element::new(
        "PassAll",
        Shape::Boolean,
        "All of the client's headers, but those that never reach an origin.",
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
    Element::new("Value", Shape::Text, "The value.").page(Page::Sdk),
];

const AUTH: &[Element] = &[
    Element::new("AuthType", Shape::Word(&["S3V4"]), "How they are signed.").page(Page::Sdk),
    Element::new("Region", Shape::Token, "The region that signatures name.").page(Page::Sdk),
    Element::new("AccessKeyId", Shape::Token, "The public half of the key.").page(Page::Sdk),
    Element::new("AccessKeySecret", Shape::Token, "The secret half.").page(Page::Sdk),
];

const ALTERNATE: &[Element] = &[
    Element::new("MirrorMultiAlternateNumber", super::POSITIVE, "Its place in the order.")
        .page(Page::Sdk),
    Element::new("MirrorMultiAlternateURL", Shape::Url, "As `MirrorURL`.")
        .limits(URL)
        .page(Page::Sdk),
    Element::new("MirrorMultiAlternateVpcId", Shape::Token, "Its network.")
        .refusal(CLOUD)
        .page(Page::Sdk),
    Element::new("MirrorMultiAlternateDstRegion", Shape::Token, "Its region.")
        .refusal(CLOUD)
        .page(Page::Sdk),
];
