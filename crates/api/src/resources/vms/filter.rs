//! Which VMs are listed: a question to typed records, not to their JSON.

use crate::protocol::{
    matching::{Labels, Name},
    params::Params,
};
use innkeeper_model::{ProjectName, Refusal, Vm, VmState};

/// Who manages the VMs that nobody else does.
const OWN: &str = "innkeeper";

/// Which VMs are listed; those that fit everything that is given.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    states: Option<Vec<VmState>>,
    name: Option<Name>,
    project: Option<ProjectName>,
    manager: Option<String>,
    labels: Labels,
}

impl Filter {
    /// `state`, `name`, `project`, `manager` and `label.KEY`.
    ///
    /// # Errors
    /// A state that does not exist, or a project that has no name.
    pub(crate) fn parse(params: &mut Params) -> Result<Self, Refusal> {
        let states = params.list("state");
        let states = states.map(|names| names.iter().map(|name| state(name)).collect());
        Ok(Self {
            states: states.transpose()?,
            name: Name::parse(params)?,
            project: params.parsed("project")?,
            manager: params.one("manager")?,
            labels: Labels::parse(params),
        })
    }

    pub(crate) fn is_everything(&self) -> bool {
        matches!(
            self,
            Self { states: None, name: None, project: None, manager: None, labels }
                if labels.is_empty()
        )
    }

    pub(crate) fn matches(&self, vm: &Vm) -> bool {
        self.states.as_ref().is_none_or(|states| states.contains(&vm.state))
            && self.name.as_ref().is_none_or(|name| name.matches(vm.name.as_str()))
            && self.project.as_ref().is_none_or(|project| vm.project == *project)
            && self.manager.as_ref().is_none_or(|by| vm.manager().unwrap_or(OWN) == by)
            && (self.labels.is_empty()
                || vm.spec.as_ref().is_some_and(|spec| self.labels.matches(&spec.config.labels)))
    }
}

fn state(name: &str) -> Result<VmState, Refusal> {
    VmState::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| {
        let known = VmState::ALL.map(VmState::as_str).join(", ");
        Refusal::invalid("state", name, "is not a state of a VM").with_limit(known)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::spec;
    use innkeeper_model::Facts;
    use std::sync::Arc;

    fn vm(name: &str, project: &str, state: VmState, label: (&str, &str)) -> Vm {
        let mut spec = spec(name);
        spec.config.labels = [(label.0.to_owned(), label.1.to_owned())].into();
        Vm {
            id: spec.id,
            name: spec.config.name.clone(),
            project: project.parse().unwrap(),
            state,
            want: Some(spec.want),
            revision: spec.revision,
            task: None,
            problem: None,
            facts: Facts::default(),
            spec: Some(Arc::new(spec)),
            incarnation: None,
            memory: None,
            managed: None,
            dumped: None,
            addresses: Vec::new(),
            guest: None,
            disks: Vec::new(),
            interrupted: None,
        }
    }

    fn names(query: &str) -> Vec<String> {
        let mut vms = [
            vm("web-1", "default", VmState::Running, ("tier", "front")),
            vm("web-2", "other", VmState::Stopped, ("tier", "front")),
            vm("db", "default", VmState::Paused, ("tier", "back")),
        ];
        let db = vms[2].spec.as_mut().map(Arc::make_mut).unwrap();
        db.driver = Some("libvirt".into());
        let mut params = Params::parse(query);
        let filter = Filter::parse(&mut params).unwrap();
        params.nothing_else().unwrap();
        vms.iter().filter(|vm| filter.matches(vm)).map(|vm| vm.name.to_string()).collect()
    }

    #[test]
    fn filters_narrow_each_other() {
        assert_eq!(names(""), ["web-1", "web-2", "db"]);
        assert_eq!(names("state=running,paused"), ["web-1", "db"]);
        assert_eq!(names("name=web-1"), ["web-1"]);
        assert_eq!(names("name=web*"), ["web-1", "web-2"]);
        assert_eq!(names("name=web"), [""; 0]);
        assert_eq!(names("project=other"), ["web-2"]);
        assert_eq!(names("manager=libvirt"), ["db"]);
        assert_eq!(names("manager=innkeeper"), ["web-1", "web-2"]);
        assert_eq!(names("label.tier=front&project=default"), ["web-1"]);
        assert_eq!(names("label.tier=front&label.x=y"), [""; 0]);
    }

    #[test]
    fn a_state_that_does_not_exist_is_refused() {
        let refusal = Filter::parse(&mut Params::parse("state=runnin")).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("state"));
        assert!(refusal.limit.unwrap().contains("running"));
    }
}
