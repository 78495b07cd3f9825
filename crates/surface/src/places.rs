//! Places at a listener: so many connections at a time, and so many of one source.
//!
//! A connection that says nothing holds its place for half a minute, and whoever opens connections can open the next
//! one then. So no single user of this host, and no single other host, gets more than a quarter of the places. Root
//! and the daemon's own user can have all: they can end the daemon.

use innkeeper_auth::{Identity, Source};
use std::{
    collections::{HashMap, hash_map::Entry},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    net::{TcpStream, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// The most connections at a time on one listener; more wait to be accepted.
const MOST: usize = 4096;
/// The most of them that are one source's: the next one is closed at once.
const MOST_OF_ONE: usize = 1024;

/// A connection that says where it comes from.
pub trait Connection {
    /// From where.
    fn source(&self) -> Source;

    /// How many bytes of what was written its other end has not taken, as far as the system says.
    fn unread(&self) -> u32;
}

impl Connection for TcpStream {
    fn source(&self) -> Source {
        match (self.local_addr(), self.peer_addr()) {
            (Ok(local), Ok(peer)) => Source::of_tcp(local, peer),
            // It is over already.
            _ => Source::ThisHost,
        }
    }

    fn unread(&self) -> u32 {
        queued(self.as_fd())
    }
}

impl Connection for UnixStream {
    fn source(&self) -> Source {
        Source::of_unix(self)
    }

    fn unread(&self) -> u32 {
        queued(self.as_fd())
    }
}

/// What waits in a socket for its other end: of TCP what was not acknowledged (`tcp(7)`), of a Unix socket what was not
/// read (`unix(7)`), with what the kernel needs to keep it.
fn queued(socket: BorrowedFd<'_>) -> u32 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ writes one int.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    // It cannot fail on these; on others nothing is known to wait.
    if outcome == 0 { u32::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// The places of one listener.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    taken: Arc<Mutex<HashMap<Source, usize>>>,
    most_of_one: usize,
    own_uid: u32,
}

/// A place that nobody has taken yet.
#[derive(Debug)]
pub(crate) struct FreePlace {
    _permit: OwnedSemaphorePermit,
}

/// A place that is a connection's; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Arc<Mutex<HashMap<Source, usize>>>,
    source: Source,
    _free: FreePlace,
}

impl Default for Places {
    fn default() -> Self {
        Self::new(MOST, MOST_OF_ONE)
    }
}

impl Places {
    pub(crate) fn new(most: usize, most_of_one: usize) -> Self {
        let (free, taken) = (Arc::new(Semaphore::new(most)), Arc::default());
        Self { free, taken, most_of_one, own_uid: Identity::own_uid() }
    }

    /// Waits until a place is free. Dropping the future leaves it to others.
    pub(crate) async fn free(&self) -> FreePlace {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        FreePlace { _permit: permit.expect("places are never closed") }
    }

    /// Gives it to a connection from there; `None` where that source has as many as it may.
    pub(crate) fn take(&self, free: FreePlace, source: Source) -> Option<Place> {
        let most = match source {
            Source::User(uid) if uid == 0 || uid == self.own_uid => usize::MAX,
            _ => self.most_of_one,
        };
        let mut taken = lock(&self.taken);
        let count = taken.entry(source).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { taken: Arc::clone(&self.taken), source, _free: free })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = lock(&self.taken).entry(self.source) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

fn lock(taken: &Mutex<HashMap<Source, usize>>) -> MutexGuard<'_, HashMap<Source, usize>> {
    // A map of numbers is whole after any panic.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::{process::Uid, thread::set_thread_res_uid};
    use std::net::SocketAddr;
    use tokio::net::TcpListener;

    /// A user who is neither root nor this process's own.
    fn somebody(places: &Places) -> Source {
        Source::User(places.own_uid.wrapping_add(1).max(1))
    }

    #[tokio::test]
    async fn one_source_does_not_get_all_places_and_another_gets_in() {
        let places = Places::new(8, 2);
        let somebody = somebody(&places);
        let host = Source::of_address("192.0.2.1".parse().unwrap());
        let mut taken = Vec::new();
        for source in [somebody, host, Source::ThisHost] {
            for _ in 0..2 {
                taken.push(places.take(places.free().await, source).unwrap());
            }
            assert!(places.take(places.free().await, source).is_none(), "{source}");
        }
        assert_eq!(places.free.available_permits(), 2, "what was refused holds a place");
        drop(taken);
        assert!(lock(&places.taken).is_empty());
        assert_eq!(places.free.available_permits(), 8);
        assert!(places.take(places.free().await, somebody).is_some());
    }

    #[tokio::test]
    async fn root_and_the_daemons_user_can_have_all() {
        let places = Places::new(8, 2);
        let mut taken = Vec::new();
        for source in [Source::User(0), Source::User(places.own_uid)] {
            for _ in 0..4 {
                taken.push(places.take(places.free().await, source).unwrap());
            }
        }
        assert_eq!(places.free.available_permits(), 0);
    }

    /// A connection that a user opens. Only root can become another, and this thread stays what it is.
    fn connected_as(uid: u32, to: SocketAddr) -> std::net::TcpStream {
        let as_user = move || {
            let user = Uid::from_raw(uid);
            set_thread_res_uid(user, user, user).unwrap();
            std::net::TcpStream::connect(to).unwrap()
        };
        std::thread::spawn(as_user).join().unwrap()
    }

    #[tokio::test]
    async fn one_user_of_this_host_leaves_places_to_another() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let places = Places::new(8, 2);
        let mut taken = Vec::new();
        // Whoever they are, they come from one address.
        for (uid, expected) in [(65534, 2), (65533, 2), (0, 3)] {
            for count in 1..=3 {
                let there = connected_as(uid, address);
                let (here, _) = listener.accept().await.unwrap();
                assert_eq!(here.source(), Source::User(uid));
                let place = places.take(places.free().await, here.source());
                assert_eq!(place.is_some(), count <= expected, "{count} of uid {uid}");
                taken.extend(place.map(|place| (place, here, there)));
            }
        }
    }
}
