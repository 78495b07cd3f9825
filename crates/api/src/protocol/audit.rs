//! What this API does without the engine, on record. The engine's operations are on record wherever they are
//! asked for.

use crate::{protocol::asked::Asked, state::ApiState};
use innkeeper_model::{Code, Refusal};
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

/// Takes what a caller sends, and notes why where it does not get to its end: that it was begun is on record, and so
/// is what came of it, if they hang up or lose what they showed, too.
pub(crate) async fn received<T>(
    (state, asked): (&ApiState, &Asked),
    (action, subject): (&'static str, impl Display),
    taken: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let left =
        Refusal::new(Code::Cancelled, "its caller left, or was not to go on, before its end");
    let about = (action, subject.to_string());
    let mut unfinished = Unfinished { state, asked, about, why: Some(left) };
    let taken = taken.await;
    unfinished.why = taken.as_ref().err().cloned();
    taken
}

/// The line of something that did not get to its end, if it did not.
struct Unfinished<'a> {
    state: &'a ApiState,
    asked: &'a Asked,
    about: (&'static str, String),
    why: Option<Refusal>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let Some(why) = self.why.take() else { return };
        let (action, subject) = &self.about;
        note::<()>(self.state, self.asked, (action, subject), &Err(why));
    }
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
