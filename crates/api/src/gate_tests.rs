use super::*;
use crate::test_support::{Api, Read};
use http::StatusCode;

struct Tcp {
    api: Api,
    token: Token,
    text: String,
}

impl Tcp {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::load_or_create(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap().trim_end().to_owned();
        Self { api: Api::new(), token, text }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Read {
        let request = headers
            .iter()
            .fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        let request = request.body(Body::empty()).unwrap();
        let entrance = Entrance::Tcp(self.token.clone());
        Read::of(self.api.call_through(entrance, request).await).await
    }
}

#[tokio::test]
async fn on_tcp_everything_but_the_health_needs_the_token() {
    let tcp = Tcp::new();
    let host = ("host", "127.0.0.1:7100");
    assert_eq!(tcp.get("/healthz", &[host]).await.json()["status"], "alive");
    let right = format!("bearer {}", tcp.text);
    for path in ["/v1/host", "/v1/vms", "/metrics", "/v1/openapi.json", "/nowhere", "/healthz/"] {
        let refused = tcp.get(path, &[host]).await;
        refused.problem("unauthenticated");
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"innkeeper\"");
        for wrong in ["Bearer x", "Basic eDp5", &tcp.text, "Bearer", ""] {
            tcp.get(path, &[host, ("authorization", wrong)]).await.problem("unauthenticated");
        }
        let answered = tcp.get(path, &[host, ("authorization", &right)]).await;
        assert_ne!(answered.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_request_for_another_host_or_from_another_origin_is_refused() {
    let tcp = Tcp::new();
    let token = format!("Bearer {}", tcp.text);
    let token = ("authorization", &*token);
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1:7100", "127.9.9.9", "[::1]:7100"] {
        let answered = tcp.get("/v1/host", &[("host", host), token]).await;
        assert_eq!(answered.status, StatusCode::OK, "{host}");
    }
    for host in ["example.org", "127.0.0.1.example.org", "10.0.0.1", "a@localhost", "localhost.x"] {
        tcp.get("/v1/host", &[("host", host), token]).await.problem("forbidden");
    }
    tcp.get("/v1/host", &[token]).await.problem("bad-request");
    tcp.get("http://example.org/v1/host", &[("host", "localhost"), token])
        .await
        .problem("forbidden");
    let host = ("host", "localhost:7100");
    let own = tcp.get("/v1/host", &[host, token, ("origin", "http://localhost:7100")]).await;
    assert_eq!(own.status, StatusCode::OK);
    for origin in ["http://example.org", "null", "https://localhost:7100", "http://localhost"] {
        tcp.get("/v1/host", &[host, token, ("origin", origin)]).await.problem("forbidden");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_refused_as_a_document() {
    let api = Api::new();
    for path in ["/", "/v1", "/v1/vms/", "/v1/vms/a/explode", "/v2/vms", "/v1/vms/a/b/c"] {
        let problem = api.get(path).await.problem("not-found");
        assert_eq!(problem["value"], path);
    }
    let refused = api.send("DELETE", "/v1/vms", "").await;
    refused.problem("method-not-allowed");
    assert_eq!(refused.header("allow"), "GET,HEAD,POST");
    api.send("GET", "/v1/vms/a/start", "").await.problem("method-not-allowed");
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let api = Api::new();
    let request = Request::delete("/v1/vms/a").header("content-length", MAX_BODY + 1);
    let refused = Read::of(api.call(request, Body::empty()).await).await;
    refused.problem("too-large");
}

#[tokio::test]
async fn a_request_is_known_by_its_callers_name_for_it() {
    let (api, _) = Api::with(&["web"]).await;
    let request = Request::post("/v1/vms/web/start").header("x-request-id", "build-7");
    let answered = api.call(request, Body::empty()).await;
    assert_eq!(answered.headers()["x-request-id"], "build-7");
    let callers = api.engine.callers();
    assert_eq!(callers[0].name, "uid:1000");
    assert_eq!(callers[0].request_id.as_deref(), Some("build-7"));
}
