//! `inn completion`: what a shell reads to complete `inn`. The script asks this program each time, so
//! that names of VMs, images and networks can be completed as well as words.

use super::{Cli, elsewhere::Elsewhere};
use crate::{
    client::{Client, Target},
    failure::{Exit, Failure},
    folders::Surroundings,
    output::Output,
};
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::{
    CompletionCandidate,
    env::{Bash, Elvish, EnvCompleter, Fish, Zsh},
};
use serde_json::Value;
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

/// What the script sets when it asks for completions.
pub(super) const VARIABLE: &str = "INN_COMPLETE";

/// How long somebody who has pressed Tab waits for the daemon at most.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Completion {
    /// The shell, which reads the script from its start-up file: source <(inn completion bash)
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Zsh,
}

pub(super) fn run(completion: &Completion, output: &Output) -> Result<(), Failure> {
    let shell: &dyn EnvCompleter = match completion.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Zsh => &Zsh,
    };
    let name = Cli::command().get_name().to_owned();
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, &name, &name, &name, &mut script)
        .map_err(|error| Failure::new(Exit::Failed, "cannot make the script").because(&error))?;
    output.data(script)
}

/// The names of VMs that begin so.
pub(super) fn vm_names(begun: &OsStr) -> Vec<CompletionCandidate> {
    names("/v1/vms", begun)
}

/// The names of images that begin so.
pub(super) fn image_names(begun: &OsStr) -> Vec<CompletionCandidate> {
    names("/v1/images", begun)
}

/// The names of networks that begin so.
pub(super) fn network_names(begun: &OsStr) -> Vec<CompletionCandidate> {
    names("/v1/networks", begun)
}

/// The names of projects that begin so.
pub(super) fn project_names(begun: &OsStr) -> Vec<CompletionCandidate> {
    names("/v1/projects", begun)
}

/// The names of issued tokens that begin so.
pub(super) fn token_names(begun: &OsStr) -> Vec<CompletionCandidate> {
    names("/v1/tokens", begun)
}

/// The names of certificates that begin so.
pub(super) fn certificate_names(begun: &OsStr) -> Vec<CompletionCandidate> {
    names("/v1/certificates", begun)
}

/// What a NIC can be connected to, if it begins so.
pub(super) fn attachments(begun: &OsStr) -> Vec<CompletionCandidate> {
    let words =
        ["user", "none"].into_iter().filter(|word| word.starts_with(&*begun.to_string_lossy()));
    words.map(CompletionCandidate::new).chain(network_names(begun)).collect()
}

/// The names of the NICs of the VM on the line that begin so.
pub(super) fn nic_names(begun: &OsStr) -> Vec<CompletionCandidate> {
    let args: Vec<_> = std::env::args_os().collect();
    let nics = vm_of_nic(&args).and_then(|vm| {
        let vm = fetch(&args, |client| async move { client.get(Target::vm(vm)).await })?;
        vm.body["spec"]["config"]["nics"].as_array().cloned()
    });
    beginning_so(nics.unwrap_or_default().iter().filter_map(name), begun)
}

/// The names of the disks of the VM on the line that begin so.
pub(super) fn disk_names(begun: &OsStr) -> Vec<CompletionCandidate> {
    let args: Vec<_> = std::env::args_os().collect();
    let disks = vm_of_commit(&args).and_then(|vm| {
        let vm = fetch(&args, |client| async move { client.get(Target::vm(vm)).await })?;
        vm.body["spec"]["config"]["disks"].as_array().cloned()
    });
    beginning_so(disks.unwrap_or_default().iter().filter_map(name), begun)
}

/// The VM on a line of `inn image commit`, where it comes before the disk.
fn vm_of_commit(args: &[OsString]) -> Option<String> {
    let at = args.iter().position(|arg| arg == "commit")?;
    Some(args.get(at + 1)?.to_str()?.to_owned())
}

/// The VM on a line of `inn nic`.
fn vm_of_nic(args: &[OsString]) -> Option<String> {
    let at = args.iter().position(|arg| arg == "nic" || arg == "nics")?;
    // After the command comes what is done to it, then the VM.
    Some(args.get(at + 2)?.to_str()?.to_owned())
}

/// The ranges of subnets that begin so.
pub(super) fn subnet_ranges(begun: &OsStr) -> Vec<CompletionCandidate> {
    names("/v1/subnets", begun)
}

fn names(list: &'static str, begun: &OsStr) -> Vec<CompletionCandidate> {
    let args: Vec<_> = std::env::args_os().collect();
    let items = fetch(&args, |client| async move { client.list(Target::new(list)).await });
    beginning_so(items.unwrap_or_default().iter().filter_map(name), begun)
}

fn beginning_so(names: impl Iterator<Item = String>, begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    names.filter(|name| name.starts_with(&*begun)).map(CompletionCandidate::new).collect()
}

/// What the daemon answers; `None` for whatever reason, since nobody who presses Tab wants to read it.
fn fetch<T, F: Future<Output = Result<T, Failure>>>(
    args: &[OsString],
    ask: impl FnOnce(Client) -> F,
) -> Option<T> {
    let (state_dir, socket) = (flag(args, "--state-dir"), flag(args, "--socket"));
    let surroundings = Surroundings::of_process(state_dir.as_deref(), socket.as_deref());
    let path = |name| flag(args, name);
    let elsewhere = Elsewhere {
        url: path("--url").and_then(|url| url.into_os_string().into_string().ok()),
        ca: path("--ca"),
        certificate: path("--certificate"),
        key: path("--key"),
    };
    let client = match elsewhere.remote(&surroundings).ok()? {
        Some(remote) => Client::elsewhere(remote),
        None => Client::new(surroundings.socket().ok()?),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async { tokio::time::timeout(PATIENCE, ask(client)).await.ok()?.ok() })
}

/// What a thing is called on a command line.
fn name(item: &Value) -> Option<String> {
    let config = &item["config"];
    let names = [&item["name"], &config["range"], &config["name"]];
    names.into_iter().find_map(|name| name.as_str()).map(Into::into)
}

/// The value of a flag on the line that is being completed, which clap does not tell.
fn flag(args: &[OsString], name: &str) -> Option<PathBuf> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == name {
            return args.next().map(Into::into);
        }
        let joined = arg.to_str().and_then(|arg| arg.strip_prefix(name)?.strip_prefix('='));
        if let Some(value) = joined {
            return Some(value.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_on_the_line_are_found_in_both_spellings() {
        let line = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        for words in [["inn", "--socket", "/s", "get"], ["inn", "--x", "--socket=/s", "get"]] {
            assert_eq!(flag(&line(&words), "--socket"), Some("/s".into()));
        }
        assert_eq!(flag(&line(&["inn", "--socket"]), "--socket"), None);
        assert_eq!(flag(&line(&["inn", "--socket-x=/s"]), "--socket"), None);
    }
}
