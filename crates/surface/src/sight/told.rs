//! What a caller is told of a change.

use super::Sight;
use innkeeper_model::Vm;
use innkeeper_view::{Entry, Subject, Transition};
use std::sync::Arc;

/// What a caller is told of a change.
#[derive(Debug)]
pub enum Told {
    /// Nothing: it is of something that is not there.
    Nothing,
    /// All of it.
    AsItIs,
    /// Something else at the same place: a VM that was given to another project is gone, and what is not for
    /// everybody is left out.
    Otherwise(Entry),
}

impl Sight {
    /// What is told of this change.
    pub fn told(&self, entry: &Entry) -> Told {
        if self.is_everything() {
            return Told::AsItIs;
        }
        let otherwise = |subject| {
            let Entry { position, time, .. } = *entry;
            Told::Otherwise(Entry { position, time, subject })
        };
        match &entry.subject {
            Subject::Vm(transition) => match self.vm_told(transition) {
                VmTold::Moved(transition) => otherwise(Subject::Vm(transition)),
                VmTold::As(is_there) => told_if(is_there),
            },
            Subject::Event { vm, .. } => told_if(self.sees_vm(vm)),
            Subject::Task(transition) => told_if(self.sees_task(transition.latest())),
            Subject::Image(transition) => match narrowed(transition, |image| self.image(image)) {
                Narrowed::Same => Told::AsItIs,
                Narrowed::Nothing => Told::Nothing,
                Narrowed::To(transition) => otherwise(Subject::Image(transition)),
            },
            Subject::Network(transition) => {
                match narrowed(transition, |network| self.shown_network(network)) {
                    Narrowed::Same => Told::AsItIs,
                    Narrowed::Nothing => Told::Nothing,
                    Narrowed::To(transition) => otherwise(Subject::Network(transition)),
                }
            }
            // Nobody who is bound to a project may read it.
            Subject::Host(_) => Told::Nothing,
        }
    }

    fn vm_told(&self, transition: &Transition<Vm>) -> VmTold {
        let Transition::Modified { before, after } = transition else {
            return VmTold::As(self.sees_vm(transition.latest()));
        };
        match (self.sees_vm(before), self.sees_vm(after)) {
            (true, false) => VmTold::Moved(Transition::Deleted(Arc::clone(before))),
            (false, true) => VmTold::Moved(Transition::Created(Arc::clone(after))),
            (both, _) => VmTold::As(both),
        }
    }
}

enum VmTold {
    As(bool),
    Moved(Transition<Vm>),
}

const fn told_if(is_there: bool) -> Told {
    if is_there { Told::AsItIs } else { Told::Nothing }
}

enum Narrowed<T> {
    Same,
    Nothing,
    To(Transition<T>),
}

/// A change of something of which not all is shown. Where only that changed, there is nothing to tell.
fn narrowed<T: PartialEq>(
    transition: &Transition<T>,
    hide: impl Fn(&T) -> Option<T>,
) -> Narrowed<T> {
    let shown = |value: &Arc<T>| hide(value).map(Arc::new);
    let either = |hidden: Option<Arc<T>>, value: &Arc<T>| hidden.unwrap_or_else(|| value.clone());
    match transition {
        Transition::Created(value) => {
            shown(value).map_or(Narrowed::Same, |value| Narrowed::To(Transition::Created(value)))
        }
        Transition::Deleted(value) => {
            shown(value).map_or(Narrowed::Same, |value| Narrowed::To(Transition::Deleted(value)))
        }
        Transition::Modified { before, after } => match (shown(before), shown(after)) {
            (None, None) => Narrowed::Same,
            (was, is) => {
                let (before, after) = (either(was, before), either(is, after));
                if before == after {
                    return Narrowed::Nothing;
                }
                Narrowed::To(Transition::Modified { before, after })
            }
        },
    }
}
