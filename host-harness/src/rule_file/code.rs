//! The kinds of problems that only a file, or a whole deployment, can have; stable between
//! releases. Those of rules are [`back_to_origin::finding::Code`].

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $text:literal;)+) => {
        /// A kind of problem.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Code {
            $($(#[doc = $doc])+ $code,)+
        }

        impl Code {
            /// Every code, in alphabetical order.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The code as it is printed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $text),+ }
            }

            /// What the code means, in a sentence or two.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$code => concat!($($doc),+)),+ }
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// What a form of rule files cannot say.
    CannotSay = "cannot-say";
    /// A header that is likely a secret goes to an origin over plain http.
    CredentialsInClear = "credentials-in-clear";
    /// XML with a document type declaration, which could define entities.
    DocumentType = "document-type";
    /// A `Condition` of S3's form without a child.
    EmptyCondition = "empty-condition";
    /// The text is not UTF-8, or says that it is not.
    Encoding = "encoding";
    /// A bucket that may answer 403 for what is missing, and no Mirror rule that names 403.
    ForbiddenMiss = "forbidden-miss";
    /// An origin on the inside of a network, which OSS refuses.
    InternalOrigin = "internal-origin";
    /// An XML namespace that is neither OSS's nor S3's.
    Namespace = "namespace";
    /// A rule that an earlier one leaves nothing to.
    NeverMatches = "never-matches";
    /// An element of S3 in a file of OSS's form.
    NotOfOss = "not-of-oss";
    /// An element of OSS in a file of S3's form.
    NotOfS3 = "not-of-s3";
    /// An element that is kept, and not served here.
    NotServed = "not-served";
    /// A Mirror rule that fetches from the bucket it is to fill.
    OriginIsBucket = "origin-is-bucket";
    /// A redirect that leads back to where the same rule applies again.
    RedirectLoop = "redirect-loop";
    /// A RuleNumber in a file of S3's form, whose order is that of the text.
    RuleNumberInS3 = "rule-number-in-s3";
    /// A client is sent by itself to an origin that only takes signed requests.
    SentToPrivateOrigin = "sent-to-private-origin";
    /// A text that S3 takes as it stands and OSS as a template.
    TemplateInS3 = "template-in-s3";
    /// The file is larger than a rule file may be.
    TooLarge = "too-large";
    /// Text or an attribute of XML where only elements may be.
    UnexpectedText = "unexpected-text";
    /// A rule by which what an origin makes for one client is kept for all.
    VariesByClient = "varies-by-client";
    /// A Mirror rule that says nothing of HEAD, which most clients ask first.
    WithoutHead = "without-head";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_in_order_and_none_of_the_filters() {
        let texts: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let sorted: BTreeSet<_> = texts.iter().copied().collect();
        assert_eq!(texts, sorted.iter().copied().collect::<Vec<_>>());
        for code in back_to_origin::finding::Code::ALL {
            assert!(!sorted.contains(code.as_str()), "{}", code.as_str());
        }
    }
}
