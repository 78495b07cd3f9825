//! What an answer says of what was asked for, beside that it was: neither what is done and cannot be read yet nor
//! what goes on is a failure.

use innkeeper_surface::{Done, Performed};

/// What its caller should know of something, after what was known of it before.
pub(super) fn warnings(performed: &Performed, mut known: Vec<String>) -> Vec<String> {
    let (Performed::Done(Done { task, .. }) | Performed::GoesOn { task, .. }) = performed;
    known.extend(task.warnings.iter().cloned());
    match performed {
        Performed::Done(Done { seen: Some(_), .. }) => {}
        Performed::Done(Done { seen: None, .. }) => {
            known.push("it is done and cannot be seen yet".into());
        }
        Performed::GoesOn { .. } => known.push(format!(
            "it takes longer and goes on: 'inn task show {}' tells its end",
            task.id
        )),
    }
    known
}
