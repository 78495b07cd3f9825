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

/// `HEAD` is none of its methods. With any other, a path with doubled slashes leads to the one without,
/// before it is looked at: an empty part of it is nobody's id.
pub(super) async fn canonical(request: Request, next: Next) -> Response {
    let uri = request.uri();
    if request.method() == Method::HEAD {
        return not_found().await;
    }
    if uri.path().contains("//") {
        return match &*without_doubled(uri.path()) {
            "/" => not_found().await,
            single => moved(single, uri).await,
        };
    }
    next.run(request).await
}

/// A path with a slash at its end leads to the one without, with a method that there is.
pub(super) async fn elsewhere(method: Method, uri: Uri) -> Response {
    match uri.path().strip_suffix('/') {
        Some(clean) if has(&method, clean) => moved(clean, &uri).await,
        _ => not_found().await,
    }
}

/// That it is at this path, with the same query.
async fn moved(to: &str, from: &Uri) -> Response {
    let query = from.query().map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(to) = HeaderValue::try_from(format!("{to}{query}")) else { return not_found().await };
    let mut response = StatusCode::MOVED_PERMANENTLY.into_response();
    response.headers_mut().insert(header::LOCATION, to);
    response
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
