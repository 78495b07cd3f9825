//! Entrances for fuzzers: what libvirt says.

use crate::{
    domain::{Described, capabilities::accelerator},
    protocol::{DomainEvent, Frames, Procedure, RemoteError, remote},
    xdr,
};
use futures_util::FutureExt;

/// Messages, one after the other; each read as whatever it might be.
pub fn messages(bytes: &[u8]) {
    let mut frames = Frames::new(bytes);
    // What is in memory is always there.
    while let Some(Ok(frame)) = frames.next().now_or_never() {
        let _ = DomainEvent::of(&frame);
        let _ = xdr::decode_whole::<RemoteError>(&frame.payload);
        answer::<remote::AuthList>(&frame.payload);
        answer::<remote::ConnectGetUri>(&frame.payload);
        answer::<remote::ConnectListAllDomains>(&frame.payload);
        answer::<remote::ConnectGetAllDomainStats>(&frame.payload);
        answer::<remote::DomainLookupByUuid>(&frame.payload);
        answer::<remote::DomainGetState>(&frame.payload);
    }
}

fn answer<P: Procedure>(payload: &[u8]) {
    let _ = xdr::decode_whole::<P::Answer>(payload);
}

/// Descriptions of domains, and of what a host can do.
pub fn xml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = Described::of(&text);
    accelerator(&text);
}
