//! What the kernel says of every change of the firewall (nfnetlink's group for nftables), and whether all of it was this
//! daemon's own doing.
//!
//! A transaction is told before whoever made it hears that it is in force, and ends with the number of a new
//! generation. So who has changed the rules takes what was said until then, and counts one transaction as its own.
//! What is left is another's: a flush, a ruleset that was loaded, a rule or an element more or less. Nothing is
//! noticed of other tables than Innkeeper's.

use super::{
    Inner,
    elements::NFNL_SUBSYS_NFTABLES,
    host::Host,
    netlink::{Netlink, RECEIVE_BUFFER, attribute, messages, text},
};
use crate::{loopback, ruleset};
use rustix::{
    fd::OwnedFd,
    io::Errno,
    net::{RecvFlags, recv},
};
use std::{
    io,
    sync::{Mutex, PoisonError},
};
use tokio::{io::unix::AsyncFd, sync::Notify};

const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWGEN: u16 = 15;
/// Which table something is of: the same number in messages about tables, chains, rules, sets and elements.
const NFTA_TABLE: u16 = 1;
/// The fixed part of a message: family, version, resource.
const NFGENMSG: usize = 4;

/// What was said since it was taken last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Said {
    /// How many transactions changed something in the networks' tables.
    transactions: usize,
    /// Whether one changed the guard between guests and their host's loopback, and did not set it anew.
    guard_is_changed: bool,
    /// Whether more was said than there was room for.
    is_cut: bool,
}

/// The notices.
#[derive(Debug)]
pub(super) struct Notices {
    socket: AsyncFd<OwnedFd>,
    /// What the networks' tables are called.
    networks: String,
    /// What the guard's is called.
    guard: String,
    begun: Mutex<Begun>,
    /// Told when somebody who took what was said found others' doings in it.
    untold: Notify,
}

/// A transaction whose end was not told yet.
#[derive(Debug, Default)]
struct Begun {
    changes_networks: bool,
    changes_guard: bool,
    /// Whether it makes the guard's table, as whoever sets the guard does.
    sets_guard: bool,
}

impl Notices {
    /// Those that come from now on, of the tables of the daemon with this number. To be called in a tokio runtime.
    ///
    /// # Errors
    /// Whoever may not change the firewall may not hear of it either.
    pub(super) fn open(instance: u32) -> io::Result<Self> {
        let socket = Netlink::notices_of_firewall()?;
        // SAFETY: the `AsyncFd` owns the descriptor, and nothing takes it out or closes it before.
        let socket = unsafe { AsyncFd::register(socket) }?;
        let (networks, guard) = (ruleset::table_name(instance), loopback::table_name(instance));
        Ok(Self { socket, networks, guard, begun: Mutex::default(), untold: Notify::new() })
    }

    /// Waits until something is said, which may have been taken by then; or until somebody who took it found
    /// others' doings in it, and whether that is so.
    ///
    /// # Errors
    /// The runtime is shut down.
    pub(super) async fn come(&self) -> io::Result<bool> {
        tokio::select! {
            ready = self.socket.readable() => {
                ready?.clear_ready();
                Ok(false)
            }
            () = self.untold.notified() => Ok(true),
        }
    }

    /// Takes what was said until now, without waiting.
    fn take(&self) -> Said {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let mut said = Said::default();
        let mut buffer = vec![0; RECEIVE_BUFFER];
        loop {
            match recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    self.read(buffer.get(..length).unwrap_or_default(), &mut begun, &mut said);
                }
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => said.is_cut = true,
                Err(_) => break,
            }
        }
        if said.is_cut {
            *begun = Begun::default();
        }
        said
    }

    fn read(&self, bytes: &[u8], begun: &mut Begun, said: &mut Said) {
        let messages = messages(bytes).map_while(Result::ok);
        for message in messages.filter(|message| message.kind >> 8 == NFNL_SUBSYS_NFTABLES) {
            let attributes = message.body.get(NFGENMSG..).unwrap_or_default();
            let is_of = |table: &str| {
                attribute(attributes, NFTA_TABLE).is_some_and(|name| text(name) == table)
            };
            match message.kind & 0xff {
                NFT_MSG_NEWGEN => {
                    let ended = std::mem::take(begun);
                    said.transactions += usize::from(ended.changes_networks);
                    said.guard_is_changed |= ended.changes_guard && !ended.sets_guard;
                }
                kind if is_of(&self.guard) => {
                    begun.changes_guard = true;
                    begun.sets_guard = match kind {
                        NFT_MSG_NEWTABLE => true,
                        NFT_MSG_DELTABLE => false,
                        _ => begun.sets_guard,
                    };
                }
                _ => begun.changes_networks = begun.changes_networks || is_of(&self.networks),
            }
        }
    }
}

impl Host {
    /// Notes that what was begun to change of the firewall is in force. Whether others had a part in what was said
    /// of it is for the [watch](super::watch::rules) to tell, which never tells too often.
    pub(super) fn has_changed_rules(&mut self, inner: &Inner) {
        let hears = self.hears_of_others(inner);
        self.unended = 0;
        if let (true, Some(notices)) = (hears, &inner.notices) {
            notices.untold.notify_one();
        }
    }

    /// Takes what was said of the firewall until now; whether others may have had a part in it.
    pub(super) fn hears_of_others(&mut self, inner: &Inner) -> bool {
        let (of_networks, of_guard) = self.hear(inner);
        of_networks || of_guard
    }

    /// Takes what was said until now for a survey, which sees to the networks' rules, and not to the guard.
    pub(super) fn hears_before_a_look(&mut self, inner: &Inner) {
        if let ((_, true), Some(notices)) = (self.hear(inner), &inner.notices) {
            notices.untold.notify_one();
        }
    }

    /// Takes what was said until now; whether others may have had a part in it, as to the networks and the guard.
    fn hear(&mut self, inner: &Inner) -> (bool, bool) {
        let Some(notices) = &inner.notices else { return (false, false) };
        let said = notices.take();
        let own = said.transactions.min(self.unended);
        // The daemon's own change can be too long to be heard. Were that somebody's, it would be made again and
        // again.
        self.touched |= said.transactions > own || (said.is_cut && self.unended == 0);
        self.unended -= own;
        (said.transactions > own || said.is_cut, said.guard_is_changed || said.is_cut)
    }
}
