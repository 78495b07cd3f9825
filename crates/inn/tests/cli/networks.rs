//! Networks and subnets.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, TASK_ID, accepted, not_found, ok, problem, task},
    inn, inn_in, talk,
};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

const NETWORK_ID: &str = "0192a4b0-0000-7000-8000-0000000000b1";
const SUBNET_ID: &str = "0192a4b0-0000-7000-8000-0000000000c1";

fn network(name: &str) -> Value {
    json!({
        "id": NETWORK_ID, "revision": 3, "created": "2026-01-01T00:00:00Z",
        "updated": "2026-01-01T00:00:00Z", "config": {"name": name, "isolated": false},
        "bridge": "inn-lan",
        "subnets": [{"id": SUBNET_ID, "config": {"range": "10.87.0.0/24"}, "reserved": 2}],
        "facts": {
            "up": true, "mtu": 1500, "dhcp": "running",
            "leases": [{"address": "10.87.0.2", "mac": "52:54:00:00:00:01", "hostname": "web"}],
            "mended": {"at": "2026-01-02T03:04:05Z", "what": ["the rules were gone"]},
        },
    })
}

fn subnet() -> Value {
    json!({
        "id": SUBNET_ID, "config": {"range": "10.87.0.0/24", "name": "servers"}, "reserved": 2,
        "network": NETWORK_ID, "network_name": "lan", "size": 253, "taken": 5,
    })
}

/// A daemon with network `lan` and a subnet on it, whose tasks are done when they are asked about.
fn with_lan() -> FakeDaemon {
    FakeDaemon::start(|request| {
        let (method, target) = request.line.split_once(' ').unwrap();
        let path = target.split('?').next().unwrap();
        let mut done = task("create-network", "done");
        done["subject"] = "lan".into();
        match (method, path) {
            ("GET", path) if path.starts_with("/v1/tasks/") => ok(done),
            ("GET", "/v1/networks") => ok(json!({"items": [network("lan")]})),
            ("GET", "/v1/networks/lan") => ok(network("lan")),
            ("GET", path) if path.contains(NETWORK_ID) => ok(network("lan")),
            ("GET", "/v1/subnets") => ok(json!({"items": [subnet()]})),
            ("GET", path) if path.ends_with("/reservations") => ok(json!({"items": [
                {"address": "10.87.0.9", "mac": "52:54:00:00:00:09", "name": "printer"},
                {"address": "10.87.0.10"},
            ]})),
            ("GET", path) if path.starts_with("/v1/subnets/") => ok(subnet()),
            ("GET", _) => not_found(),
            _ => accepted("create-network"),
        }
    })
}

/// What the daemon was asked to change.
fn sent(daemon: &FakeDaemon) -> Vec<(String, Value)> {
    let requests = daemon.requests().into_iter();
    let changes = requests.filter(|request| !request.line.starts_with("GET"));
    changes.map(|request| (request.line, request.body)).collect()
}

fn line(text: &str, body: Value) -> (String, Value) {
    (text.to_owned(), body)
}

#[test]
fn a_network_is_made_as_the_flags_say() {
    let daemon = with_lan();
    let output = inn_in(daemon.folder(), &["network", "create", "lan"]);
    check_exit(&output, 0);
    assert_eq!(talk(&output), "lan: created\n");
    let words = "network create lan --subnet 10.87.0.0/24 --subnet fd00:87::/64 --no-nat --mtu 9000 \
                 --isolated --gateway 10.87.0.254 --dns 10.87.0.53 --dhcp --label a=b -q";
    check_exit(&inn_in(daemon.folder(), &words.split_whitespace().collect::<Vec<_>>()), 0);
    let words = "network create up --bridge br0 --vlan 10 --nat -o json";
    check_exit(&inn_in(daemon.folder(), &words.split_whitespace().collect::<Vec<_>>()), 3);
    assert_eq!(
        sent(&daemon),
        [
            line("POST /v1/networks", json!({"name": "lan"})),
            line(
                "POST /v1/networks",
                json!({
                    "name": "lan", "nat": false, "mtu": 9000, "isolated": true,
                    "labels": {"a": "b"},
                    "subnets": [
                        {"range": "10.87.0.0/24", "gateway": "10.87.0.254", "dns": ["10.87.0.53"],
                         "dhcp": true},
                        {"range": "fd00:87::/64", "dhcp": true},
                    ],
                })
            ),
            line(
                "POST /v1/networks",
                json!({"name": "up", "bridge": "br0", "vlan": 10, "nat": true})
            ),
        ]
    );
}

