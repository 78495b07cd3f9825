//! The feed as it is written: one JSON document a line, or server-sent events.
//!
//! Each batch is encoded once, as lines, and those are kept with it. A reader of all lines is sent
//! those very bytes; for others (events, filters) the lines are copied, not encoded again.

use crate::protocol::{
    answer::{Shown, native},
    list::{Page, Progress, Rows},
};
use bytes::Bytes;
use innkeeper_model::{
    Action, Change, Image, ImageName, Network, NetworkId, Position, ResourceKind, Revision, Task,
    TaskId, Vm, VmId,
};
use innkeeper_surface::{Sight, Told};
use innkeeper_view::{Batch, EncodingSlot, Entry, Snapshot, Subject, Transition};
use std::{fmt::Arguments, io::Write, sync::Arc};

/// The size at which a piece of a gap's snapshot is sent, in bytes: it is all that a reader who has
/// one holds in memory.
const GAP_CHUNK: usize = 32 << 10;

/// How the feed is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A document a line (`application/x-ndjson`).
    Lines,
    /// Server-sent events (`text/event-stream`).
    Events,
}

impl Framing {
    /// The type of an answer that is written so.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        }
    }
}

/// Which changes a reader sees, and which of them it wants to.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Those that there are for it.
    pub(crate) sight: Sight,
    /// Of these kinds; of all where empty.
    pub(crate) kinds: Vec<ResourceKind>,
    /// Of this VM and its tasks.
    pub(crate) vm: Option<VmId>,
}

impl Filter {
    fn is_everything(&self) -> bool {
        self.sight.is_everything() && self.kinds.is_empty() && self.vm.is_none()
    }

    fn has(&self, kind: ResourceKind) -> bool {
        let of_a_vm = matches!(kind, ResourceKind::Vm | ResourceKind::Task);
        (self.kinds.is_empty() || self.kinds.contains(&kind)) && (self.vm.is_none() || of_a_vm)
    }

    fn matches(&self, subject: &Subject) -> bool {
        let vm = match subject {
            Subject::Vm(vm) => Some(vm.latest().id),
            Subject::Event { vm, .. } => Some(vm.id),
            Subject::Task(task) => task.latest().vm,
            Subject::Image(_) | Subject::Network(_) | Subject::Host(_) => None,
        };
        self.has(kind(subject)) && (self.vm.is_none() || self.vm == vm)
    }
}

/// The batch as this reader is sent it; `None` where nothing in it is for this reader.
pub(crate) fn batch(batch: &Batch, framing: Framing, filter: &Filter) -> Option<Bytes> {
    let lines = batch.encoded(EncodingSlot::Native, encode);
    if framing == Framing::Lines && filter.is_everything() {
        return Some(lines);
    }
    let mut framed = Vec::with_capacity(lines.len() + batch.entries().len() * 96);
    // No line has a line's end within: JSON escapes it.
    for (entry, line) in batch.entries().iter().zip(lines.split_inclusive(|byte| *byte == b'\n')) {
        match filter.sight.told(entry) {
            Told::Nothing => {}
            Told::AsItIs => append(&mut framed, framing, filter, (entry, || line)),
            Told::Otherwise(entry) => {
                append(&mut framed, framing, filter, (&entry, || line_of(&entry.to_change())))
            }
        }
    }
    (!framed.is_empty()).then(|| framed.into())
}

/// Appends a change, if the reader wants to see it.
fn append<L: AsRef<[u8]>>(
    framed: &mut Vec<u8>,
    framing: Framing,
    filter: &Filter,
    (entry, line): (&Entry, impl FnOnce() -> L),
) {
    if !filter.matches(&entry.subject) {
        return;
    }
    match framing {
        Framing::Lines => framed.extend_from_slice(line().as_ref()),
        Framing::Events => {
            let (kind, action) = (kind_name(kind(&entry.subject)), action_name(entry));
            event(framed, entry.position, format_args!("{kind}.{action}"));
            framed.extend_from_slice(line().as_ref());
            framed.push(b'\n');
        }
    }
}

/// The changes of a batch, each as a line.
fn encode(batch: &Batch) -> Bytes {
    let mut lines = Vec::new();
    batch.changes().for_each(|change| write_line(&mut lines, &change));
    lines.into_boxed_slice().into()
}

