//! What changed between two objects, in the protocol's shape.
//!
//! Values are compared strictly: the text "1024" is not the number. Objects are compared member by
//! member; one that appears or goes is one change. The elements of `disks` and `nics` are known by their
//! key, and compared with themselves. Those of other arrays have no identity: one that changed was removed
//! and another added. Where an array's elements are in another order, the whole array has changed as
//! well: the ancestor does not notice, and shows the old order for ever.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The arrays at the top whose elements are known by one of their members.
const KEYED: [(&str, &str); 2] = [("disks", "path"), ("nics", "mac")];

/// What happened to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeAction {
    /// It came.
    Added,
    /// It is another.
    Changed,
    /// It went.
    Removed,
}

/// One value that changed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Change)]
pub(crate) struct Change {
    /// Where, for people: `nics.*.ip`, `tags[a.b]`.
    pub(crate) pretty_path: String,
    /// Where: the keys from the top; null for some element of an array.
    pub(crate) path: Vec<Option<String>>,
    /// What happened.
    pub(crate) action: ChangeAction,
    /// What was there; absent where it was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = Value)]
    pub(crate) old_value: Option<Value>,
    /// What is there now; absent where it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = Value)]
    pub(crate) new_value: Option<Value>,
    /// Which element of `disks` or `nics`: its `path` or `mac`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ident: Option<String>,
}

/// What changed; nothing where the objects are equal.
pub(crate) fn diff(old: &Value, new: &Value) -> Vec<Change> {
    let mut walk = Walk { path: Vec::new(), ident: None, changes: Vec::new() };
    walk.compare(old, new);
    walk.changes
}

struct Walk {
    path: Vec<Option<String>>,
    ident: Option<String>,
    changes: Vec<Change>,
}

impl Walk {
    fn compare(&mut self, old: &Value, new: &Value) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => {
                for (key, old) in old {
                    self.at(Some(key), |walk| match new.get(key) {
                        Some(new) => walk.compare(old, new),
                        None => walk.report(Some(old), None),
                    });
                }
                for (key, new) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                    self.at(Some(key), |walk| walk.report(None, Some(new)));
                }
            }
            (Value::Array(was), Value::Array(is)) if was != is => {
                let in_order = match self.key() {
                    Some(key) => self.keyed(was, is, key),
                    None => self.loose(was, is),
                };
                if !in_order {
                    self.report(Some(old), Some(new));
                }
            }
            _ if old != new => self.report(Some(old), Some(new)),
            _ => {}
        }
    }

    /// By what the elements of the array are known that the walk has come to.
    fn key(&self) -> Option<&'static str> {
        let [Some(name)] = &self.path[..] else { return None };
        KEYED.iter().find(|(array, _)| array == name).map(|(_, key)| *key)
    }

    /// Elements with an identity; whether those that stayed are in the order in which they were.
    fn keyed(&mut self, old: &[Value], new: &[Value], key: &str) -> bool {
        let pairs = pair(old, new, |old, new| old.get(key) == new.get(key));
        let outer = self.ident.take();
        for (index, element) in old.iter().enumerate() {
            self.ident = element.get(key).and_then(Value::as_str).map(str::to_owned);
            let partner = pairs.iter().position(|partner| *partner == Some(index));
            self.at(None, |walk| match partner {
                Some(partner) => walk.compare(element, &new[partner]),
                None => walk.report(Some(element), None),
            });
        }
        for element in added(new, &pairs) {
            self.ident = element.get(key).and_then(Value::as_str).map(str::to_owned);
            self.at(None, |walk| walk.report(None, Some(element)));
        }
        self.ident = outer;
        is_ascending(&pairs)
    }

    /// Elements that are what they are; whether those that stayed are in the order in which they were.
    fn loose(&mut self, old: &[Value], new: &[Value]) -> bool {
        let pairs = pair(old, new, |old, new| old == new);
        for (index, element) in old.iter().enumerate() {
            if !pairs.contains(&Some(index)) {
                self.at(None, |walk| walk.report(Some(element), None));
            }
        }
        for element in added(new, &pairs) {
            self.at(None, |walk| walk.report(None, Some(element)));
        }
        is_ascending(&pairs)
    }

    fn at(&mut self, segment: Option<&str>, there: impl FnOnce(&mut Self)) {
        self.path.push(segment.map(str::to_owned));
        there(self);
        self.path.pop();
    }

    fn report(&mut self, old: Option<&Value>, new: Option<&Value>) {
        self.changes.push(Change {
            pretty_path: pretty(&self.path),
            path: self.path.clone(),
            action: match (old, new) {
                (None, _) => ChangeAction::Added,
                (_, None) => ChangeAction::Removed,
                (Some(_), Some(_)) => ChangeAction::Changed,
            },
            old_value: old.cloned(),
            new_value: new.cloned(),
            ident: self.ident.clone(),
        });
    }
}

/// For each new element the old one that it was, each of which is one new one at most.
fn pair(
    old: &[Value],
    new: &[Value],
    is_same: impl Fn(&Value, &Value) -> bool,
) -> Vec<Option<usize>> {
    let mut taken = vec![false; old.len()];
    new.iter()
        .map(|new| {
            let free = (0..old.len()).find(|at| !taken[*at] && is_same(&old[*at], new))?;
            taken[free] = true;
            Some(free)
        })
        .collect()
}

fn added<'a>(new: &'a [Value], pairs: &'a [Option<usize>]) -> impl Iterator<Item = &'a Value> {
    new.iter().zip(pairs).filter(|(_, partner)| partner.is_none()).map(|(element, _)| element)
}

fn is_ascending(pairs: &[Option<usize>]) -> bool {
    pairs.iter().flatten().is_sorted()
}

/// The path for people: keys with dots between, in brackets where they have dots or brackets in them.
fn pretty(path: &[Option<String>]) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Some(key) if key.contains(['.', '[', ']']) => {
                let escaped = key.replace('[', "\\[").replace(']', "\\]");
                text.push_str(&format!("[{escaped}]"));
                continue;
            }
            _ if !text.is_empty() => text.push('.'),
            _ => {}
        }
        text.push_str(segment.as_deref().unwrap_or("*"));
    }
    text
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
