//! Tokens of an issuer at the gate, whose keys have to be asked for first.

use super::Entrance;
use crate::test_support::{Api, Read};
use axum::body::Body;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use http::{Request, StatusCode};
use innkeeper_auth::{
    Doorkeeper, Role,
    limits::{Quota, Quotas},
    oidc::{ClaimGrant, IssuerRules, Issuers},
};
use innkeeper_model::Timestamp;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::json;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// An issuer of one key, and the API that takes its tokens.
struct Bench {
    api: Api,
    issuer: String,
    key: EcdsaKeyPair,
}

impl Bench {
    async fn new() -> Self {
        Self::with_limits(Quotas::default()).await
    }

    async fn with_limits(quotas: Quotas) -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let description = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") });
        let point = key.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|part| BASE64.encode(part));
        let keys = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y }] });
        tokio::spawn(serve(listener, description.to_string(), keys.to_string()));

        let grant = ClaimGrant {
            claim: "groups".into(),
            value: "staff".into(),
            role: Role::Viewer,
            project: None,
            privileged: false,
        };
        let rules = IssuerRules {
            name: "corp".into(),
            issuer: issuer.clone(),
            audience: "innkeeper".into(),
            user: "sub".into(),
            max_age: "24h".parse().unwrap(),
            grants: vec![grant],
            allow_http: false,
        };
        let doorkeeper =
            Doorkeeper::default().with_issuers(Arc::new(Issuers::new(vec![rules]).unwrap()));
        let doorkeeper = doorkeeper.with_limits(quotas);
        let keeper = doorkeeper.clone();
        tokio::spawn(async move { keeper.keep_keys().await });
        let (api, _) = Api::guarded_by(doorkeeper).having(&["web"]).await;
        Self { api, issuer, key }
    }

    /// What is shown for somebody who is in this group.
    fn bearer(&self, group: &str) -> String {
        self.bearer_of("anna", group)
    }

    fn bearer_of(&self, subject: &str, group: &str) -> String {
        let header = json!({ "alg": "ES256", "kid": "k" });
        let expires = Timestamp::now().as_second() + 300;
        let claims = json!({
            "iss": self.issuer, "aud": "innkeeper", "sub": subject, "exp": expires, "groups": [group],
        });
        let [header, claims] = [header, claims].map(|part| BASE64.encode(part.to_string()));
        let text = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("Bearer {text}.{}", BASE64.encode(signature))
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Read {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Body::empty()).unwrap();
        Read::of(self.api.call_through(Entrance::Tcp, request).await).await
    }
}

/// Answers with a description, or with keys.
async fn serve(listener: TcpListener, description: String, keys: String) {
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        let length = socket.read(&mut head).await.unwrap();
        let body = if head[..length].starts_with(b"GET /keys ") { &keys } else { &description };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn the_first_token_of_an_issuer_waits_for_its_keys_and_is_let_in() {
    let bench = Bench::new().await;
    let shown = bench.bearer("staff");
    let shown = ("authorization", &*shown);
    assert_eq!(bench.send("GET", "/v1/vms/web", &[shown]).await.status, StatusCode::OK);
    bench.send("POST", "/v1/vms/web/start", &[shown]).await.problem("forbidden");
    let guest = bench.bearer("guests");
    let refused = bench.send("GET", "/v1/vms/web", &[("authorization", &guest)]).await;
    assert!(refused.problem("forbidden").to_string().contains("oidc:corp:anna"));
    let begun = bench.send("POST", "/v1/browser-session", &[shown]).await;
    assert_eq!(begun.json()["caller"], "oidc:corp:anna");
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    let read = bench.send("GET", "/v1/vms/web", &[("cookie", &cookie)]).await;
    assert_eq!(read.status, StatusCode::OK);
}

#[tokio::test]
async fn wrong_signatures_use_up_what_their_place_has_for_tokens_that_were_not_seen_before() {
    let unauthenticated = Quota::per_minute(3);
    let bench = Bench::with_limits(Quotas { unauthenticated, ..Quotas::default() }).await;
    let ask =
        async |shown: &str| bench.send("GET", "/v1/vms/web", &[("authorization", shown)]).await;
    let known = bench.bearer("staff");
    assert_eq!(ask(&known).await.status, StatusCode::OK);
    let text = known.rsplit_once('.').unwrap().0;
    for byte in [1; 2] {
        let wrong = format!("{text}.{}", BASE64.encode([byte; 64]));
        ask(&wrong).await.problem("unauthenticated");
    }
    // It is right, and nobody can know so without looking.
    let unseen = bench.bearer_of("ben", "staff");
    let refused = ask(&unseen).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers.contains_key("retry-after"));
    refused.problem("too-many-requests");
    assert_eq!(ask(&known).await.status, StatusCode::OK);
}
