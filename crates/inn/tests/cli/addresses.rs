//! Addresses of VMs: `inn ip`, `inn ssh`, and waiting for one.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, Reply, Request, VM_ID, begin_stream, ok, vm},
    inn, inn_in, talk,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::Output,
    sync::atomic::{AtomicUsize, Ordering},
};

/// A VM on network `lan` with these addresses.
fn addressed(state: &str, addresses: Value) -> Value {
    let mut vm = vm("web", state);
    vm["addresses"] = addresses;
    vm["spec"]["config"]["nics"] = json!([{"name": "nic0", "network": "lan"}]);
    vm
}

fn with_addresses(state: &'static str, addresses: Value) -> FakeDaemon {
    FakeDaemon::start(move |_| ok(addressed(state, addresses.clone())))
}

fn both() -> Value {
    json!([
        {"nic": "nic0", "address": "fd00:87::2", "source": "lease"},
        {"nic": "nic0", "address": "10.87.0.2", "source": "lease"},
        {"address": "172.17.0.1", "source": "agent"},
        {"nic": "nic0", "address": "fe80::1", "source": "agent"},
    ])
}

#[test]
fn the_best_address_is_one_line_and_all_of_them_are_several() {
    let daemon = with_addresses("running", both());
    let ip = |words: &[&str]| {
        let output = inn_in(daemon.folder(), &[&["ip", "web"], words].concat());
        check_exit(&output, 0);
        data(&output)
    };
    assert_eq!(ip(&[]), "10.87.0.2\n");
    assert_eq!(ip(&["-6"]), "fd00:87::2\n");
    assert_eq!(ip(&["--all"]), "10.87.0.2\nfd00:87::2\n172.17.0.1\n");
    assert_eq!(serde_json::from_str::<Value>(&ip(&["-o", "json"])).unwrap(), both());
    let list = FakeDaemon::start(|_| ok(json!({"items": [addressed("running", both())]})));
    let text = data(&inn_in(list.folder(), &["list"]));
    assert!(text.contains("web   running  2     1GiB    10.87.0.2"), "{text}");
    let text = data(&inn_in(daemon.folder(), &["get", "web"]));
    assert!(text.contains("10.87.0.2 on nic0 (lease)"), "{text}");
}

#[test]
fn where_no_address_is_known_it_says_what_to_do() {
    let mut without = vm("web", "running");
    let on = |network: &str| {
        let mut vm = addressed("running", json!([]));
        vm["spec"]["config"]["nics"][0]["network"] = network.into();
        vm
    };
    without["spec"]["config"]["nics"] = json!([]);
    for (vm, advice) in [
        (without, "it has no NIC"),
        (on("user"), "publish a port"),
        (on("lan"), "inn wait web --for ip"),
        (addressed("stopped", json!([])), "inn start web"),
    ] {
        let daemon = FakeDaemon::start(move |_| ok(vm.clone()));
        for command in ["ip", "ssh"] {
            let output = inn_in(daemon.folder(), &[command, "web"]);
            check_exit(&output, 1);
            let text = talk(&output);
            assert!(text.contains("no address of web is known"), "{text}");
            assert!(text.contains(advice), "{advice}: {text}");
        }
        let json = inn_in(daemon.folder(), &["ip", "web", "-o", "json"]);
        assert_eq!(data(&json), "[]\n");
    }
}

// ssh

