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
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use utoipa::ToSchema;

/// How long a ticket can be used.
const VALID_FOR: Duration = Duration::from_secs(30);
/// The most tickets that are waiting to be used.
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
        Self { waiting: Mutex::default() }
    }
}

impl<C: Clone + PartialEq> Tickets<C> {
    /// Issues a ticket for a session of a VM.
    ///
    /// # Errors
    /// `out-of-capacity`: too many wait to be used; or the host has no random numbers.
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
        let (found, limit) =
            if of_caller >= MOST_OF_ONE { (of_caller, MOST_OF_ONE) } else { (waiting.len(), MOST) };
        if found >= limit {
            let message = format!("{found} tickets wait to be used already");
            return Err(Refusal::new(Code::OutOfCapacity, message)
                .with_limit(limit)
                .with_hint("use them, or wait 30 s until they have expired"));
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
        assert_eq!(issue(MOST, now).unwrap_err().code, Code::OutOfCapacity);
        issue(0, now + VALID_FOR).unwrap();
        assert_eq!(tickets.waiting().len(), 1, "the expired ones are dropped");
    }
}
