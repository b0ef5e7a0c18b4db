import s3fs


def files():
    # As a new process has it: nothing is remembered of what was asked before.
    return s3fs.S3FileSystem(endpoint_url=ENDPOINT, skip_instance_cache=True)


def seek(key, file):
    with files().open(f"{BUCKET}/{key}") as opened:
        opened.seek(100)
        write(file, opened.read(200))


def info(key, file):
    found = files().info(f"{BUCKET}/{key}")
    assert found["LastModified"] and found["ETag"], found
    write(file, found["size"])


drive(
    {
        "cat": lambda key, file: write(file, files().cat(f"{BUCKET}/{key}")),
        "open, seek, read": seek,
        "info": info,
        "get": lambda key, file: files().get(f"{BUCKET}/{key}", file),
    }
)
