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
    /// Its presence is refused.
    Refused,
    /// Its presence is refused unless it is switched off.
    RefusedWhenOn,
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
    &["KeyPrefixEquals", "KeySuffixEquals", "HttpErrorCodeReturnedEquals"];

/// Elements of OSS's `RoutingRule` and `Condition` that are refused.
pub const REFUSED_ELSEWHERE: &[&str] = &["IncludeHeader", "LuaConfig"];

/// The elements of `MirrorHeaders`.
pub const MIRROR_HEADERS: &[&str] = &["PassAll", "Pass", "Remove", "Set"];

/// The elements of a `Set` of `MirrorHeaders`.
pub const SET: &[&str] = &["Key", "Value"];

/// The elements of a `Redirect`, in alphabetical order.
pub const REDIRECT: &[Element] = &[
    element("EnableReplacePrefix", Support::Honoured, Kind::Both),
    element("HostName", Support::Honoured, Kind::External),
    element("HttpRedirectCode", Support::Honoured, Kind::External),
    element("MirrorAllowGetImageInfo", Support::RefusedWhenOn, Kind::Mirror),
    element("MirrorAllowHeadObject", Support::Honoured, Kind::Mirror),
    element("MirrorAllowVideoSnapshot", Support::RefusedWhenOn, Kind::Mirror),
    element("MirrorAsyncStatus", Support::Refused, Kind::Mirror),
    element("MirrorAuth", Support::Refused, Kind::Mirror),
    element("MirrorCheckMd5", Support::Honoured, Kind::Mirror),
    element("MirrorDstRegion", Support::Refused, Kind::Mirror),
    element("MirrorDstSlaveVpcId", Support::Refused, Kind::Mirror),
    element("MirrorDstVpcId", Support::Refused, Kind::Mirror),
    element("MirrorFollowRedirect", Support::Refused, Kind::Mirror),
    element("MirrorHeaders", Support::Honoured, Kind::Mirror),
    element("MirrorIsExpressTunnel", Support::RefusedWhenOn, Kind::Mirror),
    element("MirrorMultiAlternates", Support::Refused, Kind::Mirror),
    element("MirrorPassOriginalSlashes", Support::Refused, Kind::Mirror),
    element("MirrorPassQueryString", Support::Honoured, Kind::Mirror),
    element("MirrorProxyPass", Support::RefusedWhenOn, Kind::Mirror),
    element("MirrorReturnHeaders", Support::Refused, Kind::Mirror),
    element("MirrorRole", Support::Refused, Kind::Mirror),
    element("MirrorSNI", Support::Refused, Kind::Mirror),
    element("MirrorSaveOssMeta", Support::RefusedWhenOn, Kind::Mirror),
    element("MirrorSwitchAllErrors", Support::RefusedWhenOn, Kind::Mirror),
    element("MirrorTaggings", Support::Refused, Kind::Mirror),
    element("MirrorTooLarge", Support::Extension, Kind::Mirror),
    element("MirrorTunnelId", Support::Refused, Kind::Mirror),
    element("MirrorURL", Support::Honoured, Kind::Mirror),
    element("MirrorURLProbe", Support::Refused, Kind::Mirror),
    element("MirrorURLSlave", Support::Refused, Kind::Mirror),
    element("MirrorUserLastModified", Support::RefusedWhenOn, Kind::Mirror),
    element("MirrorUsingRole", Support::RefusedWhenOn, Kind::Mirror),
    element("PassQueryString", Support::Honoured, Kind::Both),
    element("Protocol", Support::Honoured, Kind::External),
    element("RedirectType", Support::Honoured, Kind::Both),
    element("ReplaceKeyPrefixWith", Support::Honoured, Kind::Both),
    element("ReplaceKeyWith", Support::Honoured, Kind::External),
    element("TransparentMirrorResponseCodes", Support::Refused, Kind::Mirror),
];

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
