//! Where things are: the daemon's folders, and the socket that the other commands connect to.
//!
//! | | root | anybody else | with `--state-dir DIR` |
//! |---|---|---|---|
//! | state | `/var/lib/innkeeper` | `$XDG_STATE_HOME/innkeeper`, else `~/.local/state/innkeeper` | `DIR` |
//! | runtime | `/run/innkeeper` | `$XDG_RUNTIME_DIR/innkeeper`, else `run` in the state folder | `DIR/run` |
//! | socket | `inn.sock` in the runtime folder | the same | `DIR/inn.sock` |
//! | diagnosis | `diagnose.sock` in the runtime folder | the same | the same |
//! | configuration | `/etc/innkeeper/config.toml` | `$XDG_CONFIG_HOME/innkeeper/config.toml`, else `~/.config/...` | none but `--config` |

use crate::failure::Failure;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

const NAME: &str = "innkeeper";
const SOCKET: &str = "inn.sock";
/// The socket in the runtime folder that answers a diagnosis and nothing else.
pub(crate) const DIAGNOSE_SOCKET: &str = "diagnose.sock";
const CONFIG: &str = "config.toml";
/// The socket of the daemon that root runs.
pub(crate) const SYSTEM_SOCKET: &str = "/run/innkeeper/inn.sock";

/// What of the process's surroundings decides where things are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) root: bool,
    pub(crate) working_dir: PathBuf,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) socket: Option<PathBuf>,
    /// Whether a flag says which daemon of this host is meant.
    pub(crate) is_flagged: bool,
    pub(crate) home: Option<PathBuf>,
    pub(crate) xdg_state_home: Option<PathBuf>,
    pub(crate) xdg_runtime_dir: Option<PathBuf>,
    pub(crate) xdg_config_home: Option<PathBuf>,
}

/// The folders of one daemon; all absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folders {
    pub(crate) state: PathBuf,
    pub(crate) runtime: PathBuf,
    pub(crate) socket: PathBuf,
}

impl Folders {
    /// Everything under one folder.
    pub(crate) fn under(folder: &Path) -> Self {
        Self { state: folder.into(), runtime: folder.join("run"), socket: folder.join(SOCKET) }
    }
}

impl Surroundings {
    /// Those of this process, with the flags in place of the variables that they outrank.
    pub(crate) fn of_process(state_dir: Option<&Path>, socket: Option<&Path>) -> Self {
        // A flag outranks both variables: `--state-dir` is not answered by INN_SOCKET's daemon.
        let is_flagged = state_dir.is_some() || socket.is_some();
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = |value: OsString| PathBuf::from(value);
        // The XDG specification wants relative ones ignored.
        let folder = |name| variable(name).map(path).filter(|path| path.is_absolute());
        let unless_flagged = |name| variable(name).filter(|_| !is_flagged).map(path);
        Self {
            root: rustix::process::geteuid().is_root(),
            working_dir: std::env::current_dir().unwrap_or_else(|_| "/".into()),
            state_dir: state_dir.map(Into::into).or_else(|| unless_flagged("INN_STATE_DIR")),
            socket: socket.map(Into::into).or_else(|| unless_flagged("INN_SOCKET")),
            is_flagged,
            home: folder("HOME"),
            xdg_state_home: folder("XDG_STATE_HOME"),
            xdg_runtime_dir: folder("XDG_RUNTIME_DIR"),
            xdg_config_home: folder("XDG_CONFIG_HOME"),
        }
    }

