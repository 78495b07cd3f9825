//! `inn diagnose bundle`: one file for whoever is to find out what is wrong.
//!
//! What cannot be had is named in it rather than keeping the rest back: it is made when things do not
//! work. No secret is in it; of what a guest wrote, only what [`ABOUT`] names.

use super::{ANSWERS_WITHIN, archive::Archive, ask, ask_text, diagnosis, text};
use crate::{
    cli::Context,
    client::{Call, Target},
    failure::{Exit, Failure},
    folders::Surroundings,
    output::Format,
};
use clap::Args;
use innkeeper_model::{Host, Timestamp, VmState};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::NamedTempFile;

/// Of how many VMs the hypervisor's log is taken at most, and how much of each, in bytes.
const MAX_LOGS: usize = 100;
const MAX_LOG: usize = 64 << 10;
/// How many lines of the audit are taken: about as much as of the daemon's log.
const AUDIT_LINES: usize = 4000;
/// How long a list may take.
const LISTS_WITHIN: Duration = Duration::from_secs(20);

const ABOUT: &str = "\
What inn diagnose bundle found, when it was asked.

versions.json   of the command, the daemon, its kernel and hypervisor
diagnosis.json  queues, tasks, what was left behind, failures; the figures of the journal and the feed
config.json     the configuration that the daemon runs with
host.json       the host, its hypervisor and safeguards, and machines that are not Innkeeper's
vms.json        the VMs; of secrets, their digests
tasks.json      what is being done, and was done last
images.json     the images
daemon.log      what the daemon logged last, at most 1 MiB, since its start
audit.jsonl     the last lines of the audit: who had what done, and what was refused to whom
logs/           the last lines of VMs' hypervisors, those with something wrong first
missing.txt     what of all this could not be had, and why

Neither guests' consoles nor their disks or memory are in here, nor the daemon's token. What guests
have a hand in is: names and addresses that their agents told (vms.json), and what hooks and
hypervisors wrote about them (tasks.json, logs/, daemon.log). Callers' names and addresses are in the
audit, and can be in the log.
";

#[derive(Debug, Args)]
pub(super) struct Bundle {
    /// Where to write it; innkeeper-diagnosis-TIME.tar.gz in this folder if nothing is said
    file: Option<PathBuf>,
}

