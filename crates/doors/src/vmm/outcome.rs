//! What an answer says of what was asked for: it is done, done and not to be seen yet, or goes on.

use innkeeper_surface::Performed;

/// What is said, with the id of the task. Where there is one word for both, `goes_on` is empty.
pub(super) fn outcome(performed: &Performed, done: &str, goes_on: &str) -> (String, String) {
    match performed {
        Performed::Done(ended) => {
            let unseen =
                if ended.seen.is_some() { "" } else { "; it is done and cannot be seen yet" };
            (format!("{done}{unseen}"), ended.task.id.to_string())
        }
        Performed::GoesOn { task, .. } if goes_on.is_empty() => {
            (done.to_owned(), task.id.to_string())
        }
        Performed::GoesOn { task, .. } => {
            (format!("{goes_on}; follow its task_id at /vm/task"), task.id.to_string())
        }
    }
}
