//! A ruleset as nft reads it: words, and between them the elements of sets and maps.
//!
//! Kept apart, since elements are what changes: a ruleset that is another with more elements in its sets is
//! had by adding those. The kernel does that at once, where it waits for every processor before it has
//! removed anything (16 ms on two of them).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A ruleset, or the part of it that is a table's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ruleset(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Words(String),
    /// The family of the table that a set is in, its name, and what is in it.
    Elements(&'static str, &'static str, BTreeSet<String>),
}

/// Elements that a set or map has not got yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addition {
    /// The family of the table that it is in.
    pub(crate) family: &'static str,
    pub(crate) set: &'static str,
    pub(crate) elements: BTreeSet<String>,
}

impl Addition {
    /// The text that adds them to a table's.
    pub(crate) fn to_text(&self, table: &str) -> String {
        let Self { family, set, elements } = self;
        format!("add element {family} {table} {set} {{ {} }}\n", joined(elements))
    }
}

impl Ruleset {
    pub(super) fn words(&mut self, words: &str) {
        match self.0.last_mut() {
            Some(Part::Words(before)) => before.push_str(words),
            _ => self.0.push(Part::Words(words.into())),
        }
    }

    /// A set. Every set is there, though some are empty, so that rules can name it.
    pub(super) fn set(
        &mut self,
        family: &'static str,
        name: &'static str,
        kind: &str,
        elements: BTreeSet<String>,
    ) {
        self.collection("set", family, name, kind, elements);
    }

    /// A map, from what to what.
    pub(super) fn map(
        &mut self,
        family: &'static str,
        name: &'static str,
        kind: &str,
        elements: &BTreeMap<String, String>,
    ) {
        let pairs = elements.iter().map(|(from, to)| format!("{from} : {to}")).collect();
        self.collection("map", family, name, kind, pairs);
    }

    fn collection(
        &mut self,
        what: &str,
        family: &'static str,
        name: &'static str,
        kind: &str,
        elements: BTreeSet<String>,
    ) {
        self.words(&format!("  {what} {name} {{ {kind}\n"));
        self.0.push(Part::Elements(family, name, elements));
        self.words("  }\n");
    }

    /// What makes this ruleset, which is in force, another; `None` where that has less in it, or other
    /// words.
    pub(crate) fn additions(&self, after: &Self) -> Option<Vec<Addition>> {
        if self.0.len() != after.0.len() {
            return None;
        }
        let mut additions = Vec::new();
        for (before, after) in self.0.iter().zip(&after.0) {
            match (before, after) {
                (Part::Words(before), Part::Words(after)) if before == after => {}
                (Part::Elements(.., before), Part::Elements(family, set, after))
                    if before.is_subset(after) =>
                {
                    let elements: BTreeSet<String> = after.difference(before).cloned().collect();
                    if !elements.is_empty() {
                        additions.push(Addition { family, set, elements });
                    }
                }
                _ => return None,
            }
        }
        Some(additions)
    }
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Words(words) => f.write_str(words),
            Part::Elements(.., elements) if elements.is_empty() => Ok(()),
            Part::Elements(.., elements) => {
                writeln!(f, "    elements = {{ {} }}", joined(elements))
            }
        })
    }
}

pub(super) fn joined(elements: &BTreeSet<String>) -> String {
    elements.iter().map(String::as_str).collect::<Vec<_>>().join(",\n      ")
}
