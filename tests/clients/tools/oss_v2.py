import alibabacloud_oss_v2 as oss

config = oss.config.load_default()
config.credentials_provider = oss.credentials.StaticCredentialsProvider(ACCESS, SECRET)
config.region = "us-east-1"
config.endpoint = ENDPOINT
client = oss.Client(config)


def get_object(key, file):
    answer = client.get_object(oss.GetObjectRequest(bucket=BUCKET, key=key))
    write(file, answer.body.read())


def get_range(key, file):
    request = oss.GetObjectRequest(bucket=BUCKET, key=key, range_header="bytes=100-299")
    write(file, client.get_object(request).body.read())


def download_file(key, file):
    request = oss.GetObjectRequest(bucket=BUCKET, key=key)
    client.downloader().download_file(request, filepath=file)


def head_object(key, file):
    head = client.head_object(oss.HeadObjectRequest(bucket=BUCKET, key=key))
    assert head.last_modified and head.etag, head
    write(file, head.content_length)


drive(
    {
        "get_object": get_object,
        "get_object, range_header": get_range,
        "downloader().download_file": download_file,
        "head_object": head_object,
    }
)