/// Runs `inn ssh` with an ssh that prints what it was told.
fn ssh(daemon: &FakeDaemon, words: &[&str]) -> Output {
    let folder = daemon.folder().join("bin");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("ssh");
    fs::write(&path, "#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 7\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    inn(&["ssh", "--state-dir"])
        .arg(daemon.folder())
        .args(words)
        .env("PATH", path)
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    data(output).lines().collect::<Vec<_>>().join(" ")
}

#[test]
fn ssh_is_told_where_the_guest_is_and_its_exit_code_is_ours() {
    let daemon = with_addresses("running", both());
    let alias = format!("-o HostKeyAlias=inn-{VM_ID}");
    let output = ssh(&daemon, &["web"]);
    check_exit(&output, 7);
    assert_eq!(told(&output), format!("{alias} -p 22 10.87.0.2"));
    let output = ssh(&daemon, &["web", "--user", "root", "--port", "2222", "uname", "-a"]);
    assert_eq!(told(&output), format!("{alias} -p 2222 -l root 10.87.0.2 uname -a"));
    let output = ssh(&daemon, &["web", "--", "-L", "1:x:2", "true"]);
    assert_eq!(told(&output), format!("{alias} -p 22 10.87.0.2 -L 1:x:2 true"));
}

#[test]
fn the_user_may_be_a_label_of_the_vm_and_the_address_a_published_port() {
    let mut vm = addressed("running", json!([]));
    vm["spec"]["config"]["labels"] = json!({"ssh-user": "debian"});
    vm["spec"]["config"]["nics"] =
        json!([{"name": "nic0", "network": "user", "publish": ["8080:80", "2222:22/tcp"]}]);
    let hostile = {
        let mut vm = vm.clone();
        vm["spec"]["config"]["labels"]["ssh-user"] = "-oProxyCommand=x".into();
        vm
    };
    let daemon = FakeDaemon::start(move |_| ok(vm.clone()));
    let output = ssh(&daemon, &["web"]);
    let expected = format!("-o HostKeyAlias=inn-{VM_ID} -p 2222 -l debian 127.0.0.1");
    assert_eq!(told(&output), expected);
    let daemon = FakeDaemon::start(move |_| ok(hostile.clone()));
    let output = ssh(&daemon, &["web"]);
    check_exit(&output, 2);
    assert!(talk(&output).contains("--user NAME"), "{}", talk(&output));
}

/// Two NICs, as `inn nic add` leaves them, and an agent that knows the first one's private address.
fn on_user_and_lan(publish: Value, more: Value) -> FakeDaemon {
    let told = json!([{"address": "172.17.0.1", "source": "agent"},
        {"nic": "nic0", "address": "10.0.2.15", "source": "agent"}]);
    let mut vm = addressed("running", told);
    vm["addresses"].as_array_mut().unwrap().extend(more.as_array().unwrap().clone());
    vm["spec"]["config"]["nics"] = json!([{"name": "nic0", "network": "user", "publish": publish},
        {"name": "nic1", "network": "lan"}]);
    FakeDaemon::start(move |_| ok(vm.clone()))
}

#[test]
fn what_the_agent_says_of_a_private_network_is_not_where_ssh_goes() {
    let lease = json!([{"nic": "nic1", "address": "10.87.3.2", "source": "lease"}]);
    let told_of = |daemon: &FakeDaemon| {
        let told = told(&ssh(daemon, &["web"]));
        told.split_once(" -p ").unwrap_or_default().1.to_owned()
    };
    let added = on_user_and_lan(json!([]), lease.clone());
    assert_eq!(told_of(&added), "22 10.87.3.2");
    assert_eq!(data(&inn_in(added.folder(), &["ip", "web"])), "10.87.3.2\n");
    assert_eq!(told_of(&on_user_and_lan(json!(["2222:22"]), lease)), "22 10.87.3.2");

    let published = on_user_and_lan(json!(["2222:22"]), json!([]));
    assert_eq!(told_of(&published), "2222 127.0.0.1");
    let bridged = json!([{"nic": "nic1", "address": "192.168.1.9", "source": "agent"}]);
    assert_eq!(told_of(&on_user_and_lan(json!([]), bridged.clone())), "22 192.168.1.9");
    let both = on_user_and_lan(json!(["2222:22"]), bridged);
    assert_eq!(told_of(&both), "2222 127.0.0.1", "a port leads to the guest, whatever it says");

    let neither = on_user_and_lan(json!([]), json!([]));
    for words in [&["web"][..], &["web", "--wait=50ms"]] {
        let output = ssh(&neither, words);
        check_exit(&output, if words.len() == 1 { 1 } else { 6 });
        assert_eq!(data(&output), "", "ssh was not run");
    }
    let text = talk(&ssh(&neither, &["web"]));
    assert!(text.contains("known but 10.0.2.15, which only its guest says"), "{text}");
    let list = FakeDaemon::start(|_| {
        let told = json!([{"address": "172.17.0.1", "source": "agent"}]);
        ok(json!({"items": [addressed("running", told)]}))
    });
    let text = data(&inn_in(list.folder(), &["list"]));
    assert!(text.contains("web") && !text.contains("172.17.0.1"), "{text}");
}

#[test]
fn an_agent_that_names_anothers_address_beside_a_lease_is_not_believed() {
    for source in ["lease", "reservation"] {
        let lie = json!([
            {"nic": "nic0", "address": "10.87.0.1", "source": "agent"},
            {"nic": "nic0", "address": "10.87.0.2", "source": source},
        ]);
        let daemon = with_addresses("running", lie.clone());
        assert!(told(&ssh(&daemon, &["web", "true"])).ends_with(" -p 22 10.87.0.2 true"));
        assert_eq!(data(&inn_in(daemon.folder(), &["ip", "web"])), "10.87.0.2\n");
        let list =
            FakeDaemon::start(move |_| ok(json!({"items": [addressed("running", lie.clone())]})));
        let text = data(&inn_in(list.folder(), &["list"]));
        assert!(text.contains("10.87.0.2") && !text.contains("10.87.0.1 "), "{text}");
    }
}

#[test]
fn without_ssh_the_package_is_named() {
    let daemon = with_addresses("running", both());
    let output = inn(&["ssh", "web", "--state-dir"])
        .arg(daemon.folder())
        .env("PATH", daemon.folder())
        .output()
        .unwrap();
    check_exit(&output, 1);
    assert!(talk(&output).contains("openssh-client"), "{}", talk(&output));
}

#[test]
fn ssh_can_wait_until_the_guest_answers() {
    // The host takes connections from the beginning, the guest answers the third of them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (connection, number) in listener.incoming().zip(1..) {
            if number == 3 {
                connection.unwrap().write_all(b"SSH-2.0-guest\r\n").unwrap();
                return;
            }
        }
    });
    let daemon = FakeDaemon::start(move |_| {
        let mut vm = addressed("running", json!([]));
        vm["spec"]["config"]["nics"] = json!([
            {"name": "nic0", "network": "user", "publish": [format!("127.0.0.1:{port}:22")]},
        ]);
        ok(vm)
    });
    let output = ssh(&daemon, &["web", "--wait"]);
    assert!(told(&output).ends_with(&format!("-p {port} 127.0.0.1")), "{}", talk(&output));
    let daemon = with_addresses(
        "running",
        json!([
            {"nic": "nic0", "address": "127.0.0.1", "source": "agent"},
        ]),
    );
    let output = ssh(&daemon, &["web", "--wait=50ms"]);
    check_exit(&output, 6);
    assert!(talk(&output).contains("inn console web"), "{}", talk(&output));
}

