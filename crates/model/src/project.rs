//! Projects: what each may take of a host, and what it has.
//!
//! A project is a name that VMs carry. It is there as soon as a VM has it, or somebody bounds it, and
//! nobody has to make it first.

use crate::{
    Timestamp,
    ids::Revision,
    names::ProjectName,
    units::{ByteSize, Mebibytes},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is counted of a host, or of a project on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counted {
    /// VMs.
    Vms,
    /// Virtual CPUs.
    Cpus,
    /// Memory, in MiB.
    Memory,
    /// What disks may grow to, in bytes.
    Disk,
    /// Addresses.
    Addresses,
}

impl Counted {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Vms, Self::Cpus, Self::Memory, Self::Disk, Self::Addresses];

    /// What it is called, in a [`Quota`] as in a refusal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vms => "vms",
            Self::Cpus => "cpus",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Addresses => "addresses",
        }
    }

    /// So much of it, for a person.
    pub fn shown(self, amount: u64) -> String {
        match self {
            Self::Memory => Mebibytes(amount).to_string(),
            Self::Disk => ByteSize(amount).to_string(),
            Self::Vms | Self::Cpus | Self::Addresses => amount.to_string(),
        }
    }
}

/// What may be taken in all; what is `null` or left out is without bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// VMs, running or not.
    pub vms: Option<u64>,
    /// Virtual CPUs of running VMs.
    pub cpus: Option<u64>,
    /// Memory of running VMs.
    pub memory: Option<Mebibytes>,
    /// What the disks of VMs may grow to, running or not.
    pub disk: Option<ByteSize>,
    /// Addresses that networks of this host keep for NICs, of VMs that run or not.
    pub addresses: Option<u64>,
}

impl Quota {
    /// How much there may be of one of them; `None` is without bound.
    pub fn of(&self, counted: Counted) -> Option<u64> {
        match counted {
            Counted::Vms => self.vms,
            Counted::Cpus => self.cpus,
            Counted::Memory => self.memory.map(|memory| memory.0),
            Counted::Disk => self.disk.map(|disk| disk.0),
            Counted::Addresses => self.addresses,
        }
    }

    /// What of this is more than may be, as where a quota was made smaller than what was taken before.
    pub fn exceeded_by(&self, used: &Usage) -> Vec<Counted> {
        let is_over =
            |counted: &Counted| self.of(*counted).is_some_and(|bound| used.of(*counted) > bound);
        Counted::ALL.into_iter().filter(is_over).collect()
    }
}

/// What is taken in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// VMs, running or not.
    pub vms: u64,
    /// Virtual CPUs of running VMs.
    pub cpus: u64,
    /// Memory of running VMs.
    pub memory: Mebibytes,
    /// What the disks of VMs may grow to, running or not.
    pub disk: ByteSize,
    /// Addresses that networks of this host keep for NICs, of VMs that run or not.
    pub addresses: u64,
}

impl Usage {
    /// How much of one of them.
    pub const fn of(&self, counted: Counted) -> u64 {
        match counted {
            Counted::Vms => self.vms,
            Counted::Cpus => self.cpus,
            Counted::Memory => self.memory.0,
            Counted::Disk => self.disk.0,
            Counted::Addresses => self.addresses,
        }
    }
}

/// Who said what a project may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaSource {
    /// An administrator, of this project: it is stored.
    Own,
    /// The configuration, of this project.
    Configuration,
    /// The configuration, of all projects that nobody said anything of.
    Default,
}

impl QuotaSource {
    /// What it is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Configuration => "configuration",
            Self::Default => "default",
        }
    }
}

/// The quota that a project has of its own, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredQuota {
    /// The project.
    pub project: ProjectName,
    /// Which state of it this is: it grows with each change, and is never given to another.
    pub revision: Revision,
    /// When it was changed last.
    pub updated: Timestamp,
    /// What it may take.
    pub quota: Quota,
}

/// A project as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// Which state of its own quota this is: its entity tag. 0 where it has none of its own.
    pub revision: Revision,
    /// When that was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated: Option<Timestamp>,
    /// Who said what it may take.
    pub quota_from: QuotaSource,
    /// What it may take in all.
    pub quota: Quota,
    /// What it has taken.
    pub used: Usage,
    /// What of that is more than it may take: `vms`, `cpus`, `memory`, `disk`, `addresses`.
    pub over: Vec<String>,
    /// Why it is not known what it may take, where its stored quota is damaged: nothing more is given to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_quota_says_all_five_and_reads_what_was_left_out_as_without_bound() {
        let quota: Quota = serde_json::from_value(json!({ "vms": 2, "memory": "1GiB" })).unwrap();
        let shown = json!({
            "vms": 2, "cpus": null, "memory": "1GiB", "disk": null, "addresses": null,
        });
        assert_eq!(json!(quota), shown);
        assert_eq!(serde_json::from_value::<Quota>(shown).unwrap(), quota);
        for wrong in [json!({ "vcpu": 1 }), json!({ "vms": -1 }), json!({ "memory": "7" })] {
            assert!(serde_json::from_value::<Quota>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_exactly_taken_is_not_over() {
        let quota = Quota { vms: Some(1), cpus: Some(0), ..Quota::default() };
        let used = Usage { vms: 1, cpus: 1, disk: ByteSize(9), ..Usage::default() };
        assert_eq!(quota.exceeded_by(&used), [Counted::Cpus]);
        assert_eq!(Quota::default().exceeded_by(&used), []);
    }

    #[test]
    fn every_name_is_that_of_a_field() {
        let (quota, usage) = (json!(Quota::default()), json!(Usage::default()));
        for counted in Counted::ALL {
            assert!(quota.get(counted.name()).is_some() && usage.get(counted.name()).is_some());
        }
        assert_eq!(quota.as_object().unwrap().len(), Counted::ALL.len());
        assert_eq!(Counted::Memory.shown(1024), "1GiB");
        assert_eq!(Counted::Disk.shown(1 << 20), "1MiB");
    }
}
