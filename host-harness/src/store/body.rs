//! Bodies into files and out of them. Files are written and read by threads that may block, a batch
//! at a time.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::StatusCode;
use s3s::dto::StreamingBlob;
use s3s::{Body, S3Error, S3ErrorCode, S3Result, StdError};
use tempfile::NamedTempFile;
use tokio::task::JoinHandle;

use super::checksum::{Checksums, Digest};
use super::refusal;

/// Bytes that are written or read at once. One batch is written while the next arrives.
const BATCH: usize = 1 << 20;

/// An object of so many bytes is read when it is opened.
const SMALL: u64 = 64 << 10;

/// Bytes in a file that nobody sees yet.
pub(super) struct Written {
    pub(super) file: NamedTempFile,
    pub(super) size: u64,
    pub(super) md5: Vec<u8>,
    pub(super) checksums: Checksums,
}

/// Writes and digests.
pub(super) struct Writer {
    folder: PathBuf,
    file: Option<NamedTempFile>,
    digest: Digest,
    size: u64,
}

impl Writer {
    pub(super) fn new(folder: &Path, digest: Digest) -> Self {
        Self { folder: folder.to_owned(), file: None, digest, size: 0 }
    }

    fn file(&mut self) -> io::Result<&mut NamedTempFile> {
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::Builder::new()
                .permissions(Permissions::from_mode(0o666))
                .tempfile_in(&self.folder)?,
        };
        Ok(self.file.insert(file))
    }

    fn write(&mut self, batch: &[Bytes]) -> io::Result<()> {
        for bytes in batch {
            self.file()?.write_all(bytes)?;
            self.digest.update(bytes);
            self.size += bytes.len() as u64;
        }
        Ok(())
    }

    /// Copies so many bytes of a file; `digested` tells whether their digests matter.
    pub(super) fn copy(&mut self, source: &mut File, size: u64, digested: bool) -> io::Result<()> {
        let mut source = source.take(size);
        let copied = if digested {
            let mut copied = 0;
            let mut batch = vec![0; BATCH];
            loop {
                match source.read(&mut batch)? {
                    0 => break copied,
                    count => {
                        let bytes = batch.get(..count).unwrap_or_default();
                        self.file()?.write_all(bytes)?;
                        self.digest.update(bytes);
                        copied += count as u64;
                    }
                }
            }
        } else {
            // The kernel does that by itself.
            io::copy(&mut source, self.file()?.as_file_mut())?
        };
        if copied != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.size += size;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<Written> {
        self.file()?;
        let file = self.file.ok_or(io::ErrorKind::NotFound)?;
        let (md5, checksums) = self.digest.finish();
        Ok(Written { file, size: self.size, md5, checksums })
    }
}

/// What becomes of a writer between two batches.
enum Work {
    Idle(Box<Writer>),
    Busy(JoinHandle<io::Result<Box<Writer>>>),
}

impl Work {
    async fn idle(self) -> S3Result<Box<Writer>> {
        match self {
            Self::Idle(writer) => Ok(writer),
            Self::Busy(writing) => {
                let writer = writing.await.map_err(S3Error::internal_error)?;
                writer.map_err(S3Error::internal_error)
            }
        }
    }
}

/// Writes a body into a file. What is to be done once it is there is done by the same thread.
pub(super) async fn receive<T: Send + 'static>(
    mut body: StreamingBlob,
    writer: Writer,
    finish: impl FnOnce(Written) -> S3Result<T> + Send + 'static,
) -> S3Result<T> {
    let mut work = Work::Idle(Box::new(writer));
    let (mut batch, mut filled) = (Vec::new(), 0);
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(broken)?;
        filled += bytes.len();
        batch.push(bytes);
        if filled >= BATCH {
            let mut writer = work.idle().await?;
            let full = std::mem::take(&mut batch);
            filled = 0;
            work = Work::Busy(tokio::task::spawn_blocking(move || {
                writer.write(&full)?;
                Ok(writer)
            }));
        }
    }
    let mut writer = work.idle().await?;
    blocking(move || {
        writer.write(&batch).map_err(S3Error::internal_error)?;
        finish(writer.finish().map_err(S3Error::internal_error)?)
    })
    .await
}

/// Why a body ended early. The library's own types for that are private.
fn broken(error: StdError) -> S3Error {
    let text = error.to_string();
    let code = if text.contains("Sha256Mismatch") {
        return refusal("XAmzContentSHA256Mismatch", StatusCode::BAD_REQUEST);
    } else if text.contains("SignatureMismatch") {
        S3ErrorCode::SignatureDoesNotMatch
    } else {
        S3ErrorCode::IncompleteBody
    };
    S3Error::with_source(code, error)
}

/// The bytes of a file, as a body.
pub(super) fn send(file: File, range: Range<u64>) -> io::Result<StreamingBlob> {
    if range.end - range.start <= SMALL {
        return Ok(StreamingBlob::from(Body::from(read(&file, &range)?)));
    }
    let bytes = futures_util::stream::try_unfold((file, range), |(file, mut range)| async move {
        if range.is_empty() {
            return Ok::<_, io::Error>(None);
        }
        let reading = tokio::task::spawn_blocking(move || {
            let end = range.end.min(range.start + BATCH as u64);
            let bytes = read(&file, &(range.start..end))?;
            range.start = end;
            Ok::<_, io::Error>(Some((bytes, (file, range))))
        });
        reading.await.map_err(io::Error::other)?
    });
    Ok(StreamingBlob::wrap(bytes))
}

fn read(file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    let count = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; count];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

/// Does what may block where that disturbs nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> S3Result<T> + Send + 'static,
) -> S3Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(S3Error::internal_error)?
}
