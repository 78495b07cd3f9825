//! Callers who come too often, as HTTP says it: 429, when to come again, and what is allowed.
//!
//! The fields are those of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy: "reads";q=200;w=1` (so
//! many in so many seconds) and `RateLimit: "reads";r=0;t=1` (none left, and seconds until there is one),
//! beside `Retry-After` of RFC 9110.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use innkeeper_auth::{
    NotAdmitted,
    limits::{Exceeded, Kind},
};
use innkeeper_model::{Code, Refusal};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Why somebody is not let in, as a refusal.
pub fn refusal_of(not: &NotAdmitted) -> Refusal {
    match not {
        NotAdmitted::Refused(refusal) => refusal.clone(),
        NotAdmitted::TooSoon(exceeded) => {
            let Exceeded { quota, kind, .. } = exceeded;
            let wait = seconds(exceeded);
            let message = format!("too many {}: {quota} are allowed", name(*kind));
            Refusal::new(Code::TooManyRequests, message)
                .with_limit(quota)
                .with_hint(format!("come again in {wait} s"))
        }
    }
}

/// Adds what says when to come again to the head of the answer.
pub fn say_when(not: &NotAdmitted, headers: &mut HeaderMap) {
    let NotAdmitted::TooSoon(exceeded) = not else { return };
    let Exceeded { quota, kind, .. } = exceeded;
    let (name, wait) = (name(*kind), seconds(exceeded));
    headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
    let policy = format!("\"{name}\";q={};w={}", quota.requests(), quota.window().as_secs());
    for (field, value) in [(POLICY, policy), (LIMIT, format!("\"{name}\";r=0;t={wait}"))] {
        // Words of ours and numbers.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(field, value);
        }
    }
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Read => "reads",
        Kind::Write => "writes",
        Kind::Stream => "streams",
    }
}

/// The time to wait, in whole seconds; one at least.
fn seconds(exceeded: &Exceeded) -> u64 {
    exceeded.wait.as_nanos().div_ceil(1_000_000_000).max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_auth::limits::Quota;
    use std::time::Duration;

    #[test]
    fn who_comes_too_often_is_told_when_to_come_again() {
        let wait = Duration::from_millis(1_001);
        let exceeded = Exceeded { quota: Quota::per_minute(100), kind: Kind::Write, wait };
        let mut headers = HeaderMap::new();
        let too_soon = NotAdmitted::from(exceeded);
        say_when(&too_soon, &mut headers);
        assert_eq!(headers["retry-after"], "2");
        assert_eq!(headers["ratelimit-policy"], "\"writes\";q=100;w=60");
        assert_eq!(headers["ratelimit"], "\"writes\";r=0;t=2");
        let refusal = refusal_of(&too_soon);
        assert_eq!(refusal.code, Code::TooManyRequests);
        assert_eq!(refusal.message, "too many writes: 100/min are allowed");
    }

    #[test]
    fn what_is_refused_for_another_reason_says_nothing_of_limits() {
        let mut headers = HeaderMap::new();
        say_when(&Refusal::new(Code::Forbidden, "no").into(), &mut headers);
        assert!(headers.is_empty());
    }
}