    /// The path, starting from the working folder if it says no other start.
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        // Takes out the `.` and double slashes that a caller would not want to see in a message.
        self.working_dir.join(path).components().collect()
    }

    /// The folders of the daemon that would be started from here without a configuration.
    ///
    /// # Errors
    /// Somebody other than root has no home.
    pub(crate) fn folders(&self) -> Result<Folders, Failure> {
        let mut folders = match &self.state_dir {
            Some(folder) => Folders::under(&self.absolute(folder)),
            None => self.default_folders()?,
        };
        if let Some(socket) = &self.socket {
            folders.socket = self.absolute(socket);
        }
        Ok(folders)
    }

    fn default_folders(&self) -> Result<Folders, Failure> {
        if self.root {
            return Ok(Folders {
                state: Path::new("/var/lib").join(NAME),
                runtime: Path::new("/run").join(NAME),
                socket: SYSTEM_SOCKET.into(),
            });
        }
        let state_home = self.in_home(&self.xdg_state_home, ".local/state").ok_or_else(|| {
            Failure::usage("there is no folder for VMs: HOME is not set")
                .with_hint("set HOME, or say --state-dir DIR")
        })?;
        let state = state_home.join(NAME);
        let runtime = match &self.xdg_runtime_dir {
            Some(folder) => folder.join(NAME),
            None => state.join("run"),
        };
        Ok(Folders { state, socket: runtime.join(SOCKET), runtime })
    }

    /// The socket to connect to: as told; else root's daemon for root; else one's own daemon if it
    /// has a socket, or root's if that has one.
    pub(crate) fn socket(&self) -> Result<PathBuf, Failure> {
        let own = self.folders()?.socket;
        let told = self.root || self.socket.is_some() || self.state_dir.is_some();
        let system = Path::new(SYSTEM_SOCKET);
        Ok(if told || own.exists() || !system.exists() { own } else { system.into() })
    }

    /// The socket of the same daemon that answers a diagnosis while the other one may be stuck. Where
    /// the daemon's configuration takes its socket out of the runtime folder, this is not it.
    pub(crate) fn diagnose_socket(&self) -> Result<PathBuf, Failure> {
        Ok(match &self.state_dir {
            Some(folder) => Folders::under(&self.absolute(folder)).runtime.join(DIAGNOSE_SOCKET),
            None => self.socket()?.with_file_name(DIAGNOSE_SOCKET),
        })
    }

    /// The configuration that is read if no other is named.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        if self.state_dir.is_some() {
            return None;
        }
        let folder = if self.root {
            PathBuf::from("/etc")
        } else {
            self.in_home(&self.xdg_config_home, ".config")?
        };
        Some(folder.join(NAME).join(CONFIG))
    }

    fn in_home(&self, said: &Option<PathBuf>, usual: &str) -> Option<PathBuf> {
        said.clone().or_else(|| Some(self.home.as_ref()?.join(usual)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Surroundings {
        Surroundings {
            working_dir: "/home/kit".into(),
            home: Some("/home/ada".into()),
            ..Surroundings::default()
        }
    }

    fn check(surroundings: &Surroundings, state: &str, runtime: &str, socket: &str) {
        let expected =
            Folders { state: state.into(), runtime: runtime.into(), socket: socket.into() };
        assert_eq!(surroundings.folders().unwrap(), expected);
    }

    #[test]
    fn root_has_the_system_folders() {
        let root = Surroundings { root: true, ..user() };
        check(&root, "/var/lib/innkeeper", "/run/innkeeper", "/run/innkeeper/inn.sock");
        assert_eq!(root.config_file().unwrap(), Path::new("/etc/innkeeper/config.toml"));
    }

    #[test]
    fn anybody_else_has_their_own() {
        let state = "/home/ada/.local/state/innkeeper";
        let run = "/home/ada/.local/state/innkeeper/run";
        check(&user(), state, run, &format!("{run}/inn.sock"));
        let session = Surroundings { xdg_runtime_dir: Some("/run/user/7".into()), ..user() };
        check(&session, state, "/run/user/7/innkeeper", "/run/user/7/innkeeper/inn.sock");
        let homeless = Surroundings { home: None, ..user() };
        assert!(homeless.folders().unwrap_err().to_string().contains("HOME"));
    }

    #[test]
    fn one_folder_holds_everything_when_asked() {
        let sandbox = Surroundings { root: true, state_dir: Some("./here".into()), ..user() };
        check(&sandbox, "/home/kit/here", "/home/kit/here/run", "/home/kit/here/inn.sock");
        assert_eq!(sandbox.config_file(), None);
        let elsewhere = Surroundings { socket: Some("/tmp/s".into()), ..sandbox };
        check(&elsewhere, "/home/kit/here", "/home/kit/here/run", "/tmp/s");
        assert_eq!(elsewhere.socket().unwrap(), Path::new("/tmp/s"));
    }

    #[test]
    fn the_diagnosis_is_asked_of_the_same_daemon() {
        let check = |surroundings: &Surroundings, socket: &str| {
            assert_eq!(surroundings.diagnose_socket().unwrap(), Path::new(socket));
        };
        let root = Surroundings { root: true, ..user() };
        check(&root, "/run/innkeeper/diagnose.sock");
        let sandbox = Surroundings { state_dir: Some("here".into()), ..user() };
        check(&sandbox, "/home/kit/here/run/diagnose.sock");
        check(
            &Surroundings { socket: Some("/s/x".into()), ..sandbox },
            "/home/kit/here/run/diagnose.sock",
        );
        check(&Surroundings { socket: Some("/s/x".into()), ..user() }, "/s/diagnose.sock");
    }
}
