//! `inn exec`: runs a program in a guest, by the guest's agent, and exits as it did.

use super::{Context, VmArg};
use crate::{
    client::{Call, decode},
    failure::{Exit, Failure},
    figures::parse_duration,
};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use std::{
    io::{self, IsTerminal, Read, Write},
    time::Duration,
};

/// How long a program may take where nothing is said.
const TIMEOUT: &str = "10m";
/// How much longer the daemon's answer is waited for.
const GRACE: Duration = Duration::from_secs(30);
/// The most that is read for the program, in bytes: what a request has room for.
const MAX_STDIN: u64 = 700 << 10;

#[derive(Debug, Args)]
#[command(
    after_help = "What the program reads is the standard input, up to its end, where that is no \
    terminal. The exit code is the program's; 128 and the signal's number if a signal ended it. Needs \
    qemu-guest-agent in the guest."
)]
pub(super) struct Exec {
    #[command(flatten)]
    vm: VmArg,
    /// The program, which is looked for in the guest, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    argv: Vec<String>,
    /// One variable of its environment, which is then these alone
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// How long it may take; then it is told to end
    #[arg(long, value_name = "TIME", default_value = TIMEOUT, value_parser = parse_duration)]
    timeout: Duration,
    /// Give it nothing to read
    #[arg(short = 'n', long)]
    no_stdin: bool,
}

#[derive(Deserialize)]
struct Ended {
    #[serde(default)]
    exit_code: Option<i64>,
    #[serde(default)]
    signal: Option<i64>,
    stdout: String,
    stderr: String,
    truncated: bool,
}

pub(super) async fn run(context: &Context, exec: Exec) -> Result<(), Failure> {
    let seconds = exec.timeout.as_secs().max(1);
    let mut body = json!({ "argv": exec.argv, "env": exec.env, "timeout_s": seconds });
    if !exec.no_stdin && !io::stdin().is_terminal() {
        body["stdin"] = BASE64.encode(read_input()?).into();
    }
    let call = Call::post(context.of_vm(&exec.vm.vm, "exec"));
    let call = call.with_body(body).within(exec.timeout + GRACE);
    let ended: Ended = decode(context.client.call(call).await?.body)?;
    let bytes = |text: &str| {
        BASE64.decode(text).map_err(|error| {
            Failure::new(Exit::Failed, "cannot read the daemon's answer").because(&error)
        })
    };
    let (stdout, stderr) = (bytes(&ended.stdout)?, bytes(&ended.stderr)?);
    // Nobody is left to be told that nobody reads it.
    let _ = io::stderr().lock().write_all(&stderr);
    context.output.data(stdout)?;
    if ended.truncated {
        context.output.warn("the program wrote more than the agent keeps; some of it is missing");
    }
    match exit_code(&ended) {
        0 => Ok(()),
        code => Err(Failure::silent(Exit::Program(code))),
    }
}

fn exit_code(ended: &Ended) -> u8 {
    let code = ended.exit_code.or(ended.signal.map(|signal| signal + 128));
    // What a guest says fits, or is some failure.
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn read_input() -> Result<Vec<u8>, Failure> {
    let mut input = Vec::new();
    let read = io::stdin().lock().take(MAX_STDIN + 1).read_to_end(&mut input);
    read.map_err(|error| Failure::new(Exit::Failed, "cannot read the input").because(&error))?;
    if input.len() as u64 > MAX_STDIN {
        let message = format!("the input is larger than {} KiB", MAX_STDIN >> 10);
        return Err(
            Failure::usage(message).with_hint("copy it into the guest first: see inn cp --help")
        );
    }
    Ok(input)
}
