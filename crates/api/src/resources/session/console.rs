//! `/v1/vms/{vm}/console`: a guest's serial console, as raw bytes both ways, for any number of viewers.

use super::{
    opening::{Opening, TICKET},
    stream,
};
use crate::{
    protocol::{asked::Segment, params::Params, problem::Answer},
    resources::vms::target,
    router::WriteProblems,
    state::ApiState,
    visit::Visit,
};
use axum::extract::State;
use http::{HeaderName, HeaderValue};
use innkeeper_engine::OpenedConsole;
use innkeeper_model::Refusal;
use innkeeper_session::{Purpose, Role};

/// Whether what is typed arrives: `write`, or `read-only`, and after a semicolon who types.
const KEYBOARD: HeaderName = HeaderName::from_static("innkeeper-keyboard");
const ROLES: [(&str, Role); 4] = [
    ("write", Role::Write),
    ("read-only", Role::ReadOnly),
    ("shared", Role::Shared),
    ("take", Role::Take),
];

/// Open a VM's serial console
///
/// Needs `Connection: Upgrade` and `Upgrade: innkeeper-stream`, or `Upgrade: websocket`; after 101 the
/// connection carries the console's bytes both ways, in binary messages on a WebSocket. What the guest
/// wrote last before comes first, at most 64 KiB. Any number may look; one types at a time, unless all
/// who do came with `role=shared`. The header `Innkeeper-Keyboard` says `write`, or `read-only` and who
/// types. A viewer that falls 256 KiB behind is skipped forward, and told so.
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}/console",
    tag = "vms",
    operation_id = "openVmConsole",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("role" = Option<String>, Query, description = "`write` (where nothing is said): to type, if nobody does; `read-only`, `shared` or `take`"),
        ("ticket" = Option<String>, Query, description = "Instead of a credential, on a WebSocket"),
    ),
    responses((status = 101, description = "The console"), WriteProblems),
)]
pub(crate) async fn open(
    State(state): State<ApiState>,
    Segment(text): Segment,
    mut params: Params,
    opening: Opening,
) -> Answer {
    let ticket = params.one(TICKET)?;
    let role = role(&mut params)?;
    let find = |visit: &Visit| target(visit, &text, params).map(|vm| vm.id);
    let (vm, caller, standing) = opening.authorise(&state, ticket, Purpose::Console, find)?;
    // First the console, so that a refusal can still be a document.
    let opened = state.operations().open_console(&caller, vm, role).await?;
    let OpenedConsole { stream, may_type, typist } = opened;
    let about = format!("console of {vm} for {}", caller.name);
    let mut response = stream::open(&state, opening.upgrade, stream, standing, about);
    let keyboard = match (may_type, typist) {
        (true, _) => "write".to_owned(),
        (false, None) => "read-only".to_owned(),
        (false, Some(typist)) => format!("read-only; {typist}"),
    };
    if let Ok(keyboard) = HeaderValue::try_from(keyboard) {
        response.headers_mut().insert(KEYBOARD, keyboard);
    }
    Ok(response)
}

fn role(params: &mut Params) -> Result<Role, Refusal> {
    let Some(text) = params.one("role")? else { return Ok(Role::default()) };
    let found = ROLES.iter().find(|(name, _)| *name == text);
    found.map(|(_, role)| *role).ok_or_else(|| {
        let names = ROLES.map(|(name, _)| name).join(", ");
        Refusal::invalid("role", &text, "is no role").with_limit(names)
    })
}
