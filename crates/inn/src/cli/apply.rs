//! `inn apply`: makes a VM, a network or a subnet be as a file says, creating it if there is none.

mod described;
mod network;
mod subnet;
mod vm;

use super::Context;
use crate::{
    client::{Answer, Target, incomprehensible},
    difference::show,
    document::Document,
    failure::Failure,
    mutation::{Job, Waiting, carry_out},
    output::Format,
};
use clap::Args;
use described::Described;
use innkeeper_model::{Code, FieldChange};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "A file is of a VM unless it says `kind: network` or `kind: subnet`, or has a field that \
    only those have: `subnets`, `bridge`, `nat`, `vlan`, `mtu` or `isolated` of a network, `range` of a \
    subnet, which says with `network` what it is on. Subnets of a network that its file does not name \
    stay as they are."
)]
pub(super) struct Apply {
    /// What it should be (.yaml, .toml, .json; - for the standard input): a description, or what
    /// `inn get`, `inn network get` or `inn subnet get` printed
    file: PathBuf,
    /// Change nothing; show what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// What a file comes to.
struct Wanted {
    /// What people call such a thing.
    kind: &'static str,
    name: String,
    /// The thing as it is; absent if there is none.
    now: Option<Value>,
    changes: Vec<FieldChange>,
    /// What makes it so.
    jobs: Vec<Job>,
}

pub(super) async fn run(context: &Context, apply: Apply) -> Result<(), Failure> {
    let file = apply.file.display().to_string();
    let described = Document::read_value(&apply.file).and_then(Described::of);
    let wanted = match described.map_err(|failure| failure.of(&file))? {
        Described::Vm(document) => vm::wanted(context, document, &file).await,
        Described::Network(fields) => network::wanted(context, fields, &file).await,
        Described::Subnet(fields) => subnet::wanted(context, fields, &file).await,
    }?;
    match &wanted.now {
        _ if apply.dry_run => preview(context, &wanted),
        Some(now) if wanted.changes.is_empty() => unchanged(context, &wanted.name, now),
        _ => carry_out(context, apply.waiting, wanted.jobs).await,
    }
}

/// Reads something by its name in full, where the daemon would take a beginning, too. `None` if there is no
/// such thing.
async fn find(context: &Context, target: Target) -> Result<Option<Answer>, Failure> {
    match context.client.get(target).await {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if matches!(failure.code, Some(Code::NotFound | Code::AmbiguousName)) => {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

fn as_json(config: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(config).map_err(|error| incomprehensible(&error))
}

fn preview(context: &Context, wanted: &Wanted) -> Result<(), Failure> {
    let output = &context.output;
    let Wanted { kind, name, now, changes, .. } = wanted;
    let (word, would) = match now {
        None => ("create", "would be created"),
        Some(_) if changes.is_empty() => ("unchanged", "unchanged"),
        Some(_) => ("change", "would change"),
    };
    match output.format {
        Format::Json | Format::Yaml => {
            output.document(&json!({*kind: name, "action": word, "changes": changes}))
        }
        Format::Name => output.line(name),
        Format::Table => {
            output.line(format_args!("{name}: {would}"))?;
            let line =
                |change| output.line(format_args!("  {}", crate::output::plain(&show(change))));
            changes.iter().try_for_each(line)
        }
    }
}

fn unchanged(context: &Context, name: &str, now: &Value) -> Result<(), Failure> {
    let output = &context.output;
    output.talk(format_args!("{name}: unchanged"));
    match output.format {
        Format::Json | Format::Yaml => output.document(now),
        Format::Name => output.line(name),
        Format::Table => Ok(()),
    }
}
