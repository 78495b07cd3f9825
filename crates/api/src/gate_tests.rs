use super::*;
use crate::test_support::{Api, Read};
use futures_util::StreamExt;
use http::StatusCode;
use innkeeper_auth::{Doorkeeper, Grant, IssuedTokens, NewToken, Role, Token};
use innkeeper_model::Timestamp;

/// The API on TCP, with the daemon's token and others that it issued.
struct Tcp {
    api: Api,
    text: String,
    issued: Arc<IssuedTokens>,
    _folder: tempfile::TempDir,
}

impl Tcp {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::load_or_create(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap().trim_end().to_owned();
        let issued = Arc::new(IssuedTokens::open(&folder.path().join("tokens.json")).unwrap());
        let doorkeeper = Doorkeeper::default().with_token(token).with_issued(Arc::clone(&issued));
        Self { api: Api::guarded_by(doorkeeper), text, issued, _folder: folder }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Read {
        self.send(Entrance::Tcp, "GET", path, headers).await
    }

    async fn send(
        &self,
        entrance: Entrance,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Read {
        let request = headers
            .iter()
            .fold(Request::builder().method(method).uri(path), |request, (name, value)| {
                request.header(*name, *value)
            });
        let request = request.body(Body::empty()).unwrap();
        Read::of(self.api.call_through(entrance, request).await).await
    }

    /// What to show for a new token of this role.
    fn issue(&self, role: Role, project: Option<&str>) -> String {
        let name = format!("{role}-{}", project.unwrap_or("all")).parse().unwrap();
        let project = project.map(|project| project.parse().unwrap());
        let wanted = NewToken { name, role, project, expires: None, privileged: false };
        let (_, text) = self.issued.create(wanted, "uid:0", Timestamp::now()).unwrap();
        let text = text.expose().unwrap().to_owned();
        format!("Bearer {text}")
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

const HOST: (&str, &str) = ("host", "localhost");

/// Asks a route, with something in the place of its parameters that there is nothing of.
async fn ask(tcp: &Tcp, (method, path): (&str, &str), credential: &str) -> Read {
    let segments = path.split('/').map(|part| if part.starts_with('{') { "nobody" } else { part });
    let path: Vec<_> = segments.collect();
    // A stream's answer does not end.
    let method = if path.ends_with(&["events"]) && method == "get" { "HEAD" } else { method };
    let headers = [HOST, ("authorization", credential)];
    tcp.send(Entrance::Tcp, &method.to_uppercase(), &path.join("/"), &headers).await
}

/// Whether it is the gate that says who may not; a route can have reasons of its own.
fn is_of_no_role(answered: &Read) -> bool {
    answered.status == StatusCode::FORBIDDEN && answered.text.contains("who may not do this")
}

#[tokio::test]
async fn each_role_may_what_is_its_own_on_every_route() {
    let tcp = Tcp::new();
    for role in [Role::Viewer, Role::Operator, Role::Admin] {
        let credential = tcp.issue(role, None);
        for (route, least) in rights::tests::LEAST {
            let answered = ask(&tcp, *route, &credential).await;
            let may = least.is_none_or(|least| role >= least);
            assert_eq!(!is_of_no_role(&answered), may, "{role}: {route:?}");
            if !may {
                answered.problem("forbidden");
            }
        }
    }
}

#[tokio::test]
async fn who_is_bound_to_a_project_may_what_its_owner_may_and_no_more_than_its_role() {
    let tcp = Tcp::new();
    for role in [Role::Viewer, Role::Operator, Role::Owner] {
        let credential = tcp.issue(role, Some("web"));
        for (route, _) in rights::tests::LEAST {
            let method = route.0.to_uppercase().parse().unwrap();
            let may = needs(&method, route.1).is_none_or(|(action, resource)| {
                let granted = role.grant(action, resource);
                granted.min(Role::Owner.grant(action, resource)) != Grant::Nothing
            });
            let answered = ask(&tcp, *route, &credential).await;
            assert_eq!(!is_of_no_role(&answered), may, "{role}: {route:?}");
        }
    }
}

#[tokio::test]
async fn a_credential_that_is_shown_counts_at_the_socket_too() {
    let tcp = Tcp::new();
    let root = || Entrance::Unix(Principal::of_socket(0, 0));
    let credential = tcp.issue(Role::Viewer, None);
    let shown = [("authorization", &*credential)];
    tcp.send(root(), "POST", "/v1/vms", &shown).await.problem("forbidden");
    assert_eq!(tcp.send(root(), "GET", "/v1/vms", &shown).await.status, StatusCode::OK);
    let wrong = [("authorization", "Bearer x")];
    tcp.send(root(), "GET", "/v1/vms", &wrong).await.problem("unauthenticated");
    assert_eq!(tcp.send(root(), "GET", "/v1/vms", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_token_is_refused_from_then_on() {
    let tcp = Tcp::new();
    let credential = tcp.issue(Role::Viewer, None);
    let headers = [HOST, ("authorization", &*credential)];
    assert_eq!(tcp.get("/v1/vms", &headers).await.status, StatusCode::OK);
    tcp.issued.revoke(&"viewer-all".parse().unwrap(), Timestamp::now()).unwrap();
    tcp.get("/v1/vms", &headers).await.problem("unauthenticated");
}

#[tokio::test]
async fn a_caller_is_known_by_the_tokens_name() {
    let tcp = Tcp::new();
    let (api, _) = tcp.api.having(&["web"]).await;
    let tcp = Tcp { api, ..tcp };
    let credential = tcp.issue(Role::Operator, None);
    let headers = [HOST, ("authorization", &*credential)];
    let answered = tcp.send(Entrance::Tcp, "POST", "/v1/vms/web/start", &headers).await;
    assert_eq!(answered.status, StatusCode::ACCEPTED);
    assert_eq!(tcp.api.engine.callers()[0].name, "token:operator-all");
}

#[tokio::test]
async fn what_a_token_follows_breaks_off_when_it_is_revoked() {
    let tcp = Tcp::new();
    let credential = tcp.issue(Role::Viewer, None);
    let request = Request::get("/v1/events").header("host", "localhost");
    let request = request.header("authorization", credential).body(Body::empty()).unwrap();
    let response = tcp.api.call_through(Entrance::Tcp, request).await;
    let mut lines = response.into_body().into_data_stream();
    let ready = lines.next().await.unwrap().unwrap();
    assert!(ready.starts_with(b"{\"type\":\"ready\""), "{ready:?}");
    tcp.issued.revoke(&"viewer-all".parse().unwrap(), Timestamp::now()).unwrap();
    let (api, _) = tcp.api.having(&["web"]).await;
    lines.next().await.unwrap().unwrap_err();
    assert!(lines.next().await.is_none());
    drop(api);
}
