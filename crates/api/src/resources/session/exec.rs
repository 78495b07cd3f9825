//! `/v1/vms/{vm}/exec`: running a program in a guest, by its agent.

use crate::{
    protocol::{
        answer,
        asked::{Asked, Segment},
        json,
        params::Params,
        problem::Answer,
    },
    resources::vms::target,
    router::WriteProblems,
    visit::Visit,
};
use axum::body::Body;
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use http::HeaderMap;
use innkeeper_model::{Refusal, Secret, secret::as_text};
use innkeeper_session::agent::{Exec, Exited};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// How long a program may take where nothing is said, and at most, in seconds.
const DEFAULT_TIMEOUT: u64 = 600;
const MAX_TIMEOUT: u64 = 24 * 3600;
/// The most arguments and variables of a program.
const MAX_WORDS: usize = 1024;

/// A program to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// The program, and its arguments.
    #[schema(min_items = 1, max_items = 1024)]
    argv: Vec<String>,
    /// Its whole environment, as `NAME=value`; the agent's own where nothing is said.
    #[serde(default, deserialize_with = "as_text::several")]
    #[schema(max_items = 1024, value_type = Vec<String>)]
    env: Vec<Secret>,
    /// What it reads, in base64.
    #[serde(default, deserialize_with = "as_text::maybe")]
    #[schema(value_type = Option<String>)]
    stdin: Option<Secret>,
    /// How long it may take, in seconds; 600 where nothing is said.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    timeout_s: Option<u64>,
}

/// A program that has ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ended {
    /// What it ended with; absent where a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i64>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i64>,
    /// What it wrote, in base64.
    stdout: String,
    /// What it wrote to its standard error, in base64.
    stderr: String,
    /// Whether some of what it wrote was lost: an agent keeps 16 MiB.
    truncated: bool,
}

impl Program {
    /// What is to be run, and how many bytes it is given to read.
    fn into_exec(self) -> Result<(Exec, u64), Refusal> {
        let Self { argv, env, stdin, timeout_s } = self;
        if argv.first().is_none_or(String::is_empty) {
            return Err(Refusal::invalid("argv", "", "names no program"));
        }
        let variables = || env.iter().filter_map(Secret::expose);
        for (field, count) in [("argv", argv.len()), ("env", env.len())] {
            if count > MAX_WORDS {
                return Err(Refusal::invalid(field, count, "is too many").with_limit(MAX_WORDS));
            }
        }
        if let Some(word) = argv.iter().find(|word| word.contains('\0')) {
            return Err(Refusal::invalid("argv", word, "has a NUL in it"));
        }
        if variables().any(|word| word.contains('\0')) {
            return Err(Refusal::invalid("env", "", "has a NUL in it"));
        }
        // It is the agent's form, too.
        let bytes = stdin.as_ref().and_then(Secret::expose).map(|text| BASE64.decode(text));
        let bytes = bytes.transpose();
        let bytes = bytes
            .map_err(|error| Refusal::invalid("stdin", "", "is not base64").caused_by(&error))?;
        let length = bytes.map_or(0, |bytes| bytes.len() as u64);
        let seconds = timeout_s.unwrap_or(DEFAULT_TIMEOUT);
        if !(1..=MAX_TIMEOUT).contains(&seconds) {
            let range = format!("1..={MAX_TIMEOUT}");
            let problem = format!("is not in {range}");
            return Err(Refusal::invalid("timeout_s", seconds, problem).with_limit(range));
        }
        Ok((Exec { argv, env, stdin, timeout: Duration::from_secs(seconds) }, length))
    }
}

/// Run a program in a guest
///
/// Answers when it has ended. Needs the agent in the guest. When its caller leaves, or its time is over, it
/// is told to end (SIGTERM), where the guest has `kill`. The whole request is at most 1 MiB.
#[utoipa::path(
    post,
    path = "/v1/vms/{vm}/exec",
    tag = "vms",
    operation_id = "execInVm",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    request_body = Program,
    responses((status = 200, description = "It has ended", body = Ended), WriteProblems),
)]
pub(crate) async fn run(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let program: Program = json::required(&headers, body).await?;
    let (exec, length) = program.into_exec()?;
    let vm = target(&state, &text, params)?.id;
    let opened = state.operations().agent(&asked.caller, vm, "exec")?;
    opened.session.typed(length);
    let stopping = || Refusal::new(innkeeper_model::Code::ShuttingDown, "the daemon is stopping");
    let running = async {
        let ended = state.stopping().run_until_cancelled(opened.agent.exec(&exec)).await;
        Ok(ended.ok_or_else(stopping)??)
    };
    let Exited { exit_code, signal, stdout, stderr, truncated } =
        state.in_sight(vm, running).await?;
    let [stdout, stderr] = [stdout, stderr].map(|bytes| BASE64.encode(bytes));
    let ended = Ended { exit_code, signal, stdout, stderr, truncated };
    Ok(answer::json(state.revision(), answer::encode(&ended)))
}
