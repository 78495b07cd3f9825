//! Work that waits for the disk.

use innkeeper_model::{Code, Refusal};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Changes a list that is kept on the disk, on a thread that may wait for that. Dropping the future leaves the
/// change to go on.
pub(crate) async fn on_disk<List: Send + Sync + 'static, T: Send + 'static>(
    list: &Arc<List>,
    work: impl FnOnce(&List) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let list = Arc::clone(list);
    spawn_blocking(move || work(&list)).await.unwrap_or_else(|error| {
        Err(Refusal::new(Code::Internal, "nobody knows what was changed").caused_by(&error))
    })
}
