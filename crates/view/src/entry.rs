//! Entries of the feed: what changed, as the records before and after it.
//!
//! An entry holds no encoding and no list of changed fields. Whoever needs those derives them, once
//! a [`crate::Batch`]: with nobody listening a change costs next to nothing, and each door can
//! compare the records in its own shape.

use crate::diff::{self, FieldsOf, unshared};
use innkeeper_model::{
    Action, Change, Host, HypervisorEvent, Image, Position, ResourceKind, Revision, ShownNetwork,
    Task, TaskLogLine, Timestamp, Vm, task::TaskStep,
};
use serde::Serialize;
use std::sync::Arc;

/// One change.
#[derive(Debug)]
pub struct Entry {
    /// Where in the feed it stands; its sequence is the revision that it made.
    pub position: Position,
    /// When it was applied.
    pub time: Timestamp,
    /// What changed.
    pub subject: Subject,
}

/// What changed.
#[derive(Debug)]
pub enum Subject {
    /// A VM.
    Vm(Transition<Vm>),
    /// A task.
    Task(Transition<Task>),
    /// An image.
    Image(Transition<Image>),
    /// A network, without the list of what its subnets keep, so that the feed need not remember it.
    Network(Transition<ShownNetwork>),
    /// The host.
    Host(Transition<Host>),
    /// Nothing changed; the hypervisor reported something.
    Event {
        /// The VM that it is about, as it was then.
        vm: Arc<Vm>,
        /// What was reported.
        event: HypervisorEvent,
    },
}

/// From what to what.
#[derive(Debug)]
pub enum Transition<T> {
    /// It came to be.
    Created(Arc<T>),
    /// It changed.
    Modified {
        /// What it was.
        before: Arc<T>,
        /// What it is.
        after: Arc<T>,
    },
    /// It is gone; this is what it was.
    Deleted(Arc<T>),
}

impl<T> Transition<T> {
    pub(crate) fn to(before: Option<Arc<T>>, after: Arc<T>) -> Self {
        match before {
            Some(before) => Self::Modified { before, after },
            None => Self::Created(after),
        }
    }

    /// The value after it, or the last one there was.
    pub fn latest(&self) -> &Arc<T> {
        match self {
            Self::Created(value) | Self::Deleted(value) | Self::Modified { after: value, .. } => {
                value
            }
        }
    }
}

impl Entry {
    /// The view's revision that this change made.
    pub const fn revision(&self) -> Revision {
        Revision(self.position.sequence)
    }

    /// The change with its fields compared, in the shape of the native API.
    ///
    /// Costs a few microseconds for each record; keep the result, or better its encoding.
    pub fn to_change(&self) -> Change {
        match &self.subject {
            Subject::Vm(transition) => self.transition(ResourceKind::Vm, transition, |vm| {
                (vm.id.to_string(), Some(vm.name.to_string()))
            }),
            Subject::Task(transition) => {
                self.transition(ResourceKind::Task, transition, |task| (task.id.to_string(), None))
            }
            Subject::Image(transition) => {
                self.transition(ResourceKind::Image, transition, |image| {
                    (image.name.to_string(), Some(image.name.to_string()))
                })
            }
            Subject::Network(transition) => {
                self.transition(ResourceKind::Network, transition, |network| {
                    (network.id.to_string(), Some(network.config.name.to_string()))
                })
            }
            Subject::Host(transition) => self.transition(ResourceKind::Host, transition, |host| {
                (host.name.clone(), Some(host.name.clone()))
            }),
            Subject::Event { vm, event } => Change {
                event: Some(event.clone()),
                ..self.bare(
                    ResourceKind::Vm,
                    Action::Event,
                    (vm.id.to_string(), Some(vm.name.to_string())),
                )
            },
        }
    }

    fn transition<T: FieldsOf>(
        &self,
        kind: ResourceKind,
        transition: &Transition<T>,
        label: impl FnOnce(&T) -> (String, Option<String>),
    ) -> Change {
        let label = label(transition.latest());
        match transition {
            Transition::Created(value) => Change {
                object: Some(diff::to_json(&**value)),
                ..self.bare(kind, Action::Create, label)
            },
            Transition::Modified { before, after } => Change {
                changes: T::changed_fields(before, after),
                ..self.bare(kind, Action::Modify, label)
            },
            Transition::Deleted(_) => self.bare(kind, Action::Delete, label),
        }
    }

    fn bare(
        &self,
        kind: ResourceKind,
        action: Action,
        (id, name): (String, Option<String>),
    ) -> Change {
        Change {
            position: self.position,
            revision: self.revision(),
            time: self.time,
            kind,
            action,
            id,
            name,
            changes: Vec::new(),
            event: None,
            object: None,
        }
    }
}

/// How much memory an entry keeps that nothing else does, in bytes; an estimate.
///
/// That is what a record was before: what it is now, the snapshot or the next entry keeps anyway.
impl Entry {
    pub(crate) fn weight(&self) -> usize {
        let kept = match &self.subject {
            Subject::Vm(Transition::Modified { before, after }) => {
                weight_of_vm(before, Some(after))
            }
            Subject::Vm(Transition::Deleted(vm)) => weight_of_vm(vm, None),
            Subject::Task(
                Transition::Modified { before: task, .. } | Transition::Deleted(task),
            ) => weight_of_task(task),
            Subject::Task(Transition::Created(_)) => 0,
            Subject::Image(transition) => weight_before(transition),
            Subject::Network(transition) => weight_before(transition),
            Subject::Host(transition) => weight_before(transition),
            Subject::Event { event, .. } => event.name.len() + json_length(&event.data),
            Subject::Vm(Transition::Created(_)) => 0,
        };
        size_of::<Self>() + kept
    }
}

fn weight_of_vm(vm: &Vm, after: Option<&Vm>) -> usize {
    let spec = unshared(&vm.spec, after.map_or(&None, |after| &after.spec));
    let incarnation = unshared(&vm.incarnation, after.map_or(&None, |after| &after.incarnation));
    let texts = vm.name.as_str().len()
        + vm.project.as_str().len()
        + vm.problem.as_ref().map_or(0, String::len);
    let guest = unshared(&vm.guest, after.map_or(&None, |after| &after.guest));
    let addresses = size_of_val(&*vm.addresses) + json_length(&guest);
    size_of::<Vm>() + texts + addresses + json_length(&spec) + json_length(&incarnation)
}

/// Without encoding it: most changes are tasks', a dozen an operation.
fn weight_of_task(task: &Task) -> usize {
    let texts = |texts: &[String]| -> usize {
        texts.iter().map(|text| size_of::<String>() + text.len()).sum()
    };
    let steps = task.steps.iter().map(|step| size_of::<TaskStep>() + step.name.len());
    let log = task.log.iter().map(|line| size_of::<TaskLogLine>() + line.text.len());
    size_of::<Task>()
        + task.operation.len()
        + task.subject.len()
        + task.caller.len()
        + task.request_id.as_ref().map_or(0, String::len)
        + task.error.as_ref().map_or(0, json_length)
        + steps.chain(log).sum::<usize>()
        + texts(&task.warnings)
        + texts(&task.leftovers)
        + texts(&task.resources)
}

fn weight_before<T: Serialize>(transition: &Transition<T>) -> usize {
    match transition {
        Transition::Created(_) => 0,
        Transition::Modified { before: value, .. } | Transition::Deleted(value) => {
            size_of::<T>() + json_length(value)
        }
    }
}

/// The length of a value's JSON: about what its texts and lists take in memory.
fn json_length(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // What was counted until an error is as good an estimate as any.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}
