//! The terminal in raw mode: every key goes to the guest, Ctrl-C included.

use crate::failure::{Exit, Failure};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io;

/// Holds the terminal in raw mode, and puts it back when dropped, which a panic does too.
#[derive(Debug)]
pub(super) struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Puts the terminal at the standard input into raw mode, if there is one.
    ///
    /// # Errors
    /// There is one and it does not let itself.
    pub(super) fn enter_if_there_is_one() -> Result<Option<Self>, Failure> {
        let Ok(before) = tcgetattr(io::stdin()) else {
            return Ok(None);
        };
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).map_err(|error| {
            Failure::new(Exit::Failed, "cannot set the terminal up").because(&error)
        })?;
        Ok(Some(Self { before }))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nothing can be done for a terminal that has gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}
