from pyarrow import fs

s3 = fs.S3FileSystem(endpoint_override=GATEWAY, scheme="http", region="us-east-1")


def stream(key, file):
    with s3.open_input_stream(f"{BUCKET}/{key}") as opened:
        write(file, opened.read())


def seek(key, file):
    with s3.open_input_file(f"{BUCKET}/{key}") as opened:
        opened.seek(100)
        write(file, opened.read(200))


def info(key, file):
    found = s3.get_file_info(f"{BUCKET}/{key}")
    assert found.type == fs.FileType.File and found.mtime, found
    write(file, found.size)


drive({"open_input_stream": stream, "open_input_file, seek": seek, "get_file_info": info})
