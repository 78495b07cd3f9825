//! Tickets: the right to open one session of one VM, or one stream, once, soon.
//!
//! A browser cannot send a credential with a WebSocket, nor with what a page follows. So it asks for a ticket first,
//! and shows that.
//! Only digests are kept: neither a core dump nor a log line can show a ticket, and the time that a
//! look-up takes tells nothing about one. Whatever is wrong with one, it is refused with the same words.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use innkeeper_model::{Code, Refusal, Secret, VmId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    cmp::Reverse,
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use utoipa::ToSchema;

/// How long a ticket can be used.
const VALID_FOR: Duration = Duration::from_secs(30);
/// The most tickets that are waiting to be used. Whoever has most gives one up for another's: where everybody is let in,
/// callers cost nothing, and are not to keep others out. Of some that `C` may name, that is so only where there are no
/// others.
const MOST: usize = 1024;
/// The most of them that are one caller's.
const MOST_OF_ONE: usize = 128;
/// The random bytes in a ticket.
const RANDOM_BYTES: usize = 32;

/// What a ticket opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The serial console.
    Console,
    /// The screen.
    Vnc,
}

/// A ticket that was issued. It is told once, and not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// 43 characters of base64url.
    pub ticket: Secret,
    /// How long it can be used from now.
    pub valid_for: Duration,
}

/// A ticket that is not valid: unknown, used, expired, for another VM, or for something else. Which of
/// these is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this ticket is not valid")]
pub struct TicketRefused;

impl From<TicketRefused> for Refusal {
    fn from(refused: TicketRefused) -> Self {
        let hint = "a ticket opens one session or stream, once, within 30 s: get another one";
        Self::new(Code::Forbidden, refused.to_string()).at("ticket").with_hint(hint)
    }
}

/// The tickets that can still be used, each of somebody that `C` names.
#[derive(Debug)]
pub struct Tickets<C> {
    waiting: Mutex<HashMap<[u8; 32], Ticket<C>>>,
    gives_up_last: fn(&C) -> bool,
}

#[derive(Debug)]
struct Ticket<C> {
    opens: Opens,
    caller: C,
    expires: Instant,
}

#[derive(Debug, PartialEq, Eq)]
enum Opens {
    Session { vm: VmId, purpose: Purpose },
    Stream { path: Box<str> },
}

impl<C> Default for Tickets<C> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), gives_up_last: |_| false }
    }
}

impl<C: Clone + Eq + Hash> Tickets<C> {
    /// The same, where these callers give none up for another's as long as others have some.
    pub fn given_up_last(self, by: fn(&C) -> bool) -> Self {
        Self { gives_up_last: by, ..self }
    }

    /// Issues a ticket for a session of a VM.
    ///
    /// # Errors
    /// `out-of-capacity`: too many of the caller's wait to be used; or the host has no random numbers.
    pub fn issue(
        &self,
        caller: C,
        vm: VmId,
        purpose: Purpose,
        now: Instant,
    ) -> Result<Issued, Refusal> {
        self.issue_for(caller, Opens::Session { vm, purpose }, now)
    }

    /// Issues a ticket for a stream, by the path of the request that opens it.
    ///
    /// # Errors
    /// As [`Self::issue`].
    pub fn issue_stream(&self, caller: C, path: &str, now: Instant) -> Result<Issued, Refusal> {
        self.issue_for(caller, Opens::Stream { path: path.into() }, now)
    }

