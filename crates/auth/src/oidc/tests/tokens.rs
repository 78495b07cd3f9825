use super::{
    Bench, DAY, NOW,
    issuer::{SigningKey, unsigned},
    now,
};
use crate::{
    Doorkeeper, NotAdmitted, Source,
    limits::{Exceeded, Kind, Quota, Quotas},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use innkeeper_model::{Code, Timestamp};
use ring::hmac;
use serde_json::{Value, json};
use std::{cell::Cell, sync::Arc};

#[tokio::test]
async fn a_token_of_each_kind_of_key_is_its_callers() {
    for key in [SigningKey::es256(), SigningKey::ed25519(), SigningKey::rs256()] {
        let bench = Bench::of(key).await;
        for header in
            [json!({}), json!({ "kid": null }), json!({ "typ": "at+JWT" }), json!({ "typ": null })]
        {
            let who = bench.admit(&bench.token(&header, &json!({}))).await.unwrap();
            assert_eq!(who.identity.to_string(), "oidc:corp:anna");
            assert_eq!(
                (who.role.to_string(), who.standing.ends()),
                ("operator".into(), Some(Timestamp::from_second(NOW + 300).unwrap()),)
            );
        }
    }
}

#[tokio::test]
async fn a_token_counts_for_its_time_and_its_audience_alone() {
    let bench = Bench::of(SigningKey::es256()).await;
    for claims in [
        json!({ "exp": NOW + 1 }),
        json!({ "exp": NOW as f64 + 0.5 }),
        json!({ "nbf": NOW + 30 }),
        json!({ "iat": NOW + 30 }),
        json!({ "iat": null }),
        json!({ "exp": NOW + DAY }),
        json!({ "exp": NOW + DAY + 30, "iat": null }),
        json!({ "exp": NOW + 31, "iat": NOW - DAY + 1 }),
        json!({ "aud": ["others", "innkeeper"] }),
    ] {
        let admitted = bench.admit(&bench.token(&json!({}), &claims)).await;
        assert!(admitted.is_ok(), "{claims}: {admitted:?}");
    }
    for (claims, problem) in [
        (json!({ "exp": NOW }), "expired"),
        (json!({ "exp": NOW - 1 }), "expired"),
        (json!({ "exp": null }), "no \"exp\""),
        (json!({ "exp": "soon" }), "seconds since 1970"),
        (json!({ "exp": 9_007_199_254_740_991_i64 }), "seconds since 1970"),
        (json!({ "exp": 9_007_199_254_740_992_i64 }), "payload"),
        (json!({ "exp": NOW + DAY + 31 }), "more than 24h after it was made"),
        (json!({ "exp": NOW + DAY + 31, "iat": null }), "or after now"),
        (json!({ "exp": NOW + DAY + 31, "iat": NOW + 30 }), "or after now"),
        (json!({ "exp": NOW + 31, "iat": NOW - DAY }), "more than 24h after it was made"),
        (json!({ "nbf": NOW + 31 }), "does not count before"),
        (json!({ "iat": NOW + 31 }), "in the future"),
        (json!({ "aud": "others" }), "audience"),
        (json!({ "aud": [] }), "audience"),
        (json!({ "aud": null }), "no \"aud\""),
        (json!({ "aud": { "innkeeper": 1 } }), "aud is a text or several"),
        (json!({ "sub": null }), "who it is of"),
        (json!({ "sub": "" }), "who it is of"),
    ] {
        let refused = bench.admit(&bench.token(&json!({}), &claims)).await.unwrap_err();
        assert_eq!(refused.code, Code::Unauthenticated, "{claims}");
        assert!(refused.message.contains(problem), "{claims}: {refused}");
    }
    let refused = bench.admit(&bench.token(&json!({}), &json!({ "groups": "guests" }))).await;
    assert_eq!(refused.unwrap_err().code, Code::Forbidden);
}

/// That somebody came too often.
fn too_often() -> NotAdmitted {
    let (quota, wait) = (Quota::per_second(1), std::time::Duration::from_secs(1));
    NotAdmitted::TooSoon(Exceeded { quota, kind: Kind::Read, wait })
}

#[tokio::test]
async fn who_shows_a_token_is_counted_before_its_signature_is_looked_at_and_once() {
    let bench = Bench::of(SigningKey::es256()).await;
    let good = bench.token(&json!({}), &json!({}));
    let signature = BASE64.encode(bench.key.sign("something else"));
    let wrong = format!("{}.{signature}", good.rsplit_once('.').unwrap().0);
    let counted = Cell::new(0);
    let at = |text: &str, second: i64, most: u32| {
        let count = || {
            if counted.get() == most {
                return Err(too_often());
            }
            counted.set(counted.get() + 1);
            Ok(())
        };
        let now = Timestamp::from_second(second).unwrap();
        bench.issuers.admit(text, now, count).expect("it is of this issuer")
    };
    // A right one says as little as a wrong one to whoever comes too often.
    assert_eq!([&good, &wrong].map(|text| at(text, NOW, 0)), [(); 2].map(|()| Err(too_often())));
    for (round, expected) in [(1, 2), (2, 3)] {
        at(&good, NOW, 9).unwrap();
        let NotAdmitted::Refused(refused) = at(&wrong, NOW, 9).unwrap_err() else { panic!() };
        assert!(refused.message.contains("signature"), "{refused}");
        assert_eq!(counted.get(), expected, "round {round}");
    }
    // Whoever was let in goes on, whoever else comes too often from there, and until the token's end.
    at(&good, NOW + 299, 0).unwrap();
    let NotAdmitted::Refused(refused) = at(&good, NOW + 300, 9).unwrap_err() else { panic!() };
    assert!(refused.message.contains("expired"), "{refused}");
    // What says itself that it does not hold costs little, and is not counted here.
    let foreign = bench.token(&json!({}), &json!({ "aud": "x" }));
    assert!(matches!(at(&foreign, NOW, 3), Err(NotAdmitted::Refused(_))));
    assert_eq!(counted.get(), 3);
    bench.issuers.forget_expired(Timestamp::from_second(NOW + 300).unwrap());
    assert_eq!(bench.issuers.seen.count(), 0);
}

#[tokio::test]
async fn whom_nothing_is_granted_to_is_not_remembered() {
    let bench = Bench::of(SigningKey::es256()).await;
    let guest = bench.token(&json!({}), &json!({ "groups": "guests" }));
    for _ in 0..2 {
        assert_eq!(bench.admit(&guest).await.unwrap_err().code, Code::Forbidden);
    }
    assert_eq!(bench.issuers.seen.count(), 0);
}

#[tokio::test]
async fn wrong_signatures_have_an_end_for_each_source_and_right_ones_go_on() {
    let bench = Bench::of(SigningKey::es256()).await;
    let unauthenticated = Quota::per_minute(3);
    let doorkeeper = Doorkeeper::default()
        .with_issuers(Arc::clone(&bench.issuers))
        .with_limits(Quotas { unauthenticated, ..Quotas::default() });
    let good = bench.token(&json!({}), &json!({}));
    let text = good.rsplit_once('.').unwrap().0;
    let wrong = |n: u8| format!("{text}.{}", BASE64.encode([n; 64]));
    let [one, other] = [1, 2].map(|last| Source::of_address([192, 0, 2, last].into()));
    let admit = |text: &str, source| doorkeeper.admit(text, source, now());
    admit(&good, one).unwrap();
    for n in 0..2 {
        assert!(matches!(admit(&wrong(n), one), Err(NotAdmitted::Refused(_))));
    }
    assert!(matches!(admit(&wrong(9), one), Err(NotAdmitted::TooSoon(_))));
    admit(&good, one).unwrap();
    assert!(matches!(admit(&wrong(9), other), Err(NotAdmitted::Refused(_))));
}

#[tokio::test]
async fn a_token_of_somebody_else_is_not_looked_at_here() {
    let bench = Bench::of(SigningKey::es256()).await;
    let other = |iss: Value| bench.token(&json!({}), &json!({ "iss": iss }));
    let own = bench.issuer.issuer.clone();
    for text in [
        other(json!("https://evil.example")),
        other(json!(format!("{own}/"))),
        other(json!(own.to_uppercase())),
        other(json!([own])),
        other(json!(null)),
        "inn_abc".into(),
        "a.b".into(),
        "..".into(),
        format!("{}.x", bench.token(&json!({}), &json!({}))),
        bench.token(&json!({}), &json!({ "more": "x".repeat(16 << 10) })),
    ] {
        assert!(bench.admit_now(&text).is_none(), "{text}");
    }
    // Two readers could read two.
    let (header, payload) = (BASE64.encode("{}"), format!("{{\"iss\":\"{own}\",\"iss\":\"x\"}}"));
    let text = format!("{header}.{}.x", BASE64.encode(payload));
    assert!(bench.admit_now(&text).is_none());
}

#[tokio::test]
async fn a_token_chooses_nothing_of_how_it_is_checked() {
    for key in [SigningKey::es256(), SigningKey::rs256()] {
        let bench = Bench::of(key).await;
        bench.admit(&bench.token(&json!({}), &json!({}))).await.unwrap();
        let published = bench.key.published("one");
        let mut texts = Vec::new();
        for alg in [
            "none", "None", "HS256", "RS256", "ES256", "ES384", "RS512", "PS256", "EdDSA",
            "ES256K", "",
        ] {
            if alg == bench.key.algorithm() {
                continue;
            }
            let header = json!({ "alg": alg, "kid": "one" });
            let text = unsigned(&header, &bench.claims());
            // Without a signature; signed by the right key; and by its public half as if that were a secret.
            texts.push(format!("{text}."));
            texts.push(bench.key.token(&header, &bench.claims()));
            let public =
                [published.to_string(), published["n"].to_string(), published["x"].to_string()];
            for secret in public {
                let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                let signature = BASE64.encode(hmac::sign(&secret, text.as_bytes()));
                texts.push(format!("{text}.{signature}"));
            }
        }
        texts.push(bench.token(&json!({ "alg": null }), &json!({})));
        texts.push(bench.token(&json!({ "alg": ["ES256"] }), &json!({})));
        for text in texts {
            let refused = bench.admit(&text).await.unwrap_err();
            assert_eq!(refused.code, Code::Unauthenticated, "{text}");
            assert!(refused.message.contains("alg"), "{refused}: {text}");
        }
    }
}

#[tokio::test]
async fn no_key_is_taken_from_a_token() {
    let bench = Bench::of(SigningKey::es256()).await;
    let stranger = SigningKey::es256();
    let own = stranger.published("one");
    for more in [
        json!({}),
        json!({ "kid": null }),
        json!({ "jwk": own }),
        json!({ "jku": "https://evil.example/keys", "x5u": "https://evil.example" }),
    ] {
        let header = super::merged(bench.header(), &more);
        let refused = bench.admit(&stranger.token(&header, &bench.claims())).await.unwrap_err();
        assert!(refused.message.contains("signature"), "{refused}");
    }
    for (more, problem) in [
        (json!({ "crit": ["exp"] }), "crit"),
        (json!({ "b64": false }), "b64"),
        (json!({ "typ": "logout+jwt" }), "typ"),
        (json!({ "typ": 7 }), "typ"),
        (json!({ "kid": 7 }), "kid"),
    ] {
        let refused = bench.admit(&bench.token(&more, &json!({}))).await.unwrap_err();
        assert!(refused.message.contains(problem), "{more}: {refused}");
    }
}

#[tokio::test]
async fn a_token_that_was_changed_is_not_its_issuers() {
    for key in [SigningKey::es256(), SigningKey::rs256(), SigningKey::ed25519()] {
        let bench = Bench::of(key).await;
        let right = bench.token(&json!({}), &json!({}));
        bench.admit(&right).await.unwrap();
        let (signed, signature) = right.rsplit_once('.').unwrap();
        let mut bytes = BASE64.decode(signature).unwrap();
        bytes[7] ^= 1;
        let others = bench.token(&json!({}), &json!({ "sub": "ben" }));
        let (others, _) = others.rsplit_once('.').unwrap();
        for text in [
            format!("{signed}.{}", BASE64.encode(&bytes)),
            format!("{others}.{signature}"),
            format!("{signed}."),
            format!("{signed}.{signature}="),
            format!("{signed}.{}", BASE64.encode([0; 64])),
            format!("{signed}.{}", BASE64.encode([&bytes[..], b"x"].concat())),
        ] {
            let refused = bench.admit(&text).await.unwrap_err();
            assert!(refused.message.contains("signature"), "{refused}: {text}");
        }
    }
}