// waiting

fn send(stream: &mut impl Write, line: Value) {
    writeln!(stream, "{line}").unwrap();
}

/// A VM whose guest takes its address up after the feed has begun.
fn that_gets_an_address(changes: Vec<Value>) -> FakeDaemon {
    let asked = AtomicUsize::new(0);
    FakeDaemon::start(move |request: &Request| {
        if request.line.starts_with("GET /v1/events") {
            let changes = changes.clone();
            return Reply::Stream(Box::new(move |mut stream| {
                begin_stream(&mut stream);
                let epoch = "0192a4b0000070008000000000000001";
                let ready =
                    json!({"type": "ready", "position": format!("{epoch}-1"), "revision": 1});
                send(&mut stream, ready);
                for (sequence, changes) in (2..).zip(changes) {
                    send(
                        &mut stream,
                        json!({
                            "type": "change", "position": format!("{epoch}-{sequence}"),
                            "revision": sequence, "time": "2026-01-01T00:00:00Z", "kind": "vm",
                            "action": "modify", "id": VM_ID, "name": "web", "changes": changes,
                        }),
                    );
                }
                let _ = stream.read(&mut [0; 1]);
            }));
        }
        // Once for who it is, once when the feed has begun; from then on it has its address.
        let source =
            if asked.fetch_add(1, Ordering::Relaxed) < 2 { "reservation" } else { "lease" };
        let addresses = json!([{"nic": "nic0", "address": "10.87.0.2", "source": source}]);
        ok(addressed("running", addresses))
    })
}

#[test]
fn wait_ends_when_the_guest_has_taken_its_address_up() {
    let told =
        json!([{"path": ["addresses", "0", "source"], "old": "reservation", "new": "lease"}]);
    let other = json!([{"path": ["facts", "resets"], "new": 1}]);
    for wanted in ["ip", "ip=10.87.0.2"] {
        let daemon = that_gets_an_address(vec![other.clone(), told.clone()]);
        let output = inn_in(daemon.folder(), &["wait", "web", "--for", wanted]);
        check_exit(&output, 0);
        assert_eq!(talk(&output), "web: 10.87.0.2\n");
        let reads = daemon.lines().iter().filter(|line| line.starts_with("GET /v1/vms/")).count();
        assert_eq!(reads, 3, "asked only when the feed tells of addresses");
    }
}

#[test]
fn an_address_that_is_only_kept_is_not_waited_out_and_the_reason_is_told() {
    let daemon = that_gets_an_address(vec![]);
    let output = inn_in(daemon.folder(), &["wait", "web", "--for", "ip", "--timeout", "200ms"]);
    check_exit(&output, 6);
    let text = talk(&output);
    assert!(text.contains("web is running, still not reached at any address"), "{text}");
    assert!(
        text.contains("10.87.0.2 is its address") && text.contains("inn console web"),
        "{text}"
    );
}
