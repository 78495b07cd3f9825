//! `inn auth table`: what each role may, as this program knows it; no daemon is asked.

use crate::{
    failure::Failure,
    output::{Format, Output, Table},
};
use clap::Subcommand;
use innkeeper_auth::{Role, Row, TABLE};
use serde_json::{Map, Value};

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum AuthCommand {
    /// Show what each role may do with what: all of it, its own project's (own), or nothing (-)
    Table,
}

pub(super) fn run(command: AuthCommand, output: &Output) -> Result<(), Failure> {
    let AuthCommand::Table = command;
    match output.format {
        Format::Json | Format::Yaml => output.document(&rows()),
        Format::Table => output.table(&table()),
        Format::Name => TABLE.iter().try_for_each(|row| output.line(name(row))),
    }
}

fn name(row: &Row) -> String {
    format!("{} {}", row.resource, row.action)
}

fn table() -> Table {
    let mut table = Table::new(["RESOURCE", "ACTION", "VIEWER", "OPERATOR", "OWNER", "ADMIN"]);
    for row in TABLE {
        let [viewer, operator, owner, admin] =
            Role::ALL.map(|role| row.grant(role).as_str().into());
        let (resource, action) = (row.resource.as_str().into(), row.action.as_str().into());
        table.row([resource, action, viewer, operator, owner, admin]);
    }
    table
}

fn rows() -> Vec<Value> {
    let object = |row: &Row| {
        let mut object = Map::new();
        object.insert("resource".into(), row.resource.as_str().into());
        object.insert("action".into(), row.action.as_str().into());
        for role in Role::ALL {
            object.insert(role.as_str().into(), row.grant(role).as_str().into());
        }
        object.into()
    };
    TABLE.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_DOCS=1 cargo test -p inn table_of_roles` writes it anew.
    #[test]
    fn the_table_of_roles_in_the_documents_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/callers.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, rest) = text.split_once("<!-- inn auth table -->\n```text\n").unwrap();
        let (kept, after) = rest.split_once("```\n").unwrap();
        let table = table().render(false);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let whole = format!("{before}<!-- inn auth table -->\n```text\n{table}```\n{after}");
            return std::fs::write(path, whole).unwrap();
        }
        assert!(kept == table, "{path} is out of date: UPDATE_DOCS=1 writes it anew\n{table}");
    }

    #[test]
    fn programs_read_what_people_do() {
        let rows = rows();
        assert_eq!(rows.len(), TABLE.len());
        assert_eq!(rows[0]["resource"], "vm");
        assert_eq!((&rows[0]["viewer"], &rows[0]["owner"]), (&"all".into(), &"own".into()));
    }
}
