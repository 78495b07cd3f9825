//! Servers that do what no libvirt does, or does rarely.

use super::*;
use crate::{
    protocol::{DomainRef, Happened},
    xdr::{Encode, XdrError},
};
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, DuplexStream, duplex},
    sync::mpsc::Receiver,
};
use uuid::Uuid;

/// A bound for what is broken, not a measure.
const DEADLINE: Duration = Duration::from_secs(30);

/// So little that what is awaited in vain is over soon, and so much that nothing else is.
const IMPATIENT: Patience = Patience {
    ask_after: Duration::from_millis(100),
    ask_times: 3,
    soon: Duration::from_millis(300),
    late: Duration::from_secs(20),
};

/// The other end of a connection.
struct Server {
    frames: Frames<tokio::io::ReadHalf<DuplexStream>>,
    write: tokio::io::WriteHalf<DuplexStream>,
}

fn connected(patience: Patience) -> (Arc<Connection>, Receiver<DomainEvent>, Server) {
    let (ours, theirs) = duplex(1 << 16);
    let (connection, events) = Connection::new(ours, patience);
    let (read, write) = tokio::io::split(theirs);
    (Arc::new(connection), events, Server { frames: Frames::new(read), write })
}

const fn header(kind: Kind, procedure: i32, serial: u32) -> Header {
    let (program, version) = (remote::PROGRAM, remote::VERSION);
    Header { program, version, procedure, kind, serial, status: Status::Ok }
}

impl Server {
    async fn call(&mut self) -> Frame {
        timeout(DEADLINE, self.frames.next()).await.unwrap().unwrap()
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).await.unwrap();
    }

    async fn reply(&mut self, serial: u32, payload: &impl Encode) {
        self.send(&message(&header(Kind::Reply, 0, serial), payload)).await;
    }

    async fn tell(&mut self, procedure: i32, payload: &impl Encode) {
        self.send(&message(&header(Kind::Message, procedure, 0), payload)).await;
    }
}

type Asked = tokio::task::JoinHandle<Result<String, Error>>;

/// Asks for the host's name, which is a call like any other.
fn ask(connection: &Arc<Connection>) -> Asked {
    let connection = connection.clone();
    tokio::spawn(async move {
        connection.call::<remote::ConnectGetHostname>(()).await.map(|(name,)| name)
    })
}

async fn answer(asked: Asked) -> Result<String, Error> {
    timeout(DEADLINE, asked).await.unwrap().unwrap()
}

async fn lost(asked: Asked) -> Arc<Loss> {
    match answer(asked).await {
        Err(Error::Lost(loss)) => loss,
        other => panic!("the connection was not lost: {other:?}"),
    }
}

#[tokio::test]
async fn answers_are_told_apart_whatever_their_order() {
    let (connection, _events, mut server) = connected(Patience::default());
    let (one, two) = (ask(&connection), ask(&connection));
    let (first, second) = (server.call().await, server.call().await);
    assert_eq!(first.header.procedure, 59);
    assert_ne!(first.header.serial, second.header.serial);
    server.reply(second.header.serial, &"second".to_owned()).await;
    server.reply(first.header.serial, &"first".to_owned()).await;
    let mut answers = [answer(one).await.unwrap(), answer(two).await.unwrap()];
    answers.sort();
    assert_eq!(answers, ["first", "second"]);
}

#[tokio::test]
async fn a_dropped_call_leaves_the_connection_as_it_is() {
    let (connection, _events, mut server) = connected(Patience::default());
    let dropped = ask(&connection);
    let serial = server.call().await.header.serial;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    server.reply(serial, &"for nobody".to_owned()).await;
    // Once more: by now it is an answer to nothing that is under way.
    server.reply(serial, &"for nobody".to_owned()).await;
    let asked = ask(&connection);
    let serial = server.call().await.header.serial;
    server.reply(serial, &"for somebody".to_owned()).await;
    assert_eq!(answer(asked).await.unwrap(), "for somebody");
}

#[tokio::test]
async fn a_call_without_an_answer_ends_and_the_connection_stays() {
    let (connection, _events, mut server) = connected(IMPATIENT);
    let asked = ask(&connection);
    let serial = server.call().await.header.serial;
    let late = answer(asked).await;
    assert!(matches!(late, Err(Error::Late { procedure: "CONNECT_GET_HOSTNAME", .. })), "{late:?}");
    server.reply(serial, &"too late".to_owned()).await;
    let asked = ask(&connection);
    let serial = server.call().await.header.serial;
    server.reply(serial, &"in time".to_owned()).await;
    assert_eq!(answer(asked).await.unwrap(), "in time");
}

