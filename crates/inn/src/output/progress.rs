//! A line that shows how far a task has come while somebody watches it.

use super::{Output, plain};
use indicatif::{ProgressBar, ProgressStyle};
use innkeeper_model::{Task, TaskState, task::StepState};
use std::time::Duration;

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// The line; gone without trace when dropped. Nothing at all where nobody watches.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts to show the progress of the task.
    pub(crate) fn of(task: &Task, output: &Output) -> Self {
        let bar = output.watched().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")
                .expect("the template is a constant that parses");
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(TURN);
            bar
        });
        if let Some(bar) = &bar {
            // Not yet in which state: it is an accepted task's for some microseconds only.
            bar.set_message(plain(&title(task)).into_owned());
        }
        Self { bar }
    }

    /// Shows what the task is doing now.
    pub(crate) fn show(&self, task: &Task) {
        if let Some(bar) = &self.bar {
            bar.set_message(plain(&describe(task)).into_owned());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn title(task: &Task) -> String {
    format!("{}: {}", task.subject, task.operation)
}

/// `web: start: qemu/spawn (3 of 7) 40 %`.
fn describe(task: &Task) -> String {
    let mut text = title(task);
    if task.state == TaskState::Queued {
        text.push_str(": waits for its turn");
    }
    if let Some(running) = task.steps.iter().position(|step| step.state == StepState::Running) {
        let (name, count) = (&task.steps[running].name, task.steps.len());
        text.push_str(&format!(": {name} ({} of {count})", running + 1));
    }
    if let Some(percent) = task.percent {
        text.push_str(&format!(" {percent} %"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_current_step_is_named_and_counted() {
        let task: Task = serde_json::from_value(json!({
            "id": "0192a4b0-0000-7000-8000-000000000001", "operation": "start", "subject": "web",
            "caller": "uid:0", "state": "running", "cancellable": true,
            "created": "2026-01-01T00:00:00Z", "percent": 40,
            "steps": [{"name": "a", "state": "done"}, {"name": "qemu/spawn", "state": "running"}],
        }))
        .unwrap();
        assert_eq!(describe(&task), "web: start: qemu/spawn (2 of 2) 40 %");
    }
}
