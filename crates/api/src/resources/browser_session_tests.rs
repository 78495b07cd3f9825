use crate::{
    gate::Entrance,
    router::ROUTES,
    test_support::{Api, Read},
};
use axum::body::Body;
use futures_util::StreamExt;
use http::{Request, StatusCode};
use innkeeper_auth::{Doorkeeper, IssuedTokens, NewToken, Role, Token};
use innkeeper_model::Timestamp;
use std::sync::Arc;

type Headers<'a> = &'a [(&'a str, &'a str)];

const HOST: (&str, &str) = ("host", "localhost:7100");

/// The API on TCP, with the daemon's token and others that it issued.
struct Site {
    api: Api,
    own: String,
    issued: Arc<IssuedTokens>,
    _folder: tempfile::TempDir,
}

/// What a browser and its page have of a session.
struct Session {
    cookie: String,
    csrf: String,
    read: Read,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::load_or_create(&path).unwrap();
        let own = std::fs::read_to_string(&path).unwrap().trim_end().to_owned();
        let issued = Arc::new(IssuedTokens::open(&folder.path().join("tokens.json")).unwrap());
        let doorkeeper = Doorkeeper::default().with_token(token).with_issued(Arc::clone(&issued));
        let (api, _) = Api::guarded_by(doorkeeper).having(&["web"]).await;
        Self { api, own, issued, _folder: folder }
    }

    async fn send(&self, method: &str, path: &str, headers: Headers<'_>) -> Read {
        Read::of(self.answer(method, path, headers).await).await
    }

    async fn answer(
        &self,
        method: &str,
        path: &str,
        headers: Headers<'_>,
    ) -> axum::response::Response {
        let mut request = Request::builder().method(method).uri(path).header(HOST.0, HOST.1);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.api.call_through(Entrance::Tcp, request.body(Body::empty()).unwrap()).await
    }

    /// What to show for a new token of this role.
    fn issue(&self, role: Role, expires: Option<Timestamp>) -> String {
        let name = role.to_string().parse().unwrap();
        let wanted = NewToken { name, role, project: None, expires, privileged: false };
        let (_, text) = self.issued.create(wanted, "uid:0", Timestamp::now()).unwrap();
        text.expose().unwrap().to_owned()
    }

    async fn begin(&self, token: &str) -> Session {
        let shown = format!("Bearer {token}");
        let read = self.send("POST", "/v1/browser-session", &[("authorization", &shown)]).await;
        assert_eq!(read.status, StatusCode::CREATED, "{}", read.text);
        let set = read.header("set-cookie");
        let cookie = set.split(';').next().unwrap().to_owned();
        let csrf = read.json()["csrf"].as_str().unwrap().to_owned();
        Session { cookie, csrf, read }
    }
}

#[tokio::test]
async fn a_cookie_is_told_to_the_browser_alone_and_stands_for_what_was_shown() {
    let site = Site::new().await;
    let session = site.begin(&site.issue(Role::Operator, None)).await;
    let set = session.read.header("set-cookie");
    let value = session.cookie.strip_prefix("innkeeper-session=").unwrap();
    assert!(value.len() == 43 && !session.read.text.contains(value), "{set}");
    assert!(set.ends_with("; HttpOnly; SameSite=Strict") && set.contains("; Path=/; Max-Age=432"));
    assert_eq!(session.read.header("cache-control"), "no-store");
    let cookie = ("cookie", &*session.cookie);
    let told = site.send("GET", "/v1/browser-session", &[cookie]).await.json();
    assert_eq!(told, session.read.json(), "a page that was loaded again is told the same");
    assert_eq!((&told["caller"], &told["role"]), (&"token:operator".into(), &"operator".into()));
    assert_eq!(site.send("GET", "/v1/vms/web", &[cookie]).await.status, StatusCode::OK);
    // It may no more than what was shown.
    site.send("GET", "/v1/tokens", &[cookie]).await.problem("forbidden");
    let started =
        site.send("POST", "/v1/vms/web/start", &[cookie, ("innkeeper-csrf", &session.csrf)]).await;
    assert_eq!(started.status, StatusCode::ACCEPTED);
    assert_eq!(site.api.engine.callers()[0].name, "token:operator");
}

