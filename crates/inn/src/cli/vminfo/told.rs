//! Events of the door, as they are shown.

use super::{DoorClient, door::escaped};
use crate::{
    client::incomprehensible,
    failure::{Exit, Failure},
    output::{Output, plain},
};
use serde_json::{Map, Value};

/// The longest alias that is shown whole, in characters.
const MAX_ALIAS: usize = 30;

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Telling {
    /// As JSON, an object a line.
    pub(in crate::cli) json: bool,
    /// With whole dates and ids.
    pub(in crate::cli) full: bool,
    /// The first line too.
    pub(in crate::cli) ready: bool,
    /// The VMs of the first line as a map by their ids; else as the door writes them.
    pub(in crate::cli) by_uuid: bool,
}

/// Shows what happens, to one VM or to all, until the door closes.
///
/// # Errors
/// The door is not open, or has closed; or this reader was too slow.
pub(in crate::cli) async fn follow(
    output: &Output,
    door: &DoorClient,
    uuid: Option<&str>,
    telling: Telling,
) -> Result<(), Failure> {
    let only = uuid.map(|uuid| format!("?uuid={}", escaped(uuid))).unwrap_or_default();
    let mut lines = door.lines(&format!("/events{only}")).await?;
    while let Some(line) = lines.next().await? {
        let event: Value =
            serde_json::from_slice(&line).map_err(|error| incomprehensible(&error))?;
        match event["type"].as_str() {
            Some("ready") if telling.ready => output.line(plain(&telling.ready(event)))?,
            Some("ready") => {}
            Some("gap") => {
                return Err(Failure::new(Exit::Failed, text(&event["message"])));
            }
            _ => telling.event(&event).iter().try_for_each(|line| output.line(plain(line)))?,
        }
    }
    Err(Failure::new(Exit::Failed, "VminfodEventStream ended prematurely"))
}

impl Telling {
    fn ready(self, mut event: Value) -> String {
        if self.json {
            if let (true, Some(vms)) = (self.by_uuid, event["vms"].as_str()) {
                let vms: Vec<Value> = serde_json::from_str(vms).unwrap_or_default();
                let by_uuid = vms.into_iter().map(|vm| (text(&vm["uuid"]), vm));
                event["vms"] = Value::Object(by_uuid.collect::<Map<_, _>>());
            }
            return event.to_string();
        }
        let date = self.date(&event);
        match self.full {
            true => format!("[{date}] ready (uuid {})", text(&event["uuid"])),
            false => format!("[{date}] ready"),
        }
    }

    /// One line, or one for each change.
    fn event(self, event: &Value) -> Vec<String> {
        if self.json {
            return vec![event.to_string()];
        }
        let zonename = text(&event["zonename"]);
        let zonename = match self.full {
            true => &zonename,
            false => zonename.split('-').next().unwrap_or_default(),
        };
        let (date, alias) = (self.date(event), alias(event));
        let base = format!("[{date}] {zonename} {alias} {}", text(&event["type"]));
        let Some(changes) = event["changes"].as_array() else { return vec![base] };
        let one = |change: &Value| {
            let (path, action) = (text(&change["prettyPath"]), text(&change["action"]));
            let (old, new) = (&change["oldValue"], &change["newValue"]);
            format!("{base}: {path} {action} :: {old} -> {new}")
        };
        changes.iter().map(one).collect()
    }

    fn date(self, event: &Value) -> String {
        let date = text(&event["date"]);
        let time = date.split_once('T').filter(|_| !self.full).map(|(_, time)| time.to_owned());
        time.unwrap_or(date)
    }
}

fn alias(event: &Value) -> String {
    match event.pointer("/vm/alias").and_then(Value::as_str) {
        None => "-".into(),
        Some(alias) if alias.chars().count() > MAX_ALIAS => {
            let shown: String = alias.chars().take(MAX_ALIAS - 3).collect();
            format!("{shown}...")
        }
        Some(alias) => alias.into(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BRIEF: Telling = Telling { json: false, full: false, ready: true, by_uuid: true };

    #[test]
    fn an_event_is_a_line_for_each_change() {
        let event = json!({
            "type": "modify", "date": "2026-01-02T03:04:05.678Z",
            "zonename": "01234567-89ab-7def-8123-456789abcdef", "vm": { "alias": "web" },
            "changes": [
                { "prettyPath": "state", "action": "changed", "oldValue": "stopped", "newValue": "running" },
                { "prettyPath": "quota", "action": "added", "newValue": 10 },
            ],
        });
        let base = "[03:04:05.678Z] 01234567 web modify";
        assert_eq!(
            BRIEF.event(&event),
            [
                format!("{base}: state changed :: \"stopped\" -> \"running\""),
                format!("{base}: quota added :: null -> 10"),
            ]
        );
        let full = Telling { full: true, ..BRIEF }.event(&event);
        assert!(full[0].starts_with(
            "[2026-01-02T03:04:05.678Z] 01234567-89ab-7def-8123-456789abcdef web modify: "
        ));
        let json = Telling { json: true, full: true, ..BRIEF }.event(&event);
        assert_eq!(json, [event.to_string()]);
    }

    #[test]
    fn an_alias_is_cut_and_may_be_absent() {
        let of = |named: Value| alias(&json!({ "vm": { "alias": named } }));
        assert_eq!(of(json!("x".repeat(30))), "x".repeat(30));
        assert_eq!(of(json!("x".repeat(31))), format!("{}...", "x".repeat(27)));
        assert_eq!(alias(&json!({ "type": "delete" })), "-");
    }

    #[test]
    fn the_vms_of_ready_are_a_map_where_that_is_wanted() {
        let ready = json!({ "type": "ready", "date": "2026-01-02T03:04:05.678Z", "uuid": "u",
            "vms": "[{\"uuid\":\"a\"}]" });
        assert_eq!(BRIEF.ready(ready.clone()), "[03:04:05.678Z] ready");
        let full = Telling { full: true, ..BRIEF }.ready(ready.clone());
        assert_eq!(full, "[2026-01-02T03:04:05.678Z] ready (uuid u)");
        let json = Telling { json: true, ..BRIEF };
        let shown: Value = serde_json::from_str(&json.ready(ready.clone())).unwrap();
        assert_eq!(shown["vms"], json!({ "a": { "uuid": "a" } }));
        let raw: Value =
            serde_json::from_str(&Telling { by_uuid: false, ..json }.ready(ready)).unwrap();
        assert_eq!(raw["vms"], "[{\"uuid\":\"a\"}]");
    }
}
