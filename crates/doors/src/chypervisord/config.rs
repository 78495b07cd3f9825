//! `/hypervisors/{id}/config`: what a host was told.

use super::{
    Named, Registered,
    body::{Sent, Written, first_value, line},
    change::texts_of,
    failure::{EitherDocument, Failure, LongDocument, ShortDocument},
};
use axum::extract::State;
use innkeeper_store::registry::{Config, ConfigKey, Key};

/// Read what a host was told
#[utoipa::path(
    get,
    path = "/hypervisors/{hypervisorID}/config",
    tag = "config",
    operation_id = "getConfig",
    params(("hypervisorID" = String, Path, description = "The host's id, in any spelling of a UUID")),
    responses(
        (status = 200, description = "What it was told", body = BTreeMap<String, String>),
        (status = 400, description = "This is no id", body = ShortDocument),
        (status = 404, description = "There is no such host", body = LongDocument),
        (status = 500, description = "A record is damaged, or the registry fails", body = LongDocument),
    ),
)]
pub(super) async fn read(named: Named) -> Result<Written, Failure> {
    named.now.check(Key::Config(named.id))?;
    Ok(match named.now.config(named.id) {
        Some(config) => Written::ok(line::<Config>(config)),
        None => Written::ok(line(&Config::new())),
    })
}

/// Tell a host something
///
/// What is empty or null is forgotten; what is not named stays. All is done, or nothing.
#[utoipa::path(
    patch,
    path = "/hypervisors/{hypervisorID}/config",
    tag = "config",
    operation_id = "changeConfig",
    params(("hypervisorID" = String, Path, description = "The host's id, in any spelling of a UUID")),
    request_body = BTreeMap<String, Option<String>>,
    responses(
        (status = 200, description = "All that it was told", body = BTreeMap<String, String>),
        (status = 400, description = "The body cannot be read, a key is not one name, or this is no id", body = EitherDocument),
        (status = 404, description = "There is no such host", body = LongDocument),
        (status = 409, description = "Others change it all the time", body = LongDocument),
        (status = 413, description = "It is too large", body = LongDocument),
        (status = 500, description = "A record is damaged, or the registry fails", body = LongDocument),
        (status = 507, description = "The disk is full", body = LongDocument),
    ),
)]
pub(super) async fn change(
    State(state): State<Registered>,
    named: Named,
    sent: Sent,
) -> Result<Written, Failure> {
    let told = told(sent).map_err(Failure::lengthened)?;
    let edited = state.hosts.edit_config(named.id, |config| {
        for (key, value) in &told {
            if value.is_empty() {
                config.remove(key);
            } else {
                config.insert(key.clone(), value.clone());
            }
        }
        Ok::<(), Failure>(())
    });
    Ok(Written::ok(line(&edited.await?)))
}

/// What is told, under keys that are one name each.
pub(super) fn told(sent: Sent) -> Result<Vec<(ConfigKey, String)>, Failure> {
    let told = texts_of(&first_value(sent)?)?;
    let key = |(key, value): (String, String)| match key.parse::<ConfigKey>() {
        Ok(key) => Ok((key, value)),
        Err(problem) => Err(Failure::short(problem.to_string())),
    };
    told.into_iter().map(key).collect()
}
