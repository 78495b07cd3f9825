//! `vmadm list`: columns of any keys, for people or between colons.

use super::{Context, all};
use crate::{failure::Failure, output::plain};
use clap::Args;
use innkeeper_doors::vminfod::{Conditions, check_key, type_of};
use serde_json::Value;
use std::{cmp::Ordering, fmt::Write};

#[derive(Debug, Args)]
pub(super) struct List {
    /// Colons between the columns, for programs; without headings
    #[arg(short, long)]
    parsable: bool,
    /// Without headings
    #[arg(short = 'H', long)]
    no_header: bool,
    /// The columns, with commas between
    #[arg(
        short,
        long,
        value_name = "KEY,...",
        value_delimiter = ',',
        default_value = "uuid,type,ram,state,alias"
    )]
    output: Vec<String>,
    /// What to sort by, with commas between; a - before one turns it round
    #[arg(
        short,
        long,
        value_name = "KEY,...",
        value_delimiter = ',',
        default_value = "ram,uuid",
        allow_hyphen_values = true
    )]
    sort: Vec<String>,
    /// Only those that have this: key=value or key=~expression
    #[arg(value_name = "KEY=VALUE")]
    filters: Vec<String>,
}

pub(super) async fn run(context: &Context, list: List) -> Result<(), Failure> {
    let sort = list.sort.iter().map(|key| key.trim_start_matches('-'));
    list.output.iter().map(String::as_str).chain(sort).try_for_each(check)?;
    let conditions =
        Conditions::parse(&list.filters).map_err(|error| Failure::usage(error.to_string()))?;
    let mut vms = all(context).await?;
    vms.retain(|vm| conditions.match_vm(vm));
    context.output.data(list.of(vms))
}

/// Whether a column can be shown.
///
/// # Errors
/// VMs have no such key.
pub(super) fn check(key: &str) -> Result<(), Failure> {
    let first = key.split('.').next().unwrap_or_default();
    check_key(first).map(|_| ()).map_err(|error| Failure::usage(error.to_string()))
}

impl List {
    fn of(&self, mut vms: Vec<Value>) -> String {
        vms.sort_by(|one, other| self.compare(one, other));
        let row = |vm: &Value| -> Vec<String> {
            self.output.iter().map(|key| cell(&value(vm, key))).collect()
        };
        let mut rows: Vec<Vec<String>> = vms.iter().map(row).collect();
        if self.parsable {
            return rows.into_iter().map(|row| row.join(":") + "\n").collect();
        }
        for cell in rows.iter_mut().flatten().filter(|cell| cell.is_empty()) {
            "-".clone_into(cell);
        }
        if !self.no_header {
            rows.insert(0, self.output.iter().map(|key| key.to_uppercase()).collect());
        }
        self.lined_up(&rows)
    }

    fn compare(&self, one: &Value, other: &Value) -> Ordering {
        let by = |key: &String| {
            let (key, turned) = key.strip_prefix('-').map_or((&**key, false), |key| (key, true));
            let order = order(&value(one, key), &value(other, key));
            if turned { order.reverse() } else { order }
        };
        self.sort.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    fn lined_up(&self, rows: &[Vec<String>]) -> String {
        let mut widths: Vec<usize> = self.output.iter().map(|key| usual_width(key)).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = String::new();
        for row in rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                write!(line, "{cell:width$}  ").expect("a string takes any text");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// How wide a column is though its cells are narrower, in characters.
fn usual_width(key: &str) -> usize {
    match key {
        "uuid" | "owner_uuid" | "zonename" => 36,
        "type" => 4,
        "ram" => 7,
        "state" => 16,
        _ => 0,
    }
}

/// What a VM has under a key; null where it has nothing.
fn value(vm: &Value, key: &str) -> Value {
    if key == "type" {
        return type_of(vm).into();
    }
    let step = |value: &Value, segment: &str| match value {
        Value::Array(elements) => elements.get(segment.parse::<usize>().ok()?).cloned(),
        value => value.get(segment).cloned(),
    };
    // A tag's name may have dots in it.
    let (first, rest) =
        key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let found = vm.get(first).cloned().unwrap_or_default();
    match rest {
        None => found,
        Some(rest) if found.is_object() => found.get(rest).cloned().unwrap_or_default(),
        Some(rest) => rest
            .split('.')
            .try_fold(found, |value, segment| step(&value, segment))
            .unwrap_or_default(),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text).replace(['\n', '\t'], " "),
        value => value.to_string(),
    }
}

/// Numbers by their value, all else by its text; what is absent comes first.
fn order(one: &Value, other: &Value) -> Ordering {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        _ => cell(one).cmp(&cell(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list(output: &str, sort: &str) -> List {
        let split = |text: &str| text.split(',').map(str::to_owned).collect();
        let (output, sort) = (split(output), split(sort));
        List { parsable: false, no_header: false, output, sort, filters: Vec::new() }
    }

    fn vms() -> Vec<Value> {
        vec![
            json!({ "uuid": "b", "brand": "kvm", "ram": 1024, "state": "running", "alias": "we:b", "tags": { "a.b": "x" } }),
            json!({ "uuid": "c", "brand": "kvm", "ram": 512, "state": "stopped", "nics": [{ "ip": "10.0.0.1" }] }),
            json!({ "uuid": "a", "brand": "kvm", "ram": 1024, "state": "stopped", "alias": "db" }),
        ]
    }

    #[test]
    fn a_list_has_headings_and_a_dash_for_what_is_absent() {
        let id = |text: &str| format!("{text:36}  KVM   ");
        assert_eq!(
            list("uuid,type,ram,state,alias", "ram,uuid").of(vms()),
            [
                format!("{:36}  TYPE  RAM      STATE             ALIAS\n", "UUID"),
                id("c") + "512      stopped           -\n",
                id("a") + "1024     stopped           db\n",
                id("b") + "1024     running           we:b\n",
            ]
            .concat()
        );
    }

    #[test]
    fn for_programs_there_are_colons_which_are_not_escaped() {
        let list =
            List { parsable: true, ..list("uuid,alias,quota,tags.a.b,nics.0.ip", "-ram,uuid") };
        assert_eq!(list.of(vms()), "a:db:::\nb:we:b::x:\nc::::10.0.0.1\n");
        let bare = List { no_header: true, parsable: false, output: vec!["alias".into()], ..list };
        assert_eq!(bare.of(vms()), "db\nwe:b\n-\n");
    }
}
