"""Writes the objects that tools look into, and prints the type and the key of each.

Argument: a folder. An object is in the file named by its key, `%` in place of `/`.
"""

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile

folder = sys.argv[1]
os.makedirs(folder)


def put(kind, key, data):
    with open(os.path.join(folder, key.replace("/", "%")), "wb") as file:
        file.write(data)
    print(kind, key)


def wheel():
    """A Python package of one line."""
    info = "b2o_demo-1.0.dist-info/"
    files = {
        "b2o_demo.py": "VALUE = 'mirrored'\n",
        info + "METADATA": "Metadata-Version: 2.1\nName: b2o-demo\nVersion: 1.0\n",
        info + "WHEEL": "Wheel-Version: 1.0\nGenerator: b2o\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, info + "RECORD"])
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in {**files, info + "RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 3, 4, 5, 6, 6)), text)
    return made.getvalue()


NAME = "b2o_demo-1.0-py3-none-any.whl"
for operation in ("download-index-url", "install-find-links"):
    below = f"examplefolder/pip/{operation}/simple/b2o-demo/"
    put("application/zip", below + NAME, wheel())
    page = f'<!DOCTYPE html><html><body><a href="{NAME}">{NAME}</a></body></html>'
    put("text/html", below, page.encode())


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def read(name):
    with open(name, "rb") as file:
        return file.read()


def media():
    """A picture, a font and a video whose index stands at its end."""
    source = ["-f", "lavfi", "-i", "testsrc=duration=10:size=640x360:rate=25"]
    with tempfile.TemporaryDirectory() as made:
        run("ffmpeg", "-loglevel", "error", *source, "-frames:v", "1", f"{made}/a.png")
        video = ["-c:v", "libx264", "-crf", "2", "-pix_fmt", "yuv420p", f"{made}/a.mp4"]
        run("ffmpeg", "-loglevel", "error", *source, *video)
        picture, film = read(f"{made}/a.png"), read(f"{made}/a.mp4")
    assert film.index(b"moov") > film.index(b"mdat"), "the index of the film is at its start"
    font = read("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    put("image/png", "examplefolder/Chromium/an-image/a.png", picture)
    put("font/ttf", "examplefolder/Chromium/a-font-of-another-origin/a.ttf", font)
    for place in (
        "Chromium/a-video-seek-to-its-end",
        "ffprobe/duration-of-an-mp4-with-its-index-at-the-end",
        "ffprobe/a-picture-from-its-end",
    ):
        put("video/mp4", f"examplefolder/{place}/a.mp4", film)


def packages():
    """A flat repository of Debian's, with one package."""
    with tempfile.TemporaryDirectory() as made:
        os.makedirs(f"{made}/demo/DEBIAN")
        with open(f"{made}/demo/DEBIAN/control", "w") as control:
            control.write(
                "Package: b2o-demo\nVersion: 1.0\nArchitecture: all\n"
                "Maintainer: nobody <nobody@example.com>\nDescription: nothing\n"
            )
        run("dpkg-deb", "--root-owner-group", "--build", f"{made}/demo", f"{made}/b2o-demo.deb")
        package = read(f"{made}/b2o-demo.deb")
        with open(f"{made}/demo/DEBIAN/control") as control:
            fields = control.read()
    sha256 = hashlib.sha256(package).hexdigest()
    index = f"{fields}Filename: ./b2o-demo.deb\nSize: {len(package)}\nSHA256: {sha256}\n".encode()
    release = (
        "Date: Mon, 04 Mar 2024 05:06:07 UTC\nSHA256:\n"
        f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
    )
    below = "examplefolder/apt/update-then-download/debian/./"
    put("application/zip", below + "b2o-demo.deb", package)
    put("text/plain", below + "Packages", index)
    put("text/plain", below + "Release", release.encode())


if "--all" in sys.argv:
    media()
    packages()
