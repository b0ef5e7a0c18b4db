//! Objects as files, whatever their keys.
//!
//! `s3s-fs` keeps an object in the file that its key names. For most keys that is what one wants;
//! but `a//b` and `a/b` are one file, `../x` is a file of another bucket, `a/` is a directory, and
//! a long key is no file name at all. Those get a file with a name of its own, beside which the
//! key is kept.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use s3s::crypto::{Checksum, Sha256};
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::Notify;

use super::conditions::Conditions;
use super::uploads::Uploads;

/// Below this part of a bucket are the objects whose keys name no file.
const UNNAMED: &str = "%unnamed/";

/// The directory beside the buckets that keeps the keys of those objects.
const KEYS: &str = ".keys-without-files";

/// The longest name of a file.
const LONGEST_NAME: usize = 255;

/// What `s3s-fs` adds to a bucket and a key for the name of a file beside the object.
const AROUND_NAMES: usize = ".bucket-.object-.upload-.metadata.json".len() + 36;

/// The store's files.
#[derive(Debug)]
pub(super) struct Files {
    files: FileSystem,
    directory: PathBuf,
    /// The objects in use.
    ///
    /// `s3s-fs` looks whether an object is there, later moves its bytes into place, and then writes
    /// what else belongs to it; and it opens an object's files one after the other. So two writers
    /// must not do so at once, and nobody may read between.
    used: Mutex<HashMap<Name, Use>>,
    /// Wakes those who wait for another to be done.
    done: Notify,
    uploads: Uploads,
}

/// What is done with an object.
#[derive(Clone, Copy, Debug)]
enum Use {
    /// So many open its files.
    Read(usize),
    /// One writes or deletes it. Whether it was there before.
    Written { existed: bool },
}

/// A bucket, and the name by which `s3s-fs` knows an object in it.
type Name = (String, String);

/// The right to write an object or to open its files, until it is dropped.
struct Claim<'f> {
    files: &'f Files,
    name: Name,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut used = lock(&self.files.used);
        match used.get_mut(&self.name) {
            Some(Use::Read(count @ 2..)) => *count -= 1,
            Some(Use::Read(_) | Use::Written { .. }) | None => {
                used.remove(&self.name);
            }
        }
        self.files.done.notify_waiters();
    }
}

