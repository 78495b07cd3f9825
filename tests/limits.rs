//! The limits of a daemon as they are where nobody says anything else.

use crate::harness::{Daemon, Reply, Request, SHORT, exchange, skip_without_root, until};
use rustix::{process::Uid, thread::set_thread_res_uid};
use serde_json::json;
use std::{
    fs,
    net::{TcpListener, TcpStream},
    thread,
};

/// What a caller may ask at the VMM service's door in a minute, by the kind of its token.
const STANDARD: usize = 100;

#[test]
fn a_tenant_has_a_hundred_requests_a_minute_and_nobody_else_less_for_it() {
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
    let passed = (0..STANDARD).filter(|_| list(&token).status == 200).count();
    assert_eq!(passed, STANDARD);
    // The rate makes room for one each 600 ms meanwhile.
    let refused = (0..STANDARD).map(|_| list(&token)).find(|reply| reply.status == 429).unwrap();
    assert_eq!(refused.json()["success"], false);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"reads\";q=100;w=60"));
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
