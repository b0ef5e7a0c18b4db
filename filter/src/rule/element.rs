//! The vocabulary of rules: every element OSS knows, and what is done with it here.
//!
//! Names are those of OSS's PutBucketWebsite; what this project adds is marked as an extension.

/// What is done with an element of OSS's `Redirect`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Support {
    /// It is honoured as OSS honours it.
    Honoured,
    /// It is honoured, and OSS does not have it.
    Extension,
    /// Its presence is refused, unless it is empty, for this reason.
    Refused(&'static str),
    /// Its presence is refused unless it is switched off, for this reason.
    RefusedWhenOn(&'static str),
}

/// Which kind of rule an element belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Rules of both kinds.
    Both,
    /// External rules.
    External,
    /// Mirror rules.
    Mirror,
}

/// An element below `Redirect`.
#[derive(Clone, Copy, Debug)]
pub struct Element {
    /// Its name.
    pub name: &'static str,
    /// What is done with it.
    pub support: Support,
    /// The rules it belongs to.
    pub kind: Kind,
}

/// The elements of a `RoutingRule`.
pub const ROUTING_RULE: &[&str] = &["RuleNumber", "Condition", "Redirect"];

/// The elements of a `Condition`.
pub const CONDITION: &[&str] =
    &["KeyPrefixEquals", "KeySuffixEquals", "HttpErrorCodeReturnedEquals", "IncludeHeader"];

/// The elements of an `IncludeHeader`.
pub const INCLUDE_HEADER: &[&str] = &["Key", "Equals", "StartsWith", "EndsWith"];

/// Elements of OSS's `RoutingRule` that are refused, and why.
pub const REFUSED_ELSEWHERE: &[(&str, &str)] = &[("LuaConfig", "scripts run in OSS alone")];

/// The elements of `MirrorHeaders`.
pub const MIRROR_HEADERS: &[&str] = &["PassAll", "Pass", "Remove", "Set"];

/// The elements of a `Set`, a `ReturnHeader` and a `Taggings`.
pub const PAIR: &[&str] = &["Key", "Value"];

/// The elements of a `MirrorMultiAlternate`.
pub const ALTERNATE: &[&str] = &[
    ALTERNATE_NUMBER,
    "MirrorMultiAlternateURL",
    "MirrorMultiAlternateVpcId",
    "MirrorMultiAlternateDstRegion",
];

/// The place of a `MirrorMultiAlternate` among the others.
pub(crate) const ALTERNATE_NUMBER: &str = "MirrorMultiAlternateNumber";

/// What stands in a `MirrorAuth` in place of all that OSS has there, where the filter is given it:
/// the name of those who sign. No key is ever in the filter's configuration.
pub const SIGNER: &str = "Signer";

/// The extension by which a Mirror rule acts on a bucket that fails.
pub(crate) const ON_SERVER_ERROR: &str = "MirrorOnServerError";

/// Why elements of express tunnels and private networks are refused.
pub const ALIBABAS_NETWORK: &str = "it names something in Alibaba Cloud's own network";

/// Why roles are refused.
const ROLES: &str = "only Alibaba Cloud can take on a role of its own";

/// Why processing is refused.
const PROCESSING: &str = "images and videos are not processed here";

