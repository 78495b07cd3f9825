//! `/healthz`: the only route that needs no credential, so it says no more than that.

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};

/// Where it is.
pub(crate) const PATH: &str = "/healthz";

/// Whether the daemon is alive
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "host",
    operation_id = "getHealth",
    security(()),
    responses((status = 200, description = "It is", body = Object, example = json!({"status": "alive"}))),
)]
pub(crate) async fn read() -> Response {
    let mut response = Response::new(Bytes::from_static(b"{\"status\":\"alive\"}").into());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
