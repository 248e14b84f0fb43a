//! The listener: slow heads, idle connections, bounds, the end.

use crate::support::{TestResult, World};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use server::config::Tls;
use server::listen::{self, Bounds};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const SOON: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_millis(400);

/// A world on a real port, until dropped.
pub(crate) struct Served {
    pub(crate) addr: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    pub(crate) async fn start(world: &World) -> TestResult<Self> {
        Self::bounded(world, Bounds::default()).await
    }

    async fn bounded(world: &World, bounds: Bounds) -> TestResult<Self> {
        Self::over(world, None, bounds).await
    }

    async fn over(world: &World, tls: Option<TlsAcceptor>, bounds: Bounds) -> TestResult<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let (stop, tasks) = (world.state.stop.clone(), world.state.tasks.clone());
        let serve = listen::serve(listener, tls, world.app.clone(), bounds, stop, tasks);
        Ok(Self { addr, task: tokio::spawn(serve) })
    }
}

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: genba\r\n\r\n";

/// Reads until the answer of `/healthz` is whole.
async fn answer(stream: &mut TcpStream) -> TestResult<String> {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    while !text.contains(r#"{"status":"ok"}"#) {
        let read = timeout(SOON, stream.read(&mut bytes)).await??;
        if read == 0 {
            break;
        }
        text.push_str(&String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()));
    }
    Ok(text)
}

/// Whether the other end closes within `SOON`, and how long it took.
async fn closes(stream: &mut TcpStream) -> TestResult<Duration> {
    let began = Instant::now();
    let mut sink = Vec::new();
    let _reset = timeout(SOON, stream.read_to_end(&mut sink)).await?;
    Ok(began.elapsed())
}

#[tokio::test]
async fn a_head_that_drips_is_cut_whatever_it_is() -> TestResult {
    let world = World::new().await?;
    let served = Served::bounded(&world, Bounds { head: HEAD, ..Bounds::default() }).await?;
    for beginning in [&b""[..], b"GET /healthz HTTP/1.1\r\nx: ", b"PRI * HTTP/2.0\r\n"] {
        let stream = TcpStream::connect(served.addr).await?;
        let (mut from, mut to) = stream.into_split();
        to.write_all(beginning).await?;
        let dripping = tokio::spawn(async move {
            for _ in 0..100 {
                sleep(Duration::from_millis(50)).await;
                if to.write_all(b"a").await.is_err() {
                    break;
                }
            }
        });
        let began = Instant::now();
        let mut sink = Vec::new();
        let _reset = timeout(SOON, from.read_to_end(&mut sink)).await?;
        dripping.abort();
        assert!(began.elapsed() < 10 * HEAD, "{beginning:?}: {:?}", began.elapsed());
    }
    Ok(())
}

#[tokio::test]
async fn an_idle_connection_outlives_the_time_of_a_head_and_not_its_own() -> TestResult {
    let world = World::new().await?;
    let idle = Duration::from_millis(2_400);
    let served = Served::bounded(&world, Bounds { head: HEAD, idle, ..Bounds::default() }).await?;
    let mut stream = TcpStream::connect(served.addr).await?;
    stream.write_all(GET).await?;
    answer(&mut stream).await?;
    sleep(2 * HEAD).await;
    stream.write_all(GET).await?;
    assert!(answer(&mut stream).await?.contains("200 OK"), "it was kept");
    let lasted = closes(&mut stream).await?;
    assert!(lasted > idle / 2 && lasted < 3 * idle, "{lasted:?}");
    Ok(())
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_a_place_comes_back() -> TestResult {
    let world = World::new().await?;
    let served =
        Served::bounded(&world, Bounds { connections_max: 2, ..Bounds::default() }).await?;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(served.addr).await?;
        stream.write_all(GET).await?;
        assert!(answer(&mut stream).await?.contains("200 OK"));
        held.push(stream);
    }
    let mut third = TcpStream::connect(served.addr).await?;
    closes(&mut third).await?;
    held.pop();
    sleep(Duration::from_millis(200)).await;
    let mut fourth = TcpStream::connect(served.addr).await?;
    fourth.write_all(GET).await?;
    assert!(answer(&mut fourth).await?.contains("200 OK"));
    Ok(())
}

#[tokio::test]
async fn a_stop_does_not_wait_for_an_http2_peer_that_sleeps() -> TestResult {
    const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    let world = World::new().await?;
    let bounds = Bounds { idle_at_stop: Duration::from_millis(400), ..Bounds::default() };
    let served = Served::bounded(&world, bounds).await?;
    let mut stream = TcpStream::connect(served.addr).await?;
    stream.write_all(BEGIN).await?;
    let settings = timeout(SOON, stream.read_u32()).await??;
    assert_ne!(settings, 0, "the server speaks HTTP/2");
    world.state.stop.cancel();
    world.state.tasks.close();
    Ok(timeout(SOON, world.state.tasks.wait()).await?)
}

