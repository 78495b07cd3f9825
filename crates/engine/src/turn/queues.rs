//! One operation at a time per resource.
//!
//! An operation takes its place in the queues of all its resources at once, under one lock, so that
//! any two operations meet in the same order everywhere and no circle of waiting can form. It may
//! begin when it is first in each, or when only others that share stand before it and it shares too.
//! Nothing times out here; leaving a queue is dropping one's place.
//!
//! Only who needs a single resource may go ahead of those who wait: nobody waits for it elsewhere, so it
//! cannot close a circle.

use innkeeper_model::{ImageName, NetworkId, VmId, diagnosis::QueueDiagnosis};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Something that operations compete for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Resource {
    Vm(VmId),
    Image(ImageName),
    /// The one set of networks of the host: names and ranges are each other's business.
    Networks,
    Network(NetworkId),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm(vm) => write!(f, "vm/{vm}"),
            Self::Image(name) => write!(f, "image/{name}"),
            Self::Networks => f.write_str("networks"),
            Self::Network(network) => write!(f, "network/{network}"),
        }
    }
}

/// How much of a resource an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hold {
    /// With others that share.
    Shared,
    /// Alone.
    Exclusive,
}

/// The queues of all resources.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queues(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Of these, nobody who waits is let begin.
    paused: HashSet<Resource>,
    queues: HashMap<Resource, VecDeque<(u64, Hold)>>,
    places: HashMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    wants: Vec<(Resource, Hold)>,
    granted: watch::Sender<bool>,
}

/// A place in the queues. The resources are held from [`Place::granted`] until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    queues: Queues,
    number: u64,
    granted: watch::Receiver<bool>,
}

impl Queues {
    /// Takes a place in the queue of each resource.
    pub(crate) fn enter(&self, wants: Vec<(Resource, Hold)>) -> Place {
        self.enter_at(wants, |state, resource| state.queues.get(resource).map_or(0, VecDeque::len))
    }

    /// Takes a place in the queue of a resource before all who wait, behind who has it.
    pub(crate) fn enter_ahead(&self, want: (Resource, Hold)) -> Place {
        self.enter_at(vec![want], |state, resource| {
            let queue = state.queues.get(resource).into_iter().flatten();
            let last = queue.enumerate().filter(|(_, (place, _))| state.has(*place)).last();
            last.map_or(0, |(index, _)| index + 1)
        })
    }

    fn enter_at(
        &self,
        wants: Vec<(Resource, Hold)>,
        position: impl Fn(&State, &Resource) -> usize,
    ) -> Place {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        for (resource, hold) in &wants {
            let at = position(&state, resource);
            state.queues.entry(resource.clone()).or_default().insert(at, (number, *hold));
        }
        let (granted_to, granted) = watch::channel(false);
        state.places.insert(number, Waiting { wants, granted: granted_to });
        state.grant(number);
        Place { queues: self.clone(), number, granted }
    }

    /// Lets nobody else begin with a resource, or lets them again. Who has begun goes on.
    pub(crate) fn pause(&self, resource: &Resource, paused: bool) {
        let mut state = self.state();
        if paused {
            state.paused.insert(resource.clone());
            return;
        }
        state.paused.remove(resource);
        let waiting: Vec<u64> =
            state.queues.get(resource).into_iter().flatten().map(|(place, _)| *place).collect();
        for place in waiting {
            state.grant(place);
        }
    }

    /// Every resource that is held, waited for or paused.
    pub(crate) fn figures(&self) -> Vec<QueueDiagnosis> {
        let state = self.state();
        let has = |place: &u64| state.has(*place);
        let of = |(resource, queue): (&Resource, &VecDeque<(u64, Hold)>)| {
            let holders = queue.iter().filter(|(place, _)| has(place)).count();
            QueueDiagnosis {
                resource: resource.to_string(),
                holders,
                waiting: queue.len() - holders,
                paused: state.paused.contains(resource),
            }
        };
        let idle = VecDeque::new();
        let unused = state.paused.iter().filter(|paused| !state.queues.contains_key(paused));
        state.queues.iter().chain(unused.map(|resource| (resource, &idle))).map(of).collect()
    }

