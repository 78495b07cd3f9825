//! The credential of a request: who shows it.

use crate::arrival::Arrival;
use http::{HeaderMap, header};
use innkeeper_auth::{Doorkeeper, NotAdmitted, Principal, Source};
use innkeeper_model::{Code, Refusal, Timestamp};

/// Who sent a request from there, by the credential that it shows; nobody where it shows none.
///
/// # Errors
/// It shows one that does not hold, or that is no bearer's; or too many that nobody has seen before came from
/// there.
pub fn principal(
    headers: &HeaderMap,
    doorkeeper: &Doorkeeper,
    source: Source,
) -> Result<Option<Principal>, NotAdmitted> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Ok(None);
    }
    let text = bearer(headers).ok_or_else(|| {
        let message = "the header Authorization is not one bearer's";
        Refusal::new(Code::Unauthenticated, message).with_hint("send Authorization: Bearer TOKEN")
    })?;
    Ok(Some(doorkeeper.admit(text, source, Timestamp::now())?))
}

/// Who opened a connection, by the certificate that was shown then; nobody where none was. It is asked for each
/// request, so that a certificate that was revoked meanwhile opens nothing.
///
/// # Errors
/// It does not hold, or not any more.
pub fn certified(arrival: &Arrival, doorkeeper: &Doorkeeper) -> Result<Option<Principal>, Refusal> {
    let admit = |shown| doorkeeper.admit_certificate(shown, Timestamp::now());
    arrival.certificate().map(admit).transpose()
}

/// Waits until it can be known who shows the credential of a request: at most some seconds, and only where an issuer
/// has to be asked for its keys.
pub async fn ready(headers: &HeaderMap, doorkeeper: &Doorkeeper) {
    if doorkeeper.asks_others()
        && let Some(text) = bearer(headers)
    {
        doorkeeper.ready(text).await;
    }
}

/// That a request shows no credential where one is needed.
pub fn no_credential() -> Refusal {
    Refusal::new(Code::Unauthenticated, "this address needs a token").with_hint(
        "send Authorization: Bearer and a token of inn token create, or what is in the file `token` of \
         the state folder",
    )
}

/// What a request shows as a bearer's token, if it shows one.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?;
    // Whoever shows two may be two: a proxy's, and somebody's behind it.
    let only = values.next().is_none().then_some(value)?;
    after_scheme(only.to_str().ok()?)
}

fn after_scheme(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let value = |value: &&'static str| (header::AUTHORIZATION, HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for (name, value) in values.iter().map(value) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn nobody_is_who_shows_nothing_and_refused_is_who_shows_nonsense() {
        let doorkeeper = Doorkeeper::default();
        let principal =
            |values: &[&'static str]| principal(&headers(values), &doorkeeper, Source::ThisHost);
        assert_eq!(principal(&[]).unwrap(), None);
        for wrong in [
            &["Basic eDp5"][..],
            &["Bearer"],
            &["Bearer  "],
            &[""],
            &["Bearer x"],
            &["Bearer x", "Bearer x"],
        ] {
            let refusal = crate::refusal_of(&principal(wrong).unwrap_err());
            assert_eq!(refusal.code, Code::Unauthenticated, "{wrong:?}");
        }
    }

    #[test]
    fn a_bearers_text_is_what_follows_the_scheme() {
        assert_eq!(bearer(&headers(&["bEARER  abc "])), Some("abc"));
        assert_eq!(bearer(&headers(&["Bearerabc"])), None);
    }
}
