//! What a caller shows, right and wrong.

use super::wallet::{Wallet, now};
use crate::harness::Request;
use serde_json::json;

/// What one column of the table shows.
pub(super) struct Shown {
    pub(super) name: String,
    headers: Vec<(&'static str, String)>,
}

impl Shown {
    fn new(name: &str, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { name: name.into(), headers }
    }

    pub(super) fn bearer(name: &str, token: &str) -> Self {
        Self::new(name, &[("Authorization", &format!("Bearer {token}"))])
    }

    pub(super) fn cookie(name: &str, cookie: &str, csrf: Option<&str>) -> Self {
        let csrf = csrf.map(|csrf| ("Innkeeper-CSRF", csrf));
        let headers: Vec<_> = [("Cookie", cookie)].into_iter().chain(csrf).collect();
        Self::new(name, &headers)
    }

    /// The request, showing it.
    pub(super) fn with(&self, request: Request) -> Request {
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

/// All that lets nobody in. Tokens are one that is right, with one thing in it that is not.
pub(super) fn wrong(alice: &Wallet, mallory: &Wallet) -> Vec<Shown> {
    let now = now();
    let claims = |change: serde_json::Value| {
        let mut claims = alice.claims("wrong");
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        claims
    };
    let jwt = |name: &str, change| Shown::bearer(name, &alice.sign("ES256K", &claims(change)));
    let of_alg = |name: &str, header: serde_json::Value| {
        Shown::bearer(name, &alice.sign_with_header(&header, &claims(json!({}))))
    };
    let right = claims(json!({}));
    vec![
        Shown::new("nothing", &[]),
        Shown::new("malformed: Basic", &[("Authorization", "Basic eDp5")]),
        Shown::new("malformed: no token", &[("Authorization", "Bearer")]),
        Shown::bearer("malformed: no such token", "inn_0123456789"),
        Shown::bearer("malformed: three parts", "a.b.c"),
        jwt("expired", json!({ "exp": now - 1 })),
        jwt("not yet valid", json!({ "nbf": now + 3600 })),
        jwt("issued later than now", json!({ "iat": now + 3600 })),
        jwt("too long-lived", json!({ "exp": now + 25 * 3600 + 60 })),
        jwt("wrong audience", json!({ "aud": "another" })),
        of_alg("wrong algorithm", json!({ "alg": "RS256" })),
        Shown::bearer("none", &alice.unsigned(&right)),
        Shown::bearer("HS256 with the public key", &alice.hs256_with_public_key(&right)),
        Shown::bearer("high S", &alice.high_s(&right)),
        Shown::bearer("swapped recovery id", &alice.swapped_recovery_id(&right)),
        Shown::bearer("wrong hash", &alice.wrong_hash(&right)),
        Shown::bearer("foreign checksum", &alice.sign("ES256K", &claims(alice.bad_checksum()))),
        Shown::bearer("signed by another", &mallory.sign("ES256K", &right)),
        Shown::bearer("an account that is not let in", &mallory.token("stranger")),
        Shown::new(
            "forged Host",
            &[
                ("Authorization", &format!("Bearer {}", alice.token("host"))),
                ("Host", "evil.example"),
            ],
        ),
        Shown::new(
            "foreign Origin",
            &[
                ("Authorization", &format!("Bearer {}", alice.token("origin"))),
                ("Origin", "http://evil.example"),
            ],
        ),
    ]
}