pub(super) async fn run(
    context: &Context,
    surroundings: &Surroundings,
    bundle: Bundle,
) -> Result<(), Failure> {
    let now = Timestamp::now();
    let name = format!("innkeeper-diagnosis-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let file = bundle.file.unwrap_or_else(|| format!("{name}.tar.gz").into());
    let file = surroundings.absolute(&file);
    if file.exists() {
        return Err(Failure::usage(format!("{} is there already", file.display())));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    // In its place when it is whole; gone if this fails, or is stopped halfway.
    let unfinished = NamedTempFile::new_in(folder).map_err(|error| unwritable(&file, &error))?;
    let made = u64::try_from(now.as_second()).unwrap_or_default();
    let archive = Archive::new(unfinished, name, made, secrets(surroundings));
    let mut gathering =
        Gathering { context, surroundings, archive, missing: Vec::new(), answers: true };
    gathering.everything().await?;
    let Gathering { mut archive, missing, .. } = gathering;
    let written = archive
        .file("missing.txt", missing.join("\n").into_bytes())
        .and_then(|()| archive.finish())
        .map_err(|error| stopped(&error))?;
    written.persist_noclobber(&file).map_err(|error| unwritable(&file, &error.error))?;
    tell(context, &file, &missing)
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot write {}", file.display())).because(error)
}

fn tell(context: &Context, file: &Path, missing: &[String]) -> Result<(), Failure> {
    let output = &context.output;
    for missing in missing {
        output.warn(format_args!("not in it: {missing}"));
    }
    match output.format {
        Format::Json | Format::Yaml => {
            output.document(&json!({ "file": file, "missing": missing }))
        }
        Format::Name | Format::Table => output.line(file.display()),
    }
}

/// What must not be in it wherever it may stand: the token, where this can be read.
fn secrets(surroundings: &Surroundings) -> Vec<String> {
    let state = surroundings.folders().map(|folders| folders.state);
    let token = state.ok().and_then(|state| fs::read_to_string(state.join("token")).ok());
    token.into_iter().map(|token| token.trim().to_owned()).collect()
}

/// A bundle in the making.
struct Gathering<'a> {
    context: &'a Context,
    surroundings: &'a Surroundings,
    archive: Archive<NamedTempFile>,
    missing: Vec<String>,
    /// Whether the daemon's main socket has answered so far: one that is stuck is not waited for again.
    answers: bool,
}

impl Gathering<'_> {
    async fn everything(&mut self) -> Result<(), Failure> {
        // Without any of this there is no daemon, and nothing to look at.
        let found = ask(self.context, self.surroundings, diagnosis()).await?.body;
        self.put("diagnosis.json", found)?;
        let configuration =
            ask(self.context, self.surroundings, diagnosis().segment("configuration"));
        match configuration.await {
            Ok(answer) => self.put("config.json", answer.body)?,
            Err(failure) => self.miss("config.json", &failure),
        }
        self.daemon_log().await?;
        self.audit().await?;
        let host = self.get("host.json", Target::new("/v1/host")).await?;
        let vms = self.list("vms.json", Target::new("/v1/vms")).await?;
        self.list("tasks.json", Target::new("/v1/tasks")).await?;
        self.list("images.json", Target::new("/v1/images")).await?;
        self.put("versions.json", versions(host))?;
        self.logs(&vms).await?;
        let about = self.archive.file("README.txt", ABOUT.into());
        about.map_err(|error| stopped(&error))
    }

    fn put(&mut self, name: &str, document: Value) -> Result<(), Failure> {
        self.archive.document(name, document).map_err(|error| stopped(&error))
    }

    fn miss(&mut self, name: &str, failure: &Failure) {
        self.answers &= !matches!(failure.exit, Exit::Unreachable | Exit::Timeout);
        self.missing.push(format!("{name}: {}", failure.message));
    }

    async fn get(&mut self, name: &str, target: Target) -> Result<Option<Value>, Failure> {
        if !self.answers {
            self.missing.push(format!("{name}: not asked for, since the daemon does not answer"));
            return Ok(None);
        }
        match self.context.client.call(Call::get(target).within(ANSWERS_WITHIN)).await {
            Ok(answer) => {
                self.put(name, answer.body.clone())?;
                Ok(Some(answer.body))
            }
            Err(failure) => {
                self.miss(name, &failure);
                Ok(None)
            }
        }
    }

    async fn list(&mut self, name: &str, target: Target) -> Result<Vec<Value>, Failure> {
        if !self.answers {
            self.missing.push(format!("{name}: not asked for, since the daemon does not answer"));
            return Ok(Vec::new());
        }
        let listed = tokio::time::timeout(LISTS_WITHIN, self.context.client.list(target)).await;
        let listed = listed.unwrap_or_else(|_| {
            Err(Failure::new(Exit::Timeout, "the daemon did not answer in time"))
        });
        match listed {
            Ok(items) => {
                self.put(name, Value::Array(items.clone()))?;
                Ok(items)
            }
            Err(failure) => {
                self.miss(name, &failure);
                Ok(Vec::new())
            }
        }
    }

    /// What the daemon logged last. (What says nothing of its main socket: it is asked of the other.)
    async fn daemon_log(&mut self) -> Result<(), Failure> {
        let (context, surroundings) = (self.context, self.surroundings);
        match ask_text(context, surroundings, diagnosis().segment("log")).await {
            Ok(log) => self.archive.file("daemon.log", log).map_err(|error| stopped(&error)),
            Err(failure) => {
                self.missing.push(format!("daemon.log: {}", failure.message));
                Ok(())
            }
        }
    }

    /// The last lines of the audit, page by page; as many as there are, where a page cannot be had.
    async fn audit(&mut self) -> Result<(), Failure> {
        let (context, surroundings) = (self.context, self.surroundings);
        let target = Target::new("/v1/audit").with("limit", AUDIT_LINES);
        let mut page = target.clone().with("last", AUDIT_LINES);
        let (mut lines, mut count) = (Vec::new(), 0);
        loop {
            let answer = match ask(context, surroundings, page).await {
                Ok(answer) => answer.body,
                Err(failure) => {
                    self.missing.push(format!("audit.jsonl: {}", failure.message));
                    break;
                }
            };
            for item in answer["items"].as_array().into_iter().flatten() {
                lines.extend(format!("{item}\n").into_bytes());
                count += 1;
            }
            match answer["next"].as_str() {
                // More may come than were asked for.
                Some(next) if count < AUDIT_LINES => page = target.clone().with("after", next),
                _ => break,
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.archive.file("audit.jsonl", lines).map_err(|error| stopped(&error))
    }

    /// The last lines of hypervisors, those of VMs with something wrong first.
    async fn logs(&mut self, vms: &[Value]) -> Result<(), Failure> {
        let is_wrong =
            |vm: &&Value| !vm["problem"].is_null() || vm["state"] == json!(VmState::Interrupted);
        let (wrong, well): (Vec<_>, Vec<_>) = vms.iter().partition(is_wrong);
        if vms.len() > MAX_LOGS {
            self.missing.push(format!("logs/: of {} VMs, those of {MAX_LOGS}", vms.len()));
        }
        let mut named: HashMap<String, usize> = HashMap::new();
        for vm in wrong.into_iter().chain(well).take(MAX_LOGS) {
            let (Some(id), Some(name)) = (vm["id"].as_str(), vm["name"].as_str()) else { continue };
            let uses = named.entry(name.to_owned()).or_default();
            *uses += 1;
            // The names of two projects may be the same; ids are not.
            let file = if *uses == 1 { name } else { id };
            let file = format!("logs/{file}.log");
            if !self.answers {
                self.missing
                    .push(format!("{file}: not asked for, since the daemon does not answer"));
                continue;
            }
            match self.log(id).await {
                Ok(log) if log.is_empty() => {}
                Ok(log) => {
                    self.archive.file(&file, log).map_err(|error| stopped(&error))?;
                }
                Err(failure) => self.miss(&file, &failure),
            }
        }
        Ok(())
    }

    async fn log(&self, vm: &str) -> Result<Vec<u8>, Failure> {
        let target = Target::vm(vm).segment("logs").with("source", "hypervisor");
        let log = text(&self.context.client, target).await?;
        Ok(log[log.len().saturating_sub(MAX_LOG)..].to_vec())
    }
}

fn stopped(error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, "cannot write the bundle").because(error)
}

fn versions(host: Option<Value>) -> Value {
    let host: Option<Host> = host.and_then(|host| serde_json::from_value(host).ok());
    let hypervisor = host.as_ref().and_then(|host| host.hypervisor.as_ref());
    json!({
        "inn": env!("CARGO_PKG_VERSION"),
        "daemon": host.as_ref().map(|host| &host.version),
        "kernel": host.as_ref().map(|host| &host.kernel),
        "driver": hypervisor.map(|hypervisor| &hypervisor.driver),
        "hypervisor": hypervisor.map(|hypervisor| &hypervisor.version),
    })
}
