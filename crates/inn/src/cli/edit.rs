//! `inn edit`: a VM's description in the caller's editor.

use super::{
    Context, VmArg,
    dry_run::DryRun,
    editing::{Configured, Editable, edit},
};
use crate::{
    client::{Target, decode},
    document::{Document, Syntax},
    failure::{Exit, Failure},
    mutation::{Shows, Waiting},
};
use clap::Args;
use innkeeper_model::{Vm, VmConfig};
use serde_json::Value;

#[derive(Debug, Args)]
pub(super) struct Edit {
    #[command(flatten)]
    vm: VmArg,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, of: Edit) -> Result<(), Failure> {
    edit::<EditedVm>(context, of.planning, of.waiting, context.vm(&of.vm.vm)).await
}

struct EditedVm;

impl Editable for EditedVm {
    const KIND: &'static str = "VM";
    const SHOWS: Shows = Shows::Vm;

    fn read(body: Value) -> Result<Configured, Failure> {
        let vm: Vm = decode(body)?;
        let Some(spec) = &vm.spec else {
            let problem = vm.problem.clone().unwrap_or_default();
            let message = format!("{} cannot be read: {problem}", vm.name);
            return Err(Failure::new(Exit::Refused, message).with_hint("inn doctor"));
        };
        let (name, target) = (spec.config.name.to_string(), Target::vm(vm.id));
        Ok(Configured { name, target, config: as_json(&spec.config)? })
    }

    fn parse(text: &str) -> Result<Value, Failure> {
        let document = Document::parse(text, Syntax::Yaml)?;
        document.check()?;
        Ok(document.into_value())
    }
}

/// By way of JSON, since YAML would show an enum as a tag (`!kernel`) otherwise.
fn as_json(config: &VmConfig) -> Result<Value, Failure> {
    serde_json::to_value(config).map_err(|error| {
        Failure::new(Exit::Failed, "cannot write the VM's configuration").because(&error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_written_as_it_is_read() {
        let text = "name: web\nboot: {kernel: {image: tiny}}\n";
        let config = Document::parse(text, Syntax::Yaml).unwrap().check().unwrap();
        let yaml = serde_yaml_ng::to_string(&as_json(&config).unwrap()).unwrap();
        assert!(!yaml.contains('!'), "{yaml}");
        assert_eq!(Document::parse(&yaml, Syntax::Yaml).unwrap().check().unwrap(), config);
    }
}
