//! nginx from Debian as bucket and origin: servers that cost little beside what is measured.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::wait::within;

/// What is spoken with the servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// What a line says of it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// A running nginx; it ends with this.
pub(crate) struct Nginx {
    process: Child,
    _folder: TempDir,
    /// A bucket that has `hit` and takes whatever it is sent.
    pub(crate) bucket: SocketAddr,
    /// An origin that has everything.
    pub(crate) origin: SocketAddr,
}

impl Nginx {
    /// Starts one; where there is none, that is the error, and what to do.
    pub(crate) fn start(protocol: Protocol) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder for nginx");
        let (bucket, origin) = (free_port(), free_port());
        let file = folder.path().join("nginx.conf");
        let configuration = configuration(protocol, bucket, origin, &"x".repeat(1_024));
        fs::write(&file, configuration).expect("a file in a folder of our own");
        let process = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .args(["-e", "error.log", "-g", "daemon off;"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process
            .map_err(|error| format!("nginx is missing ({error}): apt-get install nginx-light"))?;
        let mut nginx = Self { process, _folder: folder, bucket, origin };
        let is_up = within(Duration::from_secs(10), || TcpStream::connect(bucket).ok()).is_some();
        if is_up { Ok(nginx) } else { Err(nginx.why()) }
    }

    fn why(&mut self) -> String {
        let log = fs::read_to_string(self._folder.path().join("error.log")).unwrap_or_default();
        let status = self.process.try_wait().ok().flatten();
        format!("nginx does not start ({status:?}): {log}")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with the master when that is told to, and not when it is killed.
        let told = Command::new("kill").arg(self.process.id().to_string()).status();
        if !told.is_ok_and(|status| status.success()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// A PUT is answered with 201: of a 200, nginx makes a 304 where `If-None-Match: *` was asked.
fn configuration(
    protocol: Protocol,
    bucket: SocketAddr,
    origin: SocketAddr,
    object: &str,
) -> String {
    let http2 = if protocol == Protocol::Http2 { " http2" } else { "" };
    let missing = "<Error><Code>NoSuchKey</Code></Error>";
    format!(
        "worker_processes 1;\n\
         pid nginx.pid;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
         access_log off;\n\
         server_tokens off;\n\
         keepalive_requests 1000000000;\n\
         keepalive_timeout 1h;\n\
         default_type application/x-benchmark;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         server {{\n\
         listen {bucket}{http2};\n\
         location = /examplebucket/hit {{ return 200 '{object}'; }}\n\
         location / {{\n\
         if ($request_method = PUT) {{ return 201; }}\n\
         default_type application/xml;\n\
         return 404 '{missing}';\n\
         }}\n\
         }}\n\
         server {{\n\
         listen {origin}{http2};\n\
         location / {{ return 200 '{object}'; }}\n\
         }}\n\
         }}\n"
    )
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it listens")
}
