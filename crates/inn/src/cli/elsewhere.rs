//! What says that the daemon is elsewhere: flags of every command, and variables.

use crate::{
    client::{Remote, Said},
    failure::Failure,
    folders::Surroundings,
};
use clap::Args;
use innkeeper_model::Secret;
use std::{env, path::PathBuf};

/// A daemon that is reached over TCP.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Elsewhere {
    /// A daemon elsewhere, in place of the one on this host: https://HOST:PORT [env: INN_URL]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        conflicts_with_all = ["socket", "state_dir"],
        help_heading = "Global options"
    )]
    pub(super) url: Option<String>,
    /// The certificates to trust there, which inn certificate authority prints; otherwise those that the
    /// system trusts [env: INN_CA]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(super) ca: Option<PathBuf>,
    /// The certificate to show there [env: INN_CERTIFICATE]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(super) certificate: Option<PathBuf>,
    /// The key of that certificate [env: INN_KEY]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(super) key: Option<PathBuf>,
}

impl Elsewhere {
    /// The daemon that is meant; `None` where it is one of this host.
    ///
    /// # Errors
    /// What was said makes no sense, or a file cannot be used.
    pub(super) fn remote(&self, surroundings: &Surroundings) -> Result<Option<Remote>, Failure> {
        Ok(match self.said(surroundings)? {
            Some(said) => Some(Remote::new(&said)?),
            None => None,
        })
    }

    /// Flags outrank variables, those that name a daemon of this host, too.
    fn said(&self, surroundings: &Surroundings) -> Result<Option<Said>, Failure> {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        let path = |name| variable(name).map(PathBuf::from);
        let text = |name| {
            let value = variable(name).map(|value| value.into_string());
            value.transpose().map_err(|_| Failure::usage(format!("{name} is no text")))
        };
        let token = text("INN_TOKEN")?.map(Secret::new);
        let Self { url, ca, certificate, key } = self.clone();
        let said = match url {
            Some(url) => Said { url, ca, certificate, key, token },
            None => {
                let Some(url) = text("INN_URL")?.filter(|_| !surroundings.is_flagged) else {
                    return Ok(None);
                };
                Said {
                    url,
                    ca: ca.or_else(|| path("INN_CA")),
                    certificate: certificate.or_else(|| path("INN_CERTIFICATE")),
                    key: key.or_else(|| path("INN_KEY")),
                    token,
                }
            }
        };
        Ok(Some(said))
    }
}
