"""A library of Python's, driven by lines: `{"operation", "key", "file"}` in, `{"error", "said"}` out.

What stands behind this is the library's own part: it names its operations and calls `drive`. An
operation fetches `key` of BUCKET into `file`, or writes there the size that it was told.
"""

import contextlib
import io
import json
import os
import sys

BUCKET = os.environ["BUCKET"]
GATEWAY = os.environ["GATEWAY"]
ENDPOINT = "http://" + GATEWAY
ACCESS = os.environ["AWS_ACCESS_KEY_ID"]
SECRET = os.environ["AWS_SECRET_ACCESS_KEY"]


def write(file, data):
    with open(file, "wb") as opened:
        opened.write(data if isinstance(data, bytes) else str(data).encode())


def drive(operations):
    for line in sys.stdin:
        ask = json.loads(line)
        error, said = None, io.StringIO()
        # Warnings and unconfigured loggers speak there.
        with contextlib.redirect_stderr(said):
            try:
                operations[ask["operation"]](ask["key"], ask["file"])
            except Exception as caught:
                error = f"{type(caught).__name__}: {caught}"
        print(json.dumps({"error": error, "said": said.getvalue()}), flush=True)
