//! `inn lookup`: VMs by any of the keys that vminfod's protocol has.

use super::{Context, vmadm};
use crate::{
    failure::{Exit, Failure},
    output::Format,
};
use clap::Args;
use innkeeper_doors::vminfod::Conditions;
use serde_json::Value;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  inn lookup state=running tags.role=web\n  inn lookup alias=~^web-\n  inn lookup -1 'nics.*.ip=10.0.0.5'"
)]
pub(super) struct Lookup {
    /// What it has: key=value, or key=~expression, which finds a part whatever the case. A key may lead
    /// further: tags.role, nics.0.ip, and nics.*.ip for that of any
    #[arg(value_name = "KEY=VALUE")]
    filters: Vec<String>,
    /// Fail unless it is exactly one
    #[arg(short = '1', long)]
    one: bool,
}

pub(super) async fn run(context: &Context, lookup: Lookup) -> Result<(), Failure> {
    let found = find(context, &lookup.filters, lookup.one).await?;
    let output = &context.output;
    match output.format {
        Format::Json | Format::Yaml => output.document(&found),
        Format::Table | Format::Name => {
            found.iter().try_for_each(|vm| output.line(vm["uuid"].as_str().unwrap_or_default()))
        }
    }
}

/// The VMs that fulfil all conditions.
///
/// # Errors
/// A condition is none; or it should be one VM, and is not.
pub(super) async fn find(
    context: &Context,
    filters: &[String],
    only_one: bool,
) -> Result<Vec<Value>, Failure> {
    let conditions =
        Conditions::parse(filters).map_err(|error| Failure::usage(error.to_string()))?;
    let mut found = vmadm::all(context).await?;
    found.retain(|vm| conditions.match_vm(vm));
    if only_one && found.len() != 1 {
        let message = format!("Requested unique lookup but found {} results.", found.len());
        return Err(Failure::new(Exit::Failed, message));
    }
    Ok(found)
}
