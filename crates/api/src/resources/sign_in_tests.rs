use crate::{
    gate::{Entrance, Gate},
    router::router,
    state::ApiState,
    test_support::{Api, Read},
};
use axum::body::Body;
use futures_util::FutureExt;
use http::Request;
use innkeeper_auth::{
    AccountRules, Accounts, Doorkeeper, IssuedTokens, Principal, RevokedTokens, SigningIn,
};
use innkeeper_model::Timestamp;
use innkeeper_store::audit::{AuditLog, AuditOptions, AuditQuery, read};
use innkeeper_surface::{Audited, Gate as _, ReadOnly};
use innkeeper_view::{View, ViewOptions};
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn api() -> Api {
    let site = "http://localhost:7100".parse().unwrap();
    let rules = AccountRules { open: true, ..AccountRules::default() };
    let accounts = Accounts::new(rules, "innkeeper").with_sign_in(Arc::new(SigningIn::new(site)));
    Api::guarded_by(Doorkeeper::default().with_accounts(Arc::new(accounts)))
}

/// Sends something over TCP, where a caller is nobody by itself.
async fn send(api: &Api, method: &str, path: &str, body: &str) -> Read {
    let request = Request::builder().method(method).uri(path).header("host", "localhost:7100");
    let request = request.body(Body::from(body.to_owned())).unwrap();
    Read::of(api.call_through(Entrance::Tcp, request).await).await
}

#[tokio::test]
async fn anybody_gets_a_nonce_and_each_another() {
    let api = api();
    let mut nonces = Vec::new();
    for _ in 0..2 {
        let answered = send(&api, "POST", "/v1/sign-in/challenges", "").await;
        assert_eq!(answered.status, 201, "{}", answered.text);
        assert_eq!(answered.header("cache-control"), "no-store");
        nonces.push(answered.json()["nonce"].as_str().unwrap().to_owned());
    }
    assert!(nonces[0].len() == 32 && nonces[0] != nonces[1], "{nonces:?}");
}

#[tokio::test]
async fn what_no_wallet_signed_is_no_session() {
    let api = api();
    let nonce = send(&api, "POST", "/v1/sign-in/challenges", "").await.json()["nonce"].clone();
    let message = format!(
        "localhost:7100 wants you to sign in with your Ethereum account:\n\
         0x2c7536E3605D9C16a7a3D7b1898e529396a65c23\n\n\nURI: http://localhost:7100/\nVersion: 1\n\
         Chain ID: 1\nNonce: {}\nIssued At: 2026-01-15T08:00:00Z",
        nonce.as_str().unwrap()
    );
    let signature = format!("0x{}1b", "11".repeat(64));
    for message in [&*message, "hello"] {
        let body = json!({ "message": message, "signature": signature }).to_string();
        send(&api, "POST", "/v1/sign-in", &body).await.problem("unauthenticated");
    }
    send(&api, "POST", "/v1/sign-in", "{}").await.problem("invalid-field");
    // Signing out needs somebody who has signed in.
    send(&api, "DELETE", "/v1/sign-in", "").await.problem("unauthenticated");
    api.send("DELETE", "/v1/sign-in", "").await.problem("wrong-state");
}

#[tokio::test]
async fn where_no_wallets_are_let_in_that_is_said() {
    let api = Api::new();
    send(&api, "POST", "/v1/sign-in/challenges", "").await.problem("unsupported");
    // Whatever is sent: nothing of it is read.
    send(&api, "POST", "/v1/sign-in", "{}").await.problem("unsupported");
}

#[tokio::test]
async fn of_those_who_sign_in_no_more_is_read_than_a_message_has() {
    let long = |length: usize| json!({ "message": "x".repeat(length), "signature": "" });
    let sent =
        async |length: usize| send(&api(), "POST", "/v1/sign-in", &long(length).to_string()).await;
    sent(4096).await.problem("unauthenticated");
    assert_eq!(sent(16 << 10).await.problem("too-large")["limit"], "16384 bytes");
}

