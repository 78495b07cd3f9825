//! A body that is a file, piece by piece.

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, header};
use innkeeper_model::{Code, Refusal};
use std::time::Duration;
use tokio::time::timeout;

/// How long the next piece may take to arrive from a caller.
const PIECE_WITHIN: Duration = Duration::from_secs(60);
/// For how long a caller who has been refused is still listened to. Whose connection is closed while they
/// send does not read why.
const LINGERS: Duration = Duration::from_secs(5);

/// How many bytes a caller says that they send, where they say so.
pub(crate) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What a caller sends.
pub(crate) struct Pieces(BodyDataStream);

impl Pieces {
    pub(crate) fn of(body: Body) -> Self {
        Self(body.into_data_stream())
    }

    /// The next piece; nothing at the end.
    ///
    /// # Errors
    /// It breaks off, or does not come in time.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let slow = |_| Refusal::new(Code::BadRequest, "the file did not arrive in time");
        let piece = timeout(PIECE_WITHIN, self.0.next()).await.map_err(slow)?.transpose();
        piece
            .map_err(|error| Refusal::new(Code::BadRequest, "the file broke off").caused_by(&error))
    }

    /// Nothing of what still comes is wanted.
    pub(crate) fn refuse(mut self) {
        tokio::spawn(timeout(
            LINGERS,
            async move { while let Some(Ok(_)) = self.0.next().await {} },
        ));
    }
}
