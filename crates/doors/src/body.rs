//! Bodies of requests: they arrive in time, or break off.

use axum::{
    Error,
    body::{Body, HttpBody},
};
use futures_util::{StreamExt, stream};
use std::{io, time::Duration};
use tokio::time::sleep;

/// How long a body may take to arrive, all of it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// The same body, which breaks off where it takes longer: who sends a byte now and then holds nothing
/// for longer than that.
pub(crate) fn in_time(body: Body, at_most: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    // The end of a caller's time, counted from the request's head.
    let deadline = Box::pin(sleep(at_most));
    let begun = Some((body.into_data_stream(), deadline));
    Body::from_stream(stream::unfold(begun, |state| async {
        let (mut data, mut deadline) = state?;
        tokio::select! {
            biased;
            () = &mut deadline => Some((Err(too_slow()), None)),
            chunk = data.next() => {
                let chunk = chunk?;
                let rest = chunk.is_ok().then_some((data, deadline));
                Some((chunk, rest))
            }
        }
    }))
}

fn too_slow() -> Error {
    Error::new(io::Error::from(io::ErrorKind::TimedOut))
}
