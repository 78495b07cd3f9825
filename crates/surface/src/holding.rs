//! Answers and sessions that go on, and end when the credential that they were asked with does.

use axum::{
    Error,
    body::{Body, HttpBody},
    response::Response,
};
use futures_util::{StreamExt, stream};
use innkeeper_auth::Standing;
use innkeeper_model::{Code, Refusal, Timestamp};
use std::{io, time::Duration};
use tokio::time::sleep;

/// How long after its credential something may go on, at the most.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Returns when a credential does not hold any more, and never for one that does as long as its connection.
/// Dropping the future changes nothing.
pub async fn until_it_ends(standing: &Standing) {
    if !standing.can_end() {
        return std::future::pending().await;
    }
    loop {
        // Credentials end by the clock, by an operator's word or by a file: nothing tells of all of them. Not at once:
        // it held a moment ago, and who takes back their own is to be told that it was done.
        sleep(LOOK_AFTER).await;
        if !standing.holds(Timestamp::now()) {
            return;
        }
    }
}

/// What comes of some work, unless the credential that it was asked for with ends first: then the work is dropped, as
/// if its caller had left.
///
/// # Errors
/// It ended.
pub(crate) async fn unless_it_ends<T>(
    standing: &Standing,
    work: impl Future<Output = T>,
) -> Result<T, Refusal> {
    tokio::select! {
        // What is done is done, whatever became of the credential by it.
        biased;
        done = work => Ok(done),
        () = until_it_ends(standing) => {
            let message = "the credential that was shown does not hold any more";
            Err(Refusal::new(Code::Unauthenticated, message))
        }
    }
}

/// The same answer, which breaks off once the credential that its caller showed was taken back or has expired, or
/// whatever else it is asked for with does not hold any more: at its next piece, or a second later at the most. One
/// whose length is known is on its way already, and stays as it is.
pub fn while_it_holds(response: Response, standing: &Standing) -> Response {
    if response.body().size_hint().exact().is_some() || !standing.can_end() {
        return response;
    }
    let standing = standing.clone();
    response.map(|body| {
        let begun = Some((body.into_data_stream(), standing));
        Body::from_stream(stream::unfold(begun, |state| async {
            let (mut data, standing) = state?;
            let chunk = tokio::select! {
                chunk = data.next() => chunk?,
                () = until_it_ends(&standing) => Err(over()),
            };
            // An answer that only ended would look whole.
            let holds = standing.holds(Timestamp::now());
            let chunk = if holds { chunk } else { Err(over()) };
            let rest = chunk.is_ok().then_some((data, standing));
            Some((chunk, rest))
        }))
    })
}

fn over() -> Error {
    Error::new(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "what it was asked for with does not hold any more",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use futures_util::FutureExt;
    use innkeeper_auth::Revocable;
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    /// Holds until somebody says otherwise.
    #[derive(Debug)]
    struct Key(AtomicBool);

    impl Revocable for Key {
        fn holds(&self, _now: Timestamp) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn key() -> (Arc<Key>, Standing) {
        let key = Arc::new(Key(true.into()));
        let standing = Standing::of(Arc::clone(&key) as Arc<dyn Revocable>);
        (key, standing)
    }

    #[tokio::test]
    async fn a_stream_breaks_off_when_its_credential_is_taken_back() {
        let (key, standing) = key();
        let endless = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(b"event\n")));
        let response = while_it_holds(Response::new(Body::from_stream(endless)), &standing);
        let mut pieces = response.into_body().into_data_stream();
        assert_eq!(pieces.next().await.unwrap().unwrap(), "event\n");
        key.0.store(false, Ordering::Relaxed);
        pieces.next().await.unwrap().unwrap_err();
        assert!(pieces.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_without_pieces_breaks_off_too() {
        let (key, standing) = key();
        let silent = stream::pending::<Result<Bytes, Infallible>>();
        let response = while_it_holds(Response::new(Body::from_stream(silent)), &standing);
        let mut pieces = response.into_body().into_data_stream();
        let waiting = tokio::spawn(async move { pieces.next().await.unwrap().is_err() });
        tokio::task::yield_now().await;
        key.0.store(false, Ordering::Relaxed);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn what_ends_with_its_connection_is_never_over() {
        assert!(until_it_ends(&Standing::of_connection()).now_or_never().is_none());
        let over = Standing::of_connection().until(Timestamp::UNIX_EPOCH);
        until_it_ends(&over).await;
    }

    #[tokio::test]
    async fn work_is_dropped_when_its_credential_ends_and_what_is_done_is_done() {
        let (key, standing) = key();
        assert_eq!(unless_it_ends(&standing, async { 7 }).await, Ok(7));
        key.0.store(false, Ordering::Relaxed);
        assert_eq!(unless_it_ends(&standing, async { 7 }).await, Ok(7));
        let refusal = unless_it_ends(&standing, std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(refusal.code, Code::Unauthenticated);
    }

    #[tokio::test]
    async fn what_is_whole_already_is_left_alone() {
        let (_key, standing) = key();
        let response = while_it_holds(Response::new(Body::from("all of it")), &standing);
        assert_eq!(response.body().size_hint().exact(), Some(9));
    }
}
