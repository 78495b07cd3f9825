//! `inn serve`: reads the configuration and becomes the daemon.

use crate::{
    config::{Config, Driver},
    daemon,
    failure::{Exit, Failure},
    folders::Surroundings,
    options::{self, DoorFlag, Flags},
};
use clap::Args;
use innkeeper_model::Refusal;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The configuration file, instead of /etc/innkeeper/config.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What runs the VMs
    #[arg(long, value_enum)]
    driver: Option<Driver>,
    /// Serve the API on this TCP address too: a loopback address such as 127.0.0.1:7100, or any with TLS,
    /// such as 0.0.0.0:7101,tls (can be repeated)
    #[arg(long, value_name = "ADDR[,tls]")]
    listen: Vec<String>,
    /// Open a door for programs of another system: vminfod, vmm, chypervisord or virtx, on a loopback
    /// address, or on any with TLS; `anonymous=viewer|operator|admin` says what callers of this host may do
    /// where that system's protocol has no credential (can be repeated)
    #[arg(long, value_name = "NAME=ADDR[,tls][,anonymous=ROLE]")]
    door: Vec<DoorFlag>,
    /// How much to log: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

pub(super) fn run(serve: Serve, surroundings: &Surroundings) -> Result<(), Failure> {
    let config = configuration(serve.config, surroundings)?;
    let Serve { listen, door, driver, log_level, .. } = serve;
    let flags = Flags { listen, doors: door, driver, log_level };
    let options = options::resolve(surroundings, flags, config)?;
    daemon::run(options).map_err(told)
}

/// Why the daemon ended. A refusal brings its own code and advice.
pub(super) fn told(error: anyhow::Error) -> Failure {
    error.downcast::<Refusal>().map(Failure::from).unwrap_or_else(|error| {
        let mut failure = Failure::new(Exit::Failed, error.to_string());
        failure.causes = error.chain().skip(1).map(ToString::to_string).collect();
        failure
    })
}

pub(super) fn configuration(
    named: Option<PathBuf>,
    surroundings: &Surroundings,
) -> Result<Config, Failure> {
    match named {
        Some(file) => Config::read(&surroundings.absolute(&file)),
        None => match surroundings.config_file().filter(|file| file.exists()) {
            Some(file) => Config::read(&file),
            None => Ok(Config::default()),
        },
    }
}
