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
    /// libvirt has polkit say who may call, and that did not let this daemon in.
    #[error("libvirt asks for polkit authentication, which was not granted: {why}")]
    Polkit { why: String },
    /// libvirt wants to know who calls, in no way that a daemon without a password can answer.
    #[error("libvirt asks for {ways} authentication, which Innkeeper does not have")]
    Authentication { ways: String },
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
        matches!(
            self,
            Self::Lost(_)
                | Self::Connect { .. }
                | Self::Polkit { .. }
                | Self::Authentication { .. }
        )
    }

    /// What helps, as far as an operator can do anything.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect { .. } | Self::Lost(_) => {
                Some("start libvirt's daemon; Innkeeper finds it by itself")
            }
            Self::Polkit { .. } => Some(LET_IN),
            Self::Authentication { .. } => Some(ASK_NO_PASSWORD),
            Self::Refused { code: RemoteError::OPERATION_DENIED, .. } => Some(NOT_READ_ONLY),
            Self::Refused { code: RemoteError::ACCESS_DENIED, .. } => Some(LET_IN),
            Self::Refused { .. } | Self::Late { .. } | Self::NotUnderstood { .. } => None,
        }
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
        let code = match &error {
            Error::Late { .. } => Code::Timeout,
            Error::Refused { code: RemoteError::NO_DOMAIN, .. } => Code::NotFound,
            Error::Refused { code: RemoteError::OPERATION_INVALID, .. } => Code::WrongState,
            _ => Code::HypervisorFailed,
        };
        let mut refusal = Self::new(code, error.to_string());
        if let Some(cause) = std::error::Error::source(&error) {
            refusal = refusal.caused_by(cause);
        }
        match error.hint() {
            Some(hint) => refusal.with_hint(hint),
            None => refusal,
        }
    }
}

/// What lets Innkeeper's daemon act.
const LET_IN: &str = "run Innkeeper's daemon as root, or let its user in: by a polkit rule for \
                      org.libvirt.unix.manage, or by membership of the group libvirt";
/// What lets it ask at all where libvirt wants a name and a password of everybody.
const ASK_NO_PASSWORD: &str = "name a socket of libvirt's that asks local callers for no password: \
                               auth_unix_rw = \"polkit\" in libvirtd.conf (virtqemud.conf), and the \
                               daemon as root or let in by polkit";
/// What lets it act where it may only look.
const NOT_READ_ONLY: &str = "the configured socket only reads, as libvirt-sock-ro does: name the one \
                             without -ro";
