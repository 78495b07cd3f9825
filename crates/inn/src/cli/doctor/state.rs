//! The configuration, the daemon, and what is stored.

use super::Finding;
use crate::{
    cli::Context,
    client::{Target, decode},
    config::Config,
    daemon::folder,
    failure::{Exit, Failure},
    folders::Surroundings,
    options::{self, DaemonOptions, Flags},
};
use innkeeper_hooks::{Hooks, OwnerRule};
use innkeeper_model::{Host, Refusal, StoredQuota, Vm, VmId, VmState, host::Manager};
use innkeeper_store::{
    Damage, LockFailed, NetworkStore, QuotaStore, SpecStore, StateLock, Stored, StoredNetwork,
    StoredSpec, journal,
};
use std::{
    error::Error,
    path::{Path, PathBuf},
};

/// The configuration, and what a daemon started here would be started with.
pub(super) fn configuration(
    surroundings: &Surroundings,
) -> (Option<Finding>, Option<DaemonOptions>) {
    let file = surroundings.config_file().filter(|file| file.exists());
    let config = file.as_deref().map_or_else(|| Ok(Config::default()), Config::read);
    let options =
        config.and_then(|config| options::resolve(surroundings, Flags::default(), config));
    let finding = match (&file, &options) {
        (_, Err(failure)) => {
            let editor = file.map(|file| format!("${{EDITOR:-vi}} {}", file.display()));
            Some(Finding::missing("configuration", failure.to_string(), editor))
        }
        (Some(file), Ok(_)) => Some(Finding::good("configuration", file.display().to_string())),
        (None, Ok(_)) => None,
    };
    (finding, options.ok())
}

/// Whether the daemon can be used, and the managers and the quarantined VMs that it has; `None` if it could
/// not be asked.
pub(super) async fn daemon(
    context: &Context,
    surroundings: &Surroundings,
) -> (Finding, Option<Vec<Finding>>) {
    let what = "daemon";
    match ask(context, surroundings).await {
        Ok((host, findings)) => {
            let detail = format!("version {}, process {}", host.version, host.pid);
            (Finding::good(what, detail), Some(findings))
        }
        Err(failure) => {
            let detail = failure.message.clone();
            let mend = failure.hint.as_ref().filter(|_| failure.exit == Exit::Unreachable);
            (Finding::lacking(what, detail, mend.cloned()), None)
        }
    }
}

async fn ask(
    context: &Context,
    surroundings: &Surroundings,
) -> Result<(Host, Vec<Finding>), Failure> {
    let host: Host = decode(context.client.get(Target::new("/v1/host")).await?.body)?;
    let target = Target::new("/v1/vms").with("state", VmState::Quarantined);
    let mut findings: Vec<_> = host.managers.iter().map(manager).collect();
    for item in context.client.list(target).await? {
        let vm: Vm = decode(item)?;
        if vm.state == VmState::Quarantined {
            findings.push(damaged(vm.id, vm.problem.unwrap_or_default(), surroundings));
        }
    }
    Ok((host, findings))
}

/// Whether another manager of machines on this host can be asked.
fn manager(manager: &Manager) -> Finding {
    match &manager.lost {
        None => Finding::good(&manager.name, "its machines are shown"),
        Some(loss) => Finding::lacking(&manager.name, loss.reason.clone(), loss.hint.clone()),
    }
}

fn damaged(vm: VmId, problem: String, surroundings: &Surroundings) -> Finding {
    let delete = inn(surroundings, &format!("delete --force {vm}"));
    let mend = format!("{delete}   # loses the VM and its disks; or mend the file by hand");
    Finding::lacking(format!("stored VM {vm}"), problem, mend)
}

/// A command for the daemon that was looked at.
fn inn(surroundings: &Surroundings, rest: &str) -> String {
    let flag = |name, path: &Path| format!("inn {rest} {name} {}", path.display());
    match (&surroundings.socket, &surroundings.state_dir) {
        (Some(socket), _) => flag("--socket", socket),
        (None, Some(folder)) => flag("--state-dir", folder),
        (None, None) => format!("inn {rest}"),
    }
}

/// The daemon's folders that are there, and that it would refuse.
pub(super) fn folders(options: Option<&DaemonOptions>) -> Vec<Finding> {
    let folders =
        options.map(|options| [("state", &options.state_dir), ("runtime", &options.runtime_dir)]);
    let judge = |(kind, path): (&str, &PathBuf)| {
        let refusal = folder::check(path).err()?;
        Some(Finding::missing(format!("{kind} folder"), refusal.message, refusal.hint))
    };
    folders.into_iter().flatten().filter_map(judge).collect()
}

