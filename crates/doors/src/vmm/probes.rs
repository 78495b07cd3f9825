//! Whether the door is open, and whether it answers.

use super::{
    answer::{Answer, Body, Failures, ProbeFailures},
    wire::{Ping, Pong},
};
use axum::Json;

/// The probe that needs no credential.
pub(super) const HEALTH: &str = "/health";

/// Whether the door is open
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    responses(
        (status = 200, description = "It is", body = String, content_type = "application/json"),
        ProbeFailures,
    ),
)]
pub(super) async fn health() -> Json<&'static str> {
    Json("healthy")
}

/// Whether requests are answered
#[utoipa::path(
    post,
    path = "/ping",
    operation_id = "ping",
    request_body = Ping,
    responses((status = 200, description = "They are", body = Pong), Failures),
)]
pub(super) async fn ping(Body(Ping { .. }): Body<Ping>) -> Answer<Pong> {
    Ok(Json(Pong { message: "pong", timestamp: innkeeper_model::Timestamp::now().as_second() }))
}
