//! The floor of a start: the same QEMU with the same command line, started without Innkeeper.
//!
//! The daemon gives QEMU open descriptors, whose numbers are in the command line. The same files are
//! opened here, and the numbers replaced. Left out is `-S`: it holds the CPUs for the daemon's sake,
//! and nobody who starts QEMU by hand would write it.

use crate::rig::{cleanup::Process, guest::SerialLine};
use anyhow::{Context, ensure};
use innkeeper_model::Incarnation;
use rustix::io::{FdFlags, fcntl_setfd};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// How a QEMU was started.
#[derive(Debug)]
pub(crate) struct ByHand {
    argv: Vec<String>,
    opens: BTreeMap<RawFd, Open>,
}

#[derive(Debug, PartialEq, Eq)]
enum Open {
    /// A listening socket, for the chardev of this id.
    Listener(String),
    File {
        path: PathBuf,
        writable: bool,
    },
    /// The host's end of a NIC's cable.
    Tap,
}

impl ByHand {
    /// As a machine was.
    pub(crate) fn like(incarnation: &Incarnation) -> anyhow::Result<Self> {
        let argv: Vec<_> = incarnation.argv.iter().filter(|arg| *arg != "-S").cloned().collect();
        let named: BTreeMap<_, _> =
            argv.iter().flat_map(|argument| descriptors(argument)).collect();
        let opened = incarnation.opens.as_array().context("a list of what it was given open")?;
        ensure!(opened.len() == named.len(), "{named:?} are not {opened:?}");
        // They are given in the order of their numbers.
        let opens = named.into_iter().zip(opened).map(|((number, chardev), opened)| {
            Ok((number, chardev.map_or_else(|| opened_as(opened), |id| Ok(Open::Listener(id)))?))
        });
        let opens = opens.collect::<anyhow::Result<_>>()?;
        Ok(Self { argv, opens })
    }

    /// Starts QEMU in this folder, which must be empty of sockets. The serial line is open before
    /// QEMU begins.
    pub(crate) fn start(&self, folder: &Path) -> anyhow::Result<(Process, SerialLine)> {
        self.start_on(folder, None)
    }

    /// Starts QEMU in this folder, with this as its tap, where it has one.
    pub(crate) fn start_on(
        &self,
        folder: &Path,
        mut tap: Option<OwnedFd>,
    ) -> anyhow::Result<(Process, SerialLine)> {
        let (mut numbers, mut held, mut serial) = (BTreeMap::new(), Vec::new(), None);
        for (number, open) in &self.opens {
            let descriptor: OwnedFd = match open {
                Open::Listener(id) => {
                    let path = folder.join(id);
                    let _not_there = fs::remove_file(&path);
                    let listener = UnixListener::bind(&path)?;
                    if id.starts_with("serial") {
                        serial = Some(UnixStream::connect(&path)?);
                    }
                    listener.into()
                }
                Open::File { path, writable } => {
                    File::options().read(true).write(*writable).open(path)?.into()
                }
                Open::Tap => tap.take().context("the machine has a tap")?,
            };
            fcntl_setfd(&descriptor, FdFlags::empty())?;
            numbers.insert(*number, descriptor.as_raw_fd());
            held.push(descriptor);
        }
        let argv: Vec<_> = self.argv.iter().map(|argument| renumber(argument, &numbers)).collect();
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).current_dir(folder).env_clear().env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::spawn(&mut command)?;
        Ok((process, SerialLine::over(serial.context("the machine has a serial line")?)?))
    }
}

/// The descriptors that an argument names, each with the chardev that listens on it, if one does.
fn descriptors(argument: &str) -> Vec<(RawFd, Option<String>)> {
    if let Some(number) = argument.strip_prefix("/dev/fd/").and_then(|text| text.parse().ok()) {
        return vec![(number, None)];
    }
    if let Some(number) = tap(argument) {
        return vec![(number, None)];
    }
    let option = |key: &str| argument.split(',').find_map(|part| part.strip_prefix(key));
    let Some(number) = option("fd=").and_then(|text| text.parse().ok()) else { return Vec::new() };
    let chardev = argument.starts_with("socket,").then(|| option("id=").unwrap_or("socket").into());
    vec![(number, chardev)]
}

