//! Every procedure of libvirt's that Innkeeper calls, and every message that it heeds, in one table.

use super::types::{DomainRef, DomainStatistics};
use crate::xdr::{Decode, Encode, List};
use uuid::Uuid;

/// How long the answer to a procedure may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// It is answered from what libvirt has in memory.
    Soon,
    /// A machine is made or ended first, or QEMU is probed anew.
    Late,
}

/// One procedure of libvirt's.
pub(crate) trait Procedure {
    /// Its number (`remote_procedure`).
    const NUMBER: i32;
    /// Its name, without `REMOTE_PROC_`.
    const NAME: &'static str;
    /// How long its answer may take.
    const DEADLINE: Deadline;
    /// What it is called with (`remote_…_args`).
    type Arguments: Encode;
    /// What it answers (`remote_…_ret`).
    type Answer: Decode;
}

macro_rules! procedures {
    ($($name:ident = $number:literal $libvirts:literal $deadline:ident ($($argument:ty),*) -> $answer:ty;)*) => {
        $(
            #[derive(Debug)]
            pub(crate) struct $name;

            impl Procedure for $name {
                const NUMBER: i32 = $number;
                const NAME: &'static str = $libvirts;
                const DEADLINE: Deadline = Deadline::$deadline;
                type Arguments = ($($argument,)*);
                type Answer = $answer;
            }
        )*

        /// Number and name of each.
        #[cfg(test)]
        pub(crate) const ALL: &[(i32, &str)] = &[$(($number, $libvirts)),*];
    };
}

/// The program of libvirt's own procedures (`src/remote/remote_protocol.x`). Numbers are never given
/// anew: libvirt's file only grows.
pub(crate) mod remote {
    use super::{Deadline, DomainRef, DomainStatistics, List, Procedure, Uuid};

    /// `REMOTE_PROGRAM`.
    pub(crate) const PROGRAM: u32 = 0x2000_8086;
    /// `REMOTE_PROTOCOL_VERSION`.
    pub(crate) const VERSION: u32 = 1;

    /// `REMOTE_DOMAIN_LIST_MAX`.
    const DOMAINS: usize = 16_384;
    /// `REMOTE_AUTH_TYPE_LIST_MAX`.
    const AUTHENTICATIONS: usize = 20;

    type Domains = List<DomainRef, DOMAINS>;
    type Statistics = List<DomainStatistics, DOMAINS>;

    procedures! {
        // Name            Number libvirt's name    Deadline (arguments) -> answer
        AuthList           = 66  "AUTH_LIST"        Soon () -> List<u32, AUTHENTICATIONS>;
        AuthPolkit         = 70  "AUTH_POLKIT"      Soon () -> (i32,);
        // name, flags
        ConnectOpen        = 1   "CONNECT_OPEN"     Soon (Option<String>, u32) -> ();
        ConnectClose       = 2   "CONNECT_CLOSE"    Soon () -> ();
        ConnectSupportsFeature = 60 "CONNECT_SUPPORTS_FEATURE" Soon (i32) -> (i32,);
        ConnectGetLibVersion = 157 "CONNECT_GET_LIB_VERSION" Soon () -> (u64,);
        ConnectGetHostname = 59  "CONNECT_GET_HOSTNAME" Soon () -> (String,);
        ConnectGetUri      = 110 "CONNECT_GET_URI"  Soon () -> (String,);
        // libvirt may ask QEMU first what it can do.
        ConnectGetCapabilities = 7 "CONNECT_GET_CAPABILITIES" Late () -> (String,);
        // whether the domains are wanted, flags -> the domains, their number
        ConnectListAllDomains = 273 "CONNECT_LIST_ALL_DOMAINS" Soon (i32, u32) -> (Domains, u32);
        // domains (none: all), which statistics, flags
        ConnectGetAllDomainStats = 344 "CONNECT_GET_ALL_DOMAIN_STATS" Soon (Domains, u32, u32) -> (Statistics,);
        // which event, of which domain (none: all) -> the registration's number
        ConnectDomainEventCallbackRegisterAny = 316 "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY" Soon (i32, Option<DomainRef>) -> (i32,);
        DomainLookupByUuid = 24  "DOMAIN_LOOKUP_BY_UUID" Soon (Uuid) -> (DomainRef,);
        // domain, flags -> state, reason
        DomainGetState     = 212 "DOMAIN_GET_STATE" Soon (DomainRef, u32) -> (i32, i32);
        DomainIsPersistent = 151 "DOMAIN_IS_PERSISTENT" Soon (DomainRef) -> (i32,);
        DomainGetAutostart = 15  "DOMAIN_GET_AUTOSTART" Soon (DomainRef) -> (i32,);
        DomainGetXmlDesc   = 14  "DOMAIN_GET_XML_DESC" Soon (DomainRef, u32) -> (String,);
        DomainCreateWithFlags = 196 "DOMAIN_CREATE_WITH_FLAGS" Late (DomainRef, u32) -> (DomainRef,);
        DomainShutdown     = 33  "DOMAIN_SHUTDOWN"  Late (DomainRef) -> ();
        DomainDestroy      = 12  "DOMAIN_DESTROY"   Late (DomainRef) -> ();
        DomainSuspend      = 34  "DOMAIN_SUSPEND"   Late (DomainRef) -> ();
        DomainResume       = 28  "DOMAIN_RESUME"    Late (DomainRef) -> ();
    }

    /// The messages that libvirt sends by itself, once they are registered for.
    pub(crate) mod event {
        /// `virDomainEventID`, and the number of its message (`REMOTE_PROC_DOMAIN_EVENT_CALLBACK_…`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct Event {
            pub(crate) id: i32,
            pub(crate) message: i32,
        }

        /// A domain was defined, undefined, started, stopped, paused, …
        pub(crate) const LIFECYCLE: Event = Event { id: 0, message: 318 };
        /// A device was taken out of a domain.
        pub(crate) const DEVICE_REMOVED: Event = Event { id: 15, message: 333 };
        /// A device was put into a domain.
        pub(crate) const DEVICE_ADDED: Event = Event { id: 19, message: 354 };
        /// A domain's title, description or metadata changed.
        pub(crate) const METADATA_CHANGE: Event = Event { id: 23, message: 379 };

        /// Those that are registered for. What comes first must be known to libvirt, the others need
        /// not.
        pub(crate) const ALL: [Event; 4] =
            [LIFECYCLE, DEVICE_REMOVED, DEVICE_ADDED, METADATA_CHANGE];
    }
}

/// The program of the messages that only say that somebody is there
/// (`src/rpc/virkeepaliveprotocol.x`). They have no payload.
pub(crate) mod keepalive {
    /// `KEEPALIVE_PROGRAM`.
    pub(crate) const PROGRAM: u32 = 0x6b65_6570;
    /// `KEEPALIVE_PROTOCOL_VERSION`.
    pub(crate) const VERSION: u32 = 1;
    /// `KEEPALIVE_PROC_PING`.
    pub(crate) const PING: i32 = 1;
    /// `KEEPALIVE_PROC_PONG`.
    pub(crate) const PONG: i32 = 2;
    /// The feature of a connection over which these are sent (`VIR_DRV_FEATURE_PROGRAM_KEEPALIVE`).
    pub(crate) const FEATURE: i32 = 10;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_procedure_has_a_number_and_a_name_of_its_own() {
        let numbers: HashSet<_> = remote::ALL.iter().map(|(number, _)| number).collect();
        let names: HashSet<_> = remote::ALL.iter().map(|(_, name)| name).collect();
        assert_eq!((numbers.len(), names.len()), (remote::ALL.len(), remote::ALL.len()));
    }
}
