//! A daemon that takes tokens of an OpenID Connect issuer, which is not always there.

use crate::harness::{Daemon, Reply, Request, SHORT, exchange, until};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

fn key() -> EcdsaKeyPair {
    let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap()
}

/// What is shown for somebody of whom this is claimed.
fn bearer(key: &EcdsaKeyPair, issuer: &str, claims: Value) -> String {
    let header = json!({ "alg": "ES256", "kid": "k", "typ": "JWT" });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut all = json!({ "iss": issuer, "aud": "innkeeper", "iat": now, "exp": now + 300 });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let [header, claims] = [header, all].map(|part| BASE64.encode(part.to_string()));
    let text = format!("{header}.{claims}");
    let signature = key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("Bearer {text}.{}", BASE64.encode(signature))
}

/// Answers as the issuer of this key, until the tests end.
fn serve(listener: TcpListener, issuer: &str, key: &EcdsaKeyPair) {
    let point = key.public_key().as_ref();
    let [x, y] = [&point[1..33], &point[33..]].map(|part| BASE64.encode(part));
    let keys = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y }] });
    let description = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") });
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut head = [0; 1024];
            let length = socket.read(&mut head).unwrap_or_default();
            let is_keys = head[..length].starts_with(b"GET /keys ");
            let body = if is_keys { &keys } else { &description }.to_string();
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            // Who has gone away needs no answer.
            let _ = socket.write_all((head + &body).as_bytes());
        }
    });
}

#[test]
fn an_issuer_that_is_not_there_keeps_nobody_else_out_and_is_asked_until_it_is() {
    // Its port is its own from now on; nobody answers there yet.
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let (issuer, key) = (format!("http://{address}"), key());
    let config = format!(
        "driver = \"sim\"\n[[oidc]]\nname = \"corp\"\nissuer = \"{issuer}\"\naudience = \"innkeeper\"\n\
         [[oidc.grant]]\nclaim = \"groups\"\nvalue = \"web\"\nrole = \"owner\"\nproject = \"web\"\n"
    );
    let api = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let flags = ["--listen", &api, "--door", "vmm=127.0.0.1:0"];
    let mut daemon = Daemon::prepared(&config).with_flags(&flags);
    daemon.launch();
    daemon.inn_ok(&["create", "own", "--memory", "64MiB", "--project", "web"]);
    daemon.inn_ok(&["create", "others", "--memory", "64MiB", "--project", "db"]);
    let ask = |method: &str, path: &str, shown: &str| -> Reply {
        let request = Request::new(method, path).header("Authorization", shown);
        exchange(TcpStream::connect(&api).unwrap(), &request)
    };

    let shown = bearer(&key, &issuer, json!({ "sub": "anna", "groups": ["web"] }));
    let refused = ask("GET", "/v1/vms", &shown);
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains("keys are not known"), "{}", refused.text());
    assert!(daemon.log().contains("the keys of an issuer of tokens are not to be had"));

    serve(TcpListener::bind(address).unwrap(), &issuer, &key);
    let listed = until("the issuer's keys", SHORT, || {
        let reply = ask("GET", "/v1/vms", &shown);
        if reply.status == 200 { Ok(reply.json()) } else { Err(reply.text()) }
    });
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|vm| &vm["name"]).collect();
    assert_eq!(names, ["own"], "{listed}");
    assert_eq!(ask("GET", "/v1/vms/others", &shown).status, 404);
    let by_door = Request::new("POST", "/vm/list").header("Authorization", &shown).json(&json!({}));
    let door = crate::contracts::address(&daemon.log(), "vmm");
    let listed = exchange(TcpStream::connect(door).unwrap(), &by_door).ok().text();
    assert!(listed.contains("own") && !listed.contains("others"), "{listed}");
    assert_eq!(ask("POST", "/v1/vms/own/start", &shown).status, 202);
    until("that it is on record", SHORT, || {
        let audit = daemon.inn_ok(&["audit", "--caller", "oidc:corp:anna", "-o", "json"]);
        if audit.contains("start") { Ok(()) } else { Err(audit) }
    });
    let guest = bearer(&key, &issuer, json!({ "sub": "ben", "groups": ["guests"] }));
    assert_eq!(ask("GET", "/v1/vms", &guest).status, 403);
    let forged = bearer(&self::key(), &issuer, json!({ "sub": "anna", "groups": ["web"] }));
    assert_eq!(ask("GET", "/v1/vms", &forged).status, 401);
}
