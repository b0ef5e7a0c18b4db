//! How clients connect, to either host: TLS and its renewal, proxies before the gateway, the end.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use b2o::deployment::Loaded;
use tempfile::TempDir;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring::default_provider,
};

use crate::streaming::pattern;
use crate::support::client::get;
use crate::support::deployed::Deployed;
use crate::support::gateway::Host;
use crate::support::generated::mirrored_by;
use crate::support::server::{Reply, Server};
use crate::support::tls::Authority;
use crate::support::wait::{DEADLINE, until};

const BOTH: [Host; 2] = [Host::Harness, Host::Envoy];

/// A store that has every object, and what it was asked.
fn store() -> Server {
    Server::start(|_| Reply::new(200, &[], "an object"))
}

/// Says at its end that it is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A folder with a certificate and its key, as `tls:` names them.
struct Files {
    folder: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let files =
            Self { folder: tempfile::tempdir().expect("a folder"), authority: Authority::new() };
        files.renew();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Moves other files into the places of both; returns the certificate.
    fn renew(&self) -> CertificateDer<'static> {
        let (certificate, key) = self.authority.pair("localhost");
        self.put("key.pem", &key);
        self.put("certificate.pem", &certificate);
        CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")
    }

    fn put(&self, name: &str, text: &str) {
        let beside = self.path(&format!(".{name}"));
        fs::write(&beside, text).expect("a folder of our own");
        fs::rename(beside, self.path(name)).expect("a folder of our own");
    }

    fn loaded(&self, store: SocketAddr) -> Loaded {
        let tls = "tls: { certificate: certificate.pem, key: key.pem }\n";
        mirrored_by(tls, store, store, "", self.folder.path())
    }

    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_file(self.authority.certificate()).expect("its own");
        roots.add(own).expect("a certificate");
        let client = ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions of TLS");
        let mut client = client.with_root_certificates(roots).with_no_client_auth();
        // A session that is taken up again has the certificate that it began with.
        client.resumption = Resumption::disabled();
        Arc::new(client)
    }
}

/// One request on a connection of its own: what the server shows, and the status line.
fn ask(
    client: &Arc<ClientConfig>,
    to: SocketAddr,
) -> Result<(CertificateDer<'static>, String), String> {
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::clone(client), name).expect("a client");
    let socket = TcpStream::connect(to).map_err(|error| format!("no connection: {error}"))?;
    socket.set_read_timeout(Some(DEADLINE)).expect("a limit");
    let mut stream = StreamOwned::new(connection, socket);
    let request = "GET /examplebucket/k HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).map_err(|error| format!("not sent: {error}"))?;
    let mut answer = Vec::new();
    // Some servers hang up without a word of TLS.
    let read = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    if !text.ends_with("an object") {
        return Err(format!("{read:?} after {text:?}"));
    }
    let shown = stream.conn.peer_certificates().and_then(|chain| chain.first().cloned());
    Ok((shown.expect("a certificate").into_owned(), text))
}

#[test]
fn a_certificate_is_renewed_under_load_and_no_request_fails() {
    for host in BOTH {
        let (store, files) = (store(), Files::new());
        let gateway = Deployed::start(host, &files.loaded(store.address), None);
        let client = files.client();
        let (is_over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
        let failed = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            // Also where a wait fails, or the clients would go on for ever.
            let _over = Over(&is_over);
            for _ in 0..4 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        if let Err(error) = ask(&client, gateway.address) {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                        }
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for _ in 0..3 {
                let renewed = files.renew();
                until(format!("{host:?} shows the renewed certificate"), || {
                    ask(&client, gateway.address).ok().filter(|(shown, _)| *shown == renewed)
                });
                let before = count.load(Ordering::Relaxed);
                until("requests after it", || {
                    (count.load(Ordering::Relaxed) > before + 20).then_some(())
                });
            }
        });
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        assert!(failed.is_empty(), "{host:?}: {} failed, {:?}", failed.len(), failed.first());
    }
}

