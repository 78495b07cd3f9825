//! Standing: whether what a caller showed still counts, while it is being answered.
//!
//! A request is judged once, at its beginning; a stream or a session that comes of it may go on for days. So a
//! [`Principal`](crate::Principal) carries how its credential ends: at a time, or when somebody takes it back, or
//! never as long as its connection is there. Whoever serves something that goes on asks again and again.

use innkeeper_model::Timestamp;
use std::{fmt, sync::Arc};

/// Something that a caller shows and that can be taken back.
pub trait Revocable: fmt::Debug + Send + Sync + 'static {
    /// Whether it was not taken back. It is asked about once a second for each stream: it waits for nothing.
    fn holds(&self, now: Timestamp) -> bool;

    /// From when on it does not hold in any case, where that is known.
    fn ends(&self) -> Option<Timestamp> {
        None
    }
}

/// How long what a caller showed counts.
#[derive(Clone, Default)]
pub struct Standing {
    /// From when on it does not, whatever else.
    ends: Option<Timestamp>,
    /// Who knows whether it was taken back.
    credential: Option<Arc<dyn Revocable>>,
}

impl Standing {
    /// As long as the connection: of whom the kernel vouches for, and the daemon's own token, which lasts as
    /// long as the daemon.
    pub const fn of_connection() -> Self {
        Self { ends: None, credential: None }
    }

    /// As long as this is not taken back.
    #[must_use]
    pub fn of(credential: Arc<dyn Revocable>) -> Self {
        Self { ends: None, credential: Some(credential) }
    }

    /// The same, and at the longest until then.
    #[must_use]
    pub fn until(self, time: Timestamp) -> Self {
        let ends = self.ends.map_or(time, |ends| ends.min(time));
        Self { ends: Some(ends), ..self }
    }

    /// From when on it does not count in any case, where that is known.
    pub fn ends(&self) -> Option<Timestamp> {
        let of_credential = self.credential.as_ref().and_then(|credential| credential.ends());
        self.ends.into_iter().chain(of_credential).min()
    }

    /// Whether it can end at all before the connection does.
    pub const fn can_end(&self) -> bool {
        self.ends.is_some() || self.credential.is_some()
    }

    /// Whether it counts now.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|ends| now < ends)
            && self.credential.as_ref().is_none_or(|credential| credential.holds(now))
    }
}

/// What knows of the credential may know of thousands.
impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ends, credential } = self;
        f.debug_struct("Standing")
            .field("ends", ends)
            .field("revocable", &credential.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[derive(Debug)]
    struct Key(AtomicBool);

    impl Revocable for Key {
        fn holds(&self, _now: Timestamp) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_standing_ends_at_its_time_or_when_it_is_taken_back() {
        assert!(!Standing::of_connection().can_end());
        assert!(Standing::of_connection().holds(Timestamp::MAX));
        let key = Arc::new(Key(true.into()));
        let standing = Standing::of(Arc::clone(&key) as Arc<dyn Revocable>);
        let short = standing.clone().until(at(9)).until(at(20));
        assert!(standing.can_end() && short.can_end());
        assert!(short.holds(at(8)) && !short.holds(at(9)), "the earlier time counts");
        assert!(standing.holds(at(9)));
        key.0.store(false, Ordering::Relaxed);
        assert!(!standing.holds(at(0)) && !short.holds(at(0)));
    }
}