/// libvirt reads no more from a client with five calls under way, not even pings.
#[tokio::test]
async fn no_more_calls_are_under_way_than_libvirt_takes_even_if_nobody_waits_for_them() {
    let (connection, _events, mut server) = connected(IMPATIENT);
    let asked: Vec<_> = (0..20).map(|_| ask(&connection)).collect();
    for asked in asked {
        assert!(matches!(answer(asked).await, Err(Error::Late { .. })));
    }
    for _ in 0..SOON_AT_ONCE {
        assert_eq!(server.call().await.header.kind, Kind::Call);
    }
    let more = timeout(Duration::from_millis(100), server.frames.next()).await;
    assert!(more.is_err(), "nothing else was sent: {more:?}");
    // What takes long has its own room.
    let calling = connection.clone();
    let capabilities =
        tokio::spawn(async move { calling.call::<remote::ConnectGetCapabilities>(()).await });
    let serial = server.call().await.header.serial;
    server.reply(serial, &"<capabilities/>".to_owned()).await;
    assert!(timeout(DEADLINE, capabilities).await.unwrap().unwrap().is_ok());
}

#[tokio::test]
async fn an_answer_that_is_none_fails_its_call_and_no_other() {
    let (connection, _events, mut server) = connected(Patience::default());
    let asked = ask(&connection);
    let serial = server.call().await.header.serial;
    server.reply(serial, &u32::MAX).await;
    let error = answer(asked).await.unwrap_err();
    let too_long = matches!(&error, Error::NotUnderstood { cause: XdrError::TooLong { .. }, .. });
    assert!(too_long, "{error:?}");

    let asked = ask(&connection);
    let serial = server.call().await.header.serial;
    let refusal = Header { status: Status::Error, ..header(Kind::Reply, 59, serial) };
    server.send(&message(&refusal, &"not an error's shape".to_owned())).await;
    assert!(matches!(answer(asked).await, Err(Error::NotUnderstood { .. })));

    let asked = ask(&connection);
    let serial = server.call().await.header.serial;
    server.reply(serial, &"well".to_owned()).await;
    assert_eq!(answer(asked).await.unwrap(), "well");
}

#[tokio::test]
async fn what_cannot_be_read_on_ends_the_connection_and_every_call() {
    let oversize = (17_u32 << 20).to_be_bytes().to_vec();
    let garbage = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    let mut no_status = message(&header(Kind::Reply, 0, 1), &());
    no_status[27] = 9;
    let never_asked = message(&header(Kind::Reply, 0, 77), &());
    let serial_nought = message(&header(Kind::Reply, 0, 0), &());
    for hostile in [oversize, garbage, no_status, never_asked, serial_nought] {
        let (connection, _events, mut server) = connected(Patience::default());
        let (one, two) = (ask(&connection), ask(&connection));
        drop((server.call().await, server.call().await));
        server.send(&hostile).await;
        let losses = [lost(one).await, lost(two).await];
        for loss in &losses {
            let is_named = matches!(**loss, Loss::NeverAsked(0 | 77) | Loss::Stream(_));
            assert!(is_named, "{loss:?} after {hostile:?}");
        }
        // Whoever calls now is told at once.
        lost(ask(&connection)).await;
        assert!(timeout(DEADLINE, connection.lost()).await.unwrap().is_loss());
    }
}

#[tokio::test]
async fn a_message_that_is_cut_off_ends_the_connection() {
    let (connection, _events, mut server) = connected(Patience::default());
    let asked = ask(&connection);
    let serial = server.call().await.header.serial;
    let whole = message(&header(Kind::Reply, 0, serial), &"cut".to_owned());
    server.send(&whole[..whole.len() - 3]).await;
    drop(server);
    assert!(matches!(*lost(asked).await, Loss::Stream(FrameError::Closed)));
}