#[test]
fn a_pair_that_does_not_fit_or_is_gone_keeps_the_old_one_and_is_told() {
    for host in BOTH {
        let (store, files) = (store(), Files::new());
        let gateway = Deployed::start(host, &files.loaded(store.address), None);
        let client = files.client();
        let (first, _) = ask(&client, gateway.address).expect("an answer");
        let (_, key) = files.authority.pair("localhost");
        files.put("key.pem", &key);
        let is_told = || match host {
            Host::Harness => gateway.log().contains("the certificate that was there stays"),
            Host::Envoy => gateway.log().contains("Failed to load private key"),
        };
        until(format!("{host:?} tells of another's key"), || is_told().then_some(()));
        assert_eq!(ask(&client, gateway.address).expect("an answer").0, first, "{host:?}");
        fs::remove_file(files.path("key.pem")).expect("it is there");
        fs::remove_file(files.path("certificate.pem")).expect("it is there");
        assert_eq!(ask(&client, gateway.address).expect("an answer").0, first, "{host:?}");
        let renewed = files.renew();
        until(format!("{host:?} shows the next one"), || {
            ask(&client, gateway.address).ok().filter(|(shown, _)| *shown == renewed)
        });
    }
}

#[test]
fn curl_speaks_http_2_over_tls_with_its_defaults() {
    for host in BOTH {
        let (store, files) = (store(), Files::new());
        let gateway = Deployed::start(host, &files.loaded(store.address), None);
        for (more, version) in [(&[][..], "2"), (&["--http1.1"], "1.1")] {
            let url = format!("https://localhost:{}/examplebucket/k", gateway.address.port());
            let output = Command::new("curl")
                .args(["-sS", "--max-time", "30", "-4", "--cacert"])
                .arg(files.authority.certificate())
                .args(["-w", " %{http_version} %{http_code}", &url])
                .args(more)
                .output()
                .expect("curl can be started");
            let said = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(said, format!("an object {version} 200"), "{host:?}: {errors}");
        }
    }
}

/// What the store sees of who asks, by a request behind a header of the PROXY protocol.
fn seen(gateway: &Deployed, store: &Server, proxy: &[u8], headers: &str) -> [Option<String>; 3] {
    let before = store.requests().len();
    let answer = raw(gateway.address, proxy, headers);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let request = store.requests().get(before).cloned().expect("a request");
    let gone = ["x-envoy-external-address", "x-envoy-internal"];
    assert!(gone.iter().all(|name| request.header(name).is_none()), "{request:?}");
    ["x-forwarded-for", "x-forwarded-proto", "x-own"].map(|name| request.header(name))
}