/// What the operator's hooks would fail an operation by, or would never be run for.
pub(super) fn hooks(options: Option<&DaemonOptions>) -> Vec<Finding> {
    let Some(options) = options.filter(|options| options.hooks.exists()) else {
        return Vec::new();
    };
    let rule = OwnerRule::of_this_process();
    let problems = Hooks::new(options.hooks.clone(), options.hook_deadline, rule).problems();
    if problems.is_empty() {
        return vec![Finding::good("hooks", options.hooks.display().to_string())];
    }
    let tell = |problem: Refusal| Finding::lacking("hooks", problem.message, problem.hint);
    problems.into_iter().map(tell).collect()
}

/// What the journal has lost and nobody has seen to. Where only the daemon's user may look, it tells.
pub(super) fn journal(options: Option<&DaemonOptions>) -> Vec<Finding> {
    let set_aside = options.map(|options| journal::set_aside(&options.journal_dir()));
    let tell = |damage: journal::Damage| {
        let of = damage.about.filter(|about| !about.is_nil());
        let of = of.map_or_else(|| "each VM".into(), |vm| format!("VM {vm}"));
        let file = damage.file.display();
        let mend = format!("mv {file} ~/   # once {of} was looked at, and while no daemon runs");
        Finding::lacking("journal", damage.to_string(), mend)
    };
    set_aside.and_then(Result::ok).unwrap_or_default().into_iter().map(tell).collect()
}

/// What is stored, where no daemon has it in hand.
pub(super) fn specs(options: Option<&DaemonOptions>, surroundings: &Surroundings) -> Vec<Finding> {
    let what = "stored VMs";
    let Some(options) = options.filter(|options| options.specs_dir().is_dir()) else {
        return Vec::new();
    };
    match read(options, surroundings) {
        Ok(findings) => findings,
        Err(failed) => {
            vec![Finding::lacking(what, format!("cannot be examined: {failed}"), None)]
        }
    }
}

fn read(
    options: &DaemonOptions,
    surroundings: &Surroundings,
) -> Result<Vec<Finding>, Box<dyn Error>> {
    // A daemon's files are its own: it may be writing one just now.
    let _lock = match StateLock::acquire(&options.state_dir) {
        Err(failed @ LockFailed::Held { .. }) => {
            let detail = format!("not examined: {failed}, which does not answer");
            return Ok(vec![Finding::lacking("stored VMs", detail, None)]);
        }
        lock => lock?,
    };
    let specs = SpecStore::open(options.specs_dir())?.load()?;
    let count = specs.len();
    let mut findings: Vec<_> =
        specs.into_iter().filter_map(|stored| damage(stored, surroundings)).collect();
    if findings.is_empty() {
        findings.push(Finding::good("stored VMs", format!("{count}, none of them damaged")));
    }
    if options.networks_dir().is_dir() {
        let networks = NetworkStore::open(options.networks_dir())?.load()?;
        findings.extend(networks.into_iter().filter_map(damaged_network));
    }
    if options.projects_dir().is_dir() {
        let quotas = QuotaStore::open(options.projects_dir())?.load()?;
        findings.extend(quotas.into_iter().filter_map(damaged_quota));
    }
    Ok(findings)
}

fn damaged_network(stored: StoredNetwork) -> Option<Finding> {
    let StoredNetwork::Damaged { id, file, reason } = stored else {
        return None;
    };
    let mend = Some("mend the file by hand; until then its VMs have no network".to_owned());
    Some(Finding::lacking(format!("stored network {id}"), in_words(&file, &reason), mend))
}

fn damaged_quota(stored: Stored<StoredQuota>) -> Option<Finding> {
    let Stored::Damaged { id, file, reason } = stored else {
        return None;
    };
    let mend = format!(
        "mend the file by hand; until then nothing more is given to the project. Or give it up: inn project \
         delete {id} --force"
    );
    Some(Finding::lacking(format!("quota of project {id}"), in_words(&file, &reason), Some(mend)))
}

fn damage(stored: StoredSpec, surroundings: &Surroundings) -> Option<Finding> {
    let StoredSpec::Damaged { id, file, reason } = stored else {
        return None;
    };
    Some(damaged(id, in_words(&file, &reason), surroundings))
}

/// What is wrong with a stored file, and why.
fn in_words(file: &Path, reason: &Damage) -> String {
    let mut problem = format!("{}: {reason}", file.display());
    let mut next = reason.source();
    while let Some(cause) = next {
        problem.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    problem
}
