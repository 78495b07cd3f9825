//! A panic is a defect, in a step, a driver or a plan. It fails what it happened in, as any other failure
//! does: a task that ended with its thread would be shown as running for ever, and its VM as busy.

use futures_util::FutureExt;
use innkeeper_model::{Code, Refusal};
use std::{any::Any, panic::AssertUnwindSafe};

/// Does something; a panic in it is its failure. What it was in the middle of is for an undo to take back.
pub(crate) async fn caught<T, E: From<Refusal>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    // Nothing is seen half changed: state that is shared is changed by assignments, under locks.
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => Err(defect(&*panic).into()),
    }
}

fn defect(panic: &(dyn Any + Send)) -> Refusal {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref().copied()).unwrap_or("no reason is given");
    Refusal::new(Code::Internal, format!("a defect of Innkeeper: {said}"))
        .with_hint("report it, with what `inn diagnose bundle` writes")
}
