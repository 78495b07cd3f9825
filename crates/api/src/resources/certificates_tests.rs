use crate::test_support::Api;
use innkeeper_auth::{Authority, Certificates, Doorkeeper, certificate::KeyAndRequest};
use innkeeper_model::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

fn api() -> (Api, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(&folder.path().join("tls"), Timestamp::now()).unwrap();
    let list = folder.path().join("certificates.json");
    let certificates = Certificates::open(&list, Arc::new(authority)).unwrap();
    (Api::guarded_by(Doorkeeper::default().with_certificates(Arc::new(certificates))), folder)
}

fn wanted(name: &str) -> Value {
    let request = KeyAndRequest::generate(name).unwrap().request;
    json!({ "name": name, "role": "viewer", "request": request })
}

#[tokio::test]
async fn a_certificate_is_signed_listed_and_revoked() {
    let (api, _folder) = api();
    let mut body = wanted("ci");
    body["project"] = "web".into();
    let created = api.send("POST", "/v1/certificates", &body.to_string()).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let created = created.json();
    assert!(created["pem"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"));
    let shown = &created["certificate"];
    assert_eq!((&shown["role"], &shown["project"]), (&"viewer".into(), &"web".into()));
    let authority = api.get("/v1/authority").await.json();
    assert_eq!(created["authority"], authority["pem"]);
    assert!(!authority["pem"].as_str().unwrap().contains("PRIVATE"));

    let list = api.get("/v1/certificates").await.json();
    assert_eq!(list["items"], json!([shown]));
    let revoked = api.send("DELETE", "/v1/certificates/ci", "").await.json();
    assert_eq!(revoked["state"], "revoked");
    assert_eq!(api.get("/v1/certificates").await.json()["items"], json!([]));
    api.send("DELETE", "/v1/certificates/ci", "").await.problem("not-found");
}

#[tokio::test]
async fn what_no_certificate_can_be_is_refused_by_its_field() {
    let (api, _folder) = api();
    for (field, value) in [
        ("request", json!("nonsense")),
        (
            "request",
            json!("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
        ),
        ("role", json!("root")),
        ("expires", json!("2001-01-01T00:00:00Z")),
        ("expires", json!("2999-01-01T00:00:00Z")),
        ("name", json!("a b")),
    ] {
        let mut body = wanted("a");
        body[field] = value;
        let answered = api.send("POST", "/v1/certificates", &body.to_string()).await;
        assert_eq!(answered.problem("invalid-field")["field"], field, "{body}");
    }
}

#[tokio::test]
async fn nobody_renews_a_certificate_but_who_shows_it() {
    let (api, _folder) = api();
    api.send("POST", "/v1/certificates", &wanted("ci").to_string()).await;
    let body = json!({ "request": wanted("ci")["request"] }).to_string();
    api.send("POST", "/v1/certificates/ci/renew", &body).await.problem("forbidden");
}

#[tokio::test]
async fn a_server_without_tls_signs_none() {
    let api = Api::new();
    assert_eq!(api.get("/v1/certificates").await.json()["items"], json!([]));
    api.get("/v1/authority").await.problem("not-found");
    let wanted = wanted("ci").to_string();
    api.send("POST", "/v1/certificates", &wanted).await.problem("unsupported");
    api.send("DELETE", "/v1/certificates/ci", "").await.problem("unsupported");
}
