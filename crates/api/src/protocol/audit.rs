//! What this API does without the engine, on record. The engine's operations are on record wherever they are
//! asked for.

use crate::{protocol::asked::Asked, state::ApiState};
use innkeeper_model::Refusal;
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
