//! The limits of a daemon as they are where nobody says anything else.

use crate::harness::{Daemon, Reply, Request, SHORT, exchange, skip_without_root, until};
use rustix::{process::Uid, thread::set_thread_res_uid};
use serde_json::json;
use std::{
    fs,
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// What a standard caller may ask at the VMM service's door: so much at once,
const STANDARD: usize = 100;
/// and one more each time that this has passed.
const ONE_MORE: Duration = Duration::from_millis(60_000 / STANDARD as u64);

#[test]
fn a_tenant_asks_a_hundred_times_at_once_and_then_as_often_in_a_minute_and_nobody_less_for_it() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let door = format!("vmm=127.0.0.1:{port}");
    let daemon = Daemon::prepared("driver = \"sim\"\n[limits]\n");
    let mut daemon = daemon.with_flags(&["--door", &door]);
    daemon.launch();
    let token = daemon.inn_ok(&["token", "create", "tenant", "--role", "viewer"]);
    let own = fs::read_to_string(daemon.state().join("token")).unwrap();
    let list = |token: &str| -> Reply {
        let request = Request::new("POST", "/vm/list")
            .header("Authorization", &format!("Bearer {}", token.trim()))
            .json(&json!({}));
        exchange(TcpStream::connect(("127.0.0.1", port)).unwrap(), &request)
    };
    let begun = Instant::now();
    let passed = (0..STANDARD).filter(|_| list(&token).status == 200).count();
    assert_eq!(passed, STANDARD, "at once");
    // Asks until it is refused, and says how often it was not.
    let until_refused = || {
        let replies = (0..STANDARD).map(|_| list(&token));
        let (passed, refused) = replies.enumerate().find(|(_, reply)| reply.status != 200).unwrap();
        assert_eq!(refused.status, 429, "{}", refused.text());
        (passed, refused)
    };
    let (meanwhile, refused) = until_refused();
    assert_eq!(refused.json()["success"], false);
    assert_eq!(refused.header("ratelimit-policy"), Some("\"reads\";q=100;w=60"));
    assert_eq!(refused.header("ratelimit"), Some("\"reads\";r=0;t=1"));
    // It is said in whole seconds. Time is what is tried: who waits so long passes, and has no second burst.
    assert_eq!(refused.header("retry-after"), Some("1"));
    thread::sleep(Duration::from_secs(1));
    let (later, _refused) = until_refused();
    assert!(later > 0, "it was told to come again now");
    let made_room = begun.elapsed().as_nanos() / ONE_MORE.as_nanos();
    assert!((meanwhile + later) as u128 <= made_room, "{meanwhile} and {later}, not {made_room}");
    // Others are not held up: an administrator, root, and whoever shows nothing.
    assert_eq!(list(&own).status, 200);
    for _ in 0..3 * STANDARD {
        daemon.get("/v1/vms");
    }
    assert_eq!(list("wrong").status, 401);
    until("the line in the audit", SHORT, || {
        let audit = daemon.inn_ok(&["audit", "--caller", "token:tenant"]);
        let is_there = audit.contains("by vmm from 127.0.0.1:")
            && audit.contains("POST /vm/list: refused (too-many-requests)");
        if is_there { Ok(()) } else { Err(audit) }
    });
}

#[test]
fn one_user_of_this_host_uses_up_no_others_wrong_credentials() {
    if skip_without_root("callers who are other users") {
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let daemon = Daemon::prepared("driver = \"sim\"\n[limits]\nunauthenticated = \"2/h\"\n");
    let mut daemon = daemon.with_flags(&["--listen", &format!("127.0.0.1:{port}")]);
    daemon.launch();
    let request = Request::new("GET", "/v1/vms").header("Authorization", "Bearer wrong");
    let ask_as = |uid: u32| {
        let ask = || {
            let user = Uid::from_raw(uid);
            // This thread's alone, and so the connection's.
            set_thread_res_uid(user, user, user).unwrap();
            exchange(TcpStream::connect(("127.0.0.1", port)).unwrap(), &request).status
        };
        thread::scope(|scope| scope.spawn(ask).join().unwrap())
    };
    // All of them come from one address.
    for uid in [65534, 65533] {
        assert_eq!([(); 3].map(|()| ask_as(uid)), [401, 401, 429], "uid {uid}");
    }
}
