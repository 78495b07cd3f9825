//! A scripted agent that behaves, and ones that do not.

use super::*;
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use innkeeper_model::Code;
use serde_json::json;
use std::sync::Mutex as StdMutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
};

/// Long enough for a loaded host to answer, short enough to be waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Gives the connections that a test has the other ends of.
struct Scripted(StdMutex<Vec<DuplexStream>>);

impl Channel for Scripted {
    fn open(&self) -> Opening<'_> {
        let next = self.0.lock().unwrap().pop();
        Box::pin(async move {
            let closed = || Refusal::new(Code::WrongState, "the VM has no running machine");
            next.map(|stream| Box::new(stream) as Box<dyn Stream>).ok_or_else(closed)
        })
    }
}

/// The guest's end of a channel.
struct Guest {
    stream: DuplexStream,
    read: Vec<u8>,
}

fn channel() -> (Agent, Guest) {
    let (agent, [guest]) = channels();
    (agent, guest)
}

fn channels<const N: usize>() -> (Agent, [Guest; N]) {
    let pairs: [_; N] = std::array::from_fn(|_| duplex(64 << 10));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (our, stream) in pairs {
        ours.insert(0, our);
        theirs.push(Guest { stream, read: Vec::new() });
    }
    let theirs = theirs.try_into().unwrap_or_else(|_| unreachable!());
    (Agent::that_answers_within(PATIENCE, Scripted(StdMutex::new(ours))), theirs)
}

