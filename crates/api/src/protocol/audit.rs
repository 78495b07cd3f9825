//! What this API does without the engine, on record. The engine's operations are on record wherever they are
//! asked for.

use crate::{protocol::asked::Asked, state::ApiState};
use innkeeper_model::Refusal;
use innkeeper_surface::to_its_end;
use std::fmt::Display;

/// Notes what came of this.
pub(crate) fn note<T>(
    state: &ApiState,
    asked: &Asked,
    (action, subject): (&str, impl Display),
    result: &Result<T, Refusal>,
) {
    let about = (action, subject.to_string());
    innkeeper_surface::note(state.operations().audit(), &asked.caller, about, result);
}

/// Does this to its end and notes what came of it, whether or not its caller waits for that.
pub(crate) async fn done<T: Send + 'static>(
    (state, asked): (&ApiState, Asked),
    (action, subject): (&'static str, impl Display),
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    let (state, subject) = (state.clone(), subject.to_string());
    let on_record = async move {
        let result = work.await;
        note(&state, &asked, (action, subject), &result);
        result
    };
    to_its_end(on_record).await
}