/// The map is whole at every step, whoever panicked while holding it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files {
    pub(super) fn new(directory: &Path) -> s3s_fs::Result<Self> {
        Ok(Self {
            files: FileSystem::new(directory)?,
            directory: directory.to_owned(),
            used: Mutex::default(),
            done: Notify::new(),
            uploads: Uploads::new(directory),
        })
    }

    /// Waits until nobody else writes an object or opens its files.
    async fn claim(&self, bucket: &str, name: &str) -> Claim<'_> {
        let name = (bucket.to_owned(), name.to_owned());
        let path = self.directory.join(bucket).join(&name.1);
        loop {
            // Asked for before looking, so that an end in between is not missed.
            let done = self.done.notified();
            if let Entry::Vacant(vacant) = lock(&self.used).entry(name.clone()) {
                vacant.insert(Use::Written { existed: path.exists() });
                return Claim { files: self, name };
            }
            done.await;
        }
    }

    /// The right to open an object's files. Refuses what is no object: a directory, which `s3s-fs`
    /// would try to read, or an object of which only a part is written. `None` while one is being
    /// replaced, which may take long: the old one is there for as long as that, mostly.
    fn read(&self, bucket: &str, name: &str) -> S3Result<Option<Claim<'_>>> {
        self.enter(bucket)?;
        if self.is_directory(bucket, name) {
            return Err(s3_error!(NoSuchKey));
        }
        let name = (bucket.to_owned(), name.to_owned());
        match lock(&self.used).entry(name.clone()).or_insert(Use::Read(0)) {
            Use::Read(count) => *count += 1,
            Use::Written { existed: true } => return Ok(None),
            Use::Written { existed: false } => return Err(s3_error!(NoSuchKey)),
        }
        Ok(Some(Claim { files: self, name }))
    }

    /// The same once nobody replaces the object.
    async fn read_later(&self, bucket: &str, name: &str) -> S3Result<Claim<'_>> {
        loop {
            let done = self.done.notified();
            if let Some(claim) = self.read(bucket, name)? {
                return Ok(claim);
            }
            done.await;
        }
    }

    /// Refuses a bucket that is not there, which `s3s-fs` would read as an empty one, or make.
    fn enter(&self, bucket: &str) -> S3Result<()> {
        let exists = self.directory.join(bucket).is_dir();
        if exists { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    /// The key under which `s3s-fs` knows an object.
    fn name(&self, bucket: &str, key: String) -> String {
        if has_file(bucket, &key) { key } else { unnamed(&key) }
    }

    /// The same for an object that is to be written: its key is kept.
    fn keep(&self, bucket: &str, key: String) -> S3Result<String> {
        let name = self.name(bucket, key.clone());
        if let Some(file) = name.strip_prefix(UNNAMED) {
            let keys = self.directory.join(KEYS);
            std::fs::create_dir_all(&keys)
                .and_then(|()| std::fs::write(keys.join(file), key))
                .map_err(s3s::S3Error::internal_error)?;
        }
        Ok(name)
    }

    /// The key of an object that `s3s-fs` listed.
    fn key(&self, name: String) -> String {
        let kept = name.strip_prefix(UNNAMED).map(|file| self.directory.join(KEYS).join(file));
        kept.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or(name)
    }

    /// Whether a name is that of a directory.
    fn is_directory(&self, bucket: &str, name: &str) -> bool {
        self.directory.join(bucket).join(name).is_dir()
    }

    /// All objects of a bucket, by their keys and in their order.
    async fn all(&self, bucket: &str) -> S3Result<Vec<Object>> {
        let mut input = ListObjectsV2Input { bucket: bucket.to_owned(), ..Default::default() };
        input.max_keys = Some(i32::MAX);
        let listed = self.files.list_objects_v2(request(input)).await?;
        let mut objects = listed.output.contents.unwrap_or_default();
        for object in &mut objects {
            object.key = object.key.take().map(|name| self.key(name));
        }
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }
}

/// The same request once more.
fn again<T: Clone>(first: &S3Request<T>) -> S3Request<T> {
    S3Request { credentials: first.credentials.clone(), ..request(first.input.clone()) }
}

/// A request that the store makes of itself.
fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: http::Method::GET,
        uri: http::Uri::default(),
        headers: http::HeaderMap::new(),
        extensions: http::Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

/// Whether a key is the name of one file, which no other key is.
fn has_file(bucket: &str, key: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= LONGEST_NAME;
    let base64 = |text: &str| (text.len() * 4).div_ceil(3);
    key.split('/').all(part)
        && !key.starts_with(UNNAMED)
        && !key.contains('\0')
        && base64(bucket) + base64(key) + AROUND_NAMES <= LONGEST_NAME
}

/// The name of an object whose key is none.
fn unnamed(key: &str) -> String {
    let digest = Sha256::checksum(key.as_bytes());
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    hex.fold(UNNAMED.to_owned(), |name, byte| name + &byte)
}

/// One page of a listing, cut from all objects.
fn page(objects: Vec<Object>, input: &ListObjectsV2Input) -> ListObjectsV2Output {
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let after = input.continuation_token.as_deref().max(input.start_after.as_deref());
    let most = input.max_keys.and_then(|most| usize::try_from(most).ok()).unwrap_or(1_000);
    let mut contents = Vec::new();
    let mut prefixes: Vec<String> = Vec::new();
    let mut last = None;
    let mut is_truncated = false;
    for object in objects {
        let Some(key) = object.key.clone() else { continue };
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let folder = delimiter
            .and_then(|delimiter| rest.split_once(delimiter).map(|(folder, _)| (folder, delimiter)))
            .map(|(folder, delimiter)| format!("{prefix}{folder}{delimiter}"));
        let entry = folder.as_ref().unwrap_or(&key);
        if after.is_some_and(|after| entry.as_str() <= after) || prefixes.last() == Some(entry) {
            continue;
        }
        if contents.len() + prefixes.len() == most {
            is_truncated = most > 0;
            break;
        }
        last = Some(entry.clone());
        match folder {
            Some(folder) => prefixes.push(folder),
            None => contents.push(object),
        }
    }
    let count = contents.len() + prefixes.len();
    let prefixes = prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) });
    ListObjectsV2Output {
        common_prefixes: Some(prefixes.collect()),
        contents: Some(contents),
        continuation_token: input.continuation_token.clone(),
        delimiter: input.delimiter.clone(),
        // Keys are listed as they are, which an answer says by naming no encoding.
        encoding_type: None,
        is_truncated: Some(is_truncated),
        key_count: i32::try_from(count).ok(),
        max_keys: Some(input.max_keys.unwrap_or(1_000)),
        name: Some(input.bucket.clone()),
        next_continuation_token: last.filter(|_| is_truncated),
        prefix: input.prefix.clone(),
        start_after: input.start_after.clone(),
        ..Default::default()
    }
}