    /// Whether a place has what it wants, or had, and is not left.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.state().has(number)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Only collection operations happen under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has(&self, number: u64) -> bool {
        self.places.get(&number).is_some_and(|place| *place.granted.borrow())
    }

    /// Lets a place begin if it may.
    fn grant(&self, number: u64) {
        let Some(waiting) = self.places.get(&number) else { return };
        if *waiting.granted.borrow() {
            return;
        }
        let may = waiting.wants.iter().all(|(resource, _)| self.may_begin(number, resource));
        if may {
            waiting.granted.send_replace(true);
        }
    }

    fn may_begin(&self, number: u64, resource: &Resource) -> bool {
        if self.paused.contains(resource) {
            return false;
        }
        let queue = self.queues.get(resource).into_iter().flatten();
        for (index, (place, hold)) in queue.enumerate() {
            match (place == &number, hold) {
                (true, Hold::Exclusive) => return index == 0,
                (true, Hold::Shared) => return true,
                (false, Hold::Exclusive) => return false,
                (false, Hold::Shared) => {}
            }
        }
        false
    }

    fn leave(&mut self, number: u64) {
        let Some(left) = self.places.remove(&number) else { return };
        for (resource, _) in &left.wants {
            let Some(queue) = self.queues.get_mut(resource) else { continue };
            queue.retain(|(place, _)| *place != number);
            if queue.is_empty() {
                self.queues.remove(resource);
                continue;
            }
            let waiting: Vec<u64> = queue.iter().map(|(place, _)| *place).collect();
            for place in waiting {
                self.grant(place);
            }
        }
    }
}

impl Place {
    /// What the queues know it by.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Waits until the resources are this place's.
    pub(crate) async fn granted(&mut self) {
        // The sender lives as long as the place does, so this ends with a grant only.
        let _ = self.granted.wait_for(|granted| *granted).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queues.state().leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Hold::{Exclusive, Shared};

    fn vm() -> Resource {
        Resource::Vm(VmId::new())
    }

    fn image() -> Resource {
        Resource::Image("base".parse().unwrap())
    }

    fn may(place: &Place) -> bool {
        *place.granted.borrow()
    }

    #[test]
    fn first_come_first_served_and_the_next_when_the_first_is_gone() {
        let (queues, vm) = (Queues::default(), vm());
        let first = queues.enter(vec![(vm.clone(), Exclusive)]);
        let second = queues.enter(vec![(vm.clone(), Exclusive)]);
        let third = queues.enter(vec![(vm, Exclusive)]);
        assert_eq!((may(&first), may(&second), may(&third)), (true, false, false));
        drop(second);
        assert!(!may(&third), "the first still holds it");
        drop(first);
        assert!(may(&third));
    }

    #[test]
    fn who_goes_ahead_comes_behind_who_has_it_and_before_who_waits() {
        let (queues, vm) = (Queues::default(), vm());
        let holder = queues.enter(vec![(vm.clone(), Shared)]);
        let waiting = queues.enter(vec![(vm.clone(), Exclusive)]);
        let ahead = queues.enter_ahead((vm.clone(), Exclusive));
        let behind = queues.enter_ahead((vm.clone(), Exclusive));
        assert!(may(&holder) && queues.has(holder.number()) && !queues.has(ahead.number()));
        drop(holder);
        // Of two, the later one: it does not know of the other.
        assert_eq!((may(&behind), may(&ahead), may(&waiting)), (true, false, false));
        drop(behind);
        assert!(may(&ahead) && !may(&waiting));
        drop(ahead);
        assert!(may(&waiting));
        drop(waiting);
        assert!(may(&queues.enter_ahead((vm, Exclusive))));
        assert!(queues.state().queues.is_empty());
    }

    #[test]
    fn sharers_go_together_and_do_not_overtake_one_who_needs_it_alone() {
        let (queues, image) = (Queues::default(), image());
        let readers = [(); 2].map(|()| queues.enter(vec![(image.clone(), Shared)]));
        let writer = queues.enter(vec![(image.clone(), Exclusive)]);
        let late = queues.enter(vec![(image, Shared)]);
        assert!(readers.iter().all(may));
        assert!(!may(&writer) && !may(&late));
        drop(readers);
        assert!(may(&writer) && !may(&late));
        drop(writer);
        assert!(may(&late));
    }

    #[test]
    fn an_operation_begins_when_it_has_all_its_resources() {
        let (queues, one, other) = (Queues::default(), vm(), vm());
        let holder = queues.enter(vec![(other.clone(), Exclusive)]);
        let both = queues.enter(vec![(one.clone(), Exclusive), (other, Exclusive)]);
        let behind = queues.enter(vec![(one, Exclusive)]);
        assert!(!may(&both) && !may(&behind));
        drop(holder);
        assert!(may(&both) && !may(&behind));
        drop(both);
        assert!(may(&behind));
        drop(behind);
        assert!(queues.state().queues.is_empty() && queues.state().places.is_empty());
    }
}
