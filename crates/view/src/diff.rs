//! The diff: which fields of a record changed.

use innkeeper_model::{FieldChange, Host, Image, Revision, ShownNetwork, Task, Vm};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// Which fields differ between two documents, as paths from the top.
///
/// Objects are compared member by member and arrays element by element, by index; anything else that
/// differs is replaced whole, and so is a long array of which more changed than it has elements, as
/// when one came in at its front. Applied in the order they are listed, the changes turn `old` into
/// `new`: elements that an array lost are listed last first. Equal documents give an empty list.
pub fn diff(old: &Value, new: &Value) -> Vec<FieldChange> {
    let mut walk = Walk::default();
    walk.compare(old, new);
    walk.changes
}

/// Up to this many changes in one array are always listed one by one.
const LONG: usize = 64;

#[derive(Default)]
struct Walk {
    path: Vec<String>,
    changes: Vec<FieldChange>,
}

impl Walk {
    fn compare(&mut self, old: &Value, new: &Value) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => {
                for (key, old) in old {
                    self.member(key, Some(old), new.get(key));
                }
                for (key, new) in new {
                    if !old.contains_key(key) {
                        self.member(key, None, Some(new));
                    }
                }
            }
            (Value::Array(old_elements), Value::Array(new_elements)) => {
                let listed = self.changes.len();
                self.elements(old_elements, new_elements);
                let most = old_elements.len().max(new_elements.len()).max(LONG);
                if self.changes.len() - listed > most {
                    self.changes.truncate(listed);
                    self.report(Some(old), Some(new));
                }
            }
            _ if old != new => self.report(Some(old), Some(new)),
            _ => {}
        }
    }

    fn elements(&mut self, old: &[Value], new: &[Value]) {
        for (index, new) in new.iter().enumerate() {
            self.member(&index.to_string(), old.get(index), Some(new));
        }
        for (index, old) in old.iter().enumerate().skip(new.len()).rev() {
            self.member(&index.to_string(), Some(old), None);
        }
    }

    fn member(&mut self, key: &str, old: Option<&Value>, new: Option<&Value>) {
        self.path.push(key.to_owned());
        match (old, new) {
            (Some(old), Some(new)) => self.compare(old, new),
            _ => self.report(old, new),
        }
        self.path.pop();
    }

    fn report(&mut self, old: Option<&Value>, new: Option<&Value>) {
        self.changes.push(FieldChange {
            path: self.path.clone(),
            old: old.cloned(),
            new: new.cloned(),
        });
    }
}

/// A record that knows how to compare itself with an earlier one.
///
/// The record's own `revision` is left out: it changes with every change, and the change names it
/// anyway. A spec's revision counts edits and stays in.
pub(crate) trait FieldsOf: Serialize + Clone {
    /// The record, without what is known to be the same in `other` or to differ always.
    fn reduced(&self, other: &Self) -> Self;

    fn changed_fields(before: &Self, after: &Self) -> Vec<FieldChange> {
        diff(&to_json(&before.reduced(after)), &to_json(&after.reduced(before)))
    }
}

impl FieldsOf for Vm {
    fn reduced(&self, other: &Self) -> Self {
        Self {
            revision: Revision::default(),
            spec: unshared(&self.spec, &other.spec),
            incarnation: unshared(&self.incarnation, &other.incarnation),
            ..self.clone()
        }
    }
}

/// Its revision counts edits, as a spec's does.
impl FieldsOf for ShownNetwork {
    fn reduced(&self, _: &Self) -> Self {
        self.clone()
    }
}

/// Records of which nothing is shared from change to change.
macro_rules! reduced_by_the_revision {
    ($($record:ty),*) => {$(
        impl FieldsOf for $record {
            fn reduced(&self, _: &Self) -> Self {
                Self { revision: Revision::default(), ..self.clone() }
            }
        }
    )*};
}
reduced_by_the_revision!(Task, Image, Host);

/// The value, unless it is the very one that the other record has: most changes of a VM are facts,
/// and its spec, which is most of its bytes, need not be looked at.
pub(crate) fn unshared<T>(mine: &Option<Arc<T>>, other: &Option<Arc<T>>) -> Option<Arc<T>> {
    match (mine, other) {
        (Some(mine), Some(other)) if Arc::ptr_eq(mine, other) => None,
        _ => mine.clone(),
    }
}

/// The record as JSON; null, with an error in the log, for one that has no JSON form.
pub(crate) fn to_json(record: &impl Serialize) -> Value {
    serde_json::to_value(record).unwrap_or_else(|error| {
        // A path that is not UTF-8 is the one way to get here; it must not end the reader.
        tracing::error!(%error, "a record has no JSON form");
        Value::Null
    })
}

#[cfg(test)]
mod tests;
