use super::{
    Bench, NOW,
    issuer::{SigningKey, unsigned},
    now,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use innkeeper_model::Code;
use ring::hmac;
use serde_json::{Value, json};

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
                (
                    "operator".into(),
                    Some(innkeeper_model::Timestamp::from_second(NOW + 300).unwrap()),
                )
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
        assert!(bench.issuers.admit(&text, now()).is_none(), "{text}");
    }
    // Two readers could read two.
    let (header, payload) = (BASE64.encode("{}"), format!("{{\"iss\":\"{own}\",\"iss\":\"x\"}}"));
    let text = format!("{header}.{}.x", BASE64.encode(payload));
    assert!(bench.issuers.admit(&text, now()).is_none());
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
