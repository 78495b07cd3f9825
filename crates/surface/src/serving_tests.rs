use super::*;
use axum::body::Bytes;
use futures_util::stream;
use std::{
    fs,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// How long anything may take that is waited for.
const LONG: Duration = Duration::from_secs(20);

/// How many bytes a session says: more than are underway.
const SAID: usize = 1 << 16;

/// A connection from wherever a test says.
struct Wire(DuplexStream, Source);

impl Connection for Wire {
    fn source(&self) -> Source {
        self.1
    }

    fn unread(&self) -> u32 {
        0
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

struct Wires(mpsc::UnboundedReceiver<Wire>);

impl Listener for Wires {
    type Io = Wire;
    type Addr = ();

    async fn accept(&mut self) -> (Wire, ()) {
        (self.0.recv().await.expect("the test goes on"), ())
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone)]
struct Here;

impl Gate for Here {
    async fn answer(&self, mut request: Request<Body>) -> Response {
        match request.uri().path() {
            "/endless" => {
                let piece = || Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1 << 10]));
                Response::new(Body::from_stream(stream::repeat_with(piece)))
            }
            "/session" => {
                let upgrade = hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    let mut session = TokioIo::new(upgrade.await.unwrap());
                    session.write_all(&[b'x'; SAID]).await.unwrap();
                });
                let head = Response::builder().status(101).header("upgrade", "session");
                head.header("connection", "upgrade").body(Body::empty()).unwrap()
            }
            _ => Response::new(Body::from("here")),
        }
    }
}

/// Somebody who serves, and how to get there.
struct Server {
    wires: mpsc::UnboundedSender<Wire>,
    stopping: CancellationToken,
    serving: JoinHandle<()>,
}

impl Server {
    fn new(
        places: Places,
        admit: impl Fn(&Wire, Source) -> io::Result<Here> + Send + Sync + 'static,
    ) -> Self {
        Self::within((places, UNREAD_TIMEOUT), admit)
    }

    fn within(
        bounds: (Places, Duration),
        admit: impl Fn(&Wire, Source) -> io::Result<Here> + Send + Sync + 'static,
    ) -> Self {
        let (wires, listener) = mpsc::unbounded_channel();
        let stopping = CancellationToken::new();
        let serving = serve_within(bounds, Wires(listener), stopping.clone(), admit);
        Self { wires, stopping, serving: tokio::spawn(serving) }
    }

    fn connect(&self, source: Source) -> DuplexStream {
        let (there, here) = duplex(1 << 12);
        assert!(self.wires.send(Wire(here, source)).is_ok(), "it does not serve");
        there
    }

    async fn end(self) {
        self.stopping.cancel();
        timeout(LONG, self.serving).await.expect("it ends").unwrap();
    }
}

/// Asks for something, and says whether that was answered; else the connection was closed without a word.
async fn is_answered(connection: &mut DuplexStream) -> bool {
    // Where it is closed already, reading says so.
    let _sent = connection.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let (mut answer, mut piece) = (Vec::new(), [0; 256]);
    while !answer.ends_with(b"\r\n\r\nhere") {
        let read = timeout(LONG, connection.read(&mut piece)).await.expect("it waits").unwrap();
        if read == 0 {
            assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
            return false;
        }
        answer.extend(&piece[..read]);
    }
    answer.starts_with(b"HTTP/1.1 200 ")
}

fn host(address: &str) -> Source {
    Source::of_address(address.parse().unwrap())
}

#[tokio::test]
async fn one_more_than_a_host_may_have_is_closed_without_a_word_and_all_others_go_on() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let debug = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
    let subscriber = debug.with_writer(Arc::new(log.reopen().unwrap())).finish();
    let _heard = tracing::subscriber::set_default(subscriber);
    let server = Server::new(Places::new(8, 2), |_, _| Ok(Here));
    let (one, other) = (host("192.0.2.1"), host("192.0.2.2"));
    let (mut first, mut second) = (server.connect(one), server.connect(one));
    assert!(is_answered(&mut first).await && is_answered(&mut second).await);
    assert!(!is_answered(&mut server.connect(one)).await);
    let log = fs::read_to_string(log.path()).unwrap();
    assert!(log.contains("it has as many as it may") && log.contains("192.0.2.1"), "{log}");
    assert!(is_answered(&mut first).await && is_answered(&mut second).await);
    assert!(is_answered(&mut server.connect(other)).await);
    drop(first);
    // It is seen by and by that it is closed.
    let again = async { while !is_answered(&mut server.connect(one)).await {} };
    timeout(LONG, again).await.expect("a place is given back");
    server.end().await;
}

#[tokio::test]
async fn a_connection_that_nobody_knows_is_closed_and_keeps_no_place() {
    let is_known = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_known);
    let server = Server::new(Places::new(1, 1), move |_, _| match asked.load(Ordering::Relaxed) {
        true => Ok(Here),
        false => Err(io::ErrorKind::NotConnected.into()),
    });
    for _ in 0..2 {
        assert!(!is_answered(&mut server.connect(host("192.0.2.1"))).await);
    }
    is_known.store(true, Ordering::Relaxed);
    assert!(is_answered(&mut server.connect(host("192.0.2.2"))).await);
    server.end().await;
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_and_who_reads_slowly_is_not() {
    let unread = Duration::from_secs(2);
    let server = Server::within((Places::new(2, 1), unread), |_, _| Ok(Here));
    let (one, other) = (host("192.0.2.1"), host("192.0.2.2"));
    let (mut stalled, mut slow) = (server.connect(one), server.connect(other));
    for connection in [&mut stalled, &mut slow] {
        connection.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    }
    let mut piece = [0; 1 << 12];
    for _ in 0..25 {
        // As slowly as this reader reads.
        sleep(unread / 20).await;
        let read = timeout(LONG, slow.read(&mut piece)).await.expect("it goes on").unwrap();
        assert_ne!(read, 0, "who reads slowly was cut off");
    }
    let again = async { while !is_answered(&mut server.connect(one)).await {} };
    timeout(LONG, again).await.expect("a place is given back");
    let rest = timeout(LONG, stalled.read_to_end(&mut Vec::new())).await;
    rest.expect("the connection has ended").unwrap();
    server.end().await;
}

#[tokio::test]
async fn answers_to_many_requests_at_once_have_to_be_read_too() {
    let unread = Duration::from_millis(100);
    let server = Server::within((Places::new(1, 1), unread), |_, _| Ok(Here));
    let mut stalled = server.connect(host("192.0.2.1"));
    let asking =
        async { while stalled.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.is_ok() {} };
    timeout(LONG, asking).await.expect("it asks for ever");
    server.end().await;
}

#[tokio::test]
async fn a_session_says_itself_how_long_it_waits_to_be_read() {
    let unread = Duration::from_millis(100);
    let server = Server::within((Places::new(1, 1), unread), |_, _| Ok(Here));
    let mut session = server.connect(host("192.0.2.1"));
    let request =
        b"GET /session HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: session\r\n\r\n";
    session.write_all(request).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LONG, session.read_u8()).await.expect("it answers").unwrap());
    }
    // As long as nobody reads.
    sleep(3 * unread).await;
    let mut said = Vec::new();
    timeout(LONG, session.read_to_end(&mut said)).await.expect("it ends").unwrap();
    assert_eq!(said.len(), SAID);
    server.end().await;
}
