//! The operations of S3, as the library has them.

use std::sync::Arc;

use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, TrailingHeaders, s3_error};

use super::body::blocking;
use super::bucket::Buckets;
use super::checksum::{HEADER, get_checksums, set_checksums};
use super::conditions::Conditions;
use super::front::Unread;
use super::listing::{self, owner};
use super::object::{self, Answer, Asked};
use super::record::{METADATA, Record, kept};
use super::upload::{self, Arriving, Completion, Name};

/// Objects that one request may delete.
const MOST_DELETED: usize = 1_000;

/// The store as the library calls it.
#[derive(Clone, Debug)]
pub(super) struct Service(pub(super) Arc<Buckets>);

/// The headers as the client sent them, and what comes behind the body. The address becomes the
/// client's too.
fn sent<T>(request: &mut S3Request<T>) -> (HeaderMap, Option<TrailingHeaders>) {
    let trailers = request.extensions.remove::<TrailingHeaders>();
    match request.extensions.remove::<Unread>() {
        Some(Unread { headers, uri }) => {
            request.uri = uri;
            (headers, trailers)
        }
        None => (std::mem::take(&mut request.headers), trailers),
    }
}

/// The headers of an answer to a write.
fn written(record: &Record) -> HeaderMap {
    let checksums = record.checksums.iter().filter_map(|(name, value)| {
        let name = http::HeaderName::try_from(format!("{HEADER}{name}")).ok()?;
        Some((name, value.parse().ok()?))
    });
    checksums.collect()
}

impl Service {
    async fn read(&self, asked: Asked) -> S3Result<Answer> {
        let buckets = Arc::clone(&self.0);
        blocking(move || object::read(&buckets, &asked)).await
    }

