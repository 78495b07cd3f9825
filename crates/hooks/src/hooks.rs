//! An event's hooks, one after the other, and what comes of how each ends.

use crate::{
    HookEvent, OwnerRule, Script,
    folder::{events, scripts, strangers},
    launch::Subject,
    output::Output,
    run::{End, Run},
};
use innkeeper_model::{Code, Refusal};
use serde_json::Value;
use std::{collections::BTreeSet, io, path::PathBuf, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// How long each hook may take where the operator does not say.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// How many lines of a hook that exits with 1 are logged. A task keeps two hundred lines, and there may
/// be other hooks.
const LOGGED_LINES: usize = 20;
/// How many lines of a hook that refuses are shown with the refusal.
const SHOWN_LINES: usize = 10;

/// The folder of an operator's hooks, and how they are run.
#[derive(Debug, Clone)]
pub struct Hooks {
    folder: PathBuf,
    deadline: Duration,
    rule: OwnerRule,
}

impl Hooks {
    /// The hooks in `folder`, which need not exist. Each is given `deadline` to end.
    pub fn new(folder: PathBuf, deadline: Duration, rule: OwnerRule) -> Self {
        // Without a slash at its end, which would make the kernel follow a link.
        Self { folder: folder.components().collect(), deadline, rule }
    }

    /// The hooks of an event, in the order in which they run: that of their names' bytes. A few system
    /// calls, and for each hook two more.
    ///
    /// # Errors
    /// [`Code::HookFailed`]: a file or folder there is not as a hook's must be. It says which, why, and
    /// what mends it.
    pub fn present(&self, event: HookEvent) -> Result<Vec<Script>, Refusal> {
        Ok(scripts(&self.folder, event, self.rule)?)
    }

    /// The events for which something is to run, or something is there that must not: running them says
    /// which. Where there are no hooks at all it takes one system call; each plan asks.
    pub fn events(&self) -> BTreeSet<HookEvent> {
        events(&self.folder, self.rule)
    }

    /// All that would make an operation fail, or that was meant to run and never will. To be asked when
    /// the daemon starts and by whoever examines the host.
    pub fn problems(&self) -> Vec<Refusal> {
        let of_events = HookEvent::ALL.map(|event| self.present(event).err());
        let mut problems: Vec<_> = of_events.into_iter().flatten().collect();
        match strangers(&self.folder, self.rule) {
            Ok(strangers) => problems.extend(strangers.into_iter().map(Refusal::from)),
            Err(unfit) => problems.push(unfit.into()),
        }
        // What is wrong with the folder itself was found at every look.
        problems.dedup();
        problems
    }

    /// Runs the hooks of an event, one after the other. Each reads `input` as JSON, and has its `id` and
    /// `name` in its environment. `log` is given a line at a time what hooks say that exit with 1.
    ///
    /// All are looked at before the first one runs, and what was looked at is what runs.
    ///
    /// A cancel asks the hook that runs to end, and kills it a second later; dropping the future kills
    /// it at once. Either way, and however it ends, everything in its process group is dead or about to
    /// be when this is over. What hooks did before stays done.
    ///
    /// # Errors
    /// - [`Code::HookFailed`]: a hook must not or cannot run, took too long, or ended with anything but 0
    ///   or 1. The ones after it have not run.
    /// - [`Code::Cancelled`]: it was cancelled, unless the last hook had ended.
    pub async fn run(
        &self,
        event: HookEvent,
        input: &Value,
        cancelled: &CancellationToken,
        mut log: impl FnMut(String),
    ) -> Result<(), Refusal> {
        let scripts = self.present(event)?;
        if scripts.is_empty() {
            return Ok(());
        }
        let text = |field| input.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let subject = &Subject { vm_id: text("id"), vm_name: text("name") };
        let input = &*format!("{input}\n").into_bytes();
        let run = Run { subject, input, deadline: self.deadline, cancelled };
        for script in scripts {
            let script = Arc::new(script);
            if cancelled.is_cancelled() {
                return Err(HookFailed::new(&script, Why::Cancelled).into());
            }
            let ran = run.of(Arc::clone(&script)).await;
            let (end, output) = ran.map_err(|e| HookFailed::new(&script, Why::NotStarted(e)))?;
            info!(hook = script.name(), ?end, "a hook has run");
            self.judge(&script, end, output, &mut log)?;
        }
        Ok(())
    }

    fn judge(
        &self,
        script: &Script,
        end: End,
        mut output: Output,
        log: &mut impl FnMut(String),
    ) -> Result<(), HookFailed> {
        let why = match end {
            End::Exited(0) => return Ok(()),
            End::Exited(1) => {
                let name = script.name();
                log(format!("the hook {name} ended with exit status 1; going on"));
                output.tail(LOGGED_LINES).iter().for_each(|line| log(format!("{name}: {line}")));
                return Ok(());
            }
            End::Exited(status) => Why::Status(status),
            End::Signalled(signal) => Why::Signal(signal),
            End::Deadline => Why::Deadline(self.deadline),
            End::Cancelled => Why::Cancelled,
        };
        Err(HookFailed { said: output.tail(SHOWN_LINES), ..HookFailed::new(script, why) })
    }
}

/// A hook that did not let the operation go on.
#[derive(Debug, thiserror::Error)]
#[error("the hook {hook} {why}")]
struct HookFailed {
    hook: String,
    why: Why,
    /// The last it said.
    said: Vec<String>,
}

/// Why not.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("ended with exit status {0}")]
    Status(i32),
    #[error("was ended by signal {0}")]
    Signal(i32),
    #[error("took longer than {} seconds and was killed", .0.as_secs_f32())]
    Deadline(Duration),
    #[error("could not be started")]
    NotStarted(#[source] io::Error),
    #[error("was cancelled; what hooks did before it stays done")]
    Cancelled,
}

impl HookFailed {
    fn new(script: &Script, why: Why) -> Self {
        Self { hook: script.name(), why, said: Vec::new() }
    }
}

impl Why {
    fn hint(&self) -> Option<&'static str> {
        let Self::NotStarted(error) = self else { return None };
        match error.raw_os_error()? {
            libc::ENOENT => Some("the program that its first line names is not installed there"),
            libc::ENOEXEC => Some(
                "it is no program for this machine; if it is a script, its first line must say what \
                 runs it: #!/bin/sh",
            ),
            libc::EACCES => Some(
                "it, or the program that its first line names, may not be executed; its file system \
                 may be mounted with noexec",
            ),
            libc::ETXTBSY => Some("somebody is writing to it; try again when that is done"),
            _ => None,
        }
    }
}

impl From<HookFailed> for Refusal {
    fn from(failed: HookFailed) -> Self {
        let code = match failed.why {
            Why::Cancelled => Code::Cancelled,
            _ => Code::HookFailed,
        };
        let mut refusal = Self::new(code, failed.to_string());
        refusal.value = Some(failed.hook);
        refusal.hint = failed.why.hint().map(str::to_owned);
        refusal.causes = failed.said;
        match failed.why {
            Why::NotStarted(cause) => refusal.caused_by(&cause),
            Why::Deadline(limit) => refusal.with_limit(format!("{} s", limit.as_secs_f32())),
            _ => refusal,
        }
    }
}

#[cfg(test)]
#[path = "hooks_tests.rs"]
mod tests;
