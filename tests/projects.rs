//! What a project may take, by whichever way it is asked for.

use crate::harness::{Daemon, Request, SHORT, exchange, read_head, until};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufReader, Write},
    net::{TcpListener, TcpStream},
};

#[test]
fn a_tenant_has_its_quota_whoever_asks_and_after_a_crash() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let daemon = Daemon::prepared("driver = \"sim\"\n[default_quota]\ncpus = 1\n");
    let mut daemon = daemon.with_flags(&["--listen", &address]);
    daemon.launch();
    daemon.inn_ok(&["project", "set", "shop", "--vms", "2", "--disk", "1GiB"]);
    let token = ["token", "create", "shop", "--role", "owner", "--project", "shop"];
    let token = format!("Bearer {}", daemon.inn_ok(&token).trim());
    daemon.inn_ok(&["create", "one", "--project", "shop", "--memory", "64MiB"]);

    // The default was in force of what was not named.
    let shown = daemon.inn_ok(&["project", "get", "shop"]);
    for line in ["vms: 1 of 2", "cpus: 0 of 1", "disk: 0B of 1GiB", "addresses: 0"] {
        let is_there = |shown: &str| {
            let words: Vec<_> = shown.split_whitespace().collect();
            words.join(" ") == line
        };
        assert!(shown.lines().any(is_there), "{line}: {shown}");
    }
    let refused =
        daemon.inn(&["create", "big", "--project", "shop", "--disk", "name=root,size=2GiB"]);
    assert_eq!(refused.status.code(), Some(4));
    daemon.inn_ok(&["create", "two", "--project", "shop", "--memory", "64MiB"]);
    daemon.inn_ok(&["start", "one", "--project", "shop"]);
    assert!(!daemon.inn(&["start", "two", "--project", "shop"]).status.success());

    // The tenant hears so, sees how much there is of what is its own, and changes nothing of that.
    let asks = |method, path, body: Value| {
        let request = Request::new(method, path).header("Authorization", &token).json(&body);
        exchange(TcpStream::connect(("127.0.0.1", port)).unwrap(), &request)
    };
    let refused = asks("POST", "/v1/vms", json!({ "name": "three", "project": "shop" }));
    assert_eq!(refused.status, 409, "{}", refused.text());
    let refused = refused.json();
    assert_eq!((&refused["code"], &refused["field"]), (&json!("out-of-capacity"), &json!("vms")));
    let own = asks("GET", "/v1/projects/shop", Value::Null).json();
    assert_eq!((&own["used"]["vms"], &own["quota"]["vms"]), (&json!(2), &json!(2)));
    assert_eq!(asks("GET", "/v1/projects/default", Value::Null).status, 404);
    assert_eq!(asks("PUT", "/v1/projects/shop", json!({})).status, 403);

    daemon.kill9();
    daemon.launch();
    let list = daemon.get("/v1/projects");
    let used = json!({ "vms": 2, "cpus": 1, "memory": "64MiB", "disk": "0B", "addresses": 0 });
    assert_eq!(list["items"][0]["used"], used, "{list}");
    assert_eq!(daemon.inn(&["project", "delete", "shop"]).status.code(), Some(4));
    daemon.inn_ok(&["delete", "two", "--project", "shop"]);
    daemon.inn_ok(&["create", "three", "--project", "shop"]);
    let audit = daemon.inn_ok(&["audit"]);
    assert!(audit.contains("project-set") && audit.contains("project-delete"), "{audit}");
}

#[test]
fn a_tenant_is_told_that_its_quota_has_no_room_for_a_file_before_it_has_come() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let daemon = Daemon::prepared("driver = \"sim\"\n");
    let mut daemon = daemon.with_flags(&["--listen", &format!("127.0.0.1:{port}")]);
    daemon.launch();
    daemon.inn_ok(&["create", "web", "--disk", "name=root,size=1GiB"]);
    let file = daemon.scratch().join("web.tar");
    daemon.inn_ok(&["export", "web", file.to_str().unwrap()]);
    let file = fs::read(file).unwrap();
    daemon.inn_ok(&["project", "set", "shop", "--disk", "512MiB"]);
    let token = ["token", "create", "shop", "--role", "owner", "--project", "shop"];
    let token = daemon.inn_ok(&token);

    // What the VM is, and nothing after that: whoever sends it could wait as long as they like.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!(
        "POST /v1/imports HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        token.trim(),
        file.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&file[..8192]).unwrap();
    stream.set_read_timeout(Some(SHORT)).unwrap();
    let refused = read_head(&mut BufReader::new(&stream)).unwrap();
    assert_eq!(refused.status, 409, "{}", refused.text());
    drop(stream);
    until("the line in the audit", SHORT, || {
        let audit = daemon.inn_ok(&["audit", "--caller", "token:shop"]);
        let is_there = audit.contains("import-upload") && audit.contains("(out-of-capacity)");
        if is_there { Ok(()) } else { Err(audit) }
    });
    daemon.inn_ok(&["project", "set", "shop", "--disk", "1GiB"]);
    let import = Request::new("POST", "/v1/imports?name=copy")
        .header("Authorization", &format!("Bearer {}", token.trim()))
        .header("Prefer", "wait=20")
        .bytes(file);
    let done = exchange(TcpStream::connect(("127.0.0.1", port)).unwrap(), &import);
    assert_eq!(done.status, 201, "{}", done.text());
}
