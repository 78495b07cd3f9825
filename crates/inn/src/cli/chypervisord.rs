//! `inn chypervisord`: a daemon with chypervisord's door and no other, started as chypervisord was.

use super::serve;
use crate::{
    config::{Config, DoorsConfig},
    daemon,
    failure::{Exit, Failure},
    folders::Surroundings,
    options::{self, DoorFlag, Flags, misuse},
};
use clap::Args;
use innkeeper_doors::Door;
use innkeeper_model::Refusal;
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The registry's file in the folder that is named.
const REGISTRY: &str = "registry.redb";

/// What chypervisord said of itself.
const HELP: &str = "\
Usage of chypervisord:
-k, --kv=\"http://localhost:4001\": address of kv machine
-l, --log-level=\"warn\": log level
-p, --port=17000: listen port
";

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Chypervisord {
    /// The folder to keep the registry of hosts in, instead of the daemon's own. The address of a
    /// key-value store (http://...) is not supported yet
    #[arg(short, long, value_name = "DIR")]
    kv: Option<String>,
    /// How much to log: error, warn, info, debug
    #[arg(short, long, value_name = "LEVEL", default_value = "warn")]
    log_level: String,
    /// The port on 127.0.0.1
    #[arg(short, long, value_name = "PORT", default_value_t = Door::Chypervisord.usual_address().port())]
    port: u16,
    /// Print what chypervisord printed, and end
    #[arg(short, long)]
    help: bool,
}

#[expect(clippy::print_stdout, reason = "it is what was asked for, and no table")]
pub(super) fn run(asked: Chypervisord, surroundings: &Surroundings) -> Result<(), Failure> {
    if asked.help {
        print!("{HELP}");
        return Ok(());
    }
    let config = serve::configuration(None, surroundings)?;
    let options = options(&asked, surroundings, config)?;
    if let Some(folder) = options.registry.parent() {
        make(folder)?;
    }
    daemon::run(options).map_err(serve::told)
}

/// This door alone, whatever else the configuration opens.
fn options(
    asked: &Chypervisord,
    surroundings: &Surroundings,
    config: Config,
) -> Result<daemon::DaemonOptions, Failure> {
    let config = Config { listen: Vec::new(), door: DoorsConfig::default(), ..config };
    let door = format!("{}=127.0.0.1:{},anonymous=admin", Door::Chypervisord, asked.port);
    let door: DoorFlag = door
        .parse()
        .map_err(|problem: String| misuse(Refusal::invalid("port", asked.port, problem)))?;
    let log_level = Some(level(&asked.log_level)?.to_owned());
    let flags = Flags { doors: vec![door], log_level, ..Flags::default() };
    let mut options = options::resolve(surroundings, flags, config)?;
    if let Some(kv) = &asked.kv {
        options.registry = surroundings.absolute(&folder(kv)?).join(REGISTRY);
    }
    Ok(options)
}

/// The folder that `--kv` names.
fn folder(kv: &str) -> Result<PathBuf, Failure> {
    if kv.contains("://") {
        let problem = "is the address of a key-value store, which is not supported yet";
        let hint = "name a folder, in which the registry is kept on this host: -k DIR";
        return Err(misuse(Refusal::invalid("kv", kv, problem).with_hint(hint)));
    }
    Ok(kv.into())
}

fn make(folder: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| {
        let mut failure =
            Failure::new(Exit::Failed, format!("cannot make the folder {}", folder.display()));
        failure.causes.push(error.to_string());
        failure
    })
}

/// chypervisord's levels as this daemon's.
fn level(text: &str) -> Result<&'static str, Failure> {
    Ok(match text {
        "debug" => "debug",
        "info" => "info",
        "warn" | "warning" => "warn",
        "error" | "fatal" | "panic" => "error",
        other => {
            let problem = "is no level: debug, info, warn or error";
            return Err(misuse(Refusal::invalid("log-level", other, problem)));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn asked(arguments: &[&str]) -> Chypervisord {
        let all = ["inn", "chypervisord"].iter().chain(arguments);
        match Cli::try_parse_from(all).unwrap().command {
            crate::cli::Command::Chypervisord(asked) => asked,
            other => panic!("{other:?}"),
        }
    }

    fn here() -> Surroundings {
        Surroundings { working_dir: "/home/kit".into(), root: true, ..Surroundings::default() }
    }

    #[test]
    fn it_is_started_as_chypervisord_was() {
        let started = asked(&["-k", "store", "-l", "debug", "-p", "17001"]);
        let config = "listen = ['127.0.0.1:1']\n[door.virtx]\nanonymous = 'viewer'";
        let options = options(&started, &here(), toml::from_str(config).unwrap()).unwrap();
        assert_eq!(options.registry, Path::new("/home/kit/store/registry.redb"));
        assert_eq!(options.state_dir, Path::new("/var/lib/innkeeper"));
        assert_eq!((&*options.log_level, options.listen.len()), ("debug", 0));
        let [door] = &*options.doors.anonymous else { panic!("{:?}", options.doors) };
        assert_eq!((door.door, door.role), (Door::Chypervisord, Some(innkeeper_auth::Role::Admin)));
        assert_eq!(door.listen.to_string(), "127.0.0.1:17001");
        assert!(options.doors.vmm.is_none());
    }

    #[test]
    fn its_defaults_are_chypervisords() {
        let started = asked(&[]);
        let options = options(&started, &here(), Config::default()).unwrap();
        assert_eq!(options.doors.anonymous[0].listen.address.port(), 17000);
        assert_eq!(options.log_level, "warn");
        assert_eq!(options.registry, Path::new("/var/lib/innkeeper/registry.redb"));
    }

    #[test]
    fn its_help_is_chypervisords() {
        assert!(asked(&["-h"]).help && asked(&["--help"]).help);
        let lines: Vec<_> = HELP.lines().collect();
        assert_eq!(lines[0], "Usage of chypervisord:");
        assert_eq!(lines[1], r#"-k, --kv="http://localhost:4001": address of kv machine"#);
        assert_eq!(lines[2], r#"-l, --log-level="warn": log level"#);
        assert_eq!(lines[3], "-p, --port=17000: listen port");
    }

    #[test]
    fn the_address_of_a_store_is_refused() {
        for kv in ["http://localhost:4001", "https://etcd:2379"] {
            let failure = options(&asked(&["-k", kv]), &here(), Config::default()).unwrap_err();
            assert!(failure.to_string().contains("not supported yet"), "{failure}");
        }
        assert!(level("loud").is_err());
    }
}
