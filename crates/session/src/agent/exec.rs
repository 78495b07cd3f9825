//! Running programs in a guest.

use super::{Agent, AgentError};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use innkeeper_model::Secret;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::json;
use std::time::Duration;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};
use tracing::debug;

/// The most that a program is given to read, in bytes.
pub const MAX_STDIN: usize = 4 << 20;
/// How soon a program is first asked after, and how long at most until it is again.
const ASK_AFTER: Duration = Duration::from_millis(2);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// What a program is asked after with.
const ASK: &str = "guest-exec-status";

/// What to run.
#[derive(Debug, Clone)]
pub struct Exec {
    /// The program, which is looked for in the agent's path, and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment, as `NAME=value`; the agent's own where this is empty.
    pub env: Vec<Secret>,
    /// What it reads, in base64; at most [`MAX_STDIN`] bytes of it.
    pub stdin: Option<Secret>,
    /// How long it may take; then it is told to end.
    pub timeout: Duration,
}

/// A program that has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exited {
    /// What it ended with, if it did so by itself.
    pub exit_code: Option<i64>,
    /// The signal that ended it.
    pub signal: Option<i64>,
    /// What it wrote; agents keep no more than 16 MiB of it.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// Whether some of what it wrote was lost.
    pub truncated: bool,
}

#[derive(Deserialize)]
struct Started {
    pid: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Status {
    exited: bool,
    #[serde(rename = "exitcode")]
    exit_code: Option<i64>,
    signal: Option<i64>,
    #[serde(default, deserialize_with = "decoded")]
    out_data: Vec<u8>,
    #[serde(default, deserialize_with = "decoded")]
    err_data: Vec<u8>,
    #[serde(default)]
    out_truncated: bool,
    #[serde(default)]
    err_truncated: bool,
}

pub(super) fn decoded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text).map_err(D::Error::custom)
}

impl Agent {
    /// Runs a program and waits for its end. Others are answered meanwhile. Once it has started, dropping the future
    /// has it told to end (SIGTERM), and so has a time that is over: it alone, not what it has started. In a guest
    /// without `kill` it goes on.
    ///
    /// # Errors
    /// It could not be started, its end was not seen in time, or the agent is gone.
    pub async fn exec(&self, exec: &Exec) -> Result<Exited, AgentError> {
        let deadline = Instant::now() + exec.timeout;
        let (path, arguments) = exec.argv.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
        let mut call = json!({ "path": path, "arg": arguments, "capture-output": true });
        if !exec.env.is_empty() {
            let env: Vec<_> = exec.env.iter().filter_map(Secret::expose).collect();
            call["env"] = json!(env);
        }
        if let Some(stdin) = exec.stdin.as_ref().and_then(Secret::expose) {
            call["input-data"] = stdin.into();
        }
        let Started { pid } = self.ask("guest-exec", call).await?;
        let mut running = Running { agent: self.clone(), pid, may_go_on: true };
        let mut pause = ASK_AFTER;
        loop {
            let asked: Result<Status, _> = self.ask_much(ASK, json!({ "pid": pid })).await;
            match asked {
                Ok(status) if status.exited => {
                    running.may_go_on = false;
                    return Ok(status.into());
                }
                // A guest that is held for a while goes on later.
                Ok(_) | Err(AgentError::Silent { .. }) => {}
                Err(error) => {
                    // The agent knows of no such program, or there is no agent any more.
                    running.may_go_on = false;
                    return Err(error);
                }
            }
            if Instant::now() + pause >= deadline {
                return Err(AgentError::Silent { command: ASK, within: exec.timeout });
            }
            // The agent has no event for the end of a program.
            sleep(pause).await;
            pause = (pause * 2).min(ASK_AGAIN_AFTER);
        }
    }
}

/// A program that was started. Where this is dropped while it may go on, it is told to end by and by.
struct Running {
    agent: Agent,
    pid: i64,
    may_go_on: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.may_go_on {
            return;
        }
        let (agent, pid) = (self.agent.clone(), self.pid);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = end(&agent, pid).await {
                    debug!(%error, "a program goes on in a guest");
                }
            });
        }
    }
}

/// Tells a program to end, if the agent says that it has not: another may have its number by now.
async fn end(agent: &Agent, pid: i64) -> Result<(), AgentError> {
    let status: Status = agent.ask_much(ASK, json!({ "pid": pid })).await?;
    if !status.exited {
        let call = json!({ "path": "kill", "arg": [pid.to_string()] });
        let _: Started = agent.ask("guest-exec", call).await?;
    }
    Ok(())
}

impl From<Status> for Exited {
    fn from(status: Status) -> Self {
        Self {
            exit_code: status.exit_code,
            signal: status.signal,
            stdout: status.out_data,
            stderr: status.err_data,
            truncated: status.out_truncated || status.err_truncated,
        }
    }
}