#[async_trait::async_trait]
impl S3 for Files {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.files.create_bucket(request).await
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.files.delete_bucket(request).await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.files.get_bucket_location(request).await
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files.head_bucket(request).await
    }

    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        self.files.list_buckets(request).await
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let marker = request.input.marker.clone();
        let mut input: ListObjectsV2Input = request.input.into();
        input.start_after = marker.clone();
        let page = page(self.all(&input.bucket).await?, &input);
        Ok(S3Response::new(ListObjectsOutput {
            common_prefixes: page.common_prefixes,
            contents: page.contents,
            delimiter: page.delimiter,
            encoding_type: page.encoding_type,
            is_truncated: page.is_truncated,
            marker,
            max_keys: page.max_keys,
            name: page.name,
            next_marker: page.next_continuation_token,
            prefix: page.prefix,
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        Ok(S3Response::new(page(self.all(&input.bucket).await?, &input)))
    }

    async fn get_object(
        &self,
        mut request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = &mut request.input;
        input.key = self.name(&input.bucket, std::mem::take(&mut input.key));
        let (bucket, name) = (input.bucket.clone(), input.key.clone());
        let conditions = Conditions::of(&request.headers);
        let again = again(&request);
        let claim = self.read(&bucket, &name)?;
        let found = match (self.files.get_object(request).await, &claim) {
            // Its files were replaced one by one while they were opened.
            (Err(_), None) => {
                let _claim = self.read_later(&bucket, &name).await?;
                self.files.get_object(again).await
            }
            (result, _) => result,
        }?;
        conditions.judge(found.output.e_tag.as_ref(), found.output.last_modified.as_ref())?;
        Ok(found)
    }

    async fn head_object(
        &self,
        mut request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = &mut request.input;
        input.key = self.name(&input.bucket, std::mem::take(&mut input.key));
        let (bucket, name) = (input.bucket.clone(), input.key.clone());
        let conditions = Conditions::of(&request.headers);
        let again = again(&request);
        let claim = self.read(&bucket, &name)?;
        let found = match (self.files.head_object(request).await, &claim) {
            (Err(_), None) => {
                let _claim = self.read_later(&bucket, &name).await?;
                self.files.head_object(again).await
            }
            (result, _) => result,
        }?;
        conditions.judge(found.output.e_tag.as_ref(), found.output.last_modified.as_ref())?;
        Ok(found)
    }

    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = &mut request.input;
        self.enter(&input.bucket)?;
        input.key = self.keep(&input.bucket, std::mem::take(&mut input.key))?;
        if self.is_directory(&input.bucket, &input.key) {
            // A file cannot stand where a directory does.
            return Err(s3_error!(InvalidArgument, "This key is a folder with objects in it."));
        }
        let _claim = self.claim(&input.bucket, &input.key).await;
        self.files.put_object(request).await
    }

    async fn copy_object(
        &self,
        mut request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = &mut request.input;
        self.enter(&input.bucket)?;
        input.key = self.keep(&input.bucket, std::mem::take(&mut input.key))?;
        self.rename_source(&mut input.copy_source);
        self.files.copy_object(request).await
    }

    async fn delete_object(
        &self,
        mut request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = &mut request.input;
        input.key = self.name(&input.bucket, std::mem::take(&mut input.key));
        if self.is_directory(&input.bucket, &input.key) {
            // There is no object of that name, which is what deleting is about.
            return Ok(S3Response::new(DeleteObjectOutput::default()));
        }
        let _claim = self.claim(&input.bucket, &input.key).await;
        self.files.delete_object(request).await
    }

    async fn delete_objects(
        &self,
        mut request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = &mut request.input;
        for object in &mut input.delete.objects {
            object.key = self.name(&input.bucket, std::mem::take(&mut object.key));
        }
        let mut response = self.files.delete_objects(request).await?;
        for deleted in response.output.deleted.iter_mut().flatten() {
            deleted.key = deleted.key.take().map(|name| self.key(name));
        }
        Ok(response)
    }

    async fn create_multipart_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = &mut request.input;
        self.enter(&input.bucket)?;
        let key = input.key.clone();
        input.key = self.keep(&input.bucket, std::mem::take(&mut input.key))?;
        let bucket = input.bucket.clone();
        let mut response = self.files.create_multipart_upload(request).await?;
        let id = response.output.upload_id.as_deref().unwrap_or_default();
        self.uploads.begin(&bucket, &key, id).map_err(s3s::S3Error::internal_error)?;
        response.output.key = Some(key);
        Ok(response)
    }

    async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = &mut request.input;
        input.key = self.name(&input.bucket, std::mem::take(&mut input.key));
        let (id, number) = (input.upload_id.clone(), input.part_number);
        let response = self.files.upload_part(request).await?;
        // The upload may have ended while this part was on its way.
        if self.uploads.drop_late(&id, number) {
            return Err(s3_error!(NoSuchUpload));
        }
        Ok(response)
    }

    async fn upload_part_copy(
        &self,
        mut request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = &mut request.input;
        input.key = self.name(&input.bucket, std::mem::take(&mut input.key));
        self.rename_source(&mut input.copy_source);
        self.files.upload_part_copy(request).await
    }

    async fn list_parts(
        &self,
        mut request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = &mut request.input;
        if !self.uploads.is_open(&input.bucket, &input.key, &input.upload_id) {
            return Err(s3_error!(NoSuchUpload));
        }
        let key = input.key.clone();
        input.key = self.name(&input.bucket, std::mem::take(&mut input.key));
        let mut response = self.files.list_parts(request).await?;
        response.output.key = Some(key);
        Ok(response)
    }

    async fn complete_multipart_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = &mut request.input;
        let key = input.key.clone();
        input.key = self.name(&input.bucket, std::mem::take(&mut input.key));
        let _claim = self.claim(&input.bucket, &input.key).await;
        let id = input.upload_id.clone();
        let mut response = self.files.complete_multipart_upload(request).await?;
        self.uploads.end(&id);
        response.output.key = Some(key);
        Ok(response)
    }

    async fn abort_multipart_upload(
        &self,
        mut request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = &mut request.input;
        input.key = self.name(&input.bucket, std::mem::take(&mut input.key));
        let id = input.upload_id.clone();
        let response = self.files.abort_multipart_upload(request).await?;
        self.uploads.end(&id);
        Ok(response)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.enter(&request.input.bucket)?;
        if request.input.delimiter.is_some() {
            return Err(s3_error!(NotImplemented, "This store lists uploads without a delimiter."));
        }
        let listed = self.uploads.list(request.input);
        listed.map(S3Response::new).map_err(s3s::S3Error::internal_error)
    }
}

