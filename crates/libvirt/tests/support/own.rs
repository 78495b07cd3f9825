//! A libvirtd of one's own: its folder, and the commands that run it and its client. Whoever runs them
//! ends them, and removes the folder.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Whom somebody who is root runs libvirt as: it then is one user's, and leaves /etc, /run and /var/lib
/// alone. Nobody has this number's files.
const NOBODY: u32 = 65_534;

/// The URI of QEMU's domains.
pub(crate) const QEMU: &str = "qemu:///session";

/// A folder that a libvirtd can be run in. As root its path must be one that everybody may go along.
#[derive(Debug)]
pub(crate) struct Own {
    folder: PathBuf,
}

impl Own {
    /// Makes it in an empty folder, with these domains defined: each by name, with its XML.
    pub(crate) fn make(
        folder: &Path,
        domains: impl IntoIterator<Item = (String, String)>,
    ) -> io::Result<Self> {
        let own = Self { folder: folder.into() };
        for part in ["run", "config/libvirt/qemu", "cache", "home", "sock"] {
            fs::create_dir_all(own.path(part))?;
        }
        own.authenticate_by("none")?;
        // Else libvirt starts a daemon for QEMU's log, which outlives it.
        fs::write(own.path("config/libvirt/qemu.conf"), "stdio_handler = \"file\"\n")?;
        for (name, xml) in domains {
            fs::write(own.path("config/libvirt/qemu").join(format!("{name}.xml")), xml)?;
        }
        if is_root() {
            give_away(folder)?;
        }
        Ok(own)
    }

    /// Has the next libvirtd ask its callers who they are in this way (`auth_unix_rw`).
    pub(crate) fn authenticate_by(&self, way: &str) -> io::Result<()> {
        let sockets = self.path("sock");
        let config =
            format!("listen_tls = 0\nauth_unix_rw = {way:?}\nunix_sock_dir = {sockets:?}\n");
        fs::write(self.path("libvirtd.conf"), config)
    }

    /// A place in the folder.
    pub(crate) fn path(&self, part: &str) -> PathBuf {
        self.folder.join(part)
    }

    /// The socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("sock/libvirt-sock")
    }

    /// What libvirtd has to say goes here.
    pub(crate) fn log(&self) -> PathBuf {
        self.path("log")
    }

    /// The command that is libvirtd.
    pub(crate) fn libvirtd(&self) -> io::Result<Command> {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            let nobody = NOBODY.to_string();
            command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", "libvirtd"]);
            command
        } else {
            Command::new("libvirtd")
        };
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        command.env_clear().env("PATH", path);
        command.arg("-f").arg(self.path("libvirtd.conf")).arg("-p").arg(self.path("run/pid"));
        for (variable, part) in [
            ("HOME", "home"),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_DATA_HOME", "home"),
        ] {
            command.env(variable, self.path(part));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(self.log())?);
        Ok(command)
    }

    /// libvirt's own client, connected to one of its drivers, such as [`QEMU`].
    pub(crate) fn virsh(&self, driver: &str) -> Command {
        let (scheme, rest) = driver.split_once(':').unwrap_or((driver, ""));
        let uri = format!("{scheme}+unix:{rest}?socket={}", self.socket().display());
        let mut command = Command::new("virsh");
        command.arg("-c").arg(uri);
        command
    }
}

/// One of many domains that are alike, none of which can be started: its name and its XML.
pub(crate) fn one_of_many(number: usize) -> (String, String) {
    let name = format!("dom{number:04}");
    let mac = format!("52:54:00:00:{:02x}:{:02x}", number >> 8, number & 255);
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><uuid>6c2a1ad0-8f2c-4a36-9e0a-{number:012x}</uuid>\
         <title>Machine {number}</title><memory unit='MiB'>128</memory><vcpu>2</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features><devices>\
         <emulator>/usr/bin/qemu-system-x86_64</emulator>\
         <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/nowhere/{name}.qcow2'/>\
         <target dev='vda' bus='virtio'/></disk>\
         <interface type='user'><mac address='{mac}'/><model type='virtio'/></interface>\
         </devices></domain>"
    );
    (name, xml)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn give_away(path: &Path) -> io::Result<()> {
    chown(path, Some(NOBODY), Some(NOBODY))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => give_away(&entry.path())?,
            false => chown(entry.path(), Some(NOBODY), Some(NOBODY))?,
        }
    }
    Ok(())
}
