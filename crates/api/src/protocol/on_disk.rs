//! Work that waits for the disk.

use crate::{
    protocol::{asked::Asked, audit},
    state::ApiState,
};
use innkeeper_model::{Code, Refusal};
use std::{fmt::Display, sync::Arc};
use tokio::task::spawn_blocking;

/// Changes a list that is kept on the disk, on a thread that may wait for that, and notes what came of it. Dropping the
/// future leaves both to go on.
pub(crate) async fn on_disk<List: Send + Sync + 'static, T: Send + 'static>(
    list: &Arc<List>,
    (state, asked): (&ApiState, Asked),
    about: (&'static str, impl Display),
    work: impl FnOnce(&List) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let list = Arc::clone(list);
    let work = async move {
        spawn_blocking(move || work(&list)).await.unwrap_or_else(|panic| {
            Err(Refusal::new(Code::Internal, "nobody knows what was changed").caused_by(&panic))
        })
    };
    audit::done((state, asked), about, work).await
}