    /// Has the buckets do something that may block.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Buckets) -> S3Result<T> + Send + 'static,
    ) -> S3Result<S3Response<T>> {
        let buckets = Arc::clone(&self.0);
        blocking(move || work(&buckets)).await.map(S3Response::new)
    }
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = request.input.bucket;
        self.with(move |buckets| {
            if !buckets.create(&bucket).map_err(S3Error::internal_error)? {
                return Err(s3_error!(BucketAlreadyOwnedByYou, "The bucket is there already."));
            }
            let location = Some(format!("/{bucket}"));
            Ok(CreateBucketOutput { location })
        })
        .await
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let remove = move |buckets: &Buckets| buckets.remove(&request.input.bucket);
        let removed = self.with(remove).await?;
        Ok(removed.map_output(|()| DeleteBucketOutput::default()))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.0.enter(&request.input.bucket)?;
        let bucket_region = Some("us-east-1".to_owned());
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..HeadBucketOutput::default() }))
    }

    async fn list_buckets(
        &self,
        _request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        self.with(|buckets| {
            let names = buckets.names().map_err(S3Error::internal_error)?;
            let bucket = |(name, made): (String, std::time::SystemTime)| Bucket {
                creation_date: Some(made.into()),
                name: Some(name),
                ..Bucket::default()
            };
            Ok(ListBucketsOutput {
                buckets: Some(names.into_iter().map(bucket).collect()),
                owner: Some(owner()),
                ..ListBucketsOutput::default()
            })
        })
        .await
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        self.with(move |buckets| listing::first(buckets, request.input)).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.with(move |buckets| listing::second(buckets, request.input)).await
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        self.with(move |buckets| listing::versions(buckets, request.input)).await
    }

    async fn get_object(
        &self,
        mut request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let (headers, _) = sent(&mut request);
        let GetObjectInput { bucket, key, part_number: part, .. } = request.input;
        let asked = Asked { bucket, key, part, headers, uri: request.uri, with_body: true };
        let Answer { body, length, headers } = self.read(asked).await?;
        let content_length = i64::try_from(length).ok();
        let output = GetObjectOutput { body, content_length, ..GetObjectOutput::default() };
        Ok(S3Response::with_headers(output, headers))
    }

    async fn head_object(
        &self,
        mut request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let (headers, _) = sent(&mut request);
        let HeadObjectInput { bucket, key, part_number: part, .. } = request.input;
        let asked = Asked { bucket, key, part, headers, uri: request.uri, with_body: false };
        let Answer { length, headers, .. } = self.read(asked).await?;
        let content_length = i64::try_from(length).ok();
        let output = HeadObjectOutput { content_length, ..HeadObjectOutput::default() };
        Ok(S3Response::with_headers(output, headers))
    }

    async fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        self.with(move |buckets| {
            let found = buckets.find(&request.input.bucket, &request.input.key)?;
            let mut checksum = Checksum::default();
            set_checksums!(checksum, &found.record.checksums);
            Ok(GetObjectAttributesOutput {
                checksum: Some(checksum),
                e_tag: found.record.e_tag(),
                last_modified: found.record.last_modified(),
                object_size: i64::try_from(found.size).ok(),
                storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
                ..GetObjectAttributesOutput::default()
            })
        })
        .await
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        self.with(move |buckets| {
            let found = buckets.find(&request.input.bucket, &request.input.key)?;
            let tag = |(key, value)| Tag { key: Some(key), value: Some(value) };
            let tag_set = found.record.tags().map(tag).collect();
            Ok(GetObjectTaggingOutput { tag_set, version_id: None })
        })
        .await
    }

    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let is_form = request.method == http::Method::POST;
        let (headers, trailers) = sent(&mut request);
        let input = request.input;
        let (kept, headers) =
            if is_form { (form(&input), HeaderMap::new()) } else { (kept(&headers), headers) };
        let write = object::Write {
            bucket: input.bucket,
            key: input.key,
            body: input.body.unwrap_or_else(|| s3s::Body::empty().into()),
            request: headers,
            kept,
            trailers,
        };
        let record = object::write(Arc::clone(&self.0), write).await?;
        let output = PutObjectOutput { e_tag: record.e_tag(), ..PutObjectOutput::default() };
        Ok(S3Response::with_headers(output, written(&record)))
    }

    async fn copy_object(
        &self,
        mut request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let (headers, _) = sent(&mut request);
        let CopyObjectInput { bucket, key, copy_source: source, .. } = request.input;
        let copy = object::Copy { bucket, key, source, request: headers };
        let result = object::copy(Arc::clone(&self.0), copy).await?;
        let copy_object_result = Some(result);
        Ok(S3Response::new(CopyObjectOutput { copy_object_result, ..CopyObjectOutput::default() }))
    }

    async fn delete_object(
        &self,
        mut request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (headers, _) = sent(&mut request);
        self.with(move |buckets| {
            let DeleteObjectInput { bucket, key, .. } = request.input;
            buckets.delete(&bucket, &key, &Conditions::of_write(&headers)?)?;
            Ok(DeleteObjectOutput::default())
        })
        .await
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete, .. } = request.input;
        if delete.objects.len() > MOST_DELETED {
            return Err(s3_error!(MalformedXML, "More than 1000 objects."));
        }
        self.with(move |buckets| {
            buckets.enter(&bucket)?;
            let conditions = Conditions::of_write(&HeaderMap::new())?;
            let is_quiet = delete.quiet.unwrap_or_default();
            let (mut deleted, mut errors) = (Vec::new(), Vec::new());
            for object in delete.objects {
                let key = Some(object.key.clone());
                match buckets.delete(&bucket, &object.key, &conditions) {
                    Ok(()) if is_quiet => {}
                    Ok(()) => deleted.push(DeletedObject { key, ..DeletedObject::default() }),
                    Err(error) => errors.push(Error {
                        code: Some(error.code().as_str().to_owned()),
                        key,
                        message: error.message().map(str::to_owned),
                        version_id: None,
                    }),
                }
            }
            Ok(DeleteObjectsOutput {
                deleted: Some(deleted),
                errors: Some(errors),
                ..DeleteObjectsOutput::default()
            })
        })
        .await
    }

    async fn create_multipart_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let (headers, _) = sent(&mut request);
        self.with(move |buckets| {
            let CreateMultipartUploadInput { bucket, key, .. } = request.input;
            let (id, upload) = upload::begin(buckets, &bucket, key.clone(), &headers)?;
            Ok(CreateMultipartUploadOutput {
                checksum_type: upload.checksum_type().map(ChecksumType::from_static),
                checksum_algorithm: upload.algorithm.map(|name| name.to_ascii_uppercase().into()),
                bucket: Some(bucket),
                key: Some(key),
                upload_id: Some(id),
                ..CreateMultipartUploadOutput::default()
            })
        })
        .await
    }

    async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let (headers, trailers) = sent(&mut request);
        let UploadPartInput { bucket, key, upload_id: id, part_number: number, body, .. } =
            request.input;
        let arriving = Arriving {
            name: Name { bucket, key, id },
            number,
            body: body.unwrap_or_else(|| s3s::Body::empty().into()),
            request: headers,
            trailers,
        };
        let record = upload::write(Arc::clone(&self.0), arriving).await?;
        let output = UploadPartOutput { e_tag: record.e_tag(), ..UploadPartOutput::default() };
        Ok(S3Response::with_headers(output, written(&record)))
    }

    async fn upload_part_copy(
        &self,
        mut request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let (headers, _) = sent(&mut request);
        let UploadPartCopyInput { bucket, key, upload_id: id, part_number, copy_source, .. } =
            request.input;
        let name = Name { bucket, key, id };
        let copied = upload::copy(Arc::clone(&self.0), name, part_number, copy_source, headers);
        let copy_part_result = Some(copied.await?);
        let output = UploadPartCopyOutput { copy_part_result, ..UploadPartCopyOutput::default() };
        Ok(S3Response::new(output))
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        self.with(move |buckets| {
            let input = request.input;
            let (bucket, key, id) = (input.bucket, input.key, input.upload_id);
            let name = Name { bucket: bucket.clone(), key: key.clone(), id: id.clone() };
            let (upload, mut parts) = upload::parts(buckets, &name)?;
            let (max_parts, most) = listing::most(input.max_parts)?;
            let after = input.part_number_marker.unwrap_or_default();
            parts.retain(|part| part.number > after);
            let is_truncated = parts.len() > most;
            parts.truncate(most);
            let last = parts.last().map(|part| part.number);
            let part = |upload::Part { number, record, size }| {
                let mut part = Part {
                    e_tag: record.e_tag(),
                    last_modified: record.last_modified(),
                    part_number: Some(number),
                    size: i64::try_from(size).ok(),
                    ..Part::default()
                };
                set_checksums!(part, &record.checksums);
                part
            };
            Ok(ListPartsOutput {
                bucket: Some(bucket),
                checksum_type: upload.checksum_type().map(ChecksumType::from_static),
                checksum_algorithm: upload.algorithm.map(|name| name.to_ascii_uppercase().into()),
                initiator: Some(Initiator { display_name: owner().display_name, id: owner().id }),
                is_truncated: Some(is_truncated),
                key: Some(key),
                max_parts: Some(max_parts),
                next_part_number_marker: last.filter(|_| is_truncated),
                owner: Some(owner()),
                part_number_marker: Some(after),
                parts: Some(parts.into_iter().map(part).collect()),
                storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
                upload_id: Some(id),
                ..ListPartsOutput::default()
            })
        })
        .await
    }

    async fn complete_multipart_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let (headers, _) = sent(&mut request);
        self.with(move |buckets| {
            let input = request.input;
            let checksums = get_checksums!(input);
            let CompleteMultipartUploadInput { bucket, key, upload_id: id, .. } = input;
            let completion = Completion {
                name: Name { bucket: bucket.clone(), key: key.clone(), id },
                parts: input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default(),
                checksums,
                size: input.mpu_object_size,
                request: headers,
            };
            let (record, upload) = upload::complete(buckets, completion)?;
            let mut output = CompleteMultipartUploadOutput {
                checksum_type: upload.checksum_type().map(ChecksumType::from_static),
                e_tag: record.e_tag(),
                location: Some(format!("/{bucket}/{key}")),
                bucket: Some(bucket),
                key: Some(key),
                ..CompleteMultipartUploadOutput::default()
            };
            set_checksums!(output, &record.checksums);
            Ok(output)
        })
        .await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.with(move |buckets| {
            let AbortMultipartUploadInput { bucket, key, upload_id: id, .. } = request.input;
            upload::abort(buckets, &Name { bucket, key, id })?;
            Ok(AbortMultipartUploadOutput::default())
        })
        .await
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.with(move |buckets| listing::uploads(buckets, request.input)).await
    }
}

/// What an object is kept with that came in a form.
fn form(input: &PutObjectInput) -> Vec<(String, String)> {
    let fields = [
        ("cache-control", &input.cache_control),
        ("content-disposition", &input.content_disposition),
        ("content-encoding", &input.content_encoding),
        ("content-type", &input.content_type),
    ];
    let bytes = |text: &str| text.bytes().map(char::from).collect::<String>();
    let fields = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), bytes(value.as_deref()?))));
    let metadata = input.metadata.iter().flatten();
    let metadata = metadata.map(|(name, value)| (format!("{METADATA}{name}"), bytes(value)));
    fields.chain(metadata).collect()
}
