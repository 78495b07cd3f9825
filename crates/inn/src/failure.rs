//! Why a command did not do what it was asked, and what the process then exits with.
//!
//! A [`Failure`] is written once, at the end, by [`crate::cli`]: what happened, why, what to do.

use innkeeper_model::{Code, Refusal};
use std::{error::Error, fmt, io, process::ExitCode};

/// What the process exits with. The numbers are documented in the manual and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Done,
    /// It was tried and failed.
    Failed,
    /// The command line, or a file it names, makes no sense.
    Usage,
    /// There is no such thing.
    NotFound,
    /// The daemon refused it; nothing was changed.
    Refused,
    /// There is no daemon to ask.
    Unreachable,
    /// It did not happen in the time that was given.
    Timeout,
    /// Ctrl-C, while a task was going on.
    Interrupted,
    /// What a program in a guest exited with.
    Program(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::Refused => 4,
            Exit::Unreachable => 5,
            Exit::Timeout => 6,
            Exit::Interrupted => 130,
            Exit::Program(code) => code,
        })
    }
}

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match code {
            Code::NotFound => Self::NotFound,
            Code::Timeout => Self::Timeout,
            Code::BadRequest
            | Code::InvalidField
            | Code::Unauthenticated
            | Code::Forbidden
            | Code::MethodNotAllowed
            | Code::NameTaken
            | Code::AmbiguousName
            | Code::WrongState
            | Code::RevisionConflict
            | Code::InUse
            | Code::Protected
            | Code::IdempotencyConflict
            | Code::TooLarge
            | Code::TooManyRequests
            | Code::OutOfCapacity
            | Code::Interrupted
            | Code::Leftovers
            | Code::IncompatibleMemory
            | Code::ManagedElsewhere
            | Code::Quarantined => Self::Refused,
            Code::OutOfSpace
            | Code::DiskFailed
            | Code::Unsupported
            | Code::MissingProgram
            | Code::HypervisorFailed
            | Code::HookFailed
            | Code::OutcomeUnknown
            | Code::Cancelled
            | Code::ShuttingDown
            | Code::Internal => Self::Failed,
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What happened; empty if it has been said already, or if nobody is left to read it.
    pub(crate) message: String,
    /// What led to it, outermost first.
    pub(crate) causes: Vec<String>,
    /// The bound that was broken.
    pub(crate) limit: Option<String>,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// The daemon's code for it, where it was the daemon that refused.
    pub(crate) code: Option<Code>,
    /// Whether it may have been done all the same: it was asked for, and no answer came that says otherwise.
    pub(crate) in_doubt: bool,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        let (limit, hint, code) = (None, None, None);
        Self { exit, message, causes: Vec::new(), limit, hint, code, in_doubt: false }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Says that it may have been done all the same.
    pub(crate) fn in_doubt(self) -> Self {
        Self { in_doubt: true, ..self }
    }

    /// Ends the process with this code and says no more.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the error and what led to it.
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let cause = error.to_string();
            // Some errors repeat their source's text in their own.
            if self.causes.last().is_none_or(|last| !last.ends_with(&cause)) {
                self.causes.push(cause);
            }
            next = error.source();
        }
        self
    }

    /// Says whose failure it is: `web: ...`.
    pub(crate) fn of(mut self, subject: &str) -> Self {
        if !self.message.is_empty() && !self.message.contains(subject) {
            self.message = format!("{subject}: {}", self.message);
        }
        self
    }
}

/// The sentence, then its reasons and the advice on lines of their own.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for cause in self.causes.iter().filter(|cause| !self.message.contains(*cause)) {
            write!(f, "\n  because {cause}")?;
        }
        if let Some(limit) = self.limit.as_ref().filter(|limit| !self.message.contains(*limit)) {
            write!(f, "\n  limit: {limit}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self {
            exit: refusal.code.into(),
            message: refusal.message,
            causes: refusal.causes,
            limit: refusal.limit,
            hint: refusal.hint,
            code: Some(refusal.code),
            in_doubt: false,
        }
    }
}

/// A failed write to the standard output: a reader who has gone away (`inn list | head`) has seen
/// enough, and is no failure.
pub(crate) fn of_writing(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::silent(Exit::Done);
    }
    Failure::new(Exit::Failed, "cannot write to the standard output").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_shown_with_its_limit_and_advice_and_says_nothing_twice() {
        let mut refusal = Refusal::invalid("memory", "1MiB", "is too little")
            .with_limit("16MiB")
            .with_hint("ask for more");
        refusal.causes = vec!["the firmware needs room".into(), "is too little".into()];
        let text = Failure::from(refusal).of("web").to_string();
        assert_eq!(
            text,
            "web: memory: \"1MiB\" is too little\n  because the firmware needs room\n  \
             limit: 16MiB\n  hint: ask for more"
        );
    }

    #[test]
    fn a_reader_who_has_gone_is_no_failure() {
        let failure = of_writing(&io::ErrorKind::BrokenPipe.into());
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Done, ""));
    }
}
