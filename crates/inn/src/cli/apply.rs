//! `inn apply`: makes a VM be as a file says, creating it if there is none.

use super::Context;
use crate::{
    client::{Answer, Call, Target, decode},
    difference::{differences, show},
    document::Document,
    failure::Failure,
    mutation::{Waiting, carry_out},
    output::Format,
};
use clap::Args;
use innkeeper_model::{Code, FieldChange, Vm, VmConfig};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// What the VM should be (.yaml, .toml, .json; - for the standard input): a description, or what
    /// `inn get` printed
    file: PathBuf,
    /// Change nothing; show what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, apply: Apply) -> Result<(), Failure> {
    let mut document = Document::read(&apply.file)?;
    if let (Some(project), None) = (&context.project, document.0.get("project")) {
        document.0.insert("project".into(), project.as_str().into());
    }
    let config =
        document.check().map_err(|failure| failure.of(&apply.file.display().to_string()))?;
    let found = find(context, &config).await?;
    let wanted = as_json(&config)?;
    let changes = match &found {
        Some((vm, _)) => differences(&current(vm)?, &wanted),
        None => differences(&json!({}), &wanted),
    };
    let word = match &found {
        None => "create",
        Some(_) if changes.is_empty() => "unchanged",
        Some(_) => "change",
    };
    if apply.dry_run {
        return preview(context, &config, word, &changes);
    }
    let name = config.name.as_str();
    let (call, done) = match found {
        None => (Call::post(Target::new("/v1/vms")), "created"),
        Some((vm, _)) if changes.is_empty() => return unchanged(context, &vm),
        Some((vm, answer)) => (Call::put(Target::vm(vm.id)).if_match(answer.etag), "changed"),
    };
    let call = call.with_body(document.into_value());
    carry_out(context, apply.waiting, vec![context.job(name, call, done)]).await
}

/// The VM that has this name in full: the daemon would take a beginning, too.
async fn find(context: &Context, config: &VmConfig) -> Result<Option<(Vm, Answer)>, Failure> {
    let target = Target::vm(&config.name).with("project", &config.project);
    let answer = match context.client.get(target).await {
        Ok(answer) => answer,
        Err(failure) if matches!(failure.code, Some(Code::NotFound | Code::AmbiguousName)) => {
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    let vm: Vm = decode(answer.body.clone())?;
    Ok((vm.name == config.name && vm.project == config.project).then_some((vm, answer)))
}

/// What the VM is now. Empty if its stored spec is damaged, which the daemon refuses to change.
fn current(vm: &Vm) -> Result<Value, Failure> {
    match &vm.spec {
        Some(spec) => as_json(&spec.config),
        None => Ok(json!({})),
    }
}

fn as_json(config: &VmConfig) -> Result<Value, Failure> {
    serde_json::to_value(config).map_err(|error| crate::client::incomprehensible(&error))
}

fn preview(
    context: &Context,
    config: &VmConfig,
    word: &str,
    changes: &[FieldChange],
) -> Result<(), Failure> {
    let output = &context.output;
    match output.format {
        Format::Json | Format::Yaml => {
            output.document(&json!({"vm": config.name, "action": word, "changes": changes}))
        }
        Format::Name => output.line(&config.name),
        Format::Table => {
            let would = match word {
                "unchanged" => "unchanged",
                "create" => "would be created",
                _ => "would change",
            };
            output.line(format_args!("{}: {would}", config.name))?;
            let line =
                |change| output.line(format_args!("  {}", crate::output::plain(&show(change))));
            changes.iter().try_for_each(line)
        }
    }
}

fn unchanged(context: &Context, vm: &Vm) -> Result<(), Failure> {
    let output = &context.output;
    output.talk(format_args!("{}: unchanged", vm.name));
    match output.format {
        Format::Json | Format::Yaml => output.document(vm),
        Format::Name => output.line(&vm.name),
        Format::Table => Ok(()),
    }
}
