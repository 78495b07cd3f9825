use crate::{
    gate::Entrance,
    test_support::{Api, Read},
};
use axum::body::Body;
use http::Request;
use innkeeper_auth::{AccountRules, Accounts, Doorkeeper, SigningIn};
use serde_json::json;
use std::sync::Arc;

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
    let body = json!({ "message": "", "signature": "" }).to_string();
    send(&api, "POST", "/v1/sign-in", &body).await.problem("unsupported");
}
