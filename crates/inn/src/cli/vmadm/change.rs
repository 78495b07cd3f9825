//! `vmadm create`, `update` and `delete`.

use super::{Context, Payload, answered, one, perform};
use crate::{
    client::{Answer, Call, Target, decode, incomprehensible},
    failure::{Exit, Failure},
};
use clap::Args;
use innkeeper_doors::vminfod::{self, BadPayload};
use innkeeper_model::{Code, Vm, VmConfig, config::CloudInit};
use serde_json::{Map, Value};
use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::Path,
};

#[derive(Debug, Args)]
pub(super) struct Update {
    /// The VM's id
    uuid: String,
    #[command(flatten)]
    payload: Payload,
    /// What to change
    #[arg(value_name = "KEY=VALUE", conflicts_with = "file")]
    settings: Vec<String>,
}

pub(super) async fn create(context: &Context, payload: Payload) -> Result<(), Failure> {
    let payload = read(payload.file.as_deref())?;
    let vminfod::Created { id, config, starts } = vminfod::create(&payload).map_err(refused)?;
    let target =
        Target::new("/v1/vms").with_any("id", id).with_any("start", starts.then_some(true));
    let task = perform(context, Call::post(target).with_body(told(&config)?)).await?;
    let made = task.vm.map(|id| id.to_string()).unwrap_or_default();
    context.output.talk(format_args!("Successfully created VM {made}"));
    Ok(())
}

pub(super) async fn update(context: &Context, update: Update) -> Result<(), Failure> {
    let Update { uuid, payload, settings } = update;
    let payload = match &settings[..] {
        [] => read(payload.file.as_deref())?,
        settings => pairs(settings)?,
    };
    // Of the very answer that it is read from, so that another's change meanwhile is found by its tag.
    let Answer { etag, body } = answered(context, &uuid).await?;
    let vm: Vm = decode(body)?;
    vm.check_adopted("update")?;
    let spec = vm.spec.as_ref().ok_or_else(|| {
        Failure::new(Exit::Failed, format!("{uuid} cannot be updated: nobody knows what it is"))
    })?;
    let changed = vminfod::change(spec, &payload).map_err(refused)?;
    let patch = patch(&as_json(&spec.config)?, &as_json(&changed)?);
    // What changes nothing is done already.
    if !patch.is_empty() {
        let call = Call::patch(Target::vm(vm.id)).if_match(etag);
        perform(context, call.with_body(patch.into())).await?;
    }
    context.output.talk(format_args!("Successfully updated VM {uuid}"));
    Ok(())
}

pub(super) async fn delete(context: &Context, uuid: &str) -> Result<(), Failure> {
    let vm = one(context, uuid).await?;
    let call = Call::delete(Target::vm(vm.id).with("force", true));
    match perform(context, call).await {
        // Somebody else was faster.
        Err(failure) if failure.code == Some(Code::NotFound) => {}
        done => drop(done?),
    }
    context.output.talk(format_args!("Successfully deleted VM {uuid}"));
    Ok(())
}

fn refused(problem: BadPayload) -> Failure {
    Failure::new(Exit::Failed, problem.to_string())
}

/// A VM that is to be made, with its secrets: a config shows only their digests.
fn told(config: &VmConfig) -> Result<Value, Failure> {
    let mut body = as_json(config)?;
    for (field, secret) in config.cloud_init.iter().flat_map(CloudInit::documents) {
        if let Some(text) = secret.expose() {
            body["cloud_init"][field] = text.into();
        }
    }
    Ok(body)
}

fn as_json(config: &VmConfig) -> Result<Value, Failure> {
    serde_json::to_value(config).map_err(|error| incomprehensible(&error))
}

/// The members that differ, and null for those that went: a merge patch. An object within is replaced
/// member by member, so what went from it is named too.
fn patch(before: &Value, after: &Value) -> Map<String, Value> {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return Map::new();
    };
    let mut patch = Map::new();
    for (key, new) in after {
        match before.get(key) {
            Some(old) if old == new => {}
            Some(old) if old.is_object() && new.is_object() => {
                patch.insert(key.clone(), self::patch(old, new).into());
            }
            _ => {
                patch.insert(key.clone(), new.clone());
            }
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch
}

/// `key=value` each; values are texts.
fn pairs(settings: &[String]) -> Result<Value, Failure> {
    let pair = |setting: &String| match setting.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), Value::from(value))),
        None => Err(Failure::usage(format!("Invalid setting: {setting:?} (write key=value)"))),
    };
    settings.iter().map(pair).collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

/// Reads a payload, never from a person at a terminal.
fn read(file: Option<&Path>) -> Result<Value, Failure> {
    let text = match file.filter(|file| *file != Path::new("-")) {
        Some(file) => fs::read_to_string(file).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot read {}", file.display())).because(&error)
        })?,
        None => {
            let mut input = io::stdin().lock();
            if input.is_terminal() {
                return Err(Failure::usage(
                    "Will not read the payload from a terminal: use -f FILE",
                ));
            }
            let mut text = String::new();
            input.read_to_string(&mut text).map_err(|error| {
                Failure::new(Exit::Failed, "cannot read the payload").because(&error)
            })?;
            text
        }
    };
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(Exit::Failed, "Invalid payload").because(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_vm_that_is_to_be_made_has_its_secrets_texts() {
        let payload = json!({
            "brand": "kvm", "alias": "web", "ram": 64,
            "customer_metadata": { "cloud-init:user-data": "hunter2" },
        });
        let config = vminfod::create(&payload).unwrap().config;
        assert_eq!(told(&config).unwrap()["cloud_init"], json!({ "user_data": "hunter2" }));
        assert!(!as_json(&config).unwrap().to_string().contains("hunter2"));
    }

    #[test]
    fn a_patch_has_what_differs_and_null_for_what_went() {
        let before = json!({ "name": "web", "quota": "1GiB", "labels": { "a": "1", "b": "2" }, "disks": [1] });
        let after =
            json!({ "name": "web", "labels": { "a": "1", "c": "3" }, "disks": [1, 2], "cpus": 2 });
        assert_eq!(
            Value::from(patch(&before, &after)),
            json!({ "quota": null, "labels": { "b": null, "c": "3" }, "disks": [1, 2], "cpus": 2 })
        );
        assert!(patch(&before, &before).is_empty());
    }
}
