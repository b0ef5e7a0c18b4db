//! The multipart uploads that are neither completed nor aborted, by key.
//!
//! `s3s-fs` knows uploads by their ids alone, and lists none. So each has a file here, named by its
//! id, with the bucket and the key it is for. Whether it is open still, the file says that `s3s-fs`
//! keeps for it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use s3s::dto::{ListMultipartUploadsInput, ListMultipartUploadsOutput, MultipartUpload};

/// The directory beside the buckets that keeps those files.
const DIRECTORY: &str = ".open-uploads";

/// Pages of a listing that asks for none of its own size (S3).
const PAGE: usize = 1_000;

/// The uploads of one store.
#[derive(Debug)]
pub(super) struct Uploads {
    /// Where `s3s-fs` keeps its own.
    root: PathBuf,
}

/// An open upload.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Upload {
    key: String,
    id: String,
    since: SystemTime,
}

impl Uploads {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn file(&self, id: &str) -> PathBuf {
        self.root.join(DIRECTORY).join(id)
    }

    /// An upload has been made.
    pub(super) fn begin(&self, bucket: &str, key: &str, id: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.root.join(DIRECTORY))?;
        std::fs::write(self.file(id), format!("{bucket}/{key}"))
    }

    /// Whether an upload is one of this object, and open. `id` is as a client sent it.
    pub(super) fn is_open(&self, bucket: &str, key: &str, id: &str) -> bool {
        is_id(id) && self.open(&self.file(id), bucket).is_some_and(|upload| upload.key == key)
    }

    /// An upload has been completed or aborted. `id` is as a client sent it.
    pub(super) fn end(&self, id: &str) {
        if is_id(id) {
            // Left behind, it would only be a file about nothing.
            let _ = std::fs::remove_file(self.file(id));
        }
    }

    /// Removes a part that was written when its upload had ended already. `id` is known to `s3s-fs`.
    /// False where it has not.
    pub(super) fn drop_late(&self, id: &str, part: i32) -> bool {
        if self.file(id).exists() || self.own(id).exists() {
            return false;
        }
        // Another attempt at the same part may have removed it.
        let _ = std::fs::remove_file(self.root.join(format!(".upload_id-{id}.part-{part}")));
        true
    }

    /// The file that `s3s-fs` keeps for an open upload.
    fn own(&self, id: &str) -> PathBuf {
        self.root.join(format!(".upload-{id}.json"))
    }

    /// One page of the open uploads of a bucket.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub(super) fn list(
        &self,
        input: ListMultipartUploadsInput,
    ) -> io::Result<ListMultipartUploadsOutput> {
        let mut uploads = Vec::new();
        match std::fs::read_dir(self.root.join(DIRECTORY)) {
            Ok(files) => {
                for file in files {
                    uploads.extend(self.open(&file?.path(), &input.bucket));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        uploads.sort();
        Ok(page(uploads, input))
    }

    /// The upload a file tells of, where it is one of the bucket's and open.
    fn open(&self, file: &Path, bucket: &str) -> Option<Upload> {
        let id = file.file_name()?.to_str()?.to_owned();
        let since = self.own(&id).metadata().ok()?.modified().ok()?;
        let name = std::fs::read_to_string(file).ok()?;
        let key = name.strip_prefix(bucket)?.strip_prefix('/')?.to_owned();
        Some(Upload { key, id, since })
    }
}

/// Whether a text may be an id, and so the name of a file here.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn page(uploads: Vec<Upload>, input: ListMultipartUploadsInput) -> ListMultipartUploadsOutput {
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let most = input.max_uploads.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE);
    let is_behind = |upload: &Upload| match (&input.key_marker, &input.upload_id_marker) {
        (None, _) => true,
        (Some(key), None) => upload.key > *key,
        (Some(key), Some(id)) => (&upload.key, &upload.id) > (key, id),
    };
    let mut found: Vec<Upload> = uploads
        .into_iter()
        .filter(|upload| upload.key.starts_with(prefix) && is_behind(upload))
        .collect();
    let is_truncated = found.len() > most;
    found.truncate(most);
    let last = found.last().filter(|_| is_truncated);
    ListMultipartUploadsOutput {
        next_key_marker: last.map(|upload| upload.key.clone()),
        next_upload_id_marker: last.map(|upload| upload.id.clone()),
        bucket: Some(input.bucket),
        is_truncated: Some(is_truncated),
        key_marker: input.key_marker,
        max_uploads: Some(input.max_uploads.unwrap_or(1_000)),
        prefix: input.prefix,
        upload_id_marker: input.upload_id_marker,
        uploads: Some(
            found
                .into_iter()
                .map(|upload| MultipartUpload {
                    initiated: Some(upload.since.into()),
                    key: Some(upload.key),
                    upload_id: Some(upload.id),
                    ..MultipartUpload::default()
                })
                .collect(),
        ),
        ..ListMultipartUploadsOutput::default()
    }
}
