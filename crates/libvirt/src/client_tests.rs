//! Connecting to servers that want something first, or have less.

use super::*;
use crate::{
    error::Loss,
    protocol::{Frame, Frames, Header, Kind, Procedure, Status, message},
    xdr::Encode,
};
use tokio::io::AsyncWriteExt;

/// A server that answers each procedure as it was told to, and what it was not told of with a refusal
/// of that number.
struct Answers(Vec<(i32, Result<Vec<u8>, i32>)>);

fn bytes(value: &impl Encode) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// Already encoded.
struct Raw(Vec<u8>);

impl Encode for Raw {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(&self.0);
    }
}

fn refusal(code: i32) -> Raw {
    let mut out = Vec::new();
    (code, 0_i32, Some(format!("refused with {code}")), 2_i32, None::<String>).encode(&mut out);
    (None::<String>, None::<String>, None::<String>, (0_i32, 0_i32), None::<String>)
        .encode(&mut out);
    Raw(out)
}

impl Answers {
    async fn serve(self, stream: UnixStream) -> Vec<i32> {
        let (read, mut write) = stream.into_split();
        let mut frames = Frames::new(read);
        let mut asked = Vec::new();
        while let Ok(Frame { header, .. }) = frames.next().await {
            asked.push(header.procedure);
            let answer = self.0.iter().find(|(procedure, _)| *procedure == header.procedure);
            let answer = answer.map_or(Err(RemoteError::NO_SUPPORT), |(_, answer)| answer.clone());
            let status = if answer.is_ok() { Status::Ok } else { Status::Error };
            let header = Header { kind: Kind::Reply, status, ..header };
            let payload = answer.map_or_else(refusal, Raw);
            if write.write_all(&message(&header, &payload)).await.is_err() {
                break;
            }
        }
        asked
    }
}

/// Connects to such a server, and says what it was asked.
async fn connect(answers: Vec<(i32, Result<Vec<u8>, i32>)>) -> (Result<(), Error>, Vec<i32>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = tokio::spawn(Answers(answers).serve(theirs));
    let outcome = Client::over(ours, None, Patience::default()).await;
    let outcome = outcome.map(drop);
    (outcome, server.await.unwrap())
}

const AUTH_LIST: i32 = remote::AuthList::NUMBER;
const OPEN: i32 = remote::ConnectOpen::NUMBER;
const REGISTER: i32 = remote::ConnectDomainEventCallbackRegisterAny::NUMBER;

fn ways(ways: &[u32]) -> (i32, Result<Vec<u8>, i32>) {
    (AUTH_LIST, Ok(bytes(&List::<u32, 20>(ways.to_vec()))))
}

#[tokio::test]
async fn a_libvirt_without_keepalive_and_newer_events_will_do() {
    let opened = (OPEN, Ok(Vec::new()));
    let registers = (REGISTER, Ok(bytes(&0_i32)));
    let (outcome, asked) = connect(vec![ways(&[AUTH_NONE]), opened, registers]).await;
    outcome.unwrap();
    assert_eq!(asked[..3], [AUTH_LIST, OPEN, remote::ConnectSupportsFeature::NUMBER]);
}

#[tokio::test]
async fn a_libvirt_that_tells_nothing_of_lives_is_none_to_watch() {
    let (outcome, _) = connect(vec![ways(&[]), (OPEN, Ok(Vec::new()))]).await;
    assert!(outcome.unwrap_err().is_no_support());
}

#[tokio::test]
async fn a_host_without_machines_for_all_is_asked_for_its_users() {
    let (outcome, asked) = connect(vec![ways(&[AUTH_NONE]), (OPEN, Err(1))]).await;
    assert!(matches!(outcome, Err(Error::Refused { code: 1, .. })), "{outcome:?}");
    assert_eq!(asked, [AUTH_LIST, OPEN, OPEN], "the system's, then the session's");
}

#[tokio::test]
async fn authentication_is_said_to_be_asked_for() {
    let polkit = remote::AuthPolkit::NUMBER;
    let denied = (polkit, Err(RemoteError::AUTH_FAILED));
    let by_polkit = "run Innkeeper's daemon as root";
    for (answers, expected, helps) in [
        (
            vec![ways(&[AUTH_SASL])],
            "libvirt asks for SASL authentication, which Innkeeper does not have",
            "auth_unix_rw",
        ),
        (
            vec![ways(&[AUTH_SASL, 9])],
            "libvirt asks for SASL or unknown (9) authentication",
            "auth_unix_rw",
        ),
        (
            vec![ways(&[AUTH_POLKIT]), denied],
            "libvirt asks for polkit authentication, which was not granted: refused with 45",
            by_polkit,
        ),
        (
            vec![ways(&[AUTH_SASL, AUTH_POLKIT]), (polkit, Ok(bytes(&0_i32)))],
            "polkit authentication, which was not granted: it wants more",
            by_polkit,
        ),
    ] {
        let (outcome, asked) = connect(answers).await;
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!asked.contains(&OPEN), "nothing is opened before");
        let refusal = innkeeper_model::Refusal::from(error);
        assert!(refusal.hint.is_some_and(|hint| hint.contains(helps)), "it says what to do");
    }
    // Where polkit has nothing against it, it goes on.
    let granted = (polkit, Ok(bytes(&1_i32)));
    let (outcome, asked) = connect(vec![ways(&[AUTH_POLKIT]), granted, (OPEN, Err(1))]).await;
    assert!(outcome.is_err() && asked.contains(&OPEN));
}

/// What `libvirt-sock-ro` answers to whoever wants to act, and a policy that knows its callers by name.
#[test]
fn who_may_only_look_is_told_why() {
    for (code, helps) in [
        (RemoteError::OPERATION_DENIED, "the one without -ro"),
        (RemoteError::ACCESS_DENIED, "org.libvirt.unix.manage"),
    ] {
        let message = "operation forbidden".into();
        let refused = Error::Refused { procedure: "DOMAIN_SUSPEND", code, message };
        let refusal = innkeeper_model::Refusal::from(refused);
        assert_eq!(refusal.code, innkeeper_model::Code::HypervisorFailed);
        assert!(refusal.hint.unwrap().contains(helps), "{code}");
    }
}

#[tokio::test]
async fn nobody_there_is_said_with_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("libvirt-sock");
    let error = Client::connect(&socket, None).await.unwrap_err();
    assert!(error.line().contains("libvirt-sock: No such file"), "{}", error.line());
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let leaving = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let error = Client::connect(&socket, None).await.unwrap_err();
    leaving.join().unwrap();
    let closed =
        matches!(&error, Error::Lost(loss) if matches!(**loss, Loss::Stream(_) | Loss::Send(_)));
    assert!(closed, "{error:?}");
}