fn line_of(change: &Change) -> Vec<u8> {
    let mut line = Vec::new();
    write_line(&mut line, change);
    line
}

fn write_line(lines: &mut Vec<u8>, change: &Change) {
    lines.extend_from_slice(b"{\"type\":\"change\"");
    let begins = lines.len();
    serde_json::to_writer(&mut *lines, change).expect("a change has a JSON form");
    // The change's own members go on in the object that was begun.
    lines[begins] = b',';
    lines.push(b'\n');
}

/// The first thing that a reader is told: from where the changes go on.
pub(crate) fn ready(framing: Framing, position: Position, revision: Revision) -> Bytes {
    let line =
        format!("{{\"type\":\"ready\",\"position\":\"{position}\",\"revision\":{revision}}}\n");
    framed(framing, position, "ready", line.into())
}

/// A line, which ends with its line feed, as this reader is sent it.
pub(crate) fn framed(framing: Framing, position: Position, name: &str, line: Bytes) -> Bytes {
    match framing {
        Framing::Lines => line,
        Framing::Events => {
            let mut framed = Vec::with_capacity(line.len() + 96);
            event(&mut framed, position, format_args!("{name}"));
            framed.extend_from_slice(&line);
            framed.push(b'\n');
            framed.into()
        }
    }
}

/// What a reader is sent while there is nothing to tell. An event reader is also told how far it has
/// come, since what it does not want to see carries it on as well.
pub(crate) fn keep_alive(framing: Framing, position: Position) -> Bytes {
    match framing {
        Framing::Lines => Bytes::from_static(b"\n"),
        Framing::Events => format!("id: {position}\n: still here\n\n").into(),
    }
}

/// Writes an event up to its data.
fn event(framed: &mut Vec<u8>, position: Position, name: Arguments<'_>) {
    let begun = write!(framed, "id: {position}\nevent: {name}\ndata: ");
    begun.expect("a vector takes whatever is written to it");
}

fn kind(subject: &Subject) -> ResourceKind {
    match subject {
        Subject::Vm(_) | Subject::Event { .. } => ResourceKind::Vm,
        Subject::Task(_) => ResourceKind::Task,
        Subject::Image(_) => ResourceKind::Image,
        Subject::Network(_) => ResourceKind::Network,
        Subject::Host(_) => ResourceKind::Host,
    }
}

fn action(entry: &Entry) -> Action {
    fn of<T>(transition: &Transition<T>) -> Action {
        match transition {
            Transition::Created(_) => Action::Create,
            Transition::Modified { .. } => Action::Modify,
            Transition::Deleted(_) => Action::Delete,
        }
    }
    match &entry.subject {
        Subject::Vm(transition) => of(transition),
        Subject::Task(transition) => of(transition),
        Subject::Image(transition) => of(transition),
        Subject::Network(transition) => of(transition),
        Subject::Host(transition) => of(transition),
        Subject::Event { .. } => Action::Event,
    }
}

/// The kind as it is written in JSON.
pub(crate) const fn kind_name(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Vm => "vm",
        ResourceKind::Task => "task",
        ResourceKind::Image => "image",
        ResourceKind::Network => "network",
        ResourceKind::Host => "host",
    }
}

fn action_name(entry: &Entry) -> &'static str {
    match action(entry) {
        Action::Create => "create",
        Action::Modify => "modify",
        Action::Delete => "delete",
        Action::Event => "event",
    }
}

/// A gap, in pieces: everything that the reader wants to see, as it is now.
pub(crate) struct Gap {
    snapshot: Arc<Snapshot>,
    framing: Framing,
    part: Part,
    vms: Option<Rows<VmId, Vm>>,
    tasks: Option<Rows<TaskId, Task>>,
    images: Option<Rows<ImageName, Image>>,
    networks: Option<Rows<NetworkId, Network>>,
    host: bool,
}

/// What of a gap comes next.
#[derive(Debug, Clone, Copy)]
enum Part {
    Head,
    Vms,
    Tasks,
    Images,
    Networks,
    Tail,
    Nothing,
}

