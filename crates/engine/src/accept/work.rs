//! Accepted work: what an operation is done from, and what it needs to itself.

use crate::{
    accept::{
        admission::Admitted,
        kind::Kind,
        legality::MachineVerb,
        request::{AddImage, NetworkRequest, NicChange},
    },
    turn::queues::{Hold, Resource},
};
use innkeeper_model::{
    Assigned, Code, Foreign, ImageName, NetworkId, NetworkName, ProjectName, Refusal, Revision,
    Spec, Timestamp, Vm, VmConfig, VmId, VmName, Want, config::Boot,
};
use innkeeper_storage::StagedVm;
use std::{collections::HashSet, sync::Arc, time::Duration};

/// What an accepted operation is done from.
pub(crate) enum Work {
    Create {
        admitted: Admitted,
    },
    Clone {
        from: VmId,
        admitted: Admitted,
    },
    /// What has arrived goes with this, if no step has taken it.
    Import {
        staged: Arc<StagedVm>,
        admitted: Admitted,
    },
    Edit {
        vm: VmId,
        config: Box<VmConfig>,
        expected: Option<Revision>,
        networks: Vec<NetworkId>,
        /// Whether a draft is none any more.
        confirms: bool,
    },
    Nic {
        vm: VmId,
        change: NicChange,
        networks: Vec<NetworkId>,
    },
    Delete {
        vm: VmId,
    },
    Power {
        vm: VmId,
        verb: MachineVerb,
        timeout: Duration,
    },
    Adopt {
        spec: Arc<Spec>,
        machine: Box<Foreign>,
    },
    AdoptManaged {
        spec: Arc<Spec>,
    },
    AddImage(Box<AddImage>),
    RemoveImage(ImageName),
    Network {
        request: Box<NetworkRequest>,
        network: NetworkId,
        name: NetworkName,
    },
}

