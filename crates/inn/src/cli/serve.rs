//! `inn serve`: reads the configuration and becomes the daemon.

use crate::{
    config::{Config, Driver},
    daemon,
    failure::{Exit, Failure},
    folders::Surroundings,
    options::{self, Flags},
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
    /// Serve the API on this TCP address too, such as 127.0.0.1:7100; loopback only (can be repeated)
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// How much to log: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

pub(super) fn run(serve: Serve, surroundings: &Surroundings) -> Result<(), Failure> {
    let config = configuration(serve.config, surroundings)?;
    let Serve { listen, driver, log_level, .. } = serve;
    let options = options::resolve(surroundings, Flags { listen, driver, log_level }, config)?;
    daemon::run(options).map_err(told)
}

/// Why the daemon ended. A refusal brings its own code and advice.
fn told(error: anyhow::Error) -> Failure {
    error.downcast::<Refusal>().map(Failure::from).unwrap_or_else(|error| {
        let mut failure = Failure::new(Exit::Failed, error.to_string());
        failure.causes = error.chain().skip(1).map(ToString::to_string).collect();
        failure
    })
}

fn configuration(named: Option<PathBuf>, surroundings: &Surroundings) -> Result<Config, Failure> {
    match named {
        Some(file) => Config::read(&surroundings.absolute(&file)),
        None => match surroundings.config_file().filter(|file| file.exists()) {
            Some(file) => Config::read(&file),
            None => Ok(Config::default()),
        },
    }
}
