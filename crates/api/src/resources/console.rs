//! `/v1/vms/{vm}/console`: a guest's serial console, as raw bytes both ways.
//!
//! The connection is upgraded and belongs to the console from then on. It ends when either side
//! does, or with the daemon; the guest does not notice.

use crate::{
    protocol::{
        answer,
        asked::{Asked, Segment},
        params::Params,
        problem::{Answer, Problem},
    },
    resources::vms::target,
    router::ReadProblems,
    state::ApiState,
};
use axum::extract::{FromRequestParts, State};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use innkeeper_driver::ByteStream;
use innkeeper_model::{Code, Refusal, VmId};
use std::sync::Arc;
use tokio::io::{self, AsyncRead, AsyncWrite, AsyncWriteExt};

/// What the connection is upgraded to.
const PROTOCOL: &str = "innkeeper-stream";

/// A connection that may become a stream.
pub(crate) struct Upgrade(OnUpgrade);

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let asked = lists(&parts.headers, header::CONNECTION, "upgrade")
            && lists(&parts.headers, header::UPGRADE, PROTOCOL);
        match parts.extensions.remove::<OnUpgrade>().filter(|_| asked) {
            Some(upgrade) => Ok(Self(upgrade)),
            None => Err(Refusal::new(Code::BadRequest, "a console is a stream, not a document")
                .at("Upgrade")
                .with_limit(PROTOCOL)
                .with_hint(format!("send Connection: Upgrade and Upgrade: {PROTOCOL}"))
                .into()),
        }
    }
}

/// Whether a header that is a list has this word in it.
fn lists(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}

/// Open a VM's serial console
///
/// Needs `Connection: Upgrade` and `Upgrade: innkeeper-stream`; after 101 the connection carries the
/// console's bytes both ways. One viewer at a time.
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}/console",
    tag = "vms",
    operation_id = "openVmConsole",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    responses((status = 101, description = "The console"), ReadProblems),
)]
pub(crate) async fn open(
    State(state): State<ApiState>,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
    Upgrade(upgrade): Upgrade,
) -> Answer {
    let vm = target(&state, &text, params)?.id;
    // First the console, so that a refusal can still be a document.
    let console = state.operations().open_console(vm).await?;
    let mut response =
        answer::empty(StatusCode::SWITCHING_PROTOCOLS, state.view().snapshot().revision);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));

    let caller: Arc<str> = asked.caller.name.into();
    let stopping = state.stopping().clone();
    tokio::spawn(async move {
        let serving = serve(upgrade, console, vm, caller);
        // Whatever is left of a console ends with the daemon.
        stopping.run_until_cancelled_owned(serving).await;
    });
    Ok(response)
}

async fn serve(upgrade: OnUpgrade, console: Box<dyn ByteStream>, vm: VmId, caller: Arc<str>) {
    let viewer = match upgrade.await {
        Ok(viewer) => TokioIo::new(viewer),
        Err(error) => {
            tracing::debug!(%vm, caller = &*caller, %error, "a console's viewer left before it opened");
            return;
        }
    };
    tracing::debug!(%vm, caller = &*caller, "console opened");
    match connect(viewer, console).await {
        Ok(()) => tracing::debug!(%vm, caller = &*caller, "console closed"),
        Err(error) => tracing::debug!(%vm, caller = &*caller, %error, "console broke off"),
    }
}

/// Carries bytes both ways until one side ends. Both sides are closed then: a viewer that has left
/// would otherwise keep the next one out.
async fn connect(
    viewer: impl AsyncRead + AsyncWrite,
    console: impl AsyncRead + AsyncWrite,
) -> io::Result<()> {
    let (mut viewer_reads, mut viewer_writes) = io::split(viewer);
    let (mut console_reads, mut console_writes) = io::split(console);
    let ended = tokio::select! {
        typed = io::copy(&mut viewer_reads, &mut console_writes) => typed,
        shown = io::copy(&mut console_reads, &mut viewer_writes) => shown,
    };
    // The rest of what was shown is on its way; then the viewer is told that this was all.
    let closed = viewer_writes.shutdown().await;
    ended.and(closed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, duplex};

    #[tokio::test]
    async fn bytes_go_both_ways_until_the_viewer_leaves() {
        let ((mut viewer, there), (here, mut guest)) = (duplex(64), duplex(64));
        let connected = tokio::spawn(connect(there, here));
        let mut heard = [0; 4];
        viewer.write_all(b"ping").await.unwrap();
        guest.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
        guest.write_all(b"pong").await.unwrap();
        viewer.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"pong");
        drop(viewer);
        let _ = connected.await.unwrap();
        assert_eq!(guest.read(&mut heard).await.unwrap(), 0, "the console is still open");
    }

    #[tokio::test]
    async fn the_viewer_reads_all_that_the_guest_wrote_before_it_ended() {
        let ((mut viewer, there), (here, mut guest)) = (duplex(64), duplex(64));
        let connected = tokio::spawn(connect(there, here));
        guest.write_all(b"reboot: Power down").await.unwrap();
        drop(guest);
        let mut shown = String::new();
        viewer.read_to_string(&mut shown).await.unwrap();
        assert_eq!(shown, "reboot: Power down");
        connected.await.unwrap().unwrap();
    }
}