#[test]
fn what_makes_no_sense_is_refused_before_anybody_is_asked() {
    let daemon = with_lan();
    for words in [
        "network create user/none",
        "network create lan --subnet 10.87.0.0",
        "network create lan --subnet 10.87.0.0/24 --gateway 10.88.0.1",
        "network create lan --subnet 10.87.0.0/24 --dns fd00::53",
        "network create lan --bridge a/b",
        "network create lan --vlan x",
        "network edit lan --isolated --not-isolated",
        "subnet create 10.87.0.0/24",
        "subnet create 10.87.0.0 --network lan",
        "subnet reserve 10.87.0.0/24 10.87.0.5 --count 2",
        "subnet reserve 10.87.0.0/24 10.87.0.5 10.87.0.6 --mac 52:54:00:00:00:01",
        "subnet release 10.87.0.0/24",
        "wait web --for flying",
        "ssh web --user -oProxyCommand=x",
        "create web --publish 80",
    ] {
        let output = inn_in(daemon.folder(), &words.split_whitespace().collect::<Vec<_>>());
        check_exit(&output, 2);
    }
    assert!(daemon.lines().is_empty(), "{:?}", daemon.lines());
}

#[test]
fn networks_are_shown() {
    let daemon = with_lan();
    let list = inn_in(daemon.folder(), &["network", "list"]);
    check_exit(&list, 0);
    let text = data(&list);
    assert!(text.starts_with("NAME  STATE  BRIDGE   SUBNETS       NAT  AGE"), "{text}");
    assert!(text.contains("lan   up     inn-lan  10.87.0.0/24  yes"), "{text}");
    assert_eq!(data(&inn_in(daemon.folder(), &["networks", "ls", "-o", "name"])), "lan\n");
    let get = data(&inn_in(daemon.folder(), &["network", "get", "lan"]));
    for part in [
        "inn-lan (made)",
        "gateway 10.87.0.1, 2 reserved",
        "10.87.0.2, 52:54:00:00:00:01, web",
        "the rules were gone",
        "2026-01-02T03:04:05Z",
    ] {
        assert!(get.contains(part), "{part}: {get}");
    }
    let json = inn_in(daemon.folder(), &["network", "get", "lan", "-o", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap(), network("lan"));
    let empty = FakeDaemon::start(|_| ok(json!({"items": []})));
    let output = inn_in(empty.folder(), &["network", "list", "--name", "l*", "--label", "a=b"]);
    assert!(talk(&output).contains("inn network create"));
    assert_eq!(empty.lines(), ["GET /v1/networks?name=l%2A&label.a=b"]);
}

#[test]
fn networks_are_changed_with_flags_and_deleted() {
    let daemon = with_lan();
    let output = inn_in(daemon.folder(), &["network", "edit", "lan", "--mtu", "1400", "--nat"]);
    check_exit(&output, 0);
    check_exit(&inn_in(daemon.folder(), &["network", "edit", "lan", "--not-isolated"]), 0);
    check_exit(&inn_in(daemon.folder(), &["network", "edit", "lan", "--rename", "wan"]), 0);
    check_exit(&inn_in(daemon.folder(), &["network", "delete", "lan", "dmz"]), 0);
    assert_eq!(
        sent(&daemon),
        [
            line("PATCH /v1/networks/lan", json!({"mtu": 1400, "nat": true})),
            line("PATCH /v1/networks/lan", json!({"isolated": false})),
            line("PATCH /v1/networks/lan", json!({"name": "wan"})),
            line("DELETE /v1/networks/lan", Value::Null),
            line("DELETE /v1/networks/dmz", Value::Null),
        ]
    );
}

/// An editor that runs this script on the file.
fn editor(folder: &Path, script: &str) -> String {
    let path = folder.join("editor");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn edit(daemon: &FakeDaemon, script: &str) -> Output {
    inn(&["network", "edit", "lan", "--state-dir"])
        .arg(daemon.folder())
        .env("EDITOR", editor(daemon.folder(), script))
        .output()
        .unwrap()
}

#[test]
fn a_network_is_edited_as_text_at_the_revision_that_was_read() {
    let daemon = with_lan();
    let output = edit(&daemon, "sed -i 's/isolated: false/isolated: true/' \"$1\"");
    check_exit(&output, 0);
    let config = json!({"name": "lan", "isolated": true});
    assert_eq!(sent(&daemon), [line(&format!("PUT /v1/networks/{NETWORK_ID}"), config)]);
    let put = daemon.requests().into_iter().find(|request| request.line.starts_with("PUT"));
    assert!(put.unwrap().head.contains("if-match: \"3\""));

    let unchanged = edit(&daemon, "true");
    check_exit(&unchanged, 0);
    assert_eq!(talk(&unchanged), "lan: unchanged\n");
    let comment = edit(&daemon, "cat \"$1\" >&2; true");
    assert!(talk(&comment).contains("# The network lan."), "{}", talk(&comment));
}

#[test]
fn subnets_are_made_shown_and_deleted() {
    let daemon = with_lan();
    let words = "subnet create 10.87.0.0/24 --network lan --name servers --gateway 10.87.0.254";
    let output = inn_in(daemon.folder(), &words.split(' ').collect::<Vec<_>>());
    check_exit(&output, 0);
    assert_eq!(talk(&output), "lan: subnet created\n");
    let named = inn_in(
        daemon.folder(),
        &["subnet", "create", "10.87.0.0/24", "--network", "lan", "--no-dhcp", "-q", "-o", "name"],
    );
    assert_eq!(data(&named), "10.87.0.0/24\n");
    check_exit(&inn_in(daemon.folder(), &["subnet", "rm", "10.87.0.0/24"]), 0);
    assert_eq!(
        sent(&daemon),
        [
            line(
                "POST /v1/subnets",
                json!({"network": "lan", "name": "servers", "range": "10.87.0.0/24",
                       "gateway": "10.87.0.254"})
            ),
            line(
                "POST /v1/subnets",
                json!({"network": "lan", "range": "10.87.0.0/24", "dhcp": false})
            ),
            line("DELETE /v1/subnets/10.87.0.0%2F24", Value::Null),
        ]
    );
    let list = data(&inn_in(daemon.folder(), &["subnet", "list", "--network", "lan"]));
    assert_eq!(
        list,
        "RANGE         NAME     NETWORK  GATEWAY    TAKEN  SIZE  RESERVED\n\
         10.87.0.0/24  servers  lan      10.87.0.1  5      253   2\n"
    );
    assert!(daemon.lines().contains(&"GET /v1/subnets?network=lan".to_owned()));
    let get = data(&inn_in(daemon.folder(), &["subnet", "get", "servers"]));
    assert!(get.contains("5 of 253") && get.contains("inn subnet reservations"), "{get}");
}

#[test]
fn addresses_are_kept_listed_and_given_back() {
    let daemon = with_lan();
    let range = "10.87.0.0/24";
    let run = |words: &[&str]| {
        let output = inn_in(daemon.folder(), &[&["subnet"], words].concat());
        check_exit(&output, 0);
        output
    };
    let kept =
        run(&["reserve", range, "10.87.0.9", "--mac", "52:54:00:00:00:09", "--name", "printer"]);
    assert_eq!(talk(&kept), "lan: addresses reserved\n");
    run(&["reserve", range, "10.87.0.5", "10.87.0.6"]);
    run(&["reserve", range, "--count", "20", "--name", "pool"]);
    run(&["reserve", range]);
    run(&["release", range, "10.87.0.5", "10.87.0.6"]);
    let address = "/v1/subnets/10.87.0.0%2F24/reservations";
    assert_eq!(
        sent(&daemon),
        [
            line(
                &format!("POST {address}"),
                json!([{"address": "10.87.0.9", "mac": "52:54:00:00:00:09", "name": "printer"}])
            ),
            line(
                &format!("POST {address}"),
                json!([{"address": "10.87.0.5"}, {"address": "10.87.0.6"}])
            ),
            line(&format!("POST {address}"), json!({"count": 20, "name": "pool"})),
            line(&format!("POST {address}"), json!([{}])),
            line(&format!("DELETE {address}"), json!({"addresses": ["10.87.0.5", "10.87.0.6"]})),
        ]
    );
    let list = run(&["reservations", range, "--name", "printer"]);
    assert_eq!(
        data(&list),
        "ADDRESS     MAC                NAME\n\
         10.87.0.9   52:54:00:00:00:09  printer\n\
         10.87.0.10\n"
    );
    assert_eq!(data(&run(&["reservations", range, "-o", "name"])), "10.87.0.9\n10.87.0.10\n");
    assert!(daemon.lines().contains(&format!("GET {address}?name=printer")));
}

#[test]
fn a_refusal_is_told_with_its_advice() {
    let daemon = FakeDaemon::start(|_| problem(409, "in-use", "network lan is in use by web"));
    let output = inn_in(daemon.folder(), &["network", "delete", "lan"]);
    check_exit(&output, 4);
    let text = talk(&output);
    assert!(text.contains("in use by web") && text.contains("do something else"), "{text}");
}

#[test]
fn a_vm_is_made_on_a_network_with_published_ports() {
    let daemon = with_lan();
    let words = "create web --nic lan,address=10.87.0.5 --nic user --publish 8080:80 --no-wait";
    let output = inn_in(daemon.folder(), &words.split(' ').collect::<Vec<_>>());
    check_exit(&output, 0);
    assert_eq!(data(&output), format!("{TASK_ID}\n"));
    assert_eq!(
        sent(&daemon)[0].1["nics"],
        json!([
            {"name": "nic0", "network": "lan", "addresses": ["10.87.0.5"],
             "publish": ["8080:80/tcp"]},
            {"name": "nic1", "network": "user"},
        ])
    );
}

#[test]
fn names_of_networks_and_ranges_of_subnets_are_completed() {
    let daemon = with_lan();
    let complete = |words: &[&str]| {
        let output = inn(&["--", "inn"])
            .args(words)
            .env("INN_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_COMPLETE_SPACE", "true")
            .env("_CLAP_IFS", "\n")
            .env("INN_STATE_DIR", daemon.folder())
            .output()
            .unwrap();
        data(&output)
    };
    assert_eq!(complete(&["network", "get", "l"]).trim(), "lan");
    assert_eq!(complete(&["subnet", "get", "10"]).trim(), "10.87.0.0/24");
    let attachments = complete(&["create", "web", "--nic", ""]);
    assert_eq!(attachments.lines().collect::<Vec<_>>(), ["user", "none", "lan"]);
}

#[test]
fn networks_and_subnets_are_applied_from_files() {
    let daemon = with_lan();
    let file = |text: &str| -> String {
        let path = daemon.folder().join("net.yaml");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().into()
    };
    let apply = |text: &str, more: &[&str]| {
        let path = file(text);
        inn_in(daemon.folder(), &[&["apply", &path], more].concat())
    };
    // What `get` printed is what it is.
    for shown in ["network", "subnet"] {
        let named = if shown == "network" { "lan" } else { "10.87.0.0/24" };
        let printed = data(&inn_in(daemon.folder(), &[shown, "get", named, "-o", "yaml"]));
        let output = apply(&printed.replace("name: servers", ""), &[]);
        check_exit(&output, 0);
        assert!(talk(&output).ends_with(": unchanged\n"), "{}", talk(&output));
    }
    check_exit(&apply("kind: network\nname: lan\n", &[]), 0);
    assert_eq!(sent(&daemon), []);

    let changed =
        "name: lan\nisolated: true\nsubnets:\n- range: 10.87.0.0/24\n- range: fd00::/64\n";
    let output = apply(changed, &["--dry-run"]);
    let shown = data(&output);
    assert!(shown.starts_with("lan: would change\n  isolated: false -> true\n"), "{shown}");
    assert!(shown.contains("fd00::/64") && !shown.contains("10.87"), "{shown}");
    assert_eq!(sent(&daemon), []);
    check_exit(&apply(changed, &["-q"]), 0);
    check_exit(&apply("range: 10.88.0.0/24\nnetwork: lan\ndhcp: false\n", &["-q"]), 0);
    let new = "name: new\nsubnets: [{range: 10.99.0.0/24}]\n";
    check_exit(&apply(new, &["-q"]), 0);
    let expected = [
        line(&format!("PUT /v1/networks/{NETWORK_ID}"), json!({"name": "lan", "isolated": true})),
        line("POST /v1/subnets", json!({"range": "fd00::/64", "network": "lan"})),
        line("POST /v1/subnets", json!({"range": "10.88.0.0/24", "network": "lan", "dhcp": false})),
        line("POST /v1/networks", json!({"name": "new", "subnets": [{"range": "10.99.0.0/24"}]})),
    ];
    assert_eq!(sent(&daemon), expected);

    for (text, code, words) in [
        ("range: 10.87.0.0/24\nnetwork: lan\ndhcp: false\n", 4, "cannot be changed: dhcp"),
        ("range: 10.87.0.0/24\nnetwork: none-such\n", 3, "no network none-such"),
        ("range: 10.87.0.0/24\n", 2, "network"),
        ("name: lan\nsubnets: [{range: 10.0.0.1/24}]\n", 2, "subnets[0]"),
        ("name: lan\nvlan: 5000\n", 2, "vlan"),
        ("kind: house\nname: lan\n", 2, "vm, network and subnet"),
    ] {
        let output = apply(text, &[]);
        check_exit(&output, code);
        assert!(talk(&output).contains(words), "{text}: {}", talk(&output));
    }
    assert_eq!(sent(&daemon).len(), expected.len());
}