#[tokio::test]
async fn heads_have_bounds() -> TestResult {
    let world = World::new().await?;
    let served = Served::start(&world).await?;
    let many = "x: 1\r\n".repeat(65);
    let long = format!("x: {}\r\n", "a".repeat(70_000));
    for headers in [many, long] {
        let mut stream = TcpStream::connect(served.addr).await?;
        let head = format!("GET /healthz HTTP/1.1\r\nhost: genba\r\n{headers}\r\n");
        let _reset = stream.write_all(head.as_bytes()).await;
        let mut bytes = vec![0; 64];
        let read = timeout(SOON, stream.read(&mut bytes)).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned();
        assert!(text.is_empty() || text.contains(" 431 "), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stop_lets_a_running_call_finish_and_takes_no_new_connection() -> TestResult {
    let world = World::new().await?;
    let served = Served::start(&world).await?;
    let mut stream = TcpStream::connect(served.addr).await?;
    let body = r#"{"assertion":"a"}"#;
    let head = format!(
        "POST /v1/token HTTP/1.1\r\nhost: genba\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    sleep(Duration::from_millis(200)).await;
    world.state.stop.cancel();
    sleep(Duration::from_millis(200)).await;
    assert!(TcpStream::connect(served.addr).await.is_err(), "nobody listens");
    stream.write_all(body.as_bytes()).await?;
    let mut text = String::new();
    timeout(SOON, stream.read_to_string(&mut text)).await??;
    assert!(text.starts_with("HTTP/1.1 401"), "{text}");
    world.state.tasks.close();
    timeout(SOON, world.state.tasks.wait()).await?;
    Ok(())
}

#[tokio::test]
async fn bodies_that_drip_keep_nobody_waiting() -> TestResult {
    let world = World::new().await?;
    let served = Served::start(&world).await?;
    let head = "POST /v1/token HTTP/1.1\r\nhost: genba\r\ncontent-type: application/json\r\n\
        content-length: 1000\r\n\r\n{";
    let mut dripping = Vec::new();
    for _ in 0..=server::bulkhead::AUTH_AT_ONCE {
        let mut stream = TcpStream::connect(served.addr).await?;
        stream.write_all(head.as_bytes()).await?;
        dripping.push(stream);
    }
    sleep(Duration::from_millis(200)).await;
    assert_eq!(world.nonce().await.len(), 75, "not told to come later");
    Ok(())
}

/// The certificate of `localhost` among the files of these tests.
fn localhost() -> Tls {
    let file = |name: &str| {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/tls").join(name)
    };
    Tls { cert: file("cert.pem"), key: file("key.pem") }
}

async fn shake_hands(served: &Served, protocol: &[u8]) -> TestResult<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(localhost().cert)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(served.addr).await?;
    let connector = TlsConnector::from(Arc::new(config));
    Ok(timeout(SOON, connector.connect("localhost".try_into()?, stream)).await??)
}

#[tokio::test]
async fn tls_speaks_both_versions_of_http_and_cuts_slow_handshakes() -> TestResult {
    let world = World::new().await?;
    let bounds = Bounds { handshake: HEAD, ..Bounds::default() };
    let tls = listen::acceptor(&localhost())?;
    let served = Served::over(&world, Some(tls), bounds).await?;
    let mut stream = shake_hands(&served, b"http/1.1").await?;
    stream.write_all(GET).await?;
    let mut bytes = [0; 64];
    let read = timeout(SOON, stream.read(&mut bytes)).await??;
    assert!(bytes.get(..read).is_some_and(|bytes| bytes.starts_with(b"HTTP/1.1 200 OK")));
    let newer = shake_hands(&served, b"h2").await?;
    assert_eq!(newer.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut silent = TcpStream::connect(served.addr).await?;
    assert!(closes(&mut silent).await? < 10 * HEAD);
    let mut plain = TcpStream::connect(served.addr).await?;
    plain.write_all(GET).await?;
    assert!(closes(&mut plain).await? < 10 * HEAD, "no HTTP on the port of HTTPS");
    Ok(())
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let tls = Tls { cert: "/nowhere/c.pem".into(), key: "/nowhere/k.pem".into() };
    let error = listen::acceptor(&tls).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("/nowhere/c.pem holds no certificate in PEM"));
}

/// The program itself: it tells its port, answers, and ends when it is told to.
#[tokio::test]
async fn the_program_serves_and_ends_cleanly() -> TestResult {
    let dir = std::env::temp_dir().join(format!("genba-program-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let (config, port_file) = (dir.join("genba.toml"), dir.join("port"));
    let database = dir.join("genba.db");
    std::fs::write(
        &config,
        format!(
            "[database]\nurl = \"sqlite:{}\"\n[listen]\ndrain_delay_s = 0\n[[tenants]]\nid = \"fire\"\nname_ja = \"消防局\"\nname_en = \"Fire\"\n",
            database.display()
        ),
    )?;
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_genba"))
        .args(["serve", "--listen", "127.0.0.1:0", "--port-file"])
        .arg(&port_file)
        .arg("--config")
        .arg(&config)
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut port = String::new();
    for _ in 0..100 {
        sleep(Duration::from_millis(50)).await;
        if let Ok(text) = std::fs::read_to_string(&port_file) {
            port = text;
            break;
        }
    }
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).await?;
    stream.write_all(GET).await?;
    assert!(answer(&mut stream).await?.contains("200 OK"));
    drop(stream);
    let pid = child.id().ok_or("a running child")?;
    let told = std::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status()?;
    assert!(told.success());
    let ended = timeout(SOON, child.wait()).await??;
    assert!(ended.success(), "{ended}");
    let mut log = String::new();
    child.stderr.take().ok_or("a log")?.read_to_string(&mut log).await?;
    let listening: serde_json::Value =
        serde_json::from_str(log.lines().next().unwrap_or_default())?;
    assert_eq!(listening["message"], "listening");
    assert_eq!(listening["addr"], format!("127.0.0.1:{port}"));
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
