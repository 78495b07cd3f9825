//! The commands that Innkeeper sends, each with the type of its answer.
//!
//! Written here rather than generated from QEMU's schema: it is two dozen commands, and a schema of
//! one release refuses the words of the next.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::borrow::Cow;

/// A command of QMP.
pub(crate) trait Command: Serialize {
    /// Its name on the wire.
    const NAME: &'static str;
    /// What QEMU answers.
    type Answer: DeserializeOwned + Send + 'static;
}

/// The answer of commands that have none.
#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

macro_rules! command {
    ($(#[$doc:meta])* $name:ident = $wire:literal -> $answer:ty $({ $($field:ident: $kind:ty),* $(,)? })?) => {
        $(#[$doc])*
        #[derive(Debug, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) struct $name { $($(pub(crate) $field: $kind),*)? }

        impl Command for $name {
            const NAME: &'static str = $wire;
            type Answer = $answer;
        }
    };
}

command! {
    /// Leaves the negotiation mode that every connection begins in.
    Capabilities = "qmp_capabilities" -> Nothing
}
command! {
    /// Asks what the machine is doing.
    QueryStatus = "query-status" -> Status
}
command! {
    /// Lets the CPUs run.
    Cont = "cont" -> Nothing
}
command! {
    /// Holds the CPUs.
    Stop = "stop" -> Nothing
}
command! {
    /// Presses the power button. The answer says nothing about what the guest does with it.
    SystemPowerdown = "system_powerdown" -> Nothing
}
command! {
    /// Presses the reset button. The answer comes before the reset.
    SystemReset = "system_reset" -> Nothing
}
command! {
    /// Ends QEMU.
    Quit = "quit" -> Nothing
}
command! {
    /// Takes what a ring buffer holds; what was read is gone from it.
    RingbufRead = "ringbuf-read" -> String { device: &'static str, size: u64, format: &'static str }
}

command! {
    /// Changes what a guest's own reset does: `reset` or `shutdown`.
    SetAction = "set-action" -> Nothing { reboot: &'static str }
}
command! {
    /// Gives QEMU the file that comes with it, to be opened as `/dev/fdset/N`. `opaque` names its purpose.
    AddFd = "add-fd" -> AddedFd { opaque: &'static str }
}
command! {
    /// Closes the files of a set, as far as nothing uses them.
    RemoveFd = "remove-fd" -> Nothing { fdset_id: u32 }
}
command! {
    /// Asks what files were given.
    QueryFdsets = "query-fdsets" -> Vec<FdSet>
}
command! {
    /// Gives QEMU the file that comes with it, under a name for one use.
    GetFd = "getfd" -> Nothing { fdname: Cow<'static, str> }
}
command! {
    /// Closes one that nothing has used.
    CloseFd = "closefd" -> Nothing { fdname: Cow<'static, str> }
}
command! {
    /// Makes a connection that was given by name a client of something: `vnc`.
    AddClient = "add_client" -> Nothing { protocol: &'static str, fdname: String, skipauth: bool }
}
command! {
    /// Writes a picture of the screen to a file.
    Screendump = "screendump" -> Nothing { filename: String, format: &'static str }
}
command! {
    /// Presses keys together, and lets go of them after so many milliseconds each.
    SendKey = "send-key" -> Nothing { keys: Vec<KeyValue>, hold_time: u64 }
}
command! {
    /// Says how migrations are to be done.
    MigrateSetCapabilities = "migrate-set-capabilities" -> Nothing { capabilities: Vec<Capability> }
}
command! {
    /// Says how fast migrations may be, in bytes a second; zero is without limit.
    MigrateSetParameters = "migrate-set-parameters" -> Nothing { max_bandwidth: u64 }
}
command! {
    /// Begins to write the machine out. The answer comes at once.
    Migrate = "migrate" -> Nothing { uri: String }
}
command! {
    /// Begins to read a machine in. The answer comes at once.
    MigrateIncoming = "migrate-incoming" -> Nothing { uri: String, exit_on_error: bool }
}
command! {
    /// Asks that it be stopped. The answer comes before it is.
    MigrateCancel = "migrate_cancel" -> Nothing
}
command! {
    /// Asks how it goes.
    QueryMigrate = "query-migrate" -> Migration
}
command! {
    /// Begins to write the guest's memory out, for a debugger. The answer comes at once.
    DumpGuestMemory = "dump-guest-memory" -> Nothing {
        paging: bool, protocol: &'static str, detach: bool, format: &'static str,
    }
}
command! {
    /// Asks how it goes.
    QueryDump = "query-dump" -> Dump
}
command! {
    /// Asks which QEMU it is.
    QueryVersion = "query-version" -> Version
}

command! {
    /// Asks which thread runs which virtual CPU.
    QueryCpusFast = "query-cpus-fast" -> Vec<CpuThread>
}
command! {
    /// Asks what each disk has read and written.
    QueryBlockstats = "query-blockstats" -> Vec<BlockStatistics>
}
command! {
    /// Removes the host's side of a NIC, which no device uses any more.
    NetdevDel = "netdev_del" -> Nothing { id: String }
}
command! {
    /// Asks the guest to let go of a device. The answer comes before it has.
    DeviceDel = "device_del" -> Nothing { id: String }
}
command! {
    /// Lists what there is at a path of QEMU's object model.
    QomList = "qom-list" -> Vec<QomProperty> { path: &'static str }
}
command! {
    /// Plugs a NIC's cable in or out.
    SetLink = "set_link" -> Nothing { name: String, up: bool }
}

/// Adds the host's side of a NIC: the same document as on the command line.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct NetdevAdd(pub(crate) Value);

impl Command for NetdevAdd {
    const NAME: &'static str = "netdev_add";
    type Answer = Nothing;
}

/// Adds a device: the same document as on the command line.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct DeviceAdd(pub(crate) Value);

impl Command for DeviceAdd {
    const NAME: &'static str = "device_add";
    type Answer = Nothing;
}

/// Something in QEMU's object model.
#[derive(Debug, Deserialize)]
pub(crate) struct QomProperty {
    pub(crate) name: String,
}

/// A key of a guest's keyboard.
#[derive(Debug, Serialize)]
pub(crate) struct KeyValue {
    #[serde(rename = "type")]
    kind: &'static str,
    data: &'static str,
}

impl KeyValue {
    /// The key with this name.
    pub(crate) const fn named(name: &'static str) -> Self {
        Self { kind: "qcode", data: name }
    }
}

/// A virtual CPU.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct CpuThread {
    pub(crate) cpu_index: u32,
    pub(crate) thread_id: u32,
}

/// What a disk has read and written. It goes by the name of its node, of its drive or of its device,
/// after how it was made; what does not go by it is absent or empty.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct BlockStatistics {
    pub(crate) node_name: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) qdev: Option<String>,
    pub(crate) stats: BlockCounts,
}

/// The counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BlockCounts {
    pub(crate) rd_bytes: u64,
    pub(crate) wr_bytes: u64,
    pub(crate) rd_operations: u64,
    pub(crate) wr_operations: u64,
}

/// One of the ways in which a migration can be done, switched on or off.
#[derive(Debug, Serialize)]
pub(crate) struct Capability {
    pub(crate) capability: &'static str,
    pub(crate) state: bool,
}

/// Where QEMU keeps a file that it was given.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct AddedFd {
    pub(crate) fdset_id: u32,
}

/// The files of one set.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct FdSet {
    pub(crate) fdset_id: u32,
    pub(crate) fds: Vec<FdInSet>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(crate) struct FdInSet {
    pub(crate) opaque: Option<String>,
}

/// How a migration goes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Migration {
    /// `setup`, `active`, `device`, `completed`, `failed`, `cancelling`, `cancelled` and more; absent
    /// where there never was one.
    pub(crate) status: Option<String>,
    pub(crate) error_desc: Option<String>,
    pub(crate) ram: Option<MigratedRam>,
}

/// How far a migration's memory is, in bytes.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MigratedRam {
    pub(crate) total: u64,
    pub(crate) remaining: u64,
}

/// How a dump goes.
#[derive(Debug, Deserialize)]
pub(crate) struct Dump {
    /// `none`, `active`, `completed` or `failed`.
    pub(crate) status: String,
}

/// Which QEMU it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    pub(crate) qemu: VersionNumber,
}

/// Its version.
#[derive(Debug, Deserialize)]
pub(crate) struct VersionNumber {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) micro: u32,
}

/// What a machine is doing, in QEMU's words.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Status {
    /// `running`, `paused`, `prelaunch`, `shutdown`, `guest-panicked` and more.
    pub(crate) status: String,
}
