//! The bodies of requests and answers, field for field as virtx has them. A field that is not set is 0 or
//! `""`; none is ever left out of an answer.

use super::numbers::{
    Cstate, DiskBus, DiskDevice, DiskManMode, DiskProvMode, FirmwareType, Force, MigrationState,
    MigrationType, NetModel, NetType, Vmrunstate,
};
use innkeeper_model::{Secret, secret::as_text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Types that are read with every field optional, and written with every field there.
macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)?
    })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
        #[serde(default)]
        pub(super) struct $name {
            $($(#[$field_doc])* pub(super) $field: $type),+
        }
    )+};
}

shapes! {
    /// A CPU, and how many of it.
    Cpudef {
        /// Its model.
        model: String,
        /// NUMA nodes; kept, and nothing comes of it.
        nodes: i16,
        /// Sockets.
        sockets: i16,
        /// Cores of a socket.
        cores: i16,
        /// Threads of a core.
        threads: i16,
    }
    /// A VM's memory.
    Memory {
        /// How much, in MiB.
        total: i32,
        /// Of huge pages; not here.
        hp: bool,
    }
    /// Where on the host a VM runs.
    Numa {
        /// Whether it is placed; not here.
        placement: bool,
    }
    /// A disk.
    Disk {
        /// Its path, which is what it is known by.
        path: String,
        device: DiskDevice,
        bus: DiskBus,
        man: DiskManMode,
        prov: DiskProvMode,
        /// Its size in MiB.
        size: i32,
    }
    /// A network interface.
    Net {
        /// The network, or the bridge.
        name: String,
        nettype: NetType,
        model: NetModel,
        /// Its hardware address; empty for one that is chosen.
        mac: String,
    }
    /// A name and a value of the user's own.
    CustomField {
        name: String,
        value: String,
    }
    /// What a VM is.
    Vmdef {
        name: String,
        cpudef: Cpudef,
        memory: Memory,
        numa: Numa,
        /// The disk that it boots from.
        osdisk: Disk,
        /// The others; at most 20.
        disks: Vec<Disk>,
        /// At most 8.
        nets: Vec<Net>,
        /// The VLAN of its interfaces: that of their networks, or 0.
        vlanid: i16,
        firmware: FirmwareType,
        /// A generation id; not here.
        genid: String,
        custom: Vec<CustomField>,
    }
    /// A VM to make.
    VmCreateOptions {
        vmdef: Vmdef,
        /// The host that it is to be on; empty for this one.
        host: String,
    }
    /// What a VM is to be.
    VmUpdateOptions {
        vmdef: Vmdef,
        /// Whether disks that it loses are removed.
        deletestorage: bool,
    }
    /// How a VM goes.
    VmDeleteOptions {
        /// Whether its disks go too.
        deletestorage: bool,
    }
    /// How a VM boots.
    VmBootOptions {
        /// What cloud-init finds in it; without any, what it found last.
        cloud_init: Vec<CloudInitOption>,
    }
    /// A document for cloud-init.
    CloudInitOption {
        /// `ci-userdata`, `ci-metadata` or `ci-networkconfig`.
        name: String,
        /// Its text.
        #[serde(deserialize_with = "as_text::deserialize")]
        #[schema(value_type = String, default = "")]
        value: Secret,
    }
    /// How a VM stops.
    VmShutdownOptions {
        force: Force,
    }
    /// Where a VM goes.
    VmMigrateOptions {
        host: String,
        migration_type: MigrationType,
    }
    /// Where a VM is to be known.
    VmRegisterOptions {
        host: String,
    }
    /// Which VMs are listed.
    VmListOptions {
        filter: VmListFields,
    }
    /// What a list shows of a VM, and what it is filtered by: all that is set must fit.
    VmListFields {
        /// As a filter: a part of it.
        name: String,
        host: String,
        runstate: Vmrunstate,
        vlanid: i16,
        /// As a filter: one that it has. In an answer: that one, or its first.
        custom: CustomField,
        /// When it was last seen to be so, in milliseconds since 1970. As a filter: then, or before.
        ts: i64,
    }
    /// Which hosts are listed.
    HostListOptions {
        filter: HostListFields,
    }
    /// A kind of CPU.
    Cpuarch {
        arch: String,
        vendor: String,
    }
    /// What a list shows of a host, and what it is filtered by: all that is set must fit.
    HostListFields {
        /// As a filter: a part of it.
        name: String,
        cpuarch: Cpuarch,
        /// As a filter: its numbers, at least.
        cpudef: Cpudef,
        cstate: Cstate,
        /// Memory for VMs, in MiB. As a filter: at least.
        memoryavailable: i32,
        /// Huge pages for VMs, in MiB. As a filter: at least.
        hpavailable: i32,
        /// Its system.
        osid: String,
        /// Its system's version.
        osv: String,
        /// When this was read, in milliseconds since 1970. As a filter: then, or before.
        ts: i64,
    }
}