impl Work {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Create { .. } => Kind::Create,
            Self::Clone { .. } => Kind::Clone,
            Self::Import { .. } => Kind::Import,
            Self::Edit { .. } => Kind::Edit,
            Self::Nic { change, .. } => change.kind(),
            Self::Delete { .. } => Kind::Delete,
            Self::Power { verb, .. } => verb.kind(),
            Self::Adopt { .. } | Self::AdoptManaged { .. } => Kind::Adopt,
            Self::AddImage(_) => Kind::ImageAdd,
            Self::RemoveImage(_) => Kind::ImageRemove,
            Self::Network { request, .. } => request.kind(),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.kind().name()
    }

    pub(crate) fn vm(&self) -> Option<VmId> {
        match self {
            Self::Create { admitted }
            | Self::Clone { admitted, .. }
            | Self::Import { admitted, .. } => Some(admitted.spec.id),
            Self::Edit { vm, .. }
            | Self::Nic { vm, .. }
            | Self::Delete { vm }
            | Self::Power { vm, .. } => Some(*vm),
            Self::Adopt { spec, .. } | Self::AdoptManaged { spec } => Some(spec.id),
            Self::AddImage(image) => image.vm(),
            Self::RemoveImage(_) | Self::Network { .. } => None,
        }
    }

    /// The project of the VM that it makes or makes its own; of another's VM, its record says.
    pub(crate) fn project(&self) -> Option<&ProjectName> {
        match self {
            Self::Create { admitted }
            | Self::Clone { admitted, .. }
            | Self::Import { admitted, .. } => Some(&admitted.spec.config.project),
            Self::Adopt { spec, .. } | Self::AdoptManaged { spec } => Some(&spec.config.project),
            _ => None,
        }
    }

    pub(crate) const fn network(&self) -> Option<NetworkId> {
        match self {
            Self::Network { network, .. } => Some(*network),
            _ => None,
        }
    }

    pub(crate) fn subject(&self, name: Option<&VmName>) -> String {
        match (self, name) {
            (
                Self::Create { admitted }
                | Self::Clone { admitted, .. }
                | Self::Import { admitted, .. },
                _,
            ) => admitted.spec.config.name.to_string(),
            (Self::Adopt { spec, .. } | Self::AdoptManaged { spec }, _) => {
                spec.config.name.to_string()
            }
            (Self::AddImage(image), _) => image.name.to_string(),
            (Self::RemoveImage(name), _) => name.to_string(),
            (Self::Network { name, .. }, _) => name.to_string(),
            (_, Some(name)) => name.to_string(),
            (_, None) => String::new(),
        }
    }

    pub(crate) fn resources(&self) -> Vec<(Resource, Hold)> {
        let images = |spec: &Spec| {
            let disks = spec.config.disks.iter().filter_map(|disk| disk.image.clone());
            let kernel = match &spec.config.boot {
                Boot::Kernel(kernel) => kernel.image.clone(),
                Boot::Firmware(_) => None,
            };
            let unique: HashSet<ImageName> = disks.chain(kernel).collect();
            unique.into_iter().map(|name| (Resource::Image(name), Hold::Shared))
        };
        let networks = |networks: &[NetworkId]| {
            let shared = |network: &NetworkId| (Resource::Network(*network), Hold::Shared);
            networks.iter().map(shared).collect::<Vec<_>>()
        };
        match self {
            Self::Create { admitted } | Self::Import { admitted, .. } => {
                let own = (Resource::Vm(admitted.spec.id), Hold::Exclusive);
                let shared = images(&admitted.spec).chain(networks(&admitted.networks));
                std::iter::once(own).chain(shared).collect()
            }
            Self::Clone { from, admitted } => {
                let both = [
                    (Resource::Vm(*from), Hold::Shared),
                    (Resource::Vm(admitted.spec.id), Hold::Exclusive),
                ];
                let shared = images(&admitted.spec).chain(networks(&admitted.networks));
                both.into_iter().chain(shared).collect()
            }
            Self::Edit { vm, networks: on, .. } | Self::Nic { vm, networks: on, .. } => {
                let own = (Resource::Vm(*vm), Hold::Exclusive);
                std::iter::once(own).chain(networks(on)).collect()
            }
            Self::Delete { vm } | Self::Power { vm, .. } => {
                vec![(Resource::Vm(*vm), Hold::Exclusive)]
            }
            Self::Adopt { spec, .. } | Self::AdoptManaged { spec } => {
                vec![(Resource::Vm(spec.id), Hold::Exclusive)]
            }
            Self::AddImage(image) => {
                let own = (Resource::Image(image.name.clone()), Hold::Exclusive);
                let of = image.vm().map(|vm| (Resource::Vm(vm), Hold::Shared));
                of.into_iter().chain([own]).collect()
            }
            Self::RemoveImage(name) => vec![(Resource::Image(name.clone()), Hold::Exclusive)],
            Self::Network { network, .. } => vec![
                (Resource::Networks, Hold::Exclusive),
                (Resource::Network(*network), Hold::Exclusive),
            ],
        }
    }
}

pub(crate) fn spec_of(record: &Vm) -> Result<Arc<Spec>, Refusal> {
    record.check_adopted("use")?;
    record.spec.clone().ok_or_else(|| {
        let problem = record.problem.clone().unwrap_or_default();
        let message = format!("VM {} is quarantined: {problem}", record.name);
        Refusal::new(Code::Quarantined, message)
    })
}

/// The spec, or one with nothing in it but whose it is.
pub(crate) fn spec_or_stand_in(record: &Vm) -> Arc<Spec> {
    let stand_in = || Spec {
        id: record.id,
        revision: Revision::default(),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        want: Want::Stopped,
        draft: false,
        driver: record.manager().map(str::to_owned),
        config: VmConfig::new(record.name.clone()),
        assigned: Assigned::default(),
    };
    record.spec.clone().unwrap_or_else(|| Arc::new(stand_in()))
}

pub(crate) fn check_revision(spec: &Spec, expected: Option<Revision>) -> Result<(), Refusal> {
    match expected {
        Some(expected) if expected != spec.revision => {
            let message = format!(
                "the VM was changed meanwhile: its spec has revision {}, not {expected}",
                spec.revision
            );
            Err(Refusal::new(Code::RevisionConflict, message)
                .with_hint("read it again, then repeat"))
        }
        _ => Ok(()),
    }
}