/// The elements of a `Redirect`, in alphabetical order.
pub const REDIRECT: &[Element] = &[
    element("EnableReplacePrefix", Support::Honoured, Kind::Both),
    element("HostName", Support::Honoured, Kind::External),
    element("HttpRedirectCode", Support::Honoured, Kind::External),
    element("MirrorAllowGetImageInfo", Support::RefusedWhenOn(PROCESSING), Kind::Mirror),
    element("MirrorAllowHeadObject", Support::Honoured, Kind::Mirror),
    element("MirrorAllowVideoSnapshot", Support::RefusedWhenOn(PROCESSING), Kind::Mirror),
    element("MirrorAsyncStatus", Support::Honoured, Kind::Mirror),
    element("MirrorAuth", Support::Honoured, Kind::Mirror),
    element("MirrorBitsPerSecond", Support::Extension, Kind::Mirror),
    element("MirrorCheckMd5", Support::Honoured, Kind::Mirror),
    element("MirrorConnectTimeout", Support::Extension, Kind::Mirror),
    element("MirrorDstRegion", Support::Refused(ALIBABAS_NETWORK), Kind::Mirror),
    element("MirrorDstSlaveVpcId", Support::Refused(ALIBABAS_NETWORK), Kind::Mirror),
    element("MirrorDstVpcId", Support::Refused(ALIBABAS_NETWORK), Kind::Mirror),
    element("MirrorFallThrough", Support::Extension, Kind::Mirror),
    element("MirrorFollowRedirect", Support::Honoured, Kind::Mirror),
    element("MirrorHeaders", Support::Honoured, Kind::Mirror),
    element("MirrorIdleTimeout", Support::Extension, Kind::Mirror),
    element("MirrorIsExpressTunnel", Support::RefusedWhenOn(ALIBABAS_NETWORK), Kind::Mirror),
    element("MirrorMaxSize", Support::Extension, Kind::Mirror),
    element("MirrorMultiAlternates", Support::Honoured, Kind::Mirror),
    element("MirrorNegativeCache", Support::Extension, Kind::Mirror),
    element("MirrorOnServerError", Support::Extension, Kind::Mirror),
    element("MirrorPassOriginalSlashes", Support::Honoured, Kind::Mirror),
    element("MirrorPassQueryString", Support::Honoured, Kind::Mirror),
    element("MirrorProxyPass", Support::Honoured, Kind::Mirror),
    element("MirrorRequestsPerSecond", Support::Extension, Kind::Mirror),
    element("MirrorReturnHeaders", Support::Honoured, Kind::Mirror),
    element("MirrorRole", Support::Refused(ROLES), Kind::Mirror),
    element("MirrorSNI", Support::Honoured, Kind::Mirror),
    element("MirrorSaveOssMeta", Support::Honoured, Kind::Mirror),
    element("MirrorSwitchAllErrors", Support::Honoured, Kind::Mirror),
    element("MirrorTaggings", Support::Honoured, Kind::Mirror),
    element("MirrorTimeout", Support::Extension, Kind::Mirror),
    element("MirrorTooLarge", Support::Extension, Kind::Mirror),
    element("MirrorTunnelId", Support::Refused(ALIBABAS_NETWORK), Kind::Mirror),
    element("MirrorURL", Support::Honoured, Kind::Mirror),
    element("MirrorURLProbe", Support::Honoured, Kind::Mirror),
    element("MirrorURLSlave", Support::Honoured, Kind::Mirror),
    element("MirrorUserLastModified", Support::Honoured, Kind::Mirror),
    element("MirrorUsingRole", Support::RefusedWhenOn(ROLES), Kind::Mirror),
    element("PassQueryString", Support::Honoured, Kind::Both),
    element("Protocol", Support::Honoured, Kind::External),
    element("RedirectType", Support::Honoured, Kind::Both),
    element("ReplaceKeyPrefixWith", Support::Honoured, Kind::Both),
    element("ReplaceKeyWith", Support::Honoured, Kind::External),
    element("ServerSideEncryption", Support::Extension, Kind::Mirror),
    element("StorageClass", Support::Extension, Kind::Mirror),
    element("TransparentMirrorResponseCodes", Support::Honoured, Kind::Mirror),
];

/// Every element of a rule by its path below the rule, as `Redirect/MirrorHeaders/Set/Key`: for
/// whoever has to have something for each of them. The places in lists are left out.
#[cfg(not(target_arch = "wasm32"))]
pub fn paths() -> impl Iterator<Item = String> {
    let redirect = REDIRECT.iter().map(|element| element.name).collect();
    let elsewhere = REFUSED_ELSEWHERE.iter().map(|(name, _)| *name).collect();
    let lists: [(&str, Vec<&str>); 13] = [
        ("", ROUTING_RULE.to_vec()),
        ("", elsewhere),
        ("Condition/", CONDITION.to_vec()),
        ("Condition/IncludeHeader/", INCLUDE_HEADER.to_vec()),
        ("Redirect/", redirect),
        ("Redirect/MirrorHeaders/", MIRROR_HEADERS.to_vec()),
        ("Redirect/MirrorHeaders/Set/", PAIR.to_vec()),
        ("Redirect/MirrorReturnHeaders/", vec!["ReturnHeader"]),
        ("Redirect/MirrorReturnHeaders/ReturnHeader/", PAIR.to_vec()),
        ("Redirect/MirrorTaggings/", vec!["Taggings"]),
        ("Redirect/MirrorTaggings/Taggings/", PAIR.to_vec()),
        ("Redirect/MirrorMultiAlternates/", vec!["MirrorMultiAlternate"]),
        ("Redirect/MirrorMultiAlternates/MirrorMultiAlternate/", ALTERNATE.to_vec()),
    ];
    lists
        .into_iter()
        .flat_map(|(above, names)| names.into_iter().map(move |name| format!("{above}{name}")))
}

const fn element(name: &'static str, support: Support, kind: Kind) -> Element {
    Element { name, support, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_redirect_element_of_oss_stands_here_once() {
        let names: Vec<_> = REDIRECT.iter().map(|element| element.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        let of_oss = REDIRECT.iter().filter(|e| e.support != Support::Extension).count();
        assert_eq!(of_oss, 37, "Redirect has 37 children in OSS's SDKs");
    }
}
