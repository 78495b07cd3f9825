//! `inn stop` and `inn reboot`: a guest is asked, has a time to comply, and may then be made to.

use super::{Context, VmsArg, dry_run::DryRun, verb::Verb};
use crate::{failure::Failure, figures::parse_duration, mutation::Waiting};
use clap::Args;
use serde_json::{Map, Value};
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct Stop {
    #[command(flatten)]
    vms: VmsArg,
    /// How long the guest may take, such as 60s or 2m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Do not ask the guest: do it to it
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(
    context: &Context,
    stop: Stop,
    verb: &str,
    done: &'static str,
) -> Result<(), Failure> {
    let Stop { vms, timeout, force, planning, waiting } = stop;
    let mut body = Map::new();
    if let Some(timeout) = timeout {
        // Rounded up: no guest gets less than was said.
        let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
        body.insert("timeout_s".into(), seconds.into());
    }
    if force {
        body.insert("force".into(), true.into());
    }
    let verb = Verb { verb, parameter: None, body: Some(Value::Object(body)), done };
    verb.of(context, vms, planning, waiting).await
}