#[tokio::test]
async fn what_changes_something_shows_what_the_page_was_told() {
    let site = Site::new().await;
    let token = site.issue(Role::Operator, None);
    let [session, other] = [site.begin(&token).await, site.begin(&token).await];
    let cookie = ("cookie", &*session.cookie);
    let cut = &session.csrf[1..];
    let sent: [Headers<'_>; 6] = [
        &[cookie],
        &[cookie, ("innkeeper-csrf", "")],
        &[cookie, ("innkeeper-csrf", cut)],
        &[cookie, ("innkeeper-csrf", &other.csrf)],
        &[cookie, ("innkeeper-csrf", &session.csrf), ("innkeeper-csrf", &session.csrf)],
        &[cookie, ("innkeeper-csrf", &session.csrf), ("sec-fetch-site", "same-site")],
    ];
    for headers in sent {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            site.send(method, "/v1/vms/web/start", headers).await.problem("forbidden");
        }
    }
    assert!(site.api.engine.callers().is_empty(), "something was done");
    let of = |origin| [cookie, ("innkeeper-csrf", &*session.csrf), ("origin", origin)];
    site.send("POST", "/v1/vms/web/start", &of("http://evil.example")).await.problem("forbidden");
    site.send("GET", "/v1/vms", &of("http://localhost:8080")).await.problem("forbidden");
    let own = site.send("POST", "/v1/vms/web/start", &of("http://localhost:7100")).await;
    assert_eq!(own.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn on_every_route_a_cookie_alone_only_reads() {
    let site = Site::new().await;
    let session = site.begin(&site.own).await;
    let cookie = ("cookie", &*session.cookie);
    for (method, path) in ROUTES {
        let segments =
            path.split('/').map(|part| if part.starts_with('{') { "nobody" } else { part });
        let path = segments.collect::<Vec<_>>().join("/");
        // A stream's answer does not end.
        let method = match *method {
            "get" if path.ends_with("/events") => "HEAD".to_owned(),
            method => method.to_uppercase(),
        };
        let answered = site.send(&method, &path, &[cookie]).await;
        // What needs no credential looks at none.
        let is_open = path.starts_with("/v1/sign-in") && method == "POST";
        let is_refused = answered.status == StatusCode::FORBIDDEN;
        let only_reads = matches!(&*method, "GET" | "HEAD");
        assert_eq!(is_refused, !only_reads && !is_open, "{method} {path}: {answered:?}");
        assert_ne!(answered.status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
}

#[tokio::test]
async fn a_cookie_that_was_not_given_here_opens_nothing() {
    let site = Site::new().await;
    let session = site.begin(&site.own).await;
    let value = session.cookie.strip_prefix("innkeeper-session=").unwrap();
    let fixed = format!("innkeeper-session={}", "A".repeat(43));
    let long = format!("{}A", session.cookie);
    let twice = format!("{fixed}; {}", session.cookie);
    let over_tls = format!("__Host-innkeeper-session={value}");
    for cookie in [&*fixed, "innkeeper-session=", "innkeeper-session=x", &long, &twice, &over_tls] {
        let refused = site.send("GET", "/v1/vms", &[("cookie", cookie)]).await;
        refused.problem("unauthenticated");
        assert!(!refused.text.contains(value), "it is told again");
    }
    // Somebody whose browser was given one by another page gets a new one, and is not kept from it.
    let shown = format!("Bearer {}", site.own);
    let headers = [("authorization", &*shown), ("cookie", &twice)];
    let begun = site.send("POST", "/v1/browser-session", &headers).await;
    assert_eq!(begun.status, StatusCode::CREATED);
    let set = begun.header("set-cookie");
    assert!(!set.contains(value) && !set.contains("AAAAA"), "{set}");
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_what_it_follows_breaks_off() {
    let site = Site::new().await;
    let session = site.begin(&site.issue(Role::Viewer, None)).await;
    let cookie = ("cookie", &*session.cookie);
    let followed = site.answer("GET", "/v1/events", &[cookie]).await;
    let mut lines = followed.into_body().into_data_stream();
    lines.next().await.unwrap().unwrap();
    site.issued.revoke(&"viewer".parse().unwrap(), Timestamp::now()).unwrap();
    site.send("GET", "/v1/vms", &[cookie]).await.problem("unauthenticated");
    lines.next().await.unwrap().unwrap_err();
    // Another token of the same name is another token.
    site.issue(Role::Viewer, None);
    site.send("GET", "/v1/vms", &[cookie]).await.problem("unauthenticated");
}

#[tokio::test]
async fn a_session_lasts_no_longer_than_its_token() {
    let site = Site::new().await;
    let soon = Timestamp::from_second(Timestamp::now().as_second() + 600).unwrap();
    let session = site.begin(&site.issue(Role::Viewer, Some(soon))).await;
    assert_eq!(session.read.json()["expires"], soon.to_string());
}

#[tokio::test]
async fn who_signs_out_is_out_and_only_that_session_is() {
    let site = Site::new().await;
    let [session, other] = [site.begin(&site.own).await, site.begin(&site.own).await];
    let cookie = ("cookie", &*session.cookie);
    site.send("DELETE", "/v1/browser-session", &[cookie]).await.problem("forbidden");
    let csrf = ("innkeeper-csrf", &*session.csrf);
    let ended = site.send("DELETE", "/v1/browser-session", &[cookie, csrf]).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert!(ended.header("set-cookie").starts_with("innkeeper-session=; Path=/; Max-Age=0"));
    site.send("GET", "/v1/vms", &[cookie]).await.problem("unauthenticated");
    let left = ("cookie", &*other.cookie);
    assert_eq!(site.send("GET", "/v1/vms", &[left]).await.status, StatusCode::OK);
    let shown = format!("Bearer {}", site.own);
    let shown = ("authorization", &*shown);
    site.send("DELETE", "/v1/browser-session", &[shown]).await.problem("wrong-state");
    site.send("GET", "/v1/browser-session", &[shown]).await.problem("wrong-state");
    assert_eq!(site.send("GET", "/v1/vms", &[shown]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_cookie_gives_no_other_and_neither_does_the_socket() {
    let site = Site::new().await;
    let session = site.begin(&site.own).await;
    let headers = [("cookie", &*session.cookie), ("innkeeper-csrf", &*session.csrf)];
    site.send("POST", "/v1/browser-session", &headers).await.problem("wrong-state");
    site.send("POST", "/v1/browser-session", &[]).await.problem("unauthenticated");
    site.api.send("POST", "/v1/browser-session", "").await.problem("wrong-state");
}
