//! The diagnosis: what it is asked of, and the thread that answers it when no other does.
//!
//! That thread has a runtime of its own, takes no lock for long, and writes nothing to the log: a log
//! whose reader is stuck may be what all others wait for.

use super::{DaemonOptions, log::Log};
use innkeeper_api::{ApiState, serve_diagnostics};
use innkeeper_engine::{Caller, Engine};
use innkeeper_model::{Diagnosis, Refusal, VmId};
use innkeeper_surface::Diagnostics;
use serde_json::Value;
use std::{io, os::unix::net::UnixListener as Listener, thread};
use tokio::{net::UnixListener, sync::oneshot};
use tracing::subscriber::NoSubscriber;

/// The daemon, as its operator sees it from outside.
pub(super) struct Inside {
    pub(super) engine: Engine,
    pub(super) options: DaemonOptions,
    pub(super) log: Log,
}

impl Diagnostics for Inside {
    fn diagnose(&self) -> Diagnosis {
        self.engine.diagnose()
    }

    fn configuration(&self) -> Value {
        // Plain data with text keys, which JSON can hold.
        serde_json::to_value(self.options.as_config()).unwrap_or_default()
    }

    fn log(&self) -> Vec<u8> {
        self.log.last()
    }

    fn reconcile(&self, caller: &Caller, vm: VmId) {
        self.engine.reconcile(caller, vm);
    }

    fn pause_queue(&self, caller: &Caller, vm: VmId, paused: bool) {
        self.engine.pause_queue(caller, vm, paused);
    }

    fn set_log_level(&self, caller: &Caller, level: &str) -> Result<String, Refusal> {
        let was = self.log.set(level)?;
        self.engine.intervened(caller, format!("how much is logged: {was} -> {level}"));
        Ok(was)
    }
}

/// Serves the diagnosis on a thread of its own. Returns when it is being served; what is returned ends
/// when that has ended, soon after the state's `stopping` is cancelled.
///
/// # Errors
/// The system gives no thread or runtime.
pub(super) async fn serve_apart(
    listener: Listener,
    state: ApiState,
) -> io::Result<oneshot::Receiver<()>> {
    let (begun, has_begun) = oneshot::channel();
    let (ended, has_ended) = oneshot::channel();
    let serve = move || {
        let _silence = tracing::subscriber::set_default(NoSubscriber::default());
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(begun.send(Err(error))),
        };
        runtime.block_on(async {
            let listener = match UnixListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => return drop(begun.send(Err(error))),
            };
            let _ = begun.send(Ok(()));
            serve_diagnostics(listener, state).await;
        });
        drop(ended);
    };
    thread::Builder::new().name("diagnostics".into()).spawn(serve)?;
    has_begun.await.map_err(io::Error::other)??;
    Ok(has_ended)
}

#[cfg(test)]
#[path = "diagnostics_tests.rs"]
mod tests;
