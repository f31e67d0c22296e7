//! A server process for a test, and a client that sees bytes.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The domain of every test.
pub(crate) const DOMAIN: &str = "example.org";

/// A running server with its own data folder and ports of the system's choice.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    lines: Receiver<String>,
    log: String,
    pub(crate) starttls: u16,
    pub(crate) direct_tls: u16,
    pub(crate) servers: u16,
    pub(crate) metrics: u16,
}

impl Server {
    /// Starts one; `settings` is added to the file.
    pub(crate) fn start(settings: &str) -> Self {
        Self::start_with(settings, Command::new(env!("CARGO_BIN_EXE_waxwing")))
    }

    /// The same through another program, such as a shell that sets limits first.
    pub(crate) fn start_with(settings: &str, mut program: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("waxwing.toml");
        std::fs::write(&config, file(folder.path(), settings)).unwrap();
        write_certificate(folder.path(), &certificate());
        let mut child = program
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                _ = sender.send(line);
            }
        });
        let (starttls, direct_tls, servers, metrics) = (0, 0, 0, 0);
        let mut server = Self {
            child,
            folder,
            lines,
            log: String::new(),
            starttls,
            direct_tls,
            servers,
            metrics,
        };
        server.starttls = server.port("listener=starttls");
        server.direct_tls = server.port("listener=direct_tls");
        server.servers = server.port("listener=servers");
        server.metrics = server.port("listener=metrics");
        server.expect_log("the server runs");
        server
    }

    fn port(&mut self, listener: &str) -> u16 {
        let line = self.expect_log(listener);
        line.rsplit(':').next().unwrap().trim().parse().unwrap()
    }

    /// Waits for a log line that contains `text`.
    pub(crate) fn expect_log(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    _ = writeln!(self.log, "{line}");
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("no `{text}` in the log ({error}):\n{}", self.log),
            }
        }
    }

    /// Everything logged so far.
    pub(crate) fn log(&mut self) -> &str {
        while let Ok(line) = self.lines.try_recv() {
            _ = writeln!(self.log, "{line}");
        }
        &self.log
    }

    /// Runs `waxwing` with other arguments on the same configuration.
    pub(crate) fn command(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_waxwing"))
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses its arguments does not read.
        _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("waxwing.toml")
    }

    /// Replaces what [`Server::start`] was given.
    pub(crate) fn write_settings(&self, settings: &str) {
        std::fs::write(self.config(), file(self.folder.path(), settings)).unwrap();
    }

    /// Puts another certificate in place.
    pub(crate) fn write_certificate(&self, certificate: &Certificate) {
        write_certificate(self.folder.path(), certificate);
    }

    /// Breaks the certificate's file.
    pub(crate) fn break_certificate(&self) {
        let path = self
            .folder
            .path()
            .join(format!("data/certificates/{DOMAIN}.crt"));
        std::fs::write(path, "not a certificate").unwrap();
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits until the process has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::yield_now();
        }
        panic!("the server did not end:\n{}", self.log());
    }

    /// The body of a page of the metrics listener.
    pub(crate) fn page(&self, path: &str) -> String {
        let mut tcp = connect(self.metrics);
        write!(tcp, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut page = String::new();
        tcp.read_to_string(&mut page).unwrap();
        page
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The configuration of a test.
fn file(folder: &Path, settings: &str) -> String {
    let data = folder.join("data");
    format!(
        "domains = [\"{DOMAIN}\"]\ndata = \"{}\"\n[listen]\nstarttls = [\"127.0.0.1:0\"]\n\
         direct_tls = [\"127.0.0.1:0\"]\nmetrics = [\"127.0.0.1:0\"]\n\
         servers = [\"127.0.0.1:0\"]\nservers_direct_tls = []\n{settings}\n",
        data.display()
    )
}

pub(crate) type Certificate = rcgen::CertifiedKey<rcgen::KeyPair>;

/// A new self-signed certificate for the domain.
pub(crate) fn certificate() -> Certificate {
    rcgen::generate_simple_self_signed([DOMAIN.to_owned()]).unwrap()
}

fn write_certificate(folder: &Path, certificate: &Certificate) {
    let folder = folder.join("data/certificates");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{DOMAIN}.crt")), certificate.cert.pem()).unwrap();
    let key = certificate.signing_key.serialize_pem();
    std::fs::write(folder.join(format!("{DOMAIN}.key")), key).unwrap();
}

pub(crate) fn connect(port: u16) -> TcpStream {
    let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_write_timeout(Some(PATIENCE)).unwrap();
    tcp
}

/// A client over a socket or over TLS.
pub(crate) struct Client<S>(pub(crate) S);

pub(crate) type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

impl<S: Read + Write> Client<S> {
    pub(crate) fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
        self.0.flush().unwrap();
    }

    /// Reads until `text` has come.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let mut received = Vec::new();
        let mut byte = [0];
        while !received.ends_with(text.as_bytes()) {
            match self.0.read(&mut byte) {
                Ok(1) => received.extend(byte),
                end => panic!(
                    "{end:?} before `{text}`: {}",
                    String::from_utf8_lossy(&received)
                ),
            }
        }
        String::from_utf8(received).unwrap()
    }

    /// Reads what comes until the server closes.
    pub(crate) fn rest(&mut self) -> String {
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => received.extend(&buffer[..count]),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!(
                        "not closed after {PATIENCE:?}: {}",
                        String::from_utf8_lossy(&received)
                    )
                }
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&received).into_owned()
    }

    /// Opens a stream and gives the features.
    pub(crate) fn open(&mut self) -> String {
        self.send(&format!(
            "<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' \
             xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        ));
        self.expect("</stream:features>")
    }

    /// Logs in and binds a resource.
    pub(crate) fn log_in(&mut self, user: &str, password: &str) {
        self.open();
        let message = waxwing_proto::sasl::client::plain(user, password);
        self.send(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>",
            waxwing_proto::sasl::encode(&message)
        ));
        self.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        self.open();
        self.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        self.expect("</iq>");
    }

    /// Whether the server still answers.
    pub(crate) fn ping(&mut self) {
        self.send(&format!(
            "<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ));
        self.expect("id='p'");
    }
}

/// The TLS client's side of a handshake.
#[derive(Default)]
pub(crate) struct Tls {
    /// Protocols offered; none for no ALPN.
    pub(crate) alpn: &'static [&'static str],
    /// Only this version.
    pub(crate) version: Option<&'static rustls::SupportedProtocolVersion>,
    /// The certificate shown, if any, and its key.
    pub(crate) identity: Option<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>)>,
}

impl Tls {
    /// Does the handshake.
    pub(crate) fn connect(&self, mut tcp: TcpStream) -> Result<TlsClient, std::io::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions: Vec<_> = match self.version {
            Some(version) => vec![version],
            None => rustls::ALL_VERSIONS.to_vec(),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate));
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key().into())
                .unwrap(),
        };
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let name = ServerName::try_from(DOMAIN).unwrap();
        let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
        while tls.is_handshaking() {
            if let Err(error) = tls.complete_io(&mut tcp) {
                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "no answer");
                return Err(error);
            }
        }
        Ok(Client(StreamOwned::new(tls, tcp)))
    }
}

impl TlsClient {
    /// The server's certificate.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.conn.peer_certificates().unwrap()[0].clone()
    }
}

/// The test looks at the certificate itself.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
