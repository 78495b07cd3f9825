//! `inn send-key`: presses keys of a VM's keyboard.

use super::{Context, VmArg};
use crate::{client::Call, failure::Failure};
use clap::Args;
use serde_json::json;
use std::time::Duration;

/// How long 256 strokes of eight keys may take.
const PRESSED_WITHIN: Duration = Duration::from_secs(180);

#[derive(Debug, Args)]
#[command(
    after_help = "Keys that are pressed together are joined: inn send-key web ctrl-alt-delete. \
    Several are pressed one after the other. A text is typed as on a US keyboard."
)]
pub(super) struct SendKey {
    #[command(flatten)]
    vm: VmArg,
    /// The keys: ctrl-alt-delete, ret, f2
    #[arg(value_name = "KEYS", required_unless_present = "text")]
    keys: Vec<String>,
    /// A text to type instead
    #[arg(long, value_name = "TEXT", conflicts_with = "keys")]
    text: Option<String>,
}

pub(super) async fn run(context: &Context, send: SendKey) -> Result<(), Failure> {
    let body = match &send.text {
        Some(text) => json!({ "text": text }),
        None => json!({ "keys": send.keys }),
    };
    let target = context.of_vm(&send.vm.vm, "keys");
    let call = Call::post(target).with_body(body).within(PRESSED_WITHIN);
    context.client.open(call).await.map(drop)
}