/// The number of the tap that a network's backend is given, in JSON as they all are.
fn tap(argument: &str) -> Option<RawFd> {
    let backend: Value = serde_json::from_str(argument).ok()?;
    if backend["type"] == "tap" { backend["fd"].as_str()?.parse().ok() } else { None }
}

fn renumber(argument: &str, numbers: &BTreeMap<RawFd, RawFd>) -> String {
    let renumbered = |prefix: &str, part: &str| {
        let number = part.strip_prefix(prefix)?.parse::<RawFd>().ok()?;
        Some(format!("{prefix}{}", numbers.get(&number)?))
    };
    if let Some(number) = tap(argument).and_then(|tap| numbers.get(&tap)) {
        let mut backend: Value = serde_json::from_str(argument).unwrap_or_default();
        backend["fd"] = number.to_string().into();
        return backend.to_string();
    }
    if let Some(path) = renumbered("/dev/fd/", argument) {
        return path;
    }
    let part = |part: &str| renumbered("fd=", part).unwrap_or_else(|| part.into());
    argument.split(',').map(part).collect::<Vec<_>>().join(",")
}

/// A file or tap that QEMU was given, as its incarnation has it (`qemu::descriptors`): the way in which it
/// is open, and its path or a layer with one.
fn opened_as(opened: &Value) -> anyhow::Result<Open> {
    if opened == "kvm" {
        return Ok(Open::File { path: "/dev/kvm".into(), writable: true });
    }
    let (way, what) = opened
        .as_object()
        .and_then(|opened| opened.iter().next())
        .with_context(|| format!("{opened} is no file"))?;
    if way == "tap" {
        return Ok(Open::Tap);
    }
    let path = what.as_str().or_else(|| what["path"].as_str());
    let path = path.with_context(|| format!("{opened} has no path"))?.into();
    Ok(Open::File { path, writable: matches!(way.as_str(), "write" | "layer_write") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn descriptors_are_found_and_replaced_wherever_they_are_named() {
        let serial = "socket,id=serial-socket,fd=4,server=on,wait=off";
        assert_eq!(descriptors(serial), [(4, Some("serial-socket".into()))]);
        assert_eq!(descriptors("fd=5,set=1"), [(5, None)]);
        assert_eq!(descriptors("/dev/fd/6"), [(6, None)]);
        assert_eq!(descriptors("{\"fd\":\"7\",\"type\":\"tap\"}"), [(7, None)]);
        for other in ["/dev/fdset/1", "hub,id=serial,chardevs.0=x", "-S", "{\"fd\":7}"] {
            assert_eq!(descriptors(other), [], "{other}");
        }
        let numbers = [(4, 14), (5, 15), (6, 16), (7, 17)].into();
        let tap = |fd| format!("{{\"fd\":\"{fd}\",\"id\":\"net-a\",\"type\":\"tap\"}}");
        assert_eq!(renumber(&tap(7), &numbers), tap(17));
        assert_eq!(renumber(serial, &numbers), "socket,id=serial-socket,fd=14,server=on,wait=off");
        assert_eq!(renumber("fd=5,set=1", &numbers), "fd=15,set=1");
        assert_eq!(renumber("/dev/fd/6", &numbers), "/dev/fd/16");
        assert_eq!(renumber("{\"a\":1,\"b\":\"fd=4\"}", &numbers), "{\"a\":1,\"b\":\"fd=4\"}");
    }

    #[test]
    fn what_was_open_is_opened_alike() {
        let file = |path: &str, writable| Open::File { path: path.into(), writable };
        let opened = |value| opened_as(&value).unwrap();
        assert_eq!(opened(json!({ "layer_write": { "path": "/a" } })), file("/a", true));
        assert_eq!(opened(json!({ "layer_read": { "path": "/a" } })), file("/a", false));
        assert_eq!(opened(json!({ "reopened": "/b" })), file("/b", false));
        assert_eq!(opened(json!({ "tap": "net0" })), Open::Tap);
        assert_eq!(opened(json!("kvm")), file("/dev/kvm", true));
        assert!(opened_as(&json!("/b")).is_err());
    }
}
