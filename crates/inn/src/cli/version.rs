//! `inn version`: this program's, and the daemon's if there is one.

use super::Context;
use crate::{
    client::{Target, decode},
    failure::Failure,
    output::{Format, Table},
};
use innkeeper_model::Host;
use serde_json::json;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let output = &context.output;
    // To have no daemon is no failure of this command.
    let answer = context.client.get(Target::new("/v1/host")).await.ok();
    let host = answer.and_then(|answer| decode::<Host>(answer.body).ok());
    let daemon = host.map(|host| host.version);
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&json!({"inn": VERSION, "daemon": daemon}));
    }
    let mut table = Table::of_fields();
    table.field("inn", VERSION);
    table.field("daemon", daemon.unwrap_or_else(|| "not reached".into()));
    output.table(&table)
}