    fn issue_for(&self, caller: C, opens: Opens, now: Instant) -> Result<Issued, Refusal> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|error| {
            Refusal::new(Code::Internal, "there are no random numbers").caused_by(&error)
        })?;
        let ticket = URL_SAFE_NO_PAD.encode(random);
        let mut waiting = self.waiting();
        waiting.retain(|_, ticket| ticket.expires > now);
        let of_caller = waiting.values().filter(|ticket| ticket.caller == caller).count();
        if of_caller >= MOST_OF_ONE {
            let message = format!("{of_caller} tickets wait to be used already");
            return Err(Refusal::new(Code::OutOfCapacity, message)
                .with_limit(MOST_OF_ONE)
                .with_hint("use them, or wait 30 s until they have expired"));
        }
        if waiting.len() >= MOST {
            give_one_up(&mut waiting, self.gives_up_last);
        }
        let expires = now + VALID_FOR;
        waiting.insert(digest(&ticket), Ticket { opens, caller, expires });
        Ok(Issued { ticket: Secret::new(ticket), valid_for: VALID_FOR })
    }

    /// Takes a ticket, and says whose it was. It is used up by this, whatever it was shown for. Which VM it is
    /// shown for, `vm` finds among those that there are for whoever it was issued to.
    ///
    /// # Errors
    /// It is not valid here.
    pub fn redeem(
        &self,
        ticket: &str,
        purpose: Purpose,
        now: Instant,
        vm: impl FnOnce(&C) -> Option<VmId>,
    ) -> Result<(C, VmId), TicketRefused> {
        let Ticket { opens, caller, .. } = self.take(ticket, now)?;
        match vm(&caller) {
            Some(vm) if opens == (Opens::Session { vm, purpose }) => Ok((caller, vm)),
            _ => Err(TicketRefused),
        }
    }

    /// Takes a ticket that is shown for the stream of this path, and says whose it was. It is used up by this,
    /// whatever it was shown for.
    ///
    /// # Errors
    /// It is not valid here.
    pub fn redeem_stream(
        &self,
        ticket: &str,
        path: &str,
        now: Instant,
    ) -> Result<C, TicketRefused> {
        let Ticket { opens, caller, .. } = self.take(ticket, now)?;
        match opens {
            Opens::Stream { path: own } if *own == *path => Ok(caller),
            _ => Err(TicketRefused),
        }
    }

    fn take(&self, ticket: &str, now: Instant) -> Result<Ticket<C>, TicketRefused> {
        let found = self.waiting().remove(&digest(ticket)).ok_or(TicketRefused)?;
        if found.expires > now { Ok(found) } else { Err(TicketRefused) }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<[u8; 32], Ticket<C>>> {
        // Only map operations happen under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the oldest ticket of whoever has most; of those who give up last only where there are no others.
fn give_one_up<C: Eq + Hash>(waiting: &mut HashMap<[u8; 32], Ticket<C>>, last: fn(&C) -> bool) {
    // Of each: how many, and the oldest of them.
    let mut each = HashMap::new();
    for (digest, ticket) in &*waiting {
        let this = Reverse((ticket.expires, *digest));
        let (count, oldest) = each.entry(&ticket.caller).or_insert((0, this));
        (*count, *oldest) = (*count + 1, this.max(*oldest));
    }
    let most = each.into_iter().map(|(caller, of_one)| (!last(caller), of_one)).max();
    if let Some((_, (_, Reverse((_, oldest))))) = most {
        waiting.remove(&oldest);
    }
}

fn digest(ticket: &str) -> [u8; 32] {
    Sha256::digest(ticket.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_one_thing_once() {
        let (tickets, vm, now) = (Tickets::default(), VmId::new(), Instant::now());
        let issued = tickets.issue("anna", vm, Purpose::Vnc, now).unwrap();
        assert_eq!(issued.ticket.expose().unwrap().len(), 43);
        let redeem =
            || tickets.redeem(issued.ticket.expose().unwrap(), Purpose::Vnc, now, |_| Some(vm));
        assert_eq!(redeem(), Ok(("anna", vm)));
        let again = redeem();
        assert_eq!(again, Err(TicketRefused));
    }

    #[test]
    fn a_ticket_for_something_else_is_refused_and_gone() {
        let (tickets, vm, now) = (Tickets::default(), VmId::new(), Instant::now());
        for (shown_for, purpose, later) in [
            (Some(VmId::new()), Purpose::Vnc, 0),
            (None, Purpose::Vnc, 0),
            (Some(vm), Purpose::Console, 0),
            (Some(vm), Purpose::Vnc, 30),
        ] {
            let issued = tickets.issue((), vm, Purpose::Vnc, now).unwrap();
            let then = now + Duration::from_secs(later);
            let refused =
                tickets.redeem(issued.ticket.expose().unwrap(), purpose, then, |()| shown_for);
            assert_eq!(refused, Err(TicketRefused));
            assert!(tickets.waiting().is_empty());
        }
        let unknown = tickets.redeem("unknown", Purpose::Vnc, now, |()| Some(vm));
        assert_eq!(unknown, Err(TicketRefused));
    }

    #[test]
    fn a_streams_ticket_is_for_its_path_alone() {
        let (tickets, vm, now) = (Tickets::default(), VmId::new(), Instant::now());
        let issue = || {
            let issued = tickets.issue_stream("anna", "/v1/events", now).unwrap();
            issued.ticket.expose().unwrap().to_owned()
        };
        let ticket = issue();
        assert_eq!(tickets.redeem_stream(&ticket, "/v1/events", now), Ok("anna"));
        assert_eq!(tickets.redeem_stream(&ticket, "/v1/events", now), Err(TicketRefused));
        let elsewhere = tickets.redeem_stream(&issue(), "/v1/events/", now);
        let late = tickets.redeem_stream(&issue(), "/v1/events", now + VALID_FOR);
        let session = tickets.redeem(&issue(), Purpose::Console, now, |_| Some(vm)).map(|_| "anna");
        let of_session = tickets.issue("anna", vm, Purpose::Vnc, now).unwrap();
        let of_session = of_session.ticket.expose().unwrap();
        let stream = tickets.redeem_stream(of_session, "/v1/events", now);
        assert!([elsewhere, late, session, stream].iter().all(Result::is_err));
        assert!(tickets.waiting().is_empty());
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let (tickets, vm, now) = (Tickets::default(), VmId::new(), Instant::now());
        let issue = |caller: usize, now| tickets.issue(caller, vm, Purpose::Console, now);
        for _ in 0..MOST_OF_ONE {
            issue(0, now).unwrap();
        }
        assert_eq!(issue(0, now).unwrap_err().code, Code::OutOfCapacity);
        for number in MOST_OF_ONE..MOST {
            issue(number, now).unwrap();
        }
        assert_eq!(tickets.waiting().len(), MOST);
        issue(0, now + VALID_FOR).unwrap();
        assert_eq!(tickets.waiting().len(), 1, "the expired ones are dropped");
    }

    #[test]
    fn who_gives_up_last_keeps_theirs_while_others_have_some() {
        let tickets = Tickets::default().given_up_last(|caller: &usize| *caller == 0);
        let (vm, now) = (VmId::new(), Instant::now());
        let issue = |caller| tickets.issue(caller, vm, Purpose::Vnc, now).unwrap().ticket;
        let of_last: Vec<_> = (0..MOST_OF_ONE).map(|_| issue(0)).collect();
        for caller in MOST_OF_ONE..=MOST {
            issue(caller);
        }
        assert_eq!(tickets.waiting().len(), MOST);
        for ticket in &of_last {
            let ticket = ticket.expose().unwrap();
            let redeemed = tickets.redeem(ticket, Purpose::Vnc, now, |_| Some(vm));
            assert_eq!(redeemed, Ok((0, vm)));
        }
    }

    #[test]
    fn whoever_has_most_gives_their_oldest_up_for_anothers() {
        let (tickets, vm, now) = (Tickets::default(), VmId::new(), Instant::now());
        let issue = |caller: &'static str, second: u64| {
            let then = now + Duration::from_secs(second);
            tickets.issue(caller, vm, Purpose::Vnc, then).unwrap().ticket
        };
        let redeem = |ticket: &Secret| {
            let ticket = ticket.expose().unwrap();
            tickets.redeem(ticket, Purpose::Vnc, now, |_| Some(vm)).map(|(whose, _)| whose)
        };
        let anna = issue("anna", 0);
        let first = issue("eve", 1);
        let of_eve: Vec<_> = (1..MOST_OF_ONE).map(|_| issue("eve", 2)).collect();
        let others = ["a", "b", "c", "d", "e", "f", "g", "h"];
        for number in MOST_OF_ONE + 1..MOST {
            issue(others[number % others.len()], 0);
        }
        let late = issue("late", 3);
        assert_eq!((redeem(&late), redeem(&anna)), (Ok("late"), Ok("anna")));
        assert_eq!(redeem(&first), Err(TicketRefused));
        assert!(of_eve.iter().all(|ticket| redeem(ticket) == Ok("eve")));
    }
}
