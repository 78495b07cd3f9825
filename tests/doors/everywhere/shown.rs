//! What surfaces show of a VM: each in its own words, and as far as it has any.

use serde_json::Value;

/// A VM, as a surface shows it. What the surface has no words for is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(super) name: String,
    /// In MiB.
    pub(super) memory: Option<u64>,
    pub(super) state: &'static str,
    /// The networks that its NICs are on, in their order.
    pub(super) nics: Option<Vec<String>>,
    pub(super) machine: Option<Machine>,
}

/// The VM's machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Machine {
    /// There is none.
    None,
    /// The one that was made then, and was reset so often.
    Of(String),
}

/// Where a surface has all that in a VM's document.
#[derive(Debug)]
pub(crate) struct Words {
    /// The VM's id.
    pub(crate) id: &'static str,
    name: &'static str,
    memory: Option<&'static str>,
    state: &'static str,
    /// The NICs, and in each the network's name.
    nics: Option<(&'static str, &'static str)>,
    /// When the machine was made, and how often it was reset.
    machine: Option<(&'static str, &'static str)>,
}

pub(crate) const NATIVE: Words = Words {
    id: "/id",
    name: "/name",
    memory: Some("/spec/config/memory"),
    state: "/state",
    nics: Some(("/spec/config/nics", "network")),
    machine: Some(("/incarnation/created", "/facts/resets")),
};

pub(crate) const VMINFOD: Words = Words {
    id: "/uuid",
    name: "/alias",
    memory: Some("/ram"),
    state: "/state",
    nics: Some(("/nics", "nic_tag")),
    machine: Some(("/boot_timestamp", "/init_restarts")),
};

pub(super) const VMM: Words = Words {
    id: "/build_id",
    name: "/name",
    memory: Some("/resources/mem_size_mib"),
    state: "/state",
    nics: None,
    machine: None,
};

pub(super) const VIRTX: Words = Words {
    id: "/uuid",
    name: "/def/name",
    memory: Some("/def/memory/total"),
    state: "/runinfo/runstate",
    nics: Some(("/def/nets", "name")),
    machine: None,
};

/// Of each VM in its lists virtx says less.
pub(super) const VIRTX_IN_LISTS: Words = Words {
    id: "/uuid",
    name: "/fields/name",
    memory: None,
    state: "/fields/runstate",
    nics: None,
    machine: None,
};

impl Shown {
    /// What these words say of a VM. What every VM has must be there.
    #[track_caller]
    pub(crate) fn of(words: &Words, vm: &Value) -> Self {
        let at = |pointer| vm.pointer(pointer).unwrap_or_else(|| panic!("{pointer}: {vm}"));
        Self {
            name: at(words.name).as_str().unwrap().to_owned(),
            memory: words.memory.map(|pointer| mebibytes(at(pointer))),
            state: state(at(words.state)),
            nics: words.nics.map(|(nics, network)| networks(vm.pointer(nics), network)),
            machine: words.machine.map(|(made, resets)| {
                let made = vm.pointer(made).filter(|made| !made.is_null());
                let resets = vm.pointer(resets).and_then(Value::as_u64).unwrap_or_default();
                made.map_or(Machine::None, |made| {
                    Machine::Of(format!("{}, {resets}", to_the_millisecond(made.as_str().unwrap())))
                })
            }),
        }
    }

    /// As much of it as there are words for.
    pub(super) fn in_words(&self, words: &Words) -> Self {
        let Self { name, memory, state, nics, machine } = self.clone();
        Self {
            name,
            memory: memory.filter(|_| words.memory.is_some()),
            state,
            nics: nics.filter(|_| words.nics.is_some()),
            machine: machine.filter(|_| words.machine.is_some()),
        }
    }

    /// How much its machine has of the host's memory, in MiB.
    pub(super) fn promised(&self) -> u64 {
        let is_on = self.machine.as_ref().is_some_and(|machine| *machine != Machine::None);
        self.memory.filter(|_| is_on).unwrap_or_default()
    }
}

fn mebibytes(memory: &Value) -> u64 {
    match memory {
        Value::String(text) => text.strip_suffix("MiB").unwrap().parse().unwrap(),
        number => number.as_u64().unwrap(),
    }
}

/// virtx has numbers for them.
#[track_caller]
fn state(written: &Value) -> &'static str {
    match written.to_string().trim_matches('"') {
        "stopped" | "2" => "stopped",
        "running" | "4" => "running",
        "paused" | "5" => "paused",
        "suspended" | "8" => "suspended",
        other => panic!("no state of this test's: {other}"),
    }
}

/// A list that is empty may be absent, or null.
fn networks(nics: Option<&Value>, member: &str) -> Vec<String> {
    let nics = nics.and_then(Value::as_array).into_iter().flatten();
    nics.map(|nic| nic[member].as_str().unwrap_or("user").to_owned()).collect()
}

/// As vminfod writes times.
fn to_the_millisecond(time: &str) -> String {
    let (seconds, fraction) = time.trim_end_matches('Z').split_once('.').unwrap_or((time, ""));
    format!("{}.{:0<3.3}", seconds.trim_end_matches('Z'), fraction)
}