impl Files {
    fn rename_source(&self, source: &mut CopySource) {
        match source {
            CopySource::Bucket { bucket, key, .. } => {
                *key = self.name(bucket, key.to_string()).into();
            }
            CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_would_share_a_file_have_none() {
        for key in ["a", "a/b.txt", "ä +%.txt", "...", ".hidden", "%unnamed", &"k".repeat(100)] {
            assert!(has_file("bucket", key), "{key}");
        }
        let long = "k".repeat(1_024);
        for key in ["/a", "a//b", "a/", "./a", "a/../b", "..", "a\0", "%unnamed/x", &long] {
            assert!(!has_file("bucket", key), "{key}");
        }
    }

    #[test]
    fn listings_are_cut_into_pages() {
        let object = |key: &str| Object { key: Some(key.to_owned()), ..Default::default() };
        let keys = ["a//x", "a/b", "c", "c/d", "c/e", "f"];
        let list = |input: ListObjectsV2Input| {
            let page = page(keys.map(object).to_vec(), &input);
            let contents = page.contents.unwrap().into_iter().filter_map(|object| object.key);
            let prefixes = page.common_prefixes.unwrap().into_iter().filter_map(|p| p.prefix);
            let names: Vec<_> = contents.chain(prefixes).collect();
            (names.join(" "), page.next_continuation_token)
        };
        let text = |text: &str| Some(text.to_owned());
        let all = ListObjectsV2Input::default();
        assert_eq!(list(all.clone()), (keys.join(" "), None));
        let folders = ListObjectsV2Input { delimiter: text("/"), ..all.clone() };
        assert_eq!(list(folders.clone()), ("c f a/ c/".to_owned(), None));
        let one = ListObjectsV2Input { max_keys: Some(1), ..folders };
        assert_eq!(list(one.clone()), ("a/".to_owned(), text("a/")));
        let next = ListObjectsV2Input { continuation_token: text("a/"), ..one };
        assert_eq!(list(next), ("c".to_owned(), text("c")));
        let below = ListObjectsV2Input { prefix: text("a/"), delimiter: text("/"), ..all };
        assert_eq!(list(below), ("a/b a//".to_owned(), None));
    }
}
