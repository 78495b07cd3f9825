//! What is stored as a file each: VMs' specs, networks, and projects' quotas.

use innkeeper_model::{
    Network, NetworkId, ProjectName, Spec, StoredQuota, VmId, network::NetworkFacts,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{borrow::Cow, fmt, hash::Hash, str::FromStr};

/// An id, or a name, that a file is named for.
pub trait DocumentId:
    Clone + Ord + Hash + fmt::Debug + fmt::Display + FromStr + Send + Sync + 'static
{
}

impl DocumentId for VmId {}
impl DocumentId for NetworkId {}
// A name has nothing in it that a path could not, and never begins with a dot.
impl DocumentId for ProjectName {}

/// Something of which one file is stored each.
pub trait Document: Serialize + DeserializeOwned + Clone + fmt::Debug + Send + Sync {
    /// What its file is named for.
    type Id: DocumentId;

    /// What people call such a thing.
    const KIND: &'static str;

    /// Its id.
    fn id(&self) -> Self::Id;

    /// What of it is stored, and taken from a file.
    fn stored(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }
}

impl Document for Spec {
    type Id = VmId;

    const KIND: &'static str = "VM";

    fn id(&self) -> VmId {
        self.id
    }
}

impl Document for Network {
    type Id = NetworkId;

    const KIND: &'static str = "network";

    fn id(&self) -> NetworkId {
        self.id
    }

    /// All but the facts, which are asked and never stored.
    fn stored(&self) -> Cow<'_, Self> {
        if self.facts == NetworkFacts::default() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self { facts: NetworkFacts::default(), ..self.clone() })
    }
}

impl Document for StoredQuota {
    type Id = ProjectName;

    const KIND: &'static str = "project";

    fn id(&self) -> ProjectName {
        self.project.clone()
    }
}
