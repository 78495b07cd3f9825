//! `inn kill`, `reset`, `pause`, `resume`, `suspend`: a verb for one VM or several.

use super::{
    Context, VmsArg,
    dry_run::{self, DryRun},
};
use crate::{client::Call, failure::Failure, mutation::Waiting};
use clap::Args;
use serde_json::Value;

#[derive(Debug, Args)]
pub(super) struct Vms {
    #[command(flatten)]
    vms: VmsArg,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(
    context: &Context,
    Vms { vms, planning, waiting }: Vms,
    verb: &str,
    done: &'static str,
) -> Result<(), Failure> {
    let asked = Verb { verb, parameter: None, body: None, done };
    asked.of(context, vms, planning, waiting).await
}

/// A verb with what it takes.
pub(super) struct Verb<'a> {
    pub(super) verb: &'a str,
    /// A parameter that is to be true.
    pub(super) parameter: Option<&'a str>,
    pub(super) body: Option<Value>,
    /// What to say when it is done.
    pub(super) done: &'static str,
}

impl Verb<'_> {
    /// Has it done to these VMs, or planned.
    pub(super) async fn of(
        self,
        context: &Context,
        VmsArg { vms }: VmsArg,
        planning: DryRun,
        waiting: Waiting,
    ) -> Result<(), Failure> {
        let call = |vm: &str| {
            let mut target = context.of_vm(vm, self.verb);
            if let Some(parameter) = self.parameter {
                target = target.with(parameter, true);
            }
            let call = Call::post(target);
            match &self.body {
                Some(body) => call.with_body(body.clone()),
                None => call,
            }
        };
        let jobs = vms.iter().map(|vm| context.job(vm, call(vm), self.done)).collect();
        dry_run::carry_out(context, planning, waiting, jobs).await
    }
}