#[tokio::test]
async fn silence_is_asked_after_and_then_ends_the_connection() {
    let (connection, _events, mut server) = connected(IMPATIENT);
    connection.ask_when_silent();
    let asked = ask(&connection);
    drop(server.call().await);
    let ping = server.call().await;
    assert_eq!((ping.header.program, ping.header.procedure), (0x6b65_6570, 1));
    // A message that never ends is silence, too, however often another byte of it comes.
    drop(server.write.write_all(&[0, 0, 1]).await);
    let trickle = async {
        loop {
            if server.write.write_all(&[0]).await.is_err() {
                return;
            }
            // What is tried is slowness.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let lost = tokio::select! {
        lost = connection.lost() => lost,
        () = trickle => panic!("nobody reads any more"),
        () = tokio::time::sleep(DEADLINE) => panic!("it is not lost"),
    };
    let Error::Lost(loss) = lost else { panic!("{lost:?}") };
    assert!(matches!(*loss, Loss::Silent(time) if time >= IMPATIENT.ask_after * 3), "{loss:?}");
    drop(asked.await);
}

#[tokio::test]
async fn whoever_answers_pings_is_there() {
    let (connection, _events, mut server) = connected(IMPATIENT);
    connection.ask_when_silent();
    for _ in 0..2 * IMPATIENT.ask_times {
        let ping = server.call().await.header;
        assert_eq!((ping.program, ping.procedure), (keepalive::PROGRAM, keepalive::PING));
        let pong = Header { procedure: keepalive::PONG, ..ping };
        server.send(&message(&pong, &())).await;
    }
    // It asks in turn, and is answered, even if it asks more often than anybody would.
    let ping = Header { program: keepalive::PROGRAM, ..header(Kind::Message, keepalive::PING, 0) };
    for _ in 0..1_000 {
        server.send(&message(&ping, &())).await;
    }
    let pong = loop {
        let answer = server.call().await.header;
        if answer.procedure == keepalive::PONG {
            break answer;
        }
    };
    assert_eq!((pong.program, pong.serial), (keepalive::PROGRAM, 0));
    assert!(ask(&connection).await.unwrap().is_err_and(|error| !error.is_loss()));
}

#[tokio::test]
async fn what_is_told_is_heeded_and_what_is_not_known_is_left() {
    let (connection, mut events, mut server) = connected(Patience::default());
    let domain = DomainRef { name: "web".into(), uuid: Uuid::from_u128(7), id: 1 };
    server.tell(99_999, &"from the future".to_owned()).await;
    server.tell(318, &"no event".to_owned()).await;
    let stream = Header { kind: Kind::Other(3), ..header(Kind::Message, 318, 0) };
    server.send(&message(&stream, &())).await;
    let unknown = Header { program: 7, ..header(Kind::Message, 318, 0) };
    server.send(&message(&unknown, &())).await;
    server.tell(318, &(0_i32, domain, 3_i32, 0_i32)).await;
    let told = timeout(DEADLINE, events.recv()).await.unwrap();
    assert_eq!(told, Some(DomainEvent { uuid: Uuid::from_u128(7), what: Happened::Moved }));
    drop(connection);
    assert_eq!(timeout(DEADLINE, events.recv()).await.unwrap(), None);
}

#[tokio::test]
async fn more_events_than_can_be_kept_end_the_connection() {
    let (connection, _events, mut server) = connected(Patience::default());
    let domain = DomainRef { name: String::new(), uuid: Uuid::nil(), id: 1 };
    let event = message(&header(Kind::Message, 318, 0), &(0_i32, domain, 3_i32, 0_i32));
    let event = Bytes::from(event);
    for _ in 0..=EVENTS {
        if server.write.write_all(&event).await.is_err() {
            break;
        }
    }
    let Error::Lost(loss) = timeout(DEADLINE, connection.lost()).await.unwrap() else {
        panic!("it is lost")
    };
    assert!(matches!(*loss, Loss::Flood), "{loss:?}");
}

/// A server that takes nothing: calls end with their time, and the connection with its silence.
#[tokio::test]
async fn a_server_that_reads_nothing_holds_nobody_up() {
    let (ours, _theirs) = duplex(16);
    let (connection, _events) = Connection::new(ours, IMPATIENT);
    let connection = Arc::new(connection);
    connection.ask_when_silent();
    let asked = ask(&connection);
    assert!(answer(asked).await.is_err());
    assert!(timeout(DEADLINE, connection.lost()).await.unwrap().is_loss());
}

#[tokio::test]
async fn hanging_up_ends_every_call_and_closes_the_socket() {
    let (connection, _events, mut server) = connected(Patience::default());
    let asked = ask(&connection);
    drop(server.call().await);
    connection.hang_up();
    assert!(matches!(*lost(asked).await, Loss::Closed));
    let mut rest = Vec::new();
    timeout(DEADLINE, server.frames.into_inner().read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.is_empty());
    drop(connection);
}
