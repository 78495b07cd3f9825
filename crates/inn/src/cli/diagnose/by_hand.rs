//! What an operator does to a daemon by hand.

use super::super::Context;
use crate::{
    client::{Call, Target},
    failure::Failure,
    output::Format,
};
use clap::{Args, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(super) struct LogLevel {
    /// error, warn, info, debug, trace or off; or directives for parts of the program, such as
    /// info,innkeeper_qemu=debug
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    level: String,
}

pub(super) async fn reconcile(context: &Context, vm: &str) -> Result<(), Failure> {
    let done = format!("{vm}: will be looked at");
    post(context, "reconcile", json!({ "vm": vm }), &done).await
}

pub(super) async fn pause(context: &Context, vm: &str) -> Result<(), Failure> {
    let done =
        format!("{vm}: nothing new begins; inn diagnose unpause {vm} lets it, as does a restart");
    post(context, "queue", json!({ "vm": vm, "paused": true }), &done).await
}

pub(super) async fn unpause(context: &Context, vm: &str) -> Result<(), Failure> {
    let done = format!("{vm}: what waits begins");
    post(context, "queue", json!({ "vm": vm, "paused": false }), &done).await
}

pub(super) async fn log_level(context: &Context, log: &LogLevel) -> Result<(), Failure> {
    let done = format!("the daemon logs {} until its end", log.level);
    let call = Call::post(target("log")).with_body(json!({ "level": log.level }));
    tell(context, call, &done).await
}

fn target(what: &str) -> Target {
    Target::new("/v1/diagnostics").segment(what)
}

/// Of a VM.
async fn post(context: &Context, what: &str, body: Value, done: &str) -> Result<(), Failure> {
    let target = target(what).with_any("project", context.project.as_deref());
    tell(context, Call::post(target).with_body(body), done).await
}

async fn tell(context: &Context, call: Call, done: &str) -> Result<(), Failure> {
    let answer = context.client.call(call).await?;
    context.output.talk(done);
    match context.output.format {
        Format::Json | Format::Yaml => context.output.document(&answer.body),
        Format::Name | Format::Table => Ok(()),
    }
}
