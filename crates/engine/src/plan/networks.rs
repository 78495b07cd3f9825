//! Making, changing and removing networks.

use super::{AfterCrash, Plan};
use crate::{networks::changes::NetworkChange, plan::steps::OwnStep};

/// Stores the record, then has the host be like it; of a network that goes the record goes first, so that
/// nobody is put on it while it is taken down.
pub(crate) fn change_network(change: NetworkChange) -> Plan {
    match change {
        NetworkChange::Save { network, before } => {
            let id = network.id;
            let mut plan = Plan::new(AfterCrash::Back);
            plan.own(OwnStep::SaveNetwork { network, before });
            plan.own(OwnStep::WireNetwork { network: id });
            plan
        }
        NetworkChange::Reserve { network, subnet, reservations } => {
            let mut plan = Plan::new(AfterCrash::Back);
            plan.own(OwnStep::KeepAddresses { network, subnet, reservations });
            plan.own(OwnStep::WireNetwork { network });
            plan
        }
        NetworkChange::Release { network, subnet, reservations } => {
            let mut plan = Plan::new(AfterCrash::Forward);
            // What was given back can be taken by others at once.
            plan.no_way_back();
            plan.own(OwnStep::GiveBackAddresses { network, subnet, reservations });
            plan.own(OwnStep::WireNetwork { network });
            plan
        }
        NetworkChange::Remove { network } => {
            let mut plan = Plan::new(AfterCrash::Forward);
            plan.no_way_back();
            plan.own(OwnStep::RemoveNetwork { network: network.id });
            plan.own(OwnStep::ReleaseNetwork { network });
            plan
        }
    }
}
