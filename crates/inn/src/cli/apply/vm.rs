//! A VM in a file.

use super::{Wanted, as_json, find};
use crate::{
    cli::Context,
    client::{Call, Target, decode},
    difference::differences,
    document::Document,
    failure::Failure,
};
use innkeeper_model::Vm;
use serde_json::{Value, json};

pub(super) async fn wanted(
    context: &Context,
    mut document: Document,
    file: &str,
) -> Result<Wanted, Failure> {
    if let (Some(project), None) = (&context.project, document.0.get("project")) {
        document.0.insert("project".into(), project.as_str().into());
    }
    let config = document.check().map_err(|failure| failure.of(file))?;
    let target = Target::vm(&config.name).with("project", &config.project);
    let found = match find(context, target).await? {
        Some(answer) => Some((decode::<Vm>(answer.body.clone())?, answer)),
        None => None,
    };
    let found = found.filter(|(vm, _)| vm.name == config.name && vm.project == config.project);
    let before = match &found {
        Some((vm, _)) => current(vm)?,
        None => json!({}),
    };
    let name = config.name.to_string();
    let (call, done) = match &found {
        None => (Call::post(Target::new("/v1/vms")), "created"),
        Some((vm, answer)) => {
            (Call::put(Target::vm(vm.id)).if_match(answer.etag.clone()), "changed")
        }
    };
    let changes = differences(&before, &as_json(&config)?);
    let jobs = vec![context.job(&name, call.with_body(document.into_value()), done)];
    Ok(Wanted { kind: "vm", name, now: found.map(|(_, answer)| answer.body), changes, jobs })
}

/// What the VM is now. Empty if its stored spec is damaged, which the daemon refuses to change.
fn current(vm: &Vm) -> Result<Value, Failure> {
    match &vm.spec {
        Some(spec) => as_json(&spec.config),
        None => Ok(json!({})),
    }
}
