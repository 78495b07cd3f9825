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
use tokio::io::unix::AsyncFd;

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
    /// Whether one took the table of the guard between guests and their host's loopback away.
    guard_is_gone: bool,
    /// Whether more was said than there was room for.
    is_cut: bool,
}

impl Said {
    /// Whether others may have had a part in it, where so many of the transactions were this daemon's.
    const fn is_of_others(&self, own: usize) -> bool {
        self.transactions > own || self.guard_is_gone || self.is_cut
    }
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
}

/// A transaction whose end was not told yet.
#[derive(Debug, Default)]
struct Begun {
    changes_networks: bool,
    takes_guard_away: bool,
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
        Ok(Self { socket, networks, guard, begun: Mutex::default() })
    }

    /// Waits until something is said. It may have been taken by then.
    ///
    /// # Errors
    /// The runtime is shut down.
    pub(super) async fn come(&self) -> io::Result<()> {
        self.socket.readable().await?.clear_ready();
        Ok(())
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
                    said.guard_is_gone |= ended.takes_guard_away;
                }
                NFT_MSG_DELTABLE if is_of(&self.guard) => begun.takes_guard_away = true,
                NFT_MSG_NEWTABLE if is_of(&self.guard) => begun.takes_guard_away = false,
                _ => begun.changes_networks = begun.changes_networks || is_of(&self.networks),
            }
        }
    }
}

impl Host {
    /// Notes that the last change of the firewall was the daemon's own.
    pub(super) fn has_changed_rules(&mut self, inner: &Inner) {
        if self.hears_of_others(inner, 1) {
            inner.is_disturbed();
        }
    }

    /// Takes what was said of the firewall until now, of which so many transactions were the daemon's own; whether
    /// others may have had a part in it.
    pub(super) fn hears_of_others(&mut self, inner: &Inner, own: usize) -> bool {
        let Some(notices) = &inner.notices else { return false };
        let said = notices.take();
        self.touched |= said.transactions > own;
        said.is_of_others(own)
    }
}