fn raw(to: SocketAddr, proxy: &[u8], headers: &str) -> String {
    let mut stream = TcpStream::connect(to).expect("a gateway");
    stream.set_read_timeout(Some(DEADLINE)).expect("a limit");
    let request =
        format!("GET /examplebucket/k HTTP/1.1\r\nhost: g\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(&[proxy, request.as_bytes()].concat()).expect("it listens");
    let mut answer = Vec::new();
    // A connection that is refused may be reset.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A header of version 2: TCP over IPv4 from 203.0.113.7, with something more behind the addresses.
fn version_2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    header.extend_from_slice(&[0, 12 + 4]);
    header.extend_from_slice(&[203, 0, 113, 7, 192, 0, 2, 1, 0x30, 0x39, 1, 0xbb]);
    // PP2_TYPE_NOOP, of one byte.
    header.extend_from_slice(&[4, 0, 1, 0]);
    header
}

#[test]
fn the_store_sees_who_the_client_is() {
    let line = b"PROXY TCP4 203.0.113.7 192.0.2.1 12345 443\r\n";
    for host in BOTH {
        for (hops, sent, [by, proto]) in [
            (0, "", ["203.0.113.7", "http"]),
            (0, "x-forwarded-for: 198.51.100.9\r\n", ["198.51.100.9,203.0.113.7", "http"]),
            (
                1,
                "x-forwarded-for: 198.51.100.9\r\nx-forwarded-proto: https\r\n",
                ["198.51.100.9,203.0.113.7", "https"],
            ),
            (0, "x-forwarded-proto: https\r\n", ["203.0.113.7", "http"]),
        ] {
            let (store, folder) = (store(), tempfile::tempdir().expect("a folder"));
            let more = format!("proxy_protocol: true\ntrusted_hops: {hops}\n");
            let loaded = mirrored_by(&more, store.address, store.address, "", folder.path());
            let gateway = Deployed::start(host, &loaded, None);
            for proxy in [&line[..], &version_2()] {
                let seen = seen(&gateway, &store, proxy, &format!("x-own: 1\r\n{sent}"));
                let expected = [by, proto, "1"].map(|text| Some(text.to_owned()));
                assert_eq!(seen, expected, "{host:?} {hops} {sent}");
            }
            for wrong in [&b""[..], b"PROXY TCP4 no addresses\r\n"] {
                let before = store.requests().len();
                let answer = raw(gateway.address, wrong, "");
                assert!(!answer.contains("200"), "{host:?}: {answer}");
                assert_eq!(store.requests().len(), before, "{host:?}");
            }
        }
    }
}

#[test]
fn without_trusted_hops_what_clients_say_of_themselves_passes() {
    for host in BOTH {
        let (store, folder) = (store(), tempfile::tempdir().expect("a folder"));
        let loaded = mirrored_by("", store.address, store.address, "", folder.path());
        let gateway = Deployed::start(host, &loaded, None);
        let [by, proto, _] = seen(
            &gateway,
            &store,
            b"",
            "x-forwarded-for: 198.51.100.9\r\nx-forwarded-proto: https\r\n",
        );
        let expected = ["198.51.100.9", "https"].map(|text| Some(text.to_owned()));
        assert_eq!([by, proto], expected, "{host:?}");
    }
}

#[test]
fn connections_beyond_the_bound_are_closed_and_those_that_are_open_stay() {
    for host in BOTH {
        let (store, folder) = (store(), tempfile::tempdir().expect("a folder"));
        let loaded =
            mirrored_by("connections: 3\n", store.address, store.address, "", folder.path());
        let gateway = Deployed::start(host, &loaded, None);
        let mut open = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(gateway.address).expect("a gateway");
            assert!(asked(&mut stream), "{host:?}");
            open.push(stream);
        }
        let mut further = TcpStream::connect(gateway.address).expect("the system takes it");
        assert!(!asked(&mut further), "{host:?}");
        assert!(open.iter_mut().all(asked), "{host:?}");
        drop(open.pop());
        until("room for another", || {
            asked(&mut TcpStream::connect(gateway.address).expect("a gateway")).then_some(())
        });
    }
}

/// Whether a request on a connection is answered.
fn asked(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(DEADLINE)).expect("a limit");
    let sent = stream.write_all(b"GET /examplebucket/k HTTP/1.1\r\nhost: g\r\n\r\n");
    let (mut answer, mut piece) = (Vec::new(), [0; 512]);
    while sent.is_ok() && !answer.ends_with(b"an object") {
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => answer.extend_from_slice(&piece[..read]),
            Ok(_) | Err(_) => return false,
        }
    }
    sent.is_ok()
}

/// `b2o serve` as users start it.
struct Serve {
    process: Child,
    folder: TempDir,
}