impl Guest {
    /// The next line, without the marks before it; `None` when the daemon has hung up.
    async fn hears(&mut self) -> Option<Value> {
        loop {
            if let Some(at) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=at).filter(|byte| *byte != 0xff).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn says(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn answers(&mut self, call: &Value, value: Value) {
        let line = json!({ "return": value, "id": call["id"] });
        self.says(format!("{line}\n").as_bytes()).await;
    }

    async fn synchronises(&mut self, call: &Value) {
        assert_eq!(call["execute"], "guest-sync-delimited");
        let line = json!({ "return": call["arguments"]["id"] });
        self.says(&[&[0xff], format!("{line}\n").as_bytes()].concat()).await;
    }

    /// The next call that is no wish for a common place; those are granted.
    async fn hears_call(&mut self) -> Value {
        loop {
            let call = self.hears().await.expect("a call");
            if call["execute"] != "guest-sync-delimited" {
                return call;
            }
            self.synchronises(&call).await;
        }
    }

    /// Behaves: answers each call with what this says, for ever.
    fn behaves(mut self, mut answer: impl FnMut(&Value) -> Value + Send + 'static) {
        tokio::spawn(async move {
            while let Some(call) = self.hears().await {
                if call["execute"] == "guest-sync-delimited" {
                    self.synchronises(&call).await;
                } else {
                    let answer = answer(&call);
                    self.answers(&call, answer).await;
                }
            }
        });
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it ends")
}

#[tokio::test]
async fn a_guest_is_asked_what_it_is_and_what_addresses_it_has() {
    let (agent, guest) = channel();
    guest.behaves(|call| match call["execute"].as_str().unwrap() {
        "guest-info" => json!({ "version": "10.0.2", "supported_commands": [
            { "name": "guest-exec", "enabled": true, "success-response": true },
            { "name": "guest-shutdown", "enabled": false },
        ]}),
        "guest-network-get-interfaces" => json!([
            { "name": "lo" },
            { "name": "eth0", "hardware-address": "52:54:00:00:00:01", "ip-addresses": [
                { "ip-address": "10.0.2.15", "ip-address-type": "ipv4", "prefix": 24 },
                { "ip-address": "$(reboot)", "ip-address-type": "ipv4", "prefix": 24 },
            ]},
        ]),
        _ => json!({}),
    });
    soon(agent.ping()).await.unwrap();
    let info = soon(agent.info()).await.unwrap();
    assert_eq!(
        (info.version.as_str(), &*info.commands),
        ("10.0.2", &["guest-exec".to_owned()][..])
    );
    let interfaces = soon(agent.interfaces()).await.unwrap();
    assert_eq!(interfaces[1].mac.as_deref(), Some("52:54:00:00:00:01"));
    let expected = Address { address: "10.0.2.15".parse().unwrap(), prefix: 24 };
    assert_eq!(interfaces[1].addresses, [expected]);
}

#[tokio::test]
async fn a_program_is_run_and_asked_after_until_it_ends() {
    let (agent, guest) = channel();
    let (seen_to, mut seen) = mpsc::unbounded_channel();
    let mut asked = 0;
    guest.behaves(move |call| match call["execute"].as_str().unwrap() {
        "guest-exec" => {
            seen_to.send(call["arguments"].clone()).unwrap();
            json!({ "pid": 7 })
        }
        _ if asked < 3 => {
            asked += 1;
            json!({ "exited": false })
        }
        _ => json!({
            "exited": true, "exitcode": 3, "out-data": BASE64.encode("out"), "err-data": BASE64.encode("err"),
        }),
    });
    let argv = ["cat", "-n"].map(str::to_owned).into();
    let stdin = Some(innkeeper_model::Secret::new(BASE64.encode("in")));
    let exec = Exec { argv, env: Vec::new(), stdin, timeout: Duration::from_secs(30) };
    let exited = soon(agent.exec(&exec)).await.unwrap();
    let expected = Exited {
        exit_code: Some(3),
        stdout: b"out".into(),
        stderr: b"err".into(),
        ..Exited::default()
    };
    assert_eq!(exited, expected);
    let call = seen.recv().await.unwrap();
    let input = BASE64.encode("in");
    assert_eq!(
        call,
        json!({ "path": "cat", "arg": ["-n"], "capture-output": true, "input-data": input })
    );
}

#[tokio::test]
async fn a_program_that_nobody_waits_for_any_more_is_told_to_end() {
    for within in [PATIENCE * 10, Duration::from_millis(20)] {
        let (agent, guest) = channel();
        let (seen_to, mut seen) = mpsc::unbounded_channel();
        guest.behaves(move |call| match call["execute"].as_str().unwrap() {
            "guest-exec" => {
                seen_to.send(call["arguments"].clone()).unwrap();
                json!({ "pid": 7 })
            }
            _ => json!({ "exited": false }),
        });
        let (argv, env) = (vec!["sleep".to_owned(), "600".to_owned()], Vec::new());
        let exec = Exec { argv, env, stdin: None, timeout: within };
        tokio::select! {
            // Its time is over, or else who waited for it leaves.
            outcome = agent.exec(&exec) => assert!(outcome.is_err(), "{outcome:?}"),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
        assert_eq!(soon(seen.recv()).await.unwrap()["path"], "sleep");
        let end = soon(seen.recv()).await.unwrap();
        assert_eq!(end, json!({ "path": "kill", "arg": ["7"] }));
    }
}

#[tokio::test]
async fn a_file_goes_in_and_out_in_pieces_and_one_that_is_dropped_is_closed() {
    let (agent, guest) = channel();
    let (closed_to, mut closed) = mpsc::unbounded_channel();
    let content: Vec<u8> = (0..PIECE * 2 + 10).map(|at| (at % 251) as u8).collect();
    let held = content.clone();
    let mut at = 0;
    let mut written = 0;
    guest.behaves(move |call| match call["execute"].as_str().unwrap() {
        "guest-file-open" => json!(1000),
        "guest-file-read" => {
            let count = call["arguments"]["count"].as_u64().unwrap() as usize;
            let piece = &held[at..held.len().min(at + count)];
            at += piece.len();
            json!({ "count": piece.len(), "buf-b64": BASE64.encode(piece), "eof": at == held.len() })
        }
        "guest-file-write" => {
            let bytes = BASE64.decode(call["arguments"]["buf-b64"].as_str().unwrap()).unwrap();
            // Half of it, as a full pipe would take.
            let count = bytes.len().div_ceil(2);
            assert_eq!(bytes[..count], held[written..written + count]);
            written += count;
            json!({ "count": count, "eof": false })
        }
        "guest-file-close" => {
            closed_to.send(written).unwrap();
            json!({})
        }
        _ => json!({}),
    });
    let mut file = soon(agent.open("/etc/motd", FilePurpose::Read)).await.unwrap();
    let mut read = Vec::new();
    while read.len() < content.len() {
        read.extend(soon(file.read()).await.unwrap());
    }
    assert!(read == content);
    drop(file);
    assert_eq!(soon(closed.recv()).await, Some(0), "closed, though nobody asked");
    let mut file = soon(agent.open("/tmp/copy", FilePurpose::Write)).await.unwrap();
    soon(file.write(&content)).await.unwrap();
    soon(file.close()).await.unwrap();
    assert_eq!(soon(closed.recv()).await, Some(content.len()));
}

#[tokio::test]
async fn one_that_is_not_there_is_given_up_in_time_and_asked_anew_when_it_is() {
    let (agent, mut guest) = channel();
    let error = agent.ping().await.unwrap_err();
    assert!(matches!(error, AgentError::Silent { .. }), "{error}");
    assert_eq!(Refusal::from(error).code, Code::Timeout);
    // It comes up late, and answers what nobody waits for any more.
    let first = guest.hears().await.unwrap();
    guest.synchronises(&first).await;
    let asking = tokio::spawn(async move { agent.ping().await });
    let call = guest.hears_call().await;
    assert_eq!(call["execute"], "guest-ping");
    guest.answers(&call, json!({})).await;
    asking.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_late_reply_is_taken_for_no_later_calls_answer() {
    let (agent, mut guest) = channel();
    let asking = {
        let agent = agent.clone();
        tokio::spawn(async move { agent.is_frozen().await })
    };
    let late = guest.hears_call().await;
    assert!(matches!(asking.await.unwrap(), Err(AgentError::Silent { .. })));
    let asking = tokio::spawn(async move { agent.is_frozen().await });
    guest.answers(&late, json!("frozen")).await;
    let call = guest.hears_call().await;
    // Once more, after the common place was found: only its id tells.
    guest.answers(&late, json!("frozen")).await;
    guest.answers(&call, json!("thawed")).await;
    assert!(!asking.await.unwrap().unwrap());
}

#[tokio::test]
async fn what_has_no_end_is_read_no_further_than_its_bound() {
    let (agent, mut guest) = channel();
    let asking = {
        let agent = agent.clone();
        tokio::spawn(async move { agent.info().await })
    };
    guest.hears_call().await;
    let endless = async {
        loop {
            guest.says(&[b'x'; 4096]).await;
        }
    };
    let error = tokio::select! {
        error = soon(asking) => error.unwrap().unwrap_err(),
        () = endless => unreachable!(),
    };
    assert!(matches!(error, AgentError::TooMuch { limit: SHORT_LINE, .. }), "{error}");
    // What is left of it does not disturb the next.
    let asking = {
        let agent = agent.clone();
        tokio::spawn(async move { agent.ping().await })
    };
    guest.says(b"xxxx\n{\"return\": 17}\n").await;
    let call = guest.hears_call().await;
    guest.answers(&call, json!({})).await;
    soon(asking).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_that_never_stops_talking_is_given_up_in_time_and_kept_nothing_of() {
    let (agent, mut guest) = channel();
    let talking = tokio::spawn(async move {
        let noise = b"{\"return\": 1}\n\xff".repeat(64);
        while guest.stream.write_all(&noise).await.is_ok() {
            // The channel takes as much as is read; others have their turn, too.
            tokio::task::yield_now().await;
        }
    });
    let error = agent.ping().await.unwrap_err();
    assert!(matches!(error, AgentError::Silent { .. }), "{error}");
    let connection = agent.shared.connection.lock().await;
    assert!(connection.as_ref().is_none_or(|connection| connection.buffered() < SHORT_LINE));
    talking.abort();
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_and_no_more() {
    for (said, wanted) in [
        ("nonsense\n", "is no answer"),
        ("{\"return\": [1, 2]}\n", "is no answer"),
        (
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such file\"}}\n",
            "no such file",
        ),
        ("{\"error\": {}}\n", "refused"),
    ] {
        let (agent, mut guest) = channel();
        let asking = {
            let agent = agent.clone();
            tokio::spawn(async move { agent.info().await })
        };
        guest.hears_call().await;
        guest.says(said.as_bytes()).await;
        let error = soon(asking).await.unwrap().unwrap_err().to_string();
        assert!(error.contains(wanted), "{said}: {error}");
        let asking = tokio::spawn(async move { agent.ping().await });
        let call = guest.hears_call().await;
        guest.answers(&call, json!({})).await;
        soon(asking).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_machine_that_was_started_again_is_reached_anew() {
    let (agent, [mut before, after]) = channels();
    let asking = {
        let agent = agent.clone();
        tokio::spawn(async move { agent.ping().await })
    };
    let call = before.hears_call().await;
    drop(before);
    let _ = call;
    assert!(matches!(soon(asking).await.unwrap(), Err(AgentError::Broken(_))));
    after.behaves(|_| json!({}));
    soon(agent.ping()).await.unwrap();
    let gone = Agent::new(Scripted(StdMutex::default()));
    let error = soon(gone.ping()).await.unwrap_err();
    assert_eq!(Refusal::from(error).code, Code::WrongState);
}

#[tokio::test]
async fn many_who_ask_a_silent_one_are_all_answered_in_time() {
    let (agent, _guest) = channel();
    let begun = Instant::now();
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let agent = agent.clone();
            tokio::spawn(async move { agent.ping().await })
        })
        .collect();
    for asking in asking {
        assert!(matches!(asking.await.unwrap(), Err(AgentError::Silent { .. })));
    }
    assert!(begun.elapsed() < PATIENCE * 3, "they wait for one another");
}

#[tokio::test]
async fn file_systems_go_on_however_it_ends() {
    let (agent, guest) = channel();
    let (seen_to, mut seen) = mpsc::unbounded_channel();
    guest.behaves(move |call| {
        seen_to.send(call["execute"].as_str().unwrap().to_owned()).unwrap();
        json!(1)
    });
    let thawed = soon(agent.frozen(async { 5 })).await.unwrap();
    assert!(thawed.done == 5 && thawed.problem.is_none());
    assert_eq!(seen.recv().await.unwrap(), "guest-fsfreeze-freeze");
    assert_eq!(seen.recv().await.unwrap(), "guest-fsfreeze-thaw");
    let freezing = agent.clone();
    let held = tokio::spawn(async move {
        let never = std::future::pending::<()>();
        freezing.frozen(never).await.map(drop)
    });
    assert_eq!(soon(seen.recv()).await.unwrap(), "guest-fsfreeze-freeze");
    held.abort();
    assert_eq!(soon(seen.recv()).await.unwrap(), "guest-fsfreeze-thaw");
}

#[test]
fn a_clock_that_cannot_be_set_says_what_the_guest_lacks() {
    let description = "this feature or command is not currently supported".to_owned();
    let refused = AgentError::Refused { command: SET_TIME, unknown: false, description };
    let refusal = innkeeper_model::Refusal::from(refused);
    assert!(refusal.hint.unwrap().contains("/sbin/hwclock"));
}