impl Gap {
    pub(crate) fn new(snapshot: Arc<Snapshot>, framing: Framing, filter: &Filter) -> Self {
        let (only, sight) = (filter.vm, &filter.sight);
        let vms = filter.has(ResourceKind::Vm).then(|| {
            let rows = Rows::new(&snapshot.vms, Page::whole(), sight);
            match only {
                Some(id) => rows.only(move |vm: &Vm| vm.id == id),
                None => rows,
            }
        });
        let tasks = filter.has(ResourceKind::Task).then(|| {
            let rows = Rows::new(&snapshot.tasks, Page::whole(), sight);
            match only {
                Some(id) => rows.only(move |task: &Task| task.vm == Some(id)),
                None => rows,
            }
        });
        let images = filter
            .has(ResourceKind::Image)
            .then(|| Rows::new(&snapshot.images, Page::whole(), sight));
        let networks = filter
            .has(ResourceKind::Network)
            .then(|| Rows::new(&snapshot.networks, Page::whole(), sight));
        let known = snapshot.host.revision > Revision::default();
        let host = known && snapshot.host.is_there(sight) && filter.has(ResourceKind::Host);
        Self { snapshot, framing, part: Part::Head, vms, tasks, images, networks, host }
    }

    /// Writes what comes next, and says what comes after it.
    fn step(&mut self, chunk: &mut Vec<u8>) -> Part {
        match self.part {
            Part::Head => {
                let (position, revision) = (self.snapshot.position(), self.snapshot.revision);
                if self.framing == Framing::Events {
                    event(chunk, position, format_args!("gap"));
                }
                let head = format!(
                    "{{\"type\":\"gap\",\"position\":\"{position}\",\"revision\":{revision}"
                );
                chunk.extend_from_slice(head.as_bytes());
                begin(chunk, "vms", self.vms.is_some());
                Part::Vms
            }
            Part::Vms => {
                if fill(&mut self.vms, chunk) == Progress::More {
                    return Part::Vms;
                }
                end(chunk, self.vms.is_some());
                begin(chunk, "tasks", self.tasks.is_some());
                Part::Tasks
            }
            Part::Tasks => {
                if fill(&mut self.tasks, chunk) == Progress::More {
                    return Part::Tasks;
                }
                end(chunk, self.tasks.is_some());
                begin(chunk, "images", self.images.is_some());
                Part::Images
            }
            Part::Images => {
                if fill(&mut self.images, chunk) == Progress::More {
                    return Part::Images;
                }
                end(chunk, self.images.is_some());
                begin(chunk, "networks", self.networks.is_some());
                Part::Networks
            }
            Part::Networks => {
                if fill(&mut self.networks, chunk) == Progress::More {
                    return Part::Networks;
                }
                end(chunk, self.networks.is_some());
                Part::Tail
            }
            Part::Tail => {
                if self.host {
                    chunk.extend_from_slice(b",\"host\":");
                    chunk.extend_from_slice(&native(&self.snapshot.host));
                }
                chunk.extend_from_slice(match self.framing {
                    Framing::Lines => b"}\n",
                    Framing::Events => b"}\n\n",
                });
                Part::Nothing
            }
            Part::Nothing => Part::Nothing,
        }
    }
}

impl Iterator for Gap {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if matches!(self.part, Part::Nothing) {
            return None;
        }
        let mut chunk = Vec::with_capacity(GAP_CHUNK);
        while chunk.len() < GAP_CHUNK && !matches!(self.part, Part::Nothing) {
            self.part = self.step(&mut chunk);
        }
        Some(chunk.into())
    }
}

fn fill<K, T>(rows: &mut Option<Rows<K, T>>, chunk: &mut Vec<u8>) -> Progress
where
    K: Ord + Clone,
    T: Shown,
{
    rows.as_mut().map_or(Progress::AtEnd, |rows| rows.fill(chunk, GAP_CHUNK))
}

fn begin(chunk: &mut Vec<u8>, name: &str, there: bool) {
    if there {
        chunk.extend_from_slice(format!(",\"{name}\":[").as_bytes());
    }
}

fn end(chunk: &mut Vec<u8>, there: bool) {
    if there {
        chunk.push(b']');
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
