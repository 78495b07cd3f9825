//! Answers that go on, and end when the credential that they were asked with does.

use axum::{
    Error,
    body::{Body, HttpBody},
    response::Response,
};
use futures_util::{StreamExt, stream};
use innkeeper_auth::{Doorkeeper, Principal};
use innkeeper_model::Timestamp;
use std::io;

/// The same answer, which breaks off at its next piece once the token that its caller showed was revoked
/// or has expired. One whose length is known is on its way already, and stays as it is.
pub fn while_it_holds(
    response: Response,
    principal: &Principal,
    doorkeeper: &Doorkeeper,
) -> Response {
    if response.body().size_hint().exact().is_some() || !Doorkeeper::can_end(principal) {
        return response;
    }
    let credential = (principal.clone(), doorkeeper.clone());
    response.map(|body| {
        let begun = Some((body.into_data_stream(), credential));
        Body::from_stream(stream::unfold(begun, |state| async {
            let (mut data, credential) = state?;
            let chunk = data.next().await?;
            let (principal, doorkeeper) = &credential;
            if !doorkeeper.holds(principal, Timestamp::now()) {
                // An answer that only ended would look whole.
                return Some((Err(over()), None));
            }
            let rest = chunk.is_ok().then_some((data, credential));
            Some((chunk, rest))
        }))
    })
}

fn over() -> Error {
    Error::new(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "the credential does not hold any more",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use innkeeper_auth::{IssuedTokens, NewToken, Role};
    use std::{convert::Infallible, sync::Arc};

    #[tokio::test]
    async fn a_stream_breaks_off_when_its_token_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let issued = Arc::new(IssuedTokens::open(&folder.path().join("tokens.json")).unwrap());
        let name: innkeeper_model::TokenName = "ci".parse().unwrap();
        let wanted = NewToken {
            name: name.clone(),
            role: Role::Viewer,
            project: None,
            expires: None,
            privileged: false,
        };
        let (_, text) = issued.create(wanted, "uid:0", Timestamp::now()).unwrap();
        let doorkeeper = Doorkeeper::default().with_issued(Arc::clone(&issued));
        let principal = doorkeeper.admit(&text, Timestamp::now()).unwrap();

        let endless = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(b"event\n")));
        let response = Response::new(Body::from_stream(endless));
        let response = while_it_holds(response, &principal, &doorkeeper);
        let mut pieces = response.into_body().into_data_stream();
        assert_eq!(pieces.next().await.unwrap().unwrap(), "event\n");
        issued.revoke(&name, Timestamp::now()).unwrap();
        pieces.next().await.unwrap().unwrap_err();
        assert!(pieces.next().await.is_none());
    }

    #[tokio::test]
    async fn what_is_whole_already_is_left_alone() {
        let principal = Principal::of_socket(0, 0);
        let response = Response::new(Body::from("all of it"));
        let response = while_it_holds(response, &principal, &Doorkeeper::default());
        assert_eq!(response.body().size_hint().exact(), Some(9));
    }
}
