//! `inn network edit`: with flags, or in an editor.

use super::{NetworkArg, create::ChangeableFlags, target};
use crate::{
    cli::{
        Context,
        dry_run::{self, DryRun},
        editing::{self, Configured, Editable},
    },
    client::{Call, decode},
    document::{Document, Syntax, config_of, senseless},
    failure::Failure,
    mutation::{Job, Shows, Waiting},
};
use clap::Args;
use innkeeper_model::{NetworkConfig, NetworkName, ShownNetwork};
use serde_json::Value;

#[derive(Debug, Args)]
pub(in crate::cli) struct Edit {
    #[command(flatten)]
    network: NetworkArg,
    #[command(flatten)]
    changeable: ChangeableFlags,
    /// Its guests reach each other again
    #[arg(long, conflicts_with = "isolated")]
    not_isolated: bool,
    /// Another name, where no VM is on it
    #[arg(long, value_name = "NAME")]
    rename: Option<NetworkName>,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, edit: Edit) -> Result<(), Failure> {
    let (name, planning, waiting) = (edit.network.network, edit.planning, edit.waiting);
    let mut changes = edit.changeable.fields();
    if edit.not_isolated {
        changes.insert("isolated".into(), false.into());
    }
    if let Some(new) = &edit.rename {
        changes.insert("name".into(), new.as_str().into());
    }
    if changes.is_empty() {
        return editing::edit::<EditedNetwork>(context, planning, waiting, target(&name)).await;
    }
    let call = Call::patch(target(&name)).with_body(changes.into());
    let subject = edit.rename.map_or(name, |new| new.to_string());
    let job = Job { subject, call, done: "changed", shows: Shows::Network };
    dry_run::carry_out(context, planning, waiting, vec![job]).await
}

struct EditedNetwork;

impl Editable for EditedNetwork {
    const KIND: &'static str = "network";
    const SHOWS: Shows = Shows::Network;

    fn read(body: Value) -> Result<Configured, Failure> {
        let config = body.get("config").cloned().unwrap_or_default();
        let network: ShownNetwork = decode(body)?;
        let name = network.config.name.to_string();
        Ok(Configured { name, target: target(network.id), config })
    }

    fn parse(text: &str) -> Result<Value, Failure> {
        let value = Document::parse(text, Syntax::Yaml)?.into_value();
        let config: NetworkConfig = config_of(&value)?;
        config.validate().map_err(senseless)?;
        Ok(value)
    }
}
