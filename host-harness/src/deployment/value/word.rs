//! Words, of which a few are allowed.

use super::{Value, read_text};
use crate::deployment::node::Node;
use crate::deployment::section::Reading;

/// Declares a value that is one of a few words.
macro_rules! words {
    ($(#[doc = $about:literal])+ pub enum $name:ident {
        $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Value for $name {
            fn shape() -> String {
                [$(concat!("`", $word, "`")),+].join(" or ")
            }

            fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
                let example = [$($word),+][0];
                read_text(node, reading, &Self::shape(), example, |text| match text {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                })
            }
        }
    };
}

words! {
    /// Where a bucket's name stands in a request to the store.
    pub enum Addressing {
        /// In the path: `/bucket/key`.
        Path = "path",
        /// In the host: `bucket.host`.
        Virtual = "virtual",
    }
}

words! {
    /// How a fetched object is kept from replacing what is there.
    pub enum ConditionalWrites {
        /// By `If-None-Match: *`.
        IfNoneMatch = "if-none-match",
        /// By `x-oss-forbid-overwrite: true`.
        Oss = "oss",
        /// By a look right before.
        Head = "head",
        /// Not at all.
        Unconditional = "none",
    }
}

words! {
    /// How an object that a bucket lacks reaches the client.
    pub enum DataPath {
        /// Whole, through the filter's memory.
        Callout = "callout",
        /// As a stream, past the filter.
        Streaming = "streaming",
    }
}

words! {
    /// What is spoken with a store.
    pub enum Protocol {
        /// Over TLS what the store chooses, else HTTP/1.1.
        Auto = "auto",
        /// HTTP/1.1.
        Http1 = "http1",
        /// HTTP/2.
        Http2 = "http2",
    }
}

words! {
    /// What becomes of misses where nobody says whether the quota has room.
    pub enum OnFailure {
        /// They are mirrored.
        Allow = "allow",
        /// They are refused.
        Deny = "deny",
    }
}

words! {
    /// Which requests are recorded.
    pub enum Recorded {
        /// Each request.
        All = "all",
        /// Those that the bucket could not answer, or a rule has decided, and those that failed.
        Misses = "misses",
        /// Those that got an error, or not all of their answer.
        Failures = "failures",
    }
}

words! {
    /// How requests of clients reach the store.
    pub enum Reads {
        /// As they came, so that the clients' own signatures hold.
        Passthrough = "passthrough",
        /// Signed anew with the bucket's credentials.
        Signed = "signed",
    }
}
