//! A guest's screen and keyboard: `/v1/vms/{vm}/vnc`, `/screenshot` and `/keys`.

use super::{
    opening::{Opening, TICKET},
    stream,
};
use crate::{
    protocol::{
        answer,
        asked::{Asked, Segment},
        json,
        params::Params,
        problem::Answer,
    },
    resources::vms::target,
    router::WriteProblems,
    state::ApiState,
    visit::Visit,
};
use axum::{body::Body, extract::State};
use http::{HeaderMap, StatusCode};
use innkeeper_model::{
    Code, Refusal, Secret,
    keyboard::{Stroke, check_count},
    secret::as_text,
};
use innkeeper_session::Purpose;
use serde::Deserialize;
use utoipa::ToSchema;

/// Open a VM's screen
///
/// Needs `Upgrade: websocket` (what noVNC does), or `Connection: Upgrade` and `Upgrade:
/// innkeeper-stream`; after 101 the connection carries RFB, in binary messages on a WebSocket. No
/// password is asked for: who may connect was decided before.
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}/vnc",
    tag = "vms",
    operation_id = "openVmScreen",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("ticket" = Option<String>, Query, description = "Instead of a credential, on a WebSocket"),
    ),
    responses((status = 101, description = "The screen"), WriteProblems),
)]
pub(crate) async fn open(
    State(state): State<ApiState>,
    Segment(text): Segment,
    mut params: Params,
    opening: Opening,
) -> Answer {
    let ticket = params.one(TICKET)?;
    let find = |visit: &Visit| target(visit, &text, params).map(|vm| vm.id);
    let (vm, caller, standing) = opening.authorise(&state, ticket, Purpose::Vnc, find)?;
    let stream = state.operations().open_vnc(&caller, vm).await?;
    let about = format!("screen of {vm} for {}", caller.name);
    Ok(stream::open(&state, opening.upgrade, stream, standing, about))
}

/// Take a picture of a VM's screen
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}/screenshot",
    tag = "vms",
    operation_id = "getVmScreenshot",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    responses(
        (status = 200, description = "The picture", body = Vec<u8>, content_type = "image/png"),
        WriteProblems,
    ),
)]
pub(crate) async fn picture(state: Visit, Segment(text): Segment, params: Params) -> Answer {
    let vm = target(&state, &text, params)?.id;
    let picture = state.operations().screenshot(vm).await?;
    Ok(answer::of_type("image/png", state.revision(), picture))
}

/// What to press: keys, or a text, at most 256 strokes of either.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysToPress {
    /// Strokes, one after the other; keys that are pressed together are joined: `ctrl-alt-delete`.
    #[serde(default)]
    keys: Vec<String>,
    /// A text, as it is typed on a US keyboard.
    #[serde(default, deserialize_with = "as_text::maybe")]
    #[schema(value_type = Option<String>)]
    text: Option<Secret>,
}

impl KeysToPress {
    fn strokes(self) -> Result<Vec<Stroke>, Refusal> {
        match self {
            Self { keys, text: None } => {
                check_count("keys", keys.len())?;
                keys.iter().map(|keys| keys.parse()).collect()
            }
            Self { keys, text: Some(text) } if keys.is_empty() => {
                Stroke::of_text(text.expose().unwrap_or_default())
            }
            Self { .. } => {
                let message = "keys and text cannot be pressed at once";
                Err(Refusal::new(Code::InvalidField, message)
                    .at("text")
                    .with_hint("send one, then the other"))
            }
        }
    }
}

/// Press keys of a VM's keyboard
///
/// Answers when the last has been let go of; a stroke takes 40 ms a key.
#[utoipa::path(
    post,
    path = "/v1/vms/{vm}/keys",
    tag = "vms",
    operation_id = "pressVmKeys",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    request_body = KeysToPress,
    responses((status = 204, description = "Pressed"), WriteProblems),
)]
pub(crate) async fn press(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let wanted: KeysToPress = json::required(&headers, body).await?;
    let strokes = wanted.strokes()?;
    let vm = target(&state, &text, params)?.id;
    state.in_sight(vm, state.operations().send_keys(&asked.caller, vm, &strokes)).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT, state.revision()))
}
