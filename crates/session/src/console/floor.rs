//! Who may type. Pure.
//!
//! One at a time, unless all who do agreed to share. Who came too late sees, and may type when those
//! before it have left.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// What somebody who opens a console wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// To see.
    ReadOnly,
    /// To type, alone; to see, while somebody else types.
    #[default]
    Write,
    /// To type together with others who share.
    Shared,
    /// To type, alone, now: whoever types is made to see only.
    Take,
}

/// One who looks at a line.
#[derive(Debug)]
struct Seat {
    who: Arc<str>,
    role: Role,
    types: bool,
}

/// All who look at a line, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Floor {
    seats: BTreeMap<u64, Seat>,
    next: u64,
}

/// Whose right to type has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Turned {
    pub(super) lost: Vec<u64>,
    pub(super) got: Vec<u64>,
}

impl Floor {
    /// Somebody comes.
    pub(super) fn enter(&mut self, who: Arc<str>, role: Role) -> (u64, Turned) {
        let mut turned = Turned::default();
        let mut typing = self.seats.iter_mut().filter(|(_, seat)| seat.types);
        let types = match role {
            Role::ReadOnly => false,
            Role::Write => typing.next().is_none(),
            Role::Shared => typing.all(|(_, seat)| seat.role == Role::Shared),
            Role::Take => {
                for (number, seat) in typing {
                    seat.types = false;
                    turned.lost.push(*number);
                }
                true
            }
        };
        let number = self.next;
        self.next += 1;
        self.seats.insert(number, Seat { who, role, types });
        (number, turned)
    }

    /// Somebody leaves.
    pub(super) fn leave(&mut self, number: u64) -> Turned {
        let mut turned = Turned::default();
        let left = self.seats.remove(&number);
        if !left.is_some_and(|seat| seat.types) || self.seats.values().any(|seat| seat.types) {
            return turned;
        }
        let first = self.seats.iter().find(|(_, seat)| seat.role != Role::ReadOnly);
        let Some((&first, role)) = first.map(|(number, seat)| (number, seat.role)) else {
            return turned;
        };
        for (number, seat) in &mut self.seats {
            if *number == first || (role == Role::Shared && seat.role == Role::Shared) {
                seat.types = true;
                turned.got.push(*number);
            }
        }
        turned
    }

    pub(super) fn may_type(&self, number: u64) -> bool {
        self.seats.get(&number).is_some_and(|seat| seat.types)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.seats.len()
    }

    /// One of those who type.
    pub(super) fn typist(&self) -> Option<Arc<str>> {
        self.seats.values().find(|seat| seat.types).map(|seat| seat.who.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn enter(floor: &mut Floor, role: Role) -> u64 {
        floor.enter("somebody".into(), role).0
    }

    #[test]
    fn the_first_types_and_the_next_waits_for_it_to_leave() {
        let mut floor = Floor::default();
        let seer = enter(&mut floor, Role::ReadOnly);
        let first = enter(&mut floor, Role::Write);
        let second = enter(&mut floor, Role::Write);
        assert!(floor.may_type(first) && !floor.may_type(second) && !floor.may_type(seer));
        assert_eq!(floor.leave(seer), Turned::default());
        assert_eq!(floor.leave(first).got, [second]);
        assert!(floor.may_type(second));
    }

    #[test]
    fn one_who_takes_it_gives_it_back_by_leaving() {
        let mut floor = Floor::default();
        let first = enter(&mut floor, Role::Write);
        let (taker, turned) = floor.enter("root".into(), Role::Take);
        assert_eq!(turned.lost, [first]);
        assert_eq!(floor.typist().as_deref(), Some("root"));
        assert_eq!(floor.leave(taker).got, [first]);
    }

    #[test]
    fn those_who_share_type_together() {
        let mut floor = Floor::default();
        let alone = enter(&mut floor, Role::Write);
        let one = enter(&mut floor, Role::Shared);
        let other = enter(&mut floor, Role::Shared);
        assert!(!floor.may_type(one) && !floor.may_type(other));
        assert_eq!(floor.leave(alone).got, [one, other]);
        let third = enter(&mut floor, Role::Shared);
        let late = enter(&mut floor, Role::Write);
        assert!(floor.may_type(third) && !floor.may_type(late));
    }

    proptest! {
        #[test]
        fn whatever_happens_one_types_alone_or_all_who_type_share(
            happenings in prop::collection::vec((0..4_usize, any::<prop::sample::Index>()), 0..60),
        ) {
            let mut floor = Floor::default();
            let mut seats = Vec::new();
            for (what, which) in happenings {
                if what == 3 && !seats.is_empty() {
                    floor.leave(seats.remove(which.index(seats.len())));
                } else {
                    let roles = [Role::ReadOnly, Role::Write, Role::Shared, Role::Take];
                    seats.push(enter(&mut floor, roles[which.index(4)]));
                }
                let typing: Vec<_> = floor.seats.values().filter(|seat| seat.types).collect();
                let sharing = typing.iter().filter(|seat| seat.role == Role::Shared).count();
                prop_assert!(typing.len() <= 1 || sharing == typing.len());
                let could = floor.seats.values().any(|seat| seat.role != Role::ReadOnly);
                prop_assert_eq!(could, !typing.is_empty(), "somebody types if anybody would");
            }
        }
    }
}
