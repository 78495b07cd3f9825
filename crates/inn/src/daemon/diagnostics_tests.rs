use super::*;
use crate::{
    config::{Config, Driver},
    daemon::{log::tests::unheard, serve},
    folders::Surroundings,
    options::{self, Flags},
};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

const WORKERS: usize = 2;
/// The bound that the diagnosis is held to.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(30);

/// Everything that stays closed until it is opened, which happens at the latest when this is dropped.
#[derive(Clone, Default)]
struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    fn pass(&self) {
        let (open, opened) = &*self.0;
        drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// Asks a socket, and returns the whole answer.
fn ask(socket: &Path, within: Duration) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(within))?;
    let request = "GET /v1/diagnostics HTTP/1.1\r\nHost: inn\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[track_caller]
fn check(answer: io::Result<String>) {
    let answer = answer.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let diagnosis: Diagnosis = serde_json::from_str(body).unwrap();
    assert_eq!((diagnosis.drivers.len(), diagnosis.drivers[0].name.as_str()), (1, "sim"));
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "not within {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_diagnosis_is_answered_while_every_worker_is_stuck() {
    let folder = tempfile::tempdir().unwrap();
    let here = Surroundings { state_dir: Some(folder.path().into()), ..Surroundings::default() };
    let flags = Flags { driver: Some(Driver::Sim), ..Flags::default() };
    let options = options::resolve(&here, flags, Config::default()).unwrap();
    let (socket, apart) = (options.socket.clone(), options.diagnose_socket());
    assert_eq!(here.diagnose_socket().unwrap(), apart, "the command line looks elsewhere");

    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(WORKERS).enable_all().build().unwrap();
    let stopping = CancellationToken::new();
    let told_to_stop = stopping.clone().cancelled_owned();
    let serving = runtime.spawn(serve(options, unheard(), || Ok(told_to_stop)));
    until("the daemon answers", || ask(&socket, ANSWERS_WITHIN).is_ok());
    check(ask(&apart, ANSWERS_WITHIN));

    let (door, stuck) = (Door::default(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..WORKERS {
        let (door, stuck) = (door.clone(), stuck.clone());
        runtime.spawn(async move {
            stuck.fetch_add(1, Ordering::SeqCst);
            door.pass();
        });
    }
    until("every worker is stuck", || stuck.load(Ordering::SeqCst) == WORKERS);
    let main = ask(&socket, SHORT);
    let begun = Instant::now();
    let answers = [ask(&apart, ANSWERS_WITHIN), ask(&apart, ANSWERS_WITHIN)];
    let took = begun.elapsed();
    door.open();
    assert!(main.is_err(), "nobody was stuck: {main:?}");
    answers.into_iter().for_each(check);
    assert!(took < ANSWERS_WITHIN, "{took:?}");

    check(ask(&socket, LONG));
    stopping.cancel();
    runtime.block_on(serving).unwrap().unwrap();
    assert!(!socket.exists() && !apart.exists(), "a socket was left");
}
