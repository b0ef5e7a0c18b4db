//! Buckets as directories.
//!
//! ```text
//! DIR/.b2o-store                      the layout, and a lock: one process at a time
//! DIR/.unfinished/                    what is being written
//! DIR/<bucket>/objects/<SHA-256 of the key>
//! DIR/<bucket>/uploads/<id>/upload    what is known of the object to be
//! DIR/<bucket>/uploads/<id>/<number>  a part
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use s3s::crypto::{Checksum as _, Sha256};
use s3s::{S3Error, S3Result, s3_error};

use super::StoreError;
use super::body::Written;
use super::checksum::hex;
use super::conditions::Conditions;
use super::record::Record;

const MARKER: &str = ".b2o-store";
const UNFINISHED: &str = ".unfinished";
const OBJECTS: &str = "objects";
const UPLOADS: &str = "uploads";

/// What the marker of this layout says.
const LAYOUT: &str = "layout 1\n";

/// The objects of one bucket as a listing has them, by their keys.
pub(super) type Listing = BTreeMap<String, Listed>;

/// What a listing says of an object.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) record: Record,
    pub(super) size: u64,
}

impl Listed {
    fn new(record: Record, size: u64) -> Self {
        // The rest is asked for with the object.
        let record =
            Record { headers: Vec::new(), parts: Vec::new(), checksums: BTreeMap::new(), ..record };
        Self { record, size }
    }
}

/// An object that has been opened.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: File,
    pub(super) record: Record,
    pub(super) size: u64,
}

/// The buckets of one store.
#[derive(Debug)]
pub(super) struct Buckets {
    root: PathBuf,
    /// The listings that have been asked for. Who holds this lock is the only one who changes what
    /// there is, so that a condition still holds when its object is put in place.
    listings: Mutex<BTreeMap<String, Listing>>,
}

