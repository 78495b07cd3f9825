//! Work that blocks a thread, and ends soon after nobody waits for it any more.

use innkeeper_model::{Code, Refusal};
use tokio_util::sync::CancellationToken;

/// Runs `work` on a thread that may block. It is given a token that is cancelled with `cancel`, and
/// also when the returned future is dropped; it must look at the token between pieces of work.
pub(crate) async fn blocking<T, F>(cancel: &CancellationToken, work: F) -> Result<T, Refusal>
where
    T: Send + 'static,
    F: FnOnce(&CancellationToken) -> Result<T, Refusal> + Send + 'static,
{
    let token = cancel.child_token();
    let _cancelled_when_dropped = token.clone().drop_guard();
    match tokio::task::spawn_blocking(move || work(&token)).await {
        Ok(result) => result,
        Err(error) if error.is_cancelled() => {
            Err(Refusal::new(Code::ShuttingDown, "the daemon is stopping"))
        }
        Err(error) => {
            Err(Refusal::new(Code::Internal, "a storage operation panicked").caused_by(&error))
        }
    }
}

/// The same for work too short to be cancelled: a few system calls and a sync.
pub(crate) async fn briefly<T, F>(work: F) -> Result<T, Refusal>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Refusal> + Send + 'static,
{
    blocking(&CancellationToken::new(), move |_| work()).await
}

/// Refuses to go on once `cancel` has been cancelled.
pub(crate) fn check(cancel: &CancellationToken) -> Result<(), Refusal> {
    if cancel.is_cancelled() {
        return Err(cancelled());
    }
    Ok(())
}

pub(crate) fn cancelled() -> Refusal {
    Refusal::new(Code::Cancelled, "it was cancelled; nothing of it is left")
}
