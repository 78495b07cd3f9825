//! The events as lines of JSON. A batch of changes is encoded once, for all who follow.

use super::{
    answer::encode,
    diff::{Change, diff},
    list::{Rows, encoded},
    mapping,
    object::{IsoTime, VmObject},
    query::Filter,
};
use crate::age::oldest_first;
use bytes::Bytes;
use innkeeper_model::{Position, Timestamp, Vm, VmId};
use innkeeper_surface::{Seen, Sight, Told};
use innkeeper_view::{Batch, EncodingSlot, Entry, Subject, Transition};
use serde::Serialize;
use std::io::Write;
use utoipa::ToSchema;
use uuid::Uuid;

/// What happened to a VM.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct VmEvent {
    /// What.
    #[serde(rename = "type")]
    kind: EventKind,
    /// When.
    date: IsoTime,
    /// The VM.
    zonename: VmId,
    /// The VM.
    uuid: VmId,
    /// What it is now; absent where it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    vm: Option<VmObject>,
    /// What changed, where it was modified; at least one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change>,
    /// Where the event stands: `since` goes on after it. Always the last member.
    #[schema(value_type = String)]
    position: Position,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EventKind {
    /// The VM came to be.
    Create,
    /// It changed.
    Modify,
    /// It is gone.
    Delete,
}

/// That the reader was too slow: the last line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Gap {
    /// `gap`.
    #[serde(rename = "type")]
    kind: GapKind,
    /// When.
    date: IsoTime,
    /// Where the events are now.
    #[schema(value_type = String)]
    position: Position,
    /// What to do.
    #[schema(value_type = String)]
    message: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum GapKind {
    Gap,
}

/// The batch as lines, for a reader who sees so much and wants to see these VMs; empty where nothing in it is.
pub(crate) fn of_batch(batch: &Batch, sight: &Sight, filter: &Filter) -> Bytes {
    let lines = batch.encoded(EncodingSlot::Vminfod, encode_batch);
    if lines.is_empty() || (sight.is_everything() && filter.is_everything()) {
        return lines;
    }
    let mut chosen = Vec::new();
    // No line has a line's end within: JSON escapes it.
    let mut lines = lines.split_inclusive(|byte| *byte == b'\n').peekable();
    for entry in batch.entries() {
        // Not every entry made a line; a line ends with the position of its own.
        let tail = tail(entry.position);
        let Some(line) = lines.next_if(|line| line.ends_with(&tail)) else { continue };
        match sight.told(entry) {
            Told::Nothing => {}
            Told::AsItIs if concerns(entry, filter) => chosen.extend_from_slice(line),
            Told::AsItIs => {}
            Told::Otherwise(entry) if concerns(&entry, filter) => append(&mut chosen, &entry),
            Told::Otherwise(_) => {}
        }
    }
    chosen.into()
}

fn tail(position: Position) -> Vec<u8> {
    format!("\"position\":\"{position}\"}}\n").into_bytes()
}

/// A VM that is among those, or was until now.
fn concerns(entry: &Entry, filter: &Filter) -> bool {
    match &entry.subject {
        Subject::Vm(Transition::Modified { before, after }) => {
            filter.matches(after) || filter.matches(before)
        }
        Subject::Vm(Transition::Created(vm) | Transition::Deleted(vm)) => filter.matches(vm),
        _ => false,
    }
}

fn encode_batch(batch: &Batch) -> Bytes {
    let mut lines = Vec::new();
    batch.entries().iter().for_each(|entry| append(&mut lines, entry));
    lines.into_boxed_slice().into()
}

/// Appends the line of a change, if it makes one.
fn append(lines: &mut Vec<u8>, entry: &Entry) {
    if let Some(event) = event(entry) {
        serde_json::to_writer(&mut *lines, &event).expect("an event has a JSON form");
        lines.push(b'\n');
    }
}