/// An account, and what keeps what it does on record.
struct Bench {
    _folder: tempfile::TempDir,
    audit: AuditLog,
    state: ApiState,
    key: SigningKey,
    address: String,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let options =
        AuditOptions { folder: folder.path().join("audit"), file_size: 1 << 20, files: 2 };
    let (view, audit) =
        (View::start(ViewOptions::new(Uuid::now_v7())), AuditLog::start(options).unwrap());
    let operations = Arc::new(Audited::new(ReadOnly, view.clone(), audit.clone()));
    let site = "http://localhost:7100".parse().unwrap();
    let rules = AccountRules { open: true, ..AccountRules::default() };
    let revoked = RevokedTokens::open(&folder.path().join("revoked.json"), Timestamp::now());
    let accounts = Accounts::new(rules, "innkeeper")
        .with_revoked(Arc::new(revoked.unwrap()))
        .with_sign_in(Arc::new(SigningIn::new(site)));
    let issued = IssuedTokens::open(&folder.path().join("tokens.json")).unwrap();
    let doorkeeper =
        Doorkeeper::default().with_accounts(Arc::new(accounts)).with_issued(Arc::new(issued));
    let state = ApiState::new(view, operations, None, doorkeeper, CancellationToken::new());
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let point = key.verifying_key().to_sec1_point(false);
    let hash = Keccak256::digest(&point.as_bytes()[1..]);
    let address = innkeeper_auth::Address::new(hash[12..].try_into().unwrap());
    Bench { _folder: folder, audit, state, key, address: address.to_string() }
}