/// Types that are only written.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)?
    })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
        pub(super) struct $name {
            $($(#[$field_doc])* pub(super) $field: $type),+
        }
    )+};
}

answers! {
    /// A VM.
    Vm {
        uuid: String,
        def: Vmdef,
        runinfo: Vmruninfo,
        stats: Vmstats,
        /// When it was last seen to be so, in milliseconds since 1970.
        ts: i64,
    }
    /// What a VM is doing, and where.
    Vmruninfo {
        runstate: Vmrunstate,
        host: String,
    }
    /// What a VM uses. Rates are since somebody last asked for them.
    Vmstats {
        /// In percent of one CPU.
        cpu_utilization: i32,
        mhz_used: i32,
        /// In MiB.
        memory_capacity: i64,
        /// What it has of the host's, in MiB.
        memory_used: i64,
        /// In MiB.
        disk_capacity: i64,
        /// In MiB.
        disk_allocation: i64,
        /// In MiB.
        disk_physical: i64,
        /// In KiB a second.
        net_rx_bw: i32,
        /// In KiB a second.
        net_tx_bw: i32,
        oplog: OplogList,
    }
    /// What was last done to a VM, one record of each kind.
    OplogList {
        #[schema(required = true)]
        items: Option<Vec<OplogItem>>,
    }
    /// Something that was done to a VM.
    OplogItem {
        op: String,
        /// When it began, in milliseconds since 1970.
        ts: i64,
        /// When it ended, in milliseconds since 1970; 0 while it goes on.
        te: i64,
        /// `started`, `failed` or `completed`.
        status: String,
        /// What went wrong, or is to be known.
        msg: String,
    }
    /// VMs.
    VmList {
        #[schema(required = true)]
        items: Option<Vec<VmListItem>>,
    }
    /// A VM, in few words.
    VmListItem {
        uuid: String,
        fields: VmListFields,
    }
    /// A host.
    Host {
        uuid: String,
        def: Hostdef,
        cstate: Cstate,
        /// Its number at a lock manager; there is none.
        lockid: i16,
        resources: Hostresources,
        /// When this was read, in milliseconds since 1970.
        ts: i64,
    }
    /// What a host is.
    Hostdef {
        name: String,
        cpuarch: Cpuarch,
        cpudef: Cpudef,
        /// In Hz; 0 where the host does not say.
        tscfreq: i64,
        sysinfo: Sysinfo,
        osid: String,
        osv: String,
    }
    /// A host's firmware.
    Sysinfo {
        version: String,
        date: String,
    }
    /// What a host has, and what became of it.
    Hostresources {
        /// In MiB; without huge pages.
        memory: Hostresource,
        /// Huge pages, in MiB.
        hp: Hostresource,
        /// In MHz.
        cpu: Hostresource,
    }
    /// Something that a host has.
    Hostresource {
        total: i32,
        used: i32,
        free: i32,
        /// What is used, and not by VMs.
        usedos: i32,
        /// What is promised to VMs.
        reservedvms: i32,
        /// What VMs use.
        usedvms: i32,
        /// What more could be promised.
        availablevms: i32,
    }
    /// Hosts.
    HostList {
        #[schema(required = true)]
        items: Option<Vec<HostListItem>>,
    }
    /// A host, in few words.
    HostListItem {
        uuid: String,
        fields: HostListFields,
    }
    /// How far a migration has come.
    MigrationInfo {
        state: MigrationState,
        progress: TransferProgress,
    }
    /// How much of a machine has moved.
    TransferProgress {
        total: i64,
        transferred: i64,
        remaining: i64,
        rate: f32,
    }
}

/// These items; null where there are none, as virtx writes its lists of items.
pub(super) fn items<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}