impl Serve {
    fn start(deployment: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("deployment.yaml"), deployment).expect("a folder of our own");
        fs::write(folder.path().join("rules.json"), "[]").expect("a folder of our own");
        let out = |name: &str| fs::File::create(folder.path().join(name)).expect("a file");
        let tests = std::env::current_exe().expect("the path of this test");
        let b2o = tests.parent().and_then(Path::parent).expect("a folder of cargo's").join("b2o");
        let process = Command::new(b2o)
            .arg("serve")
            .arg(folder.path().join("deployment.yaml"))
            .stdin(Stdio::null())
            .stdout(out("out"))
            .stderr(out("err"))
            .spawn()
            .expect("b2o can be started");
        Self { process, folder }
    }

    fn said(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn address(&self, of: &str) -> SocketAddr {
        until(of, || {
            let said = self.said("out");
            said.lines().any(|line| line == "ready").then_some(())?;
            let line = said
                .lines()
                .find_map(|line| line.strip_prefix(of)?.trim().strip_prefix("http://"))?;
            line.split_whitespace().next()?.parse().ok()
        })
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn at_sigterm_ready_fails_a_download_ends_whole_and_then_the_process() {
    const SIZE: usize = 24 << 20;
    let object = pattern(7, SIZE);
    let body = object.clone();
    let store = Server::start(move |_| Reply::new(200, &[], &body));
    let deployment = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 2\nbuckets:\n- name: examplebucket\n  \
         endpoint: http://{}\n  rules: rules.json\n",
        store.address
    );
    let mut serve = Serve::start(&deployment);
    let (gateway, admin) = (serve.address("gateway"), serve.address("admin"));
    assert_eq!(get(admin, "/ready").status, 200);
    let mut stream = TcpStream::connect(gateway).expect("a gateway");
    stream.set_read_timeout(Some(DEADLINE)).expect("a limit");
    stream.write_all(b"GET /examplebucket/k HTTP/1.1\r\nhost: g\r\n\r\n").expect("it listens");
    let mut got = vec![0; 1 << 16];
    stream.read_exact(&mut got).expect("the beginning");
    let terminated = Command::new("kill").args(["-TERM", &serve.process.id().to_string()]).status();
    assert!(terminated.expect("kill can be started").success());
    until("/ready fails", || (get(admin, "/ready").status == 503).then_some(()));
    assert!(serve.process.try_wait().expect("a child of ours").is_none());
    stream.read_to_end(&mut got).expect("the rest, and the end of the connection");
    assert!(got.ends_with(&object), "{} of {SIZE} bytes", got.len());
    let status = until("the end", || serve.process.try_wait().expect("a child of ours"));
    assert!(status.success(), "{status}\n{}", serve.said("err"));
}

#[test]
fn at_the_start_a_wrong_pair_is_refused_where_it_stands() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let (certificate, _) = authority.pair("localhost");
    let (_, key) = authority.pair("localhost");
    for (name, text) in [("certificate.pem", &certificate), ("key.pem", &key)] {
        fs::write(folder.path().join(name), text).expect("a folder of our own");
    }
    let at = folder.path().display();
    for (files, place, message) in [
        (["certificate.pem", "key.pem"], "key.pem", "the key is not that of the certificate"),
        (["none.pem", "key.pem"], "none.pem", "cannot be read: No such file"),
        (["key.pem", "key.pem"], "key.pem", "there is no certificate in PEM"),
    ] {
        let deployment = format!(
            "listen: 127.0.0.1:0\ntls:\n  certificate: {at}/{}\n  key: {at}/{}\nbuckets:\n- name: \
             examplebucket\n  endpoint: http://127.0.0.1:9\n  rules: rules.json\n",
            files[0], files[1]
        );
        let mut serve = Serve::start(&deployment);
        let status = until("the end", || serve.process.try_wait().expect("a child of ours"));
        assert_eq!(status.code(), Some(1));
        let said = serve.said("err");
        assert!(said.contains(message) && said.contains("bad-certificate"), "{said}");
        assert!(said.contains(place) && said.contains("deployment.yaml:"), "{said}");
        assert!(!said.contains("PRIVATE"), "{said}");
    }
}