impl Buckets {
    /// Uses a directory. The lock on it holds until the file is dropped.
    ///
    /// # Errors
    ///
    /// It cannot be used, somebody else uses it, or what is in it is of another layout.
    pub(super) fn open(root: &Path) -> Result<(Self, File), StoreError> {
        let unusable = |source| StoreError::Directory { path: root.to_owned(), source };
        std::fs::create_dir_all(root).map_err(unusable)?;
        let path = root.join(MARKER);
        if !path.exists() {
            let is_strange = |name: &std::ffi::OsStr| name != MARKER && name != "lost+found";
            for entry in std::fs::read_dir(root).map_err(unusable)? {
                if is_strange(&entry.map_err(unusable)?.file_name()) {
                    return Err(StoreError::Layout(root.to_owned()));
                }
            }
        }
        let mut options = File::options();
        let options = options.read(true).append(true).create(true);
        let mut marker = options.open(&path).map_err(unusable)?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(StoreError::InUse(root.to_owned()));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(unusable(error)),
        }
        match std::fs::read_to_string(&path).map_err(unusable)?.as_str() {
            LAYOUT => {}
            "" => marker.write_all(LAYOUT.as_bytes()).map_err(unusable)?,
            _ => return Err(StoreError::Layout(root.to_owned())),
        }
        let unfinished = root.join(UNFINISHED);
        match std::fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
            Ok(()) | Err(_) => {}
        }
        std::fs::create_dir(&unfinished).map_err(unusable)?;
        Ok((Self { root: root.to_owned(), listings: Mutex::default() }, marker))
    }

    /// Makes a bucket; false where it is there.
    pub(super) fn create(&self, bucket: &str) -> io::Result<bool> {
        let _listings = self.lock();
        let path = self.root.join(bucket);
        let is_new = !path.join(OBJECTS).is_dir();
        // The directory of its objects is last: by it the bucket is there.
        std::fs::create_dir_all(path.join(UPLOADS))?;
        std::fs::create_dir_all(path.join(OBJECTS))?;
        Ok(is_new)
    }

    /// Removes an empty bucket, and the uploads to it.
    pub(super) fn remove(&self, bucket: &str) -> S3Result<()> {
        let mut listings = self.lock();
        let path = self.enter(bucket)?;
        match std::fs::remove_dir(path.join(OBJECTS)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                return Err(s3_error!(BucketNotEmpty, "There are objects in the bucket."));
            }
            Err(error) => return Err(S3Error::internal_error(error)),
        }
        listings.remove(bucket);
        std::fs::remove_dir_all(path).map_err(S3Error::internal_error)
    }

    /// The names of all buckets, in their order, and when they were made.
    pub(super) fn names(&self) -> io::Result<BTreeMap<String, std::time::SystemTime>> {
        let mut names = BTreeMap::new();
        for entry in std::fs::read_dir(&self.root)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && entry.path().join(OBJECTS).is_dir()
            {
                names.insert(name, entry.metadata()?.modified()?);
            }
        }
        Ok(names)
    }

    /// The directory of a bucket.
    pub(super) fn enter(&self, bucket: &str) -> S3Result<PathBuf> {
        let path = self.root.join(bucket);
        if path.join(OBJECTS).is_dir() { Ok(path) } else { Err(s3_error!(NoSuchBucket)) }
    }

    /// Where files are until they are whole.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.root.join(UNFINISHED)
    }

    /// Where the uploads to a bucket are.
    pub(super) fn uploads(&self, bucket: &str) -> S3Result<PathBuf> {
        Ok(self.enter(bucket)?.join(UPLOADS))
    }

    /// Opens an object.
    ///
    /// # Errors
    ///
    /// There is none, or no bucket.
    pub(super) fn find(&self, bucket: &str, key: &str) -> S3Result<Found> {
        match File::open(self.path(bucket, key)) {
            Ok(file) => found(file).map_err(S3Error::internal_error),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.enter(bucket)?;
                Err(s3_error!(NoSuchKey, "The specified key does not exist."))
            }
            Err(error) => Err(S3Error::internal_error(error)),
        }
    }

    /// Judges a write before it is made.
    pub(super) fn judge(&self, bucket: &str, key: &str, conditions: &Conditions) -> S3Result<()> {
        if conditions.is_empty() {
            self.enter(bucket)?;
            return Ok(());
        }
        let found = match self.find(bucket, key) {
            Ok(found) => Some(found.record),
            Err(error) if *error.code() == s3s::S3ErrorCode::NoSuchKey => None,
            Err(error) => return Err(error),
        };
        conditions.write(found.as_ref())
    }

    /// Puts an object in place, if its conditions hold then.
    pub(super) fn put(
        &self,
        bucket: &str,
        record: Record,
        written: Written,
        conditions: &Conditions,
    ) -> S3Result<Record> {
        self.put_with((bucket, record, written), conditions, || Ok(()), || ())
    }

    /// The same, if `ready` has nothing against it; with what is done at the same moment.
    pub(super) fn put_with(
        &self,
        (bucket, record, written): (&str, Record, Written),
        conditions: &Conditions,
        ready: impl FnOnce() -> S3Result<()>,
        done: impl FnOnce(),
    ) -> S3Result<Record> {
        record.append(written.file.as_file()).map_err(S3Error::internal_error)?;
        let path = self.path(bucket, &record.key);
        let mut listings = self.lock();
        self.judge(bucket, &record.key, conditions)?;
        ready()?;
        written.file.persist(path).map_err(|error| S3Error::internal_error(error.error))?;
        done();
        if let Some(listing) = listings.get_mut(bucket) {
            listing.insert(record.key.clone(), Listed::new(record.clone(), written.size));
        }
        Ok(record)
    }

    /// Removes an object, if its conditions hold; one that is not there is removed.
    pub(super) fn delete(&self, bucket: &str, key: &str, conditions: &Conditions) -> S3Result<()> {
        let mut listings = self.lock();
        self.judge(bucket, key, conditions)?;
        match std::fs::remove_file(self.path(bucket, key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(S3Error::internal_error(error));
            }
            Ok(()) | Err(_) => {}
        }
        if let Some(listing) = listings.get_mut(bucket) {
            listing.remove(key);
        }
        Ok(())
    }

    /// Has a bucket's listing read. The first time, all its files are.
    pub(super) fn list<T>(&self, bucket: &str, read: impl FnOnce(&Listing) -> T) -> S3Result<T> {
        let mut listings = self.lock();
        let path = self.enter(bucket)?;
        if let Some(listing) = listings.get(bucket) {
            return Ok(read(listing));
        }
        let listing = scan(&path.join(OBJECTS)).map_err(S3Error::internal_error)?;
        let result = read(&listing);
        listings.insert(bucket.to_owned(), listing);
        Ok(result)
    }

    fn path(&self, bucket: &str, key: &str) -> PathBuf {
        let name = hex(Sha256::checksum(key.as_bytes()).as_ref());
        self.root.join(bucket).join(OBJECTS).join(name)
    }

    /// The map is whole at every step, whoever panicked while holding it.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Listing>> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The object in a file.
pub(super) fn found(file: File) -> io::Result<Found> {
    let (record, size) = Record::read(&file)?;
    Ok(Found { file, record, size })
}

fn scan(objects: &Path) -> io::Result<Listing> {
    let mut listing = Listing::new();
    for entry in std::fs::read_dir(objects)? {
        let Found { record, size, .. } = found(File::open(entry?.path())?)?;
        listing.insert(record.key.clone(), Listed::new(record, size));
    }
    Ok(listing)
}
