//! Paths and methods that there are none of, and paths that are written otherwise.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, Uri, header};

/// What is found nowhere.
pub(super) async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

/// `HEAD` is none of its methods.
pub(super) async fn no_head(request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD {
        return not_found().await;
    }
    next.run(request).await
}

/// A path with slashes too many leads to the one without: doubled ones with any method, one at the end
/// with a method that there is.
pub(super) async fn elsewhere(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    let single = without_doubled(path);
    let clean = single.strip_suffix('/').unwrap_or(&single);
    let leads = single != path || has(&method, clean);
    if !leads || clean.is_empty() {
        return not_found().await;
    }
    let to = if single == path { clean } else { &single };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::try_from(format!("{to}{query}")) {
        Ok(to) => {
            let mut response = StatusCode::MOVED_PERMANENTLY.into_response();
            response.headers_mut().insert(header::LOCATION, to);
            response
        }
        Err(_) => not_found().await,
    }
}

fn without_doubled(path: &str) -> String {
    let mut single = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !single.ends_with('/') {
            single.push(c);
        }
    }
    single
}

/// Whether there is such a route.
fn has(method: &Method, path: &str) -> bool {
    let mut parts = path.trim_start_matches('/').split('/');
    if parts.next() != Some("hypervisors") {
        return false;
    }
    let methods: &[Method] = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (None, ..) => &[Method::GET, Method::POST],
        (Some(_), None, ..) => &[Method::GET, Method::PATCH, Method::DELETE],
        (Some(_), Some("config" | "subnets"), None, _) => &[Method::GET, Method::PATCH],
        (Some(_), Some("guests"), None, _) => &[Method::GET],
        (Some(_), Some("subnets"), Some(_), None) => &[Method::DELETE],
        _ => &[],
    };
    methods.contains(method)
}
