//! The keys of rules: taken out of what the filter is told, and given to the clusters that sign.
//!
//! Owns the names by which the filter knows who signs.

use std::collections::BTreeMap;

use back_to_origin::rule::element::SIGNER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::gateway::{Credentials, Secret};

/// The keys of rules, by the name of who signs with them.
pub(super) type Signers = BTreeMap<String, Credentials>;

/// Takes the keys out of rules, and leaves the names of those who sign.
pub(super) fn take(rules: &mut Value) -> Signers {
    let mut signers = Signers::new();
    for rule in rules.as_array_mut().into_iter().flatten() {
        let Some(auth) = rule.pointer_mut("/Redirect/MirrorAuth") else { continue };
        let text = |name: &str| auth[name].as_str().unwrap_or_default().to_owned();
        let credentials = Credentials {
            access_key_id: text("AccessKeyId"),
            secret_access_key: Secret::new(text("AccessKeySecret")),
            session_token: None,
            region: text("Region"),
        };
        let name = name(&credentials);
        *auth = json!({ SIGNER: name });
        signers.insert(name, credentials);
    }
    signers
}

/// The name of who signs with these keys. Other keys have another name, so that a cluster or a file
/// of older rules never stands for newer ones. It says no more of the secret than any signature
/// does.
fn name(credentials: &Credentials) -> String {
    let Credentials { access_key_id, secret_access_key, region, session_token: _ } = credentials;
    // Any text can be a key of it.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret_access_key.expose().as_bytes()) else {
        return String::new();
    };
    let digest = mac.chain_update(format!("{region} {access_key_id}")).finalize().into_bytes();
    hex_simd::encode_to_string(&digest[..8], hex_simd::AsciiCase::Lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(auth: Value) -> Value {
        json!({ "RuleNumber": 1, "Redirect": { "MirrorAuth": auth } })
    }

    fn auth(id: &str, secret: &str, region: &str) -> Value {
        json!({ "AuthType": "S3V4", "Region": region, "AccessKeyId": id,
                "AccessKeySecret": secret })
    }

    #[test]
    fn keys_are_gone_and_each_has_a_name_of_its_own() {
        let mut rules = json!([
            rule(auth("AK", "SK", "r")),
            { "RuleNumber": 2, "Redirect": { "MirrorURL": "https://o/" } },
            rule(auth("AK", "SK", "r")),
            rule(auth("AK", "SK", "s")),
            rule(auth("AL", "SK", "r")),
            rule(auth("AK", "SL", "r")),
        ]);
        let signers = take(&mut rules);
        assert_eq!(signers.len(), 4);
        let text = rules.to_string();
        assert!(!text.contains("SK") && !text.contains("AK") && !text.contains("S3V4"), "{text}");
        let name = |index: usize| rules[index]["Redirect"]["MirrorAuth"]["Signer"].as_str();
        assert_eq!(name(0), name(2));
        assert_eq!(name(1), None);
        let named = &signers[name(5).unwrap()];
        assert_eq!(named.secret_access_key.expose(), "SL");
        assert_eq!((named.access_key_id.as_str(), named.region.as_str()), ("AK", "r"));
    }
}
