//! What buckets and objects here never have, and what they have all alike: answered as S3 answers
//! for a bucket nobody has configured.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use s3s::host::S3Host as _;
use s3s::path::{S3Path, parse_path_style, parse_virtual_hosted_style};
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};

use super::bucket::Buckets;
use super::front::Domains;
use super::refusal;

/// How one is answered.
#[derive(Clone, Copy)]
enum Answer {
    /// 404 with this code.
    Missing(&'static str),
    /// 200 with this document.
    Document(&'static str),
}

use Answer::{Document, Missing};

/// Everybody here may do everything that they may sign for.
const ACL: &str = "<AccessControlPolicy><Owner><ID>b2o</ID><DisplayName>b2o</DisplayName></Owner>\
<AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
xsi:type=\"CanonicalUser\"><ID>b2o</ID><DisplayName>b2o</DisplayName></Grantee>\
<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>";

/// The parameters that name them, of a bucket.
const OF_BUCKET: [(&str, Answer); 18] = [
    ("accelerate", Document("<AccelerateConfiguration/>")),
    ("acl", Document(ACL)),
    ("cors", Missing("NoSuchCORSConfiguration")),
    ("encryption", Missing("ServerSideEncryptionConfigurationNotFoundError")),
    ("lifecycle", Missing("NoSuchLifecycleConfiguration")),
    ("location", Document("<LocationConstraint/>")),
    ("logging", Document("<BucketLoggingStatus/>")),
    ("notification", Document("<NotificationConfiguration/>")),
    ("object-lock", Missing("ObjectLockConfigurationNotFoundError")),
    ("ownershipControls", Missing("OwnershipControlsNotFoundError")),
    ("policy", Missing("NoSuchBucketPolicy")),
    ("policyStatus", Missing("NoSuchBucketPolicy")),
    ("publicAccessBlock", Missing("NoSuchPublicAccessBlockConfiguration")),
    ("replication", Missing("ReplicationConfigurationNotFoundError")),
    (
        "requestPayment",
        Document(
            "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
        ),
    ),
    ("tagging", Missing("NoSuchTagSet")),
    ("versioning", Document("<VersioningConfiguration/>")),
    ("website", Missing("NoSuchWebsiteConfiguration")),
];

/// The same of an object.
const OF_OBJECT: [(&str, Answer); 3] = [
    ("acl", Document(ACL)),
    ("legal-hold", Missing("NoSuchObjectLockConfiguration")),
    ("retention", Missing("NoSuchObjectLockConfiguration")),
];

/// The requests about them.
pub(super) struct Subresources {
    pub(super) buckets: Arc<Buckets>,
    pub(super) domains: Domains,
}

impl Subresources {
    fn find(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<(S3Path, Answer)> {
        let query = uri.query()?;
        let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8().ok()?;
        let host = headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let host = host.and_then(|host| self.domains.parse_host_header(host).ok());
        let path = match host.as_ref().and_then(s3s::host::VirtualHost::bucket) {
            Some(bucket) => parse_virtual_hosted_style(Some(bucket), &path),
            None => parse_path_style(&path),
        };
        let path = path.ok()?;
        let known: &[(&str, Answer)] = match path {
            S3Path::Root => &[],
            S3Path::Bucket { .. } => &OF_BUCKET,
            S3Path::Object { .. } => &OF_OBJECT,
        };
        let names = query.split('&').map(|parameter| parameter.split('=').next());
        let answer =
            names.flatten().find_map(|name| known.iter().find(|(known, _)| *known == name));
        let (_, answer) = *answer?;
        match (method, answer) {
            (&Method::GET, _) | (&Method::DELETE, Missing(_)) => Some((path, answer)),
            _ => None,
        }
    }
}

#[async_trait::async_trait]
impl S3Route for Subresources {
    fn is_match(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        _: &mut Extensions,
    ) -> bool {
        self.find(method, uri, headers).is_some()
    }

    async fn check_access(&self, _: &mut S3Request<Body>) -> S3Result<()> {
        Ok(())
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let found = self.find(&request.method, &request.uri, &request.headers);
        let (path, answer) = found.ok_or_else(|| s3_error!(InternalError))?;
        match path {
            S3Path::Root => {}
            S3Path::Bucket { bucket } => {
                self.buckets.enter(&bucket)?;
            }
            S3Path::Object { bucket, key } => {
                self.buckets.find(&bucket, &key)?;
            }
        }
        match answer {
            // What is not there is deleted.
            _ if request.method == Method::DELETE => {
                Ok(S3Response::with_status(Body::empty(), StatusCode::NO_CONTENT))
            }
            Missing(code) => Err(refusal(code, StatusCode::NOT_FOUND)),
            Document(document) => {
                let (name, rest) = document.split_at(document.find([' ', '>', '/']).unwrap_or(0));
                let document = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                     {name} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"{rest}"
                );
                let mut response = S3Response::new(Body::from(document));
                let xml = HeaderValue::from_static("application/xml");
                response.headers.insert(CONTENT_TYPE, xml);
                Ok(response)
            }
        }
    }
}
