//! Tokens of callers over TCP.

use crate::{
    check_exit, data,
    fake::{FakeDaemon, Reply, not_found, ok},
    inn, inn_in, talk,
};
use serde_json::{Value, json};

const TEXT: &str = "inn_0123456789012345678901234567890123456789abc";

fn token(state: &str) -> Value {
    json!({
        "name": "ci", "state": state, "role": "owner", "project": "web", "privileged": false,
        "created": "2026-01-01T00:00:00Z", "created_by": "uid:0",
    })
}

fn daemon() -> FakeDaemon {
    FakeDaemon::start(|request| match &*request.line {
        "POST /v1/tokens" => Reply::Json(201, json!({ "text": TEXT, "token": token("valid") })),
        "GET /v1/tokens" => ok(json!({ "items": [token("valid")] })),
        "DELETE /v1/tokens/ci" => ok(token("revoked")),
        line if line.starts_with("DELETE /v1/sign-in/") => Reply::Json(204, Value::Null),
        _ => not_found(),
    })
}

#[test]
fn a_new_tokens_text_is_all_that_is_printed() {
    let daemon = daemon();
    let create = ["token", "create", "ci", "--role", "owner", "--project", "web", "--privileged"];
    let output = inn_in(daemon.folder(), &create);
    check_exit(&output, 0);
    assert_eq!(data(&output), format!("{TEXT}\n"));
    assert!(talk(&output).contains("only time"), "{}", talk(&output));
    let wanted = json!({ "name": "ci", "role": "owner", "project": "web", "privileged": true });
    assert_eq!(daemon.requests()[0].body, wanted);
}

#[test]
fn tokens_are_listed_and_revoked_by_name() {
    let daemon = daemon();
    let list = inn_in(daemon.folder(), &["token", "list"]);
    assert!(data(&list).lines().nth(1).unwrap().starts_with("ci    valid  owner  web"), "{list:?}");
    assert_eq!(data(&inn_in(daemon.folder(), &["tokens", "list", "-o", "name"])), "ci\n");
    let revoked = inn_in(daemon.folder(), &["token", "revoke", "ci"]);
    assert_eq!(talk(&revoked), "ci is refused from now on\n");
    check_exit(&inn_in(daemon.folder(), &["token", "revoke", "other"]), 3);
}

#[test]
fn what_a_wallet_has_shown_is_revoked_by_its_address() {
    const ADDRESS: &str = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";
    let daemon = daemon();
    let revoked = inn_in(daemon.folder(), &["token", "revoke", "--wallet", ADDRESS]);
    check_exit(&revoked, 0);
    assert!(talk(&revoked).contains(ADDRESS), "{}", talk(&revoked));
    check_exit(
        &inn_in(daemon.folder(), &["token", "revoke", "--wallet", ADDRESS, "--jti", "a b"]),
        0,
    );
    let lines: Vec<_> = daemon.requests().into_iter().map(|request| request.line).collect();
    let path = format!("DELETE /v1/sign-in/{ADDRESS}");
    assert_eq!(lines, [path.clone(), format!("{path}?jti=a%20b")]);
    check_exit(&inn_in(daemon.folder(), &["token", "revoke", "--jti", "one"]), 2);
    check_exit(&inn_in(daemon.folder(), &["token", "revoke", "ci", "--wallet", ADDRESS]), 2);
}

#[test]
fn what_each_role_may_is_known_without_a_daemon() {
    let table = inn(&["auth", "table"]).output().unwrap();
    check_exit(&table, 0);
    let rows = data(&inn(&["auth", "table", "-o", "json"]).output().unwrap());
    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
    assert_eq!(data(&table).lines().count(), rows.len() + 1);
    let change = rows.iter().find(|row| row["resource"] == "vm" && row["action"] == "change");
    assert_eq!(
        (&change.unwrap()["operator"], &change.unwrap()["owner"]),
        (&json!("-"), &json!("own"))
    );
}