impl Bench {
    /// What passes the gate over TCP, with these headers beside those of every request.
    async fn show(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Read {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in [("host", "localhost:7100")].iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let (state, entrance) = (self.state.clone(), Arc::new(Entrance::Tcp));
        let gate = Gate::new(state.clone(), router(state), entrance);
        Read::of(gate.answer(request.body(Body::empty()).unwrap()).await).await
    }

    async fn send(&self, method: &str, path: &str, token: Option<&str>, body: Value) -> Read {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", "localhost:7100").header("x-request-id", "r1");
        request = request.header("content-type", "application/json");
        let entrance = match token {
            Some(token) => {
                request = request.header("authorization", format!("Bearer {token}"));
                Entrance::Tcp
            }
            None if path.starts_with("/v1/sign-in/0x") => {
                Entrance::Unix(Principal::of_socket(0, 0))
            }
            None => Entrance::Tcp,
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let gate = Gate::new(self.state.clone(), router(self.state.clone()), Arc::new(entrance));
        Read::of(gate.answer(request.body(Body::from(body)).unwrap()).await).await
    }

    /// A session of the account.
    async fn signed_in(&self) -> String {
        let nonce = self.send("POST", "/v1/sign-in/challenges", None, Value::Null).await;
        let nonce = nonce.json()["nonce"].as_str().unwrap().to_owned();
        let message = format!(
            "localhost:7100 wants you to sign in with your Ethereum account:\n{}\n\n\n\
             URI: http://localhost:7100/\nVersion: 1\nChain ID: 1\nNonce: {nonce}\n\
             Issued At: {:.0}",
            self.address,
            Timestamp::now()
        );
        let prefix = format!("\x19Ethereum Signed Message:\n{}", message.len());
        let hash: [u8; 32] = Keccak256::digest(format!("{prefix}{message}")).into();
        let (signature, recovery) = self.key.sign_prehash_recoverable(&hash);
        let digits: String =
            signature.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = format!("0x{digits}{:02x}", recovery.to_byte() + 27);
        let body = json!({ "message": message, "signature": signature });
        let answered = self.send("POST", "/v1/sign-in", None, body).await;
        assert_eq!(answered.status, 201, "{}", answered.text);
        answered.json()["token"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn who_shows_a_browsers_cookie_is_told_what_to_show_to_sign_out() {
    let bench = bench();
    let bearer = format!("Bearer {}", bench.signed_in().await);
    let begun = bench.show("POST", "/v1/browser-session", &[("authorization", &bearer)]).await;
    let cookie = begun.header("set-cookie").split(';').next().unwrap();
    let csrf = begun.json()["csrf"].as_str().unwrap().to_owned();
    let shown = [("cookie", cookie), ("innkeeper-csrf", &*csrf)];
    let refused = bench.show("DELETE", "/v1/sign-in", &shown).await.problem("wrong-state");
    assert!(refused["hint"].as_str().unwrap().contains("the token itself"), "{refused}");
    let left = bench.show("DELETE", "/v1/sign-in", &[("authorization", &bearer)]).await;
    assert_eq!(left.status, 204);
    bench.show("DELETE", "/v1/sign-in", &shown).await.problem("unauthenticated");
}

#[tokio::test]
async fn what_is_revoked_is_on_record_though_whoever_asked_has_left() {
    let bench = bench();
    let path = format!("/v1/sign-in/{}", bench.address);
    // It waits for the disk, and is dropped there.
    drop(bench.send("DELETE", &path, None, Value::Null).now_or_never());
    let on_record = async {
        while bench.audit.diagnose().written == 0 {
            // The thread that writes gathers for some milliseconds.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), on_record).await.expect("there is no line");
    let page = read(bench.audit.folder(), &AuditQuery::default(), None, 9).unwrap();
    assert!(page.lines[0].contains("wallet-revoke"), "{:?}", page.lines);
}

#[tokio::test]
async fn who_signs_in_and_out_is_on_record_and_an_administrator_can_end_it() {
    let bench = bench();
    let (first, second) = (bench.signed_in().await, bench.signed_in().await);
    let status = async |token: &str| {
        bench.send("GET", "/v1/openapi.json", Some(token), Value::Null).await.status.as_u16()
    };
    assert_eq!((status(&first).await, status(&second).await), (200, 200));
    bench.send("DELETE", "/v1/sign-in", Some(&first), Value::Null).await;
    assert_eq!((status(&first).await, status(&second).await), (401, 200));
    // Neither oneself nor another may have all of an account's refused.
    let path = format!("/v1/sign-in/{}", bench.address);
    bench.send("DELETE", &path, Some(&second), Value::Null).await.problem("forbidden");
    let named = format!("{path}?jti=one");
    assert_eq!(bench.send("DELETE", &named, None, Value::Null).await.status, 204);
    assert_eq!(status(&second).await, 200, "it has no such name");
    assert_eq!(bench.send("DELETE", &path, None, Value::Null).await.status, 204);
    assert_eq!(status(&second).await, 401);
    bench.send("DELETE", "/v1/sign-in/0xyz", None, Value::Null).await.problem("invalid-field");
    let named = format!("{path}?jti={}", "x".repeat(129));
    bench.send("DELETE", &named, None, Value::Null).await.problem("invalid-field");

    bench.audit.end(Duration::from_secs(30));
    let page = read(bench.audit.folder(), &AuditQuery::default(), None, 100).unwrap();
    let lines: Vec<Value> =
        page.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |action: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["action"] == action && line["outcome"] == "done").collect()
    };
    for (action, count) in [("sign-in", 2), ("sign-out", 1), ("wallet-revoke", 2)] {
        assert_eq!(of(action).len(), count, "{action}: {lines:?}");
        for line in of(action) {
            assert_eq!(
                (&line["subject"], &line["request_id"]),
                (&json!(bench.address), &json!("r1"))
            );
            let is_own = action != "wallet-revoke";
            let door = if is_own { "tcp" } else { "unix" };
            assert_eq!(line["door"], door);
            assert_eq!(line["caller"], if is_own { json!(bench.address) } else { json!("uid:0") });
        }
    }
}
