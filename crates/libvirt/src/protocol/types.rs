//! The types of libvirt's procedures that are more than numbers and texts.

use super::{Frame, procedures::remote::event};
use crate::xdr::{self, Decode, Encode, List, Reader, XdrError};
use uuid::Uuid;

/// How libvirt names a domain (`remote_nonnull_domain`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DomainRef {
    pub(crate) name: String,
    pub(crate) uuid: Uuid,
    /// Which run it is; -1 while it does not run.
    pub(crate) id: i32,
}

impl DomainRef {
    /// The domain of this id, whose name is asked for nowhere: libvirt goes by the id.
    pub(crate) const fn of(uuid: Uuid) -> Self {
        Self { name: String::new(), uuid, id: -1 }
    }

    /// Which run it is, while it runs.
    pub(crate) fn run(&self) -> Option<i64> {
        (self.id >= 0).then(|| self.id.into())
    }
}

impl Encode for DomainRef {
    fn encode(&self, out: &mut Vec<u8>) {
        self.name.encode(out);
        (self.uuid, self.id).encode(out);
    }
}

impl Decode for DomainRef {
    const LEAST: usize = String::LEAST + Uuid::LEAST + i32::LEAST;

    fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError> {
        let (name, uuid, id) = Decode::decode(input)?;
        Ok(Self { name, uuid, id })
    }
}

/// What libvirt says went wrong (`remote_error`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteError {
    /// `virErrorNumber`.
    pub(crate) code: i32,
    pub(crate) message: String,
}

/// `virErrorNumber`, as far as it is told apart.
impl RemoteError {
    /// `VIR_ERR_NO_SUPPORT`.
    pub(crate) const NO_SUPPORT: i32 = 3;
    /// `VIR_ERR_NO_DOMAIN`.
    pub(crate) const NO_DOMAIN: i32 = 42;
    /// `VIR_ERR_AUTH_FAILED`.
    pub(crate) const AUTH_FAILED: i32 = 45;
    /// `VIR_ERR_OPERATION_INVALID`: not in the state that the domain is in.
    pub(crate) const OPERATION_INVALID: i32 = 55;
    /// `VIR_ERR_AUTH_CANCELLED`.
    pub(crate) const AUTH_CANCELLED: i32 = 79;
    /// `VIR_ERR_AUTH_UNAVAILABLE`.
    pub(crate) const AUTH_UNAVAILABLE: i32 = 94;
    /// `VIR_ERR_OPERATION_DENIED`: by a connection that may only read.
    pub(crate) const OPERATION_DENIED: i32 = 29;
    /// `VIR_ERR_ACCESS_DENIED`: by a policy.
    pub(crate) const ACCESS_DENIED: i32 = 88;
}

impl Decode for RemoteError {
    const LEAST: usize = 44;

    fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError> {
        let (code, _domain): (i32, i32) = Decode::decode(input)?;
        let (message, _level): (Option<String>, i32) = Decode::decode(input)?;
        let _about: Option<DomainRef> = Decode::decode(input)?;
        let _texts: (Option<String>, Option<String>, Option<String>) = Decode::decode(input)?;
        let _numbers: (i32, i32) = Decode::decode(input)?;
        // A network is a name and an id.
        let _network: Option<(String, Uuid)> = Decode::decode(input)?;
        Ok(Self { code, message: message.unwrap_or_default() })
    }
}

/// The value of a parameter (`remote_typed_param_value`), as far as Innkeeper asks for some.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ParameterValue {
    /// `VIR_TYPED_PARAM_INT`.
    Int(i32),
    /// Any other type: read, and not looked at.
    Other,
}

/// A named value (`remote_typed_param`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: ParameterValue,
}

impl Decode for Parameter {
    const LEAST: usize = String::LEAST + 8;

    fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError> {
        let (name, kind): (String, u32) = Decode::decode(input)?;
        let value = match kind {
            1 => ParameterValue::Int(i32::decode(input)?),
            // UINT, BOOLEAN
            2 | 6 => u32::decode(input).map(|_| ParameterValue::Other)?,
            // LLONG, ULLONG, DOUBLE
            3..=5 => u64::decode(input).map(|_| ParameterValue::Other)?,
            // STRING
            7 => String::decode(input).map(|_| ParameterValue::Other)?,
            other => return Err(XdrError::UnknownChoice(other)),
        };
        Ok(Self { name, value })
    }
}

/// The figures of one domain (`remote_domain_stats_record`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DomainStatistics {
    pub(crate) domain: DomainRef,
    pub(crate) parameters: Vec<Parameter>,
}

/// `REMOTE_CONNECT_GET_ALL_DOMAIN_STATS_MAX` is 262,144 for every figure there is; of the state, which
/// alone is asked for, there are two.
const PARAMETERS: usize = 1_024;

impl DomainStatistics {
    /// The value of a parameter that is an `int`.
    pub(crate) fn int(&self, name: &str) -> Option<i32> {
        let parameter = self.parameters.iter().find(|parameter| parameter.name == name)?;
        match parameter.value {
            ParameterValue::Int(value) => Some(value),
            ParameterValue::Other => None,
        }
    }
}

impl Decode for DomainStatistics {
    const LEAST: usize = DomainRef::LEAST + 4;

    fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError> {
        let (domain, List(parameters)): (_, List<_, PARAMETERS>) = Decode::decode(input)?;
        Ok(Self { domain, parameters })
    }
}

/// Something that libvirt told by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DomainEvent {
    pub(crate) uuid: Uuid,
    pub(crate) what: Happened,
}

/// What has happened to a domain, as far as it is told apart: how the domain is by now is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    /// Its guest's kernel panicked.
    Panicked,
    /// It went from one state into another that it runs in.
    Moved,
    /// What it is made of may be other than it was: it was defined, started, stopped, or has another
    /// device or title.
    Changed,
}

impl DomainEvent {
    /// What a message says; `None` where it is none of those that are heeded.
    ///
    /// # Errors
    /// It claims to be one of them, and is not well made.
    pub(crate) fn of(message: &Frame) -> Result<Option<Self>, XdrError> {
        let payload = &message.payload;
        let number = message.header.procedure;
        if number == event::LIFECYCLE.message {
            let (_, domain, what, _): (i32, DomainRef, i32, i32) = xdr::decode_whole(payload)?;
            // `virDomainEventType`
            let what = match what {
                // SUSPENDED, RESUMED, SHUTDOWN, PMSUSPENDED
                3 | 4 | 6 | 7 => Happened::Moved,
                8 => Happened::Panicked,
                // DEFINED, UNDEFINED, STARTED, STOPPED, and what is not known yet
                _ => Happened::Changed,
            };
            return Ok(Some(Self { uuid: domain.uuid, what }));
        }
        if !event::ALL.iter().any(|event| event.message == number) {
            return Ok(None);
        }
        // What follows, such as the device's name, is not needed.
        let (_, domain): (i32, DomainRef) = xdr::decode_beginning(payload)?;
        Ok(Some(Self { uuid: domain.uuid, what: Happened::Changed }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Header, Kind, Status, remote};
    use bytes::Bytes;

    fn told(procedure: i32, payload: &impl Encode) -> Frame {
        let mut bytes = Vec::new();
        payload.encode(&mut bytes);
        let (program, version) = (remote::PROGRAM, remote::VERSION);
        let (kind, status) = (Kind::Message, Status::Ok);
        let header = Header { program, version, procedure, kind, serial: 0, status };
        Frame { header, payload: Bytes::from(bytes) }
    }

    fn domain() -> DomainRef {
        DomainRef { name: "web".into(), uuid: Uuid::from_u128(7), id: 3 }
    }

    #[test]
    fn what_is_told_of_domains_is_understood() {
        let lifecycle = |what: i32| told(318, &(0_i32, domain(), (what, 0_i32)));
        for (event, expected) in [
            (lifecycle(0), Some(Happened::Changed)),
            (lifecycle(2), Some(Happened::Changed)),
            (lifecycle(3), Some(Happened::Moved)),
            (lifecycle(8), Some(Happened::Panicked)),
            (lifecycle(99), Some(Happened::Changed)),
            (told(354, &(0_i32, domain(), "net0".to_owned())), Some(Happened::Changed)),
            (told(99_999, &"from the future".to_owned()), None),
        ] {
            let happened = DomainEvent::of(&event).expect("they are well made");
            assert_eq!(happened.as_ref().map(|event| event.what), expected, "{event:?}");
            assert!(happened.is_none_or(|event| event.uuid == Uuid::from_u128(7)));
        }
        assert!(DomainEvent::of(&told(318, &1_i32)).is_err());
    }

    #[test]
    fn an_error_of_libvirts_is_read_whole() {
        let mut bytes = Vec::new();
        (42_i32, 10_i32, Some("Domain not found".to_owned())).encode(&mut bytes);
        (2_i32, Some(domain()), Some("one".to_owned())).encode(&mut bytes);
        (None::<String>, None::<String>, (-1_i32, -1_i32)).encode(&mut bytes);
        None::<DomainRef>.encode(&mut bytes);
        let error: RemoteError = xdr::decode_whole(&bytes).expect("it is one");
        assert_eq!(error, RemoteError { code: 42, message: "Domain not found".into() });
    }

    #[test]
    fn figures_of_every_type_are_read_and_those_asked_for_found() {
        let mut bytes = Vec::new();
        (domain(), 7_u32).encode(&mut bytes);
        ("a".to_owned(), 2_u32, 1_u32).encode(&mut bytes);
        ("b".to_owned(), 3_u32, 1_i64).encode(&mut bytes);
        ("c".to_owned(), 4_u32, 1_u64).encode(&mut bytes);
        ("d".to_owned(), 5_u32, 1.0_f64).encode(&mut bytes);
        ("e".to_owned(), 6_u32, 1_u32).encode(&mut bytes);
        ("f".to_owned(), 7_u32, "text".to_owned()).encode(&mut bytes);
        ("state.state".to_owned(), 1_u32, 5_i32).encode(&mut bytes);
        let figures: DomainStatistics = xdr::decode_whole(&bytes).expect("they are well made");
        assert_eq!((figures.parameters.len(), &figures.domain), (7, &domain()));
        assert_eq!(
            (figures.int("state.state"), figures.int("f"), figures.int("g")),
            (Some(5), None, None)
        );
    }
}
