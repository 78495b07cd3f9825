//! Finding something by what a person typed: a VM here, networks and subnets beside.

mod networks;

use crate::{entry::Transition, record::Record, snapshot::Snapshot};
use imbl::OrdSet;
use innkeeper_model::{ProjectName, Vm, VmId};
use std::{collections::BTreeSet, sync::Arc};
use uuid::Uuid;

pub use networks::SubnetOf;

/// The most candidates that an ambiguous lookup lists.
pub const MAX_CANDIDATES: usize = 10;

/// What a lookup found.
#[derive(Debug)]
pub enum Lookup<T = Record<Vm>> {
    /// Exactly one.
    Found(Arc<T>),
    /// None.
    None,
    /// More than one, of which these are the first [`MAX_CANDIDATES`], oldest first.
    Ambiguous(Vec<Arc<T>>),
}

impl Snapshot {
    /// The VM that this text means: by its id, else by its name, else by the beginning of its id or
    /// name if only one VM's begins so. With a project, VMs of other projects are as if not there.
    pub fn find_vm(&self, text: &str, project: Option<&ProjectName>) -> Lookup {
        if text.is_empty() {
            return Lookup::None;
        }
        if let Ok(id) = text.parse::<VmId>()
            && let Some(vm) = self.visible(&id, project)
        {
            return Lookup::Found(Arc::clone(vm));
        }
        // One more than are shown, to know of them; two at least, to know that it is not one.
        let some = MAX_CANDIDATES + 1;
        let exact: BTreeSet<_> = self.names.exact(text, project).take(some).collect();
        if !exact.is_empty() {
            return self.one_of(exact);
        }
        let by_id = self.ids_beginning(text).filter(|id| self.visible(id, project).is_some());
        let by_name = self.names.beginning(text, project);
        self.one_of(by_id.take(some).chain(by_name.take(some)).collect())
    }

    fn visible(&self, id: &VmId, project: Option<&ProjectName>) -> Option<&Arc<Record<Vm>>> {
        self.vms.get(id).filter(|vm| project.is_none_or(|project| vm.project == *project))
    }

    fn one_of(&self, ids: BTreeSet<VmId>) -> Lookup {
        let mut vms: Vec<_> =
            ids.iter().filter_map(|id| self.vms.get(id).cloned()).take(MAX_CANDIDATES).collect();
        match vms.len() {
            1 => vms.pop().map_or(Lookup::None, Lookup::Found),
            0 => Lookup::None,
            _ => Lookup::Ambiguous(vms),
        }
    }

    fn ids_beginning<'a>(&'a self, text: &str) -> impl Iterator<Item = VmId> + use<'a> {
        id_range(text)
            .into_iter()
            .flat_map(|(first, last)| self.vms.range(first..=last))
            .map(|(id, _)| *id)
    }
}

/// The first and the last id whose text begins like this, with or without hyphens.
fn id_range(prefix: &str) -> Option<(VmId, VmId)> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let mut digits = String::with_capacity(32);
    for (index, c) in prefix.chars().enumerate() {
        match c {
            '-' if HYPHENS.contains(&index) => {}
            _ if c.is_ascii_hexdigit() && digits.len() < 32 => digits.push(c),
            _ => return None,
        }
    }
    let bound = |fill: &str| {
        let filled = format!("{digits}{}", fill.repeat(32 - digits.len()));
        Uuid::try_parse(&filled).ok().map(VmId::from_uuid)
    };
    bound("0").zip(bound("f"))
}

/// The VMs' names, in order. A set of triples rather than a map, since damaged storage can hold one
/// name twice, and both VMs must be shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(OrdSet<Name>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    name: Box<str>,
    project: Box<str>,
    id: VmId,
}

impl Name {
    fn of(vm: &Vm) -> Self {
        Self { name: vm.name.as_str().into(), project: vm.project.as_str().into(), id: vm.id }
    }

    /// What sorts before every VM of this name.
    fn before(name: &str) -> Self {
        Self { name: name.into(), project: "".into(), id: VmId::from_uuid(Uuid::nil()) }
    }
}

impl Names {
    /// Takes over what became of a VM.
    pub(crate) fn follow(&mut self, transition: &Transition<Vm>) {
        match transition {
            Transition::Modified { before, after }
                if (&before.name, &before.project) == (&after.name, &after.project) => {}
            Transition::Modified { before, after } => {
                self.0.remove(&Name::of(before));
                self.0.insert(Name::of(after));
            }
            Transition::Created(vm) => {
                self.0.insert(Name::of(vm));
            }
            Transition::Deleted(vm) => {
                self.0.remove(&Name::of(vm));
            }
        }
    }

    /// The VMs of exactly this name, by project, then oldest first.
    pub(crate) fn exact<'a>(
        &'a self,
        text: &'a str,
        project: Option<&'a ProjectName>,
    ) -> impl Iterator<Item = VmId> + use<'a> {
        self.matching(text, project, move |name| name == text)
    }

    fn beginning<'a>(
        &'a self,
        text: &'a str,
        project: Option<&'a ProjectName>,
    ) -> impl Iterator<Item = VmId> + use<'a> {
        self.matching(text, project, move |name| name.starts_with(text))
    }

    fn matching<'a>(
        &'a self,
        from: &str,
        project: Option<&'a ProjectName>,
        matches: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = VmId> + 'a {
        self.0
            .range(Name::before(from)..)
            .take_while(move |entry| matches(&entry.name))
            .filter(move |entry| project.is_none_or(|project| *entry.project == *project.as_str()))
            .map(|entry| entry.id)
    }
}

#[cfg(test)]
mod tests;