/// The event that this change is here; none where nothing of it is shown.
fn event(entry: &Entry) -> Option<VmEvent> {
    let Subject::Vm(transition) = &entry.subject else { return None };
    let id = transition.latest().id;
    let (kind, vm, changes) = match transition {
        Transition::Created(vm) => (EventKind::Create, Some(mapping::object(vm)), Vec::new()),
        Transition::Deleted(_) => (EventKind::Delete, None, Vec::new()),
        Transition::Modified { before, after } => {
            let (vm, changes) = compared(before, after)?;
            (EventKind::Modify, Some(vm), changes)
        }
    };
    let date = IsoTime(entry.time);
    Some(VmEvent { kind, date, zonename: id, uuid: id, vm, changes, position: entry.position })
}

/// What the VM is now and what changed; `None` where that is nothing.
fn compared(before: &Vm, after: &Vm) -> Option<(VmObject, Vec<Change>)> {
    let (was, is) = (mapping::object(before), mapping::object(after));
    if was == is {
        return None;
    }
    let json = |object: &VmObject| serde_json::to_value(object).unwrap_or_default();
    let changes = diff(&json(&was), &json(&is));
    (!changes.is_empty()).then_some((is, changes))
}

/// The first line of a reader who goes on from where it was.
pub(crate) fn resumed(listener: Uuid, position: Position) -> Bytes {
    let mut line = begin_ready(listener, position);
    line.extend_from_slice(b",\"resumed\":true}\n");
    line.into()
}

/// The first line of any other reader: everything that it sees and wants to see, as a text of JSON, in pieces.
pub(crate) fn ready(
    listener: Uuid,
    seen: &Seen,
    filter: &Filter,
) -> Box<dyn Iterator<Item = Bytes> + Send> {
    let mut head = begin_ready(listener, seen.position());
    head.extend_from_slice(b",\"vms\":\"");
    let tail = Bytes::from_static(b"\"}\n");
    if seen.sight().is_everything() && filter.is_everything() {
        let rows = Rows::new(seen.whole()).map(|chunk| escaped(&chunk));
        return Box::new(std::iter::once(head.into()).chain(rows).chain(std::iter::once(tail)));
    }
    let chosen = seen.vms().filter(|vm| filter.matches_encoded(vm.id, || encoded(vm)));
    let chosen = oldest_first(chosen.map(|vm| (vm.id, vm)));
    let chosen: Vec<_> = chosen.iter().map(|vm| encoded(vm)).collect();
    let chosen = format!("[{}]", chosen.iter().map(text).collect::<Vec<_>>().join(","));
    head.extend_from_slice(&escaped(chosen.as_bytes()));
    head.extend_from_slice(&tail);
    Box::new(std::iter::once(head.into()))
}

fn text(json: &Bytes) -> &str {
    std::str::from_utf8(json).expect("serde_json writes UTF-8")
}

fn begin_ready(listener: Uuid, position: Position) -> Vec<u8> {
    let date = IsoTime(Timestamp::now());
    format!(
        "{{\"type\":\"ready\",\"date\":\"{date}\",\"uuid\":\"{listener}\",\"position\":\"{position}\""
    )
    .into_bytes()
}

/// A piece of JSON as a piece of a text in JSON. It has no control characters, which are escaped in it.
fn escaped(json: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(json.len() + json.len() / 4);
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        text.extend_from_slice(&rest[..at]);
        text.push(b'\\');
        text.push(rest[at]);
        rest = &rest[at + 1..];
    }
    text.extend_from_slice(rest);
    text.into()
}

/// The last line of a reader who was too slow: what came next is forgotten.
pub(crate) fn gap(position: Position) -> Bytes {
    let mut line = encode(&Gap {
        kind: GapKind::Gap,
        date: IsoTime(Timestamp::now()),
        position,
        message: "too slow: events were missed; connect again for all that there is",
    })
    .to_vec();
    line.write_all(b"\n").expect("a vector takes whatever is written to it");
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_within_json_reads_back() {
        let json = r#"{"alias":"a \"quoted\" \\ name\nand 名前"}"#;
        let document = [&b"\""[..], &escaped(json.as_bytes()), b"\""].concat();
        assert_eq!(serde_json::from_slice::<String>(&document).unwrap(), json);
    }
}
