//! What is new in a task, as lines: each says when, which task, and what.

use crate::cli::task::show;
use innkeeper_model::{Task, TaskState, Timestamp, task::StepState};
use jiff::SignedDuration;

/// `start of web: running, 40 %`.
pub(super) fn title(task: &Task) -> String {
    let mut text = format!("{} of {}: {}", task.operation, task.subject, state(task.state));
    if let Some(percent) = task.percent.filter(|_| task.state == TaskState::Running) {
        text.push_str(&format!(", {percent} %"));
    }
    text
}

/// The step that is being done, or else the first that waits.
pub(super) fn current(task: &Task) -> usize {
    let of = |state| task.steps.iter().position(|step| step.state == state);
    of(StepState::Running).or_else(|| of(StepState::Waiting)).unwrap_or(task.steps.len())
}

/// A line for everything that a task has more than it had.
pub(super) fn new_in(before: Option<&Task>, task: &Task) -> Vec<String> {
    let now = Timestamp::now();
    let mut lines = Vec::new();
    let mut say = |at: Timestamp, what: String| {
        lines.push(format!("{at:.3} {} of {}: {what}", task.operation, task.subject));
    };
    // How it ended is said after everything that led to it.
    let changed = before.is_none_or(|before| before.state != task.state);
    if changed && !task.state.is_final() {
        say(task.started.unwrap_or(task.created), state(task.state).to_owned());
    }
    let known = |index: usize| before.and_then(|before| before.steps.get(index));
    for (index, step) in task.steps.iter().enumerate() {
        let was = known(index).map_or(StepState::Waiting, |step| step.state);
        if step.state == was {
            continue;
        }
        let (word, took) = (show::step_state(step.state), show::took(step, now));
        match (step.state, step.started, step.took_us) {
            (StepState::Done | StepState::Failed, Some(began), Some(took_us)) => {
                let ended =
                    began + SignedDuration::from_micros(i64::try_from(took_us).unwrap_or(0));
                say(ended, format!("{}: {} after {took}", step.name, word.text()));
            }
            (StepState::Running, Some(began), _) => say(began, format!("{}: running", step.name)),
            // When it was taken back nobody wrote down.
            _ => say(now, format!("{}: {}", step.name, word.text())),
        }
    }
    for line in task.log.iter().skip(before.map_or(0, |before| before.log.len())) {
        say(line.at, line.text.clone());
    }
    for warning in task.warnings.iter().skip(before.map_or(0, |before| before.warnings.len())) {
        say(now, format!("warning: {warning}"));
    }
    if let Some(percent) = task.percent
        && before.is_some_and(|before| before.percent != task.percent)
    {
        say(now, format!("{percent} %"));
    }
    if changed && task.state.is_final() {
        for leftover in &task.leftovers {
            say(now, format!("left behind: {leftover}"));
        }
        say(task.ended.unwrap_or(now), state(task.state).to_owned());
    }
    lines
}

const fn state(state: TaskState) -> &'static str {
    match state {
        TaskState::Queued => "waits for its turn",
        TaskState::Running => "running",
        TaskState::Done => "done",
        TaskState::Failed => "failed",
        TaskState::Cancelled => "cancelled",
        TaskState::Interrupted => "interrupted: inn task resume or inn task undo it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn task(state: &str, more: Value) -> Task {
        let mut task = json!({
            "id": "0192a4b0-0000-7000-8000-000000000001", "operation": "start", "subject": "web",
            "caller": "uid:0", "state": state, "cancellable": true, "steps": [],
            "created": "2026-01-01T00:00:00Z", "started": "2026-01-01T00:00:01Z",
        });
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(task).unwrap()
    }

    #[test]
    fn what_is_new_is_told_once_and_the_end_last() {
        let begun = task(
            "running",
            json!({"steps": [
                {"name": "a", "state": "running", "started": "2026-01-01T00:00:01.5Z"},
                {"name": "b", "state": "waiting"},
            ]}),
        );
        let done = task(
            "running",
            json!({"steps": [
                {"name": "a", "state": "done", "started": "2026-01-01T00:00:01.5Z", "took_us": 2500},
                {"name": "b", "state": "waiting"},
            ]}),
        );
        assert_eq!(
            new_in(Some(&begun), &done),
            ["2026-01-01T00:00:01.502Z start of web: a: done after 2.5ms"]
        );
        assert_eq!(
            new_in(None, &begun),
            [
                "2026-01-01T00:00:01.000Z start of web: running",
                "2026-01-01T00:00:01.500Z start of web: a: running",
            ]
        );
        assert_eq!(new_in(Some(&begun), &begun), [""; 0]);
        let failed = task(
            "failed",
            json!({
                "steps": [
                    {"name": "a", "state": "undone", "started": "2026-01-01T00:00:01.5Z", "took_us": 2500},
                    {"name": "b", "state": "failed", "started": "2026-01-01T00:00:02Z", "took_us": 1_500_000},
                ],
                "log": [{"at": "2026-01-01T00:00:03Z", "text": "a hook said no"}],
                "leftovers": ["b could not be undone: the disk is full"],
                "ended": "2026-01-01T00:00:04Z",
            }),
        );
        let lines = new_in(Some(&begun), &failed);
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(lines[0].ends_with("Z start of web: a: undone"), "{lines:?}");
        assert_eq!(lines[1], "2026-01-01T00:00:03.500Z start of web: b: failed after 1.500s");
        assert_eq!(lines[2], "2026-01-01T00:00:03.000Z start of web: a hook said no");
        assert!(lines[3].ends_with("left behind: b could not be undone: the disk is full"));
        assert_eq!(lines[4], "2026-01-01T00:00:04.000Z start of web: failed");
    }

    #[test]
    fn the_title_and_the_current_step_say_how_far_it_is() {
        let steps = json!({"percent": 40, "steps": [
            {"name": "a", "state": "done"}, {"name": "b", "state": "running"},
        ]});
        let task = task("running", steps);
        assert_eq!((title(&task).as_str(), current(&task)), ("start of web: running, 40 %", 1));
    }
}
