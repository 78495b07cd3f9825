//! What can go wrong between Innkeeper and libvirt.

use crate::{
    protocol::{FrameError, RemoteError},
    xdr::XdrError,
};
use innkeeper_model::{Code, Refusal};
use std::{io, path::PathBuf, sync::Arc, time::Duration};

/// Why libvirt did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody listens, or Innkeeper may not connect.
    #[error("cannot connect to libvirt at {}", socket.display())]
    Connect {
        socket: PathBuf,
        #[source]
        cause: Arc<io::Error>,
    },
    /// libvirt wants to know who calls, in a way that a daemon cannot answer.
    #[error("libvirt asks for authentication ({how}), which Innkeeper does not have")]
    Authentication { how: String },
    /// The connection has ended.
    #[error("the connection to libvirt was lost")]
    Lost(#[source] Arc<Loss>),
    /// No answer came in time. The connection is still good.
    #[error("libvirt did not answer {procedure} within {} s", after.as_secs())]
    Late { procedure: &'static str, after: Duration },
    /// libvirt's own refusal.
    #[error("libvirt refused {procedure}: {message}")]
    Refused { procedure: &'static str, code: i32, message: String },
    /// An answer that is none. The connection is still good.
    #[error("libvirt's answer to {procedure} is none")]
    NotUnderstood {
        procedure: &'static str,
        #[source]
        cause: XdrError,
    },
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Loss {
    /// What came cannot be read on.
    #[error(transparent)]
    Stream(#[from] FrameError),
    /// Nothing could be sent.
    #[error("libvirt takes nothing any more")]
    Send(#[source] io::Error),
    /// An answer to what was never asked.
    #[error("libvirt answered call {0}, which there was not")]
    NeverAsked(u32),
    /// Not even an answer to whether it is there.
    #[error("libvirt was silent for {} s", .0.as_secs())]
    Silent(Duration),
    /// More than Innkeeper keeps up with; a new connection and a survey are the shorter way.
    #[error("libvirt told more than could be kept")]
    Flood,
    /// Innkeeper itself closed it.
    #[error("the connection was closed")]
    Closed,
}

impl Loss {
    /// How long nothing had been heard when it was noticed.
    pub(crate) const fn silence(&self) -> Duration {
        match self {
            Self::Silent(time) => *time,
            _ => Duration::ZERO,
        }
    }
}

impl Error {
    /// Whether libvirt says that there is no such domain.
    pub(crate) fn is_no_domain(&self) -> bool {
        self.has_code(RemoteError::NO_DOMAIN)
    }

    /// Whether libvirt says that the domain is in no state for it.
    pub(crate) fn is_wrong_state(&self) -> bool {
        self.has_code(RemoteError::OPERATION_INVALID)
    }

    /// Whether libvirt, or the driver behind it, is without the procedure.
    pub(crate) fn is_no_support(&self) -> bool {
        self.has_code(RemoteError::NO_SUPPORT)
    }

    /// Whether nothing can be asked over this connection any more.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Connect { .. } | Self::Authentication { .. })
    }

    fn has_code(&self, wanted: i32) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }

    /// All that is known, in one line, for a log or a person.
    pub(crate) fn line(&self) -> String {
        let mut line = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            line = format!("{line}: {cause}");
            next = cause.source();
        }
        line
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (code, hint) = match &error {
            Error::Connect { .. } | Error::Lost(_) => (
                Code::HypervisorFailed,
                Some("start libvirt's daemon; Innkeeper finds it by itself"),
            ),
            Error::Authentication { .. } => (Code::HypervisorFailed, Some(LET_IN)),
            Error::Late { .. } => (Code::Timeout, None),
            Error::Refused { code, .. } => match *code {
                RemoteError::NO_DOMAIN => (Code::NotFound, None),
                RemoteError::OPERATION_INVALID => (Code::WrongState, None),
                RemoteError::OPERATION_DENIED | RemoteError::ACCESS_DENIED => {
                    (Code::HypervisorFailed, Some(LET_IN))
                }
                _ => (Code::HypervisorFailed, None),
            },
            Error::NotUnderstood { .. } => (Code::HypervisorFailed, None),
        };
        let mut refusal = Self::new(code, error.to_string());
        if let Some(cause) = std::error::Error::source(&error) {
            refusal = refusal.caused_by(cause);
        }
        match hint {
            Some(hint) => refusal.with_hint(hint),
            None => refusal,
        }
    }
}

/// What lets Innkeeper's daemon act.
const LET_IN: &str = "run Innkeeper's daemon as root, or let its user in: by a polkit rule for \
                      org.libvirt.unix.manage, or by membership of the group libvirt";
