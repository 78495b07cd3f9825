//! Tokens that are wrong in one way each, made from one that is right.

use super::{SECOND, Wallet, at, encode, now, signed_part, with_high_s, with_signature};
use crate::wallet::{
    Address, Algorithm, BadSignature, BadToken, JwtRules, JwtVerifier, MAX_TOKEN_LENGTH,
    NotAnAddress, Part, Revocation, Revocations, verify,
};
use innkeeper_model::{Code, Refusal};
use serde_json::{Value, json};
use std::sync::Arc;

fn refused(token: &str) -> BadToken {
    verify(token, &JwtRules::default(), now()).expect_err(token)
}

/// Alice's claims with one changed, or gone where it is null.
fn claims_but(name: &str, value: Value) -> Value {
    let mut claims = Wallet::alice().claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

fn refused_claims(name: &str, value: Value) -> BadToken {
    refused(&Wallet::alice().token(Algorithm::Es256k, &claims_but(name, value)))
}

/// A token with these very texts as header and payload, signed by Alice.
fn of_texts(header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    with_signature(&signed, &Wallet::alice().sign(Algorithm::Es256k, &signed))
}

const HEADER: &str = r#"{"alg":"ES256K"}"#;

#[test]
fn tokens_that_are_right_are_taken() {
    let alice = Wallet::alice();
    for algorithm in Algorithm::ALL {
        let verified =
            verify(&alice.token(algorithm, &alice.claims()), &JwtRules::default(), now()).unwrap();
        assert_eq!(verified.address, alice.address());
        assert_eq!(verified.expires, at(SECOND + 3600));
        assert_eq!(verified.issued, Some(now()));
        assert_eq!(verified.jti.as_deref(), Some("one"));
    }
    for (name, value) in [
        ("aud", json!(["other", "innkeeper"])),
        ("jti", Value::Null),
        ("iat", Value::Null),
        ("iat", json!(SECOND + 30)),
        ("iat", json!(SECOND as f64 + 0.25)),
        ("nbf", json!(SECOND + 30)),
        ("exp", json!(SECOND + 1)),
        ("exp", json!(SECOND + 24 * 3600)),
        ("iss", json!(alice.address().to_string().to_lowercase())),
        ("unknown", json!({"deep": [1, {"a": null}]})),
    ] {
        let token = alice.token(Algorithm::Es256k, &claims_but(name, value.clone()));
        let verified = verify(&token, &JwtRules::default(), now());
        assert_eq!(verified.map(|v| v.address), Ok(alice.address()), "{name} {value}");
    }
    for header in [HEADER, r#"{"alg":"ES256K","typ":"jwt","kid":"x","jwk":{},"jku":"http://a"}"#] {
        let token = of_texts(header, &alice.claims().to_string());
        assert!(verify(&token, &JwtRules::default(), now()).is_ok(), "{header}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let token = Wallet::alice().token(Algorithm::Es256k, &Wallet::alice().claims());
    let parts: Vec<_> = token.split('.').collect();
    for text in
        ["", "x", "..", "a.b", &format!("{token}."), &format!(".{token}"), &parts[..2].join(".")]
    {
        let bad = refused(text);
        let is_form = matches!(bad, BadToken::NotThreeParts | BadToken::Json { .. });
        assert!(is_form, "{text}: {bad:?}");
    }
    for (at, part) in [(0, Part::Header), (1, Part::Payload)] {
        let with = |part: String| {
            let mut parts: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
            parts[at] = part;
            refused(&parts.join("."))
        };
        for wrong in ["=", "==", "\n", " ", "%3d", "+", "é", "\0"] {
            assert_eq!(
                with(format!("{}{wrong}", parts[at])),
                BadToken::Encoding(part),
                "{wrong:?}"
            );
        }
        assert!(matches!(with(encode("{}}")), BadToken::Json { part: found, .. } if found == part));
        assert!(matches!(with(encode("[1]")), BadToken::Json { part: found, .. } if found == part));
    }
    assert_eq!(refused(&format!("Bearer {token}")), BadToken::Encoding(Part::Header));
}

/// Two texts of the same bytes would be two tokens, of which a revocation by digest covers one.
#[test]
fn bits_that_are_left_over_at_the_end_of_a_part_are_refused() {
    let token = Wallet::alice().token(Algorithm::Es256k, &Wallet::alice().claims());
    // 64 bytes are 85 characters and two bits: the last character is one of four.
    let (start, last) = token.split_at(token.len() - 1);
    let position = b"AQgw".iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    let next = ["B", "R", "h", "x"][position];
    assert_eq!(refused(&format!("{start}{next}")), BadToken::Signature(BadSignature::Form));
}

#[test]
fn a_token_that_is_too_long_is_not_looked_at() {
    let alice = Wallet::alice();
    let mut claims = alice.claims();
    claims["x"] = json!("x".repeat(2600));
    let token = alice.token(Algorithm::Es256k, &claims);
    assert!(token.len() < MAX_TOKEN_LENGTH && verify(&token, &JwtRules::default(), now()).is_ok());
    claims["x"] = json!("x".repeat(3100));
    let token = alice.token(Algorithm::Es256k, &claims);
    assert_eq!(refused(&token), BadToken::TooLong { length: token.len() });
    // Nor is it hashed or decoded: this is no text of base64 at all.
    assert_eq!(refused(&"!".repeat(1 << 20)), BadToken::TooLong { length: 1 << 20 });
}

#[test]
fn json_that_can_be_read_in_two_ways_is_refused() {
    let payload = Wallet::alice().claims().to_string();
    let with = |member: &str| format!("{{{member},{}", &payload[1..]);
    for payload in [
        with(r#""iss":"0xde709f2102306220921060314715629080e2fb77""#),
        with(r#""\u0069ss":"0xde709f2102306220921060314715629080e2fb77""#),
        with(r#""x":{"a":1,"a":2}"#),
        with(r#""x":1e999"#),
        with(r#""x":99999999999999999999999999"#),
        format!("{payload}{{}}"),
        format!("{payload}\0"),
    ] {
        let bad = refused(&of_texts(HEADER, &payload));
        assert!(matches!(bad, BadToken::Json { part: Part::Payload, .. }), "{payload}: {bad:?}");
    }
    let bad = refused(&of_texts(r#"{"alg":"none","alg":"ES256K"}"#, &payload));
    assert!(matches!(bad, BadToken::Json { part: Part::Header, .. }), "{bad:?}");
}

#[test]
fn an_algorithm_that_is_not_allowed_is_refused_whatever_was_signed() {
    let alice = Wallet::alice();
    let point = alice.0.verifying_key().to_sec1_point(false);
    for name in
        ["none", "None", "", "HS256", "ES256", "es256k", "RS256", "EdDSA", "ES256K ", "eip191"]
    {
        let signed = signed_part(&json!({"alg": name}), &alice.claims());
        let with_public_key_as_secret = hmac_sha256(point.as_bytes(), signed.as_bytes());
        for signature in
            [alice.sign(Algorithm::Es256k, &signed), with_public_key_as_secret.to_vec(), Vec::new()]
        {
            let bad = refused(&with_signature(&signed, &signature));
            assert_eq!(bad, BadToken::Algorithm(name.into()));
        }
    }
    for allowed in Algorithm::ALL {
        let rules = JwtRules { algorithms: vec![allowed], ..JwtRules::default() };
        for algorithm in Algorithm::ALL {
            let result = verify(&alice.token(algorithm, &alice.claims()), &rules, now());
            match algorithm == allowed {
                true => assert!(result.is_ok()),
                false => assert_eq!(result, Err(BadToken::Algorithm(algorithm.as_str().into()))),
            }
        }
    }
}

/// RFC 2104, with a key of 65 bytes, which is hashed first.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..32].copy_from_slice(&super::sha256(key));
    let inner = super::sha256(&[&block.map(|byte| byte ^ 0x36), message].concat());
    super::sha256(&[block.map(|byte| byte ^ 0x5c).as_slice(), &inner].concat())
}

#[test]
fn a_header_that_asks_for_more_is_refused() {
    let payload = Wallet::alice().claims().to_string();
    for (header, expected) in [
        (r#"{"alg":"ES256K","crit":["exp"],"exp":1}"#, BadToken::Critical("crit")),
        (r#"{"alg":"ES256K","crit":[]}"#, BadToken::Critical("crit")),
        (r#"{"alg":"ES256K","b64":false}"#, BadToken::Critical("b64")),
        (r#"{"alg":"ES256K","typ":"JWE"}"#, BadToken::Type),
        (r#"{"alg":"ES256K","typ":"dpop+jwt"}"#, BadToken::Type),
        (r#"{"alg":"ES256K","typ":null}"#, BadToken::WrongType("typ")),
        (r#"{"alg":["ES256K"]}"#, BadToken::WrongType("alg")),
        (r#"{"typ":"JWT"}"#, BadToken::Missing("alg")),
        ("{}", BadToken::Missing("alg")),
    ] {
        assert_eq!(refused(&of_texts(header, &payload)), expected, "{header}");
    }
}

#[test]
fn claims_of_another_kind_are_refused() {
    for name in ["iss", "aud", "exp"] {
        assert_eq!(refused_claims(name, Value::Null), BadToken::Missing(name));
    }
    for (name, value) in [
        ("iss", json!(1)),
        ("aud", json!(1)),
        ("aud", json!({"innkeeper": true})),
        ("aud", json!(["innkeeper", 1])),
        ("exp", json!("1800003600")),
        ("exp", json!([SECOND + 3600])),
        ("exp", json!(9_007_199_254_740_991_u64)),
        ("nbf", json!(true)),
        ("iat", json!({})),
        ("iat", json!(-9_007_199_254_740_991_i64)),
        ("jti", json!(1)),
        ("jti", json!("")),
        ("jti", json!("x".repeat(129))),
        ("jti", json!("one\nroot did it")),
    ] {
        assert_eq!(refused_claims(name, value.clone()), BadToken::WrongType(name), "{value}");
    }
    let null = Wallet::alice().claims().to_string().replace(r#""one""#, "null");
    assert_eq!(refused(&of_texts(HEADER, &null)), BadToken::WrongType("jti"));
}

#[test]
fn a_token_for_somebody_else_is_refused() {
    for audience in
        [json!("other"), json!(""), json!("innkeeper "), json!([]), json!(["Innkeeper"])]
    {
        assert_eq!(refused_claims("aud", audience.clone()), BadToken::Audience, "{audience}");
    }
    let rules = JwtRules { audience: "other".into(), ..JwtRules::default() };
    let alice = Wallet::alice();
    let token = alice.token(Algorithm::Es256k, &alice.claims());
    assert_eq!(verify(&token, &rules, now()), Err(BadToken::Audience));
}

#[test]
fn a_token_that_does_not_count_now_is_refused() {
    let expired = |second| BadToken::Expired { expires: at(second) };
    let too_long = |second| BadToken::TooLongLived { expires: at(second) };
    let day = 24 * 3600;
    for (name, second, expected) in [
        ("exp", SECOND, expired(SECOND)),
        ("exp", SECOND - 1, expired(SECOND - 1)),
        ("exp", 0, expired(0)),
        ("exp", -1, expired(-1)),
        ("exp", SECOND + day + 31, too_long(SECOND + day + 31)),
        ("exp", SECOND + 365 * day, too_long(SECOND + 365 * day)),
        ("iat", SECOND - day, too_long(SECOND + 3600)),
        ("iat", SECOND + 31, BadToken::IssuedInFuture { issued: at(SECOND + 31) }),
        ("nbf", SECOND + 31, BadToken::NotYet { from: at(SECOND + 31) }),
    ] {
        assert_eq!(refused_claims(name, json!(second)), expected, "{name} {second}");
    }
    assert_eq!(
        refused_claims("exp", json!(SECOND as f64 - 0.5)),
        BadToken::Expired { expires: at(SECOND) - jiff::SignedDuration::from_millis(500) }
    );
}

#[test]
fn an_address_with_a_foreign_checksum_is_refused() {
    let address = Wallet::alice().address().to_string();
    let swapped: String =
        address[2..]
            .chars()
            .map(|c| {
                if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }
            })
            .collect();
    for (iss, problem) in [
        (format!("0x{swapped}"), NotAnAddress::Checksum),
        (address[2..].to_owned(), NotAnAddress::Form),
        (format!("did:pkh:eip155:1:{address}"), NotAnAddress::Form),
        (String::new(), NotAnAddress::Form),
    ] {
        assert_eq!(refused_claims("iss", json!(iss)), BadToken::Issuer(problem), "{iss}");
    }
}

#[test]
fn a_signature_that_is_wrong_in_any_way_is_refused_with_the_same_words() {
    let (alice, bob) = (Wallet::alice(), Wallet::bob());
    let mut told = Vec::new();
    for algorithm in Algorithm::ALL {
        let signed = signed_part(&json!({"alg": algorithm}), &alice.claims());
        let right = alice.sign(algorithm, &signed);
        assert!(verify(&with_signature(&signed, &right), &JwtRules::default(), now()).is_ok());
        let mut check = |signature: &[u8], expected: BadSignature, what: &str| {
            let bad = refused(&with_signature(&signed, signature));
            assert_eq!(bad, BadToken::Signature(expected), "{algorithm}: {what}");
            told.push(Refusal::from(&bad));
        };

        check(&with_high_s(&right), BadSignature::HighS, "high s");
        check(&bob.sign(algorithm, &signed), BadSignature::Signer, "somebody else");
        check(&alice.sign(algorithm, &format!("{signed}x")), BadSignature::Signer, "other text");
        check(b"", BadSignature::Form, "none");
        check(&right[1..], BadSignature::Form, "short");
        check(&[right.as_slice(), &[0]].concat(), BadSignature::Form, "long");
        let r_is_zero = [&[0; 32], &right[32..]].concat();
        check(&r_is_zero, BadSignature::Scalars, "r is 0");
        let s_is_zero = [&right[..32], &[0; 32], &right[64..]].concat();
        check(&s_is_zero, BadSignature::Scalars, "s is 0");
        let r_is_large = [&[0xff; 32], &right[32..]].concat();
        check(&r_is_large, BadSignature::Scalars, "r is no scalar");
        for bit in [0, 255, 300, 511] {
            let mut flipped = right.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let bad = refused(&with_signature(&signed, &flipped));
            assert!(matches!(bad, BadToken::Signature(_)), "{algorithm}, bit {bit}: {bad:?}");
        }

        // Of each way to sign, in each other's place.
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            let mut signature = alice.sign(other, &signed);
            signature.resize(right.len(), 0);
            let same_hash = [algorithm, other].iter().all(|a| *a != Algorithm::Eip191);
            let bad = verify(&with_signature(&signed, &signature), &JwtRules::default(), now());
            match bad {
                // The same signature: only its v is there or not.
                Ok(_) => assert!(same_hash, "{algorithm} with {other}"),
                Err(bad) => assert_eq!(bad, BadToken::Signature(BadSignature::Signer)),
            }
        }
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    assert_eq!(told[0].code, Code::Unauthenticated);
    assert!(told[0].causes.is_empty());
}

#[test]
fn v_is_0_or_1_or_27_or_28_and_the_right_one() {
    let alice = Wallet::alice();
    for algorithm in [Algorithm::Es256kR, Algorithm::Eip191] {
        let signed = signed_part(&json!({"alg": algorithm}), &alice.claims());
        let right = alice.sign(algorithm, &signed);
        for v in 0..=u8::MAX {
            let mut signature = right.clone();
            signature[64] = v;
            let expected = match v {
                _ if v == right[64] || v == right[64] + 27 => Ok(alice.address()),
                0 | 1 | 27 | 28 => Err(BadToken::Signature(BadSignature::Signer)),
                _ => Err(BadToken::Signature(BadSignature::RecoveryId(v))),
            };
            let token = with_signature(&signed, &signature);
            let found = verify(&token, &JwtRules::default(), now()).map(|found| found.address);
            assert_eq!(found, expected, "{algorithm}, v = {v}");
        }
    }
}

fn verifier() -> (JwtVerifier, Arc<Revocations>) {
    let revoked = Arc::new(Revocations::default());
    (JwtVerifier::new(JwtRules::default(), Arc::clone(&revoked)), revoked)
}

/// Whoever signed is let in.
fn anybody(_: Address) -> bool {
    true
}

#[test]
fn a_token_that_was_seen_is_known_until_it_expires() {
    let (verifier, _) = verifier();
    let alice = Wallet::alice();
    let token = alice.token(Algorithm::Es256k, &alice.claims());
    let first = verifier.verify(&token, now(), anybody).unwrap();
    assert_eq!(verifier.known(), 1);
    assert_eq!(verifier.verify(&token, at(SECOND + 3599), anybody), Ok(first));
    assert_eq!(verifier.known(), 1);
    let expired = BadToken::Expired { expires: at(SECOND + 3600) };
    assert_eq!(verifier.verify(&token, at(SECOND + 3600), anybody), Err(expired));
    verifier.forget_expired(at(SECOND + 3600));
    assert_eq!(verifier.known(), 0);
}

#[test]
fn what_is_refused_is_not_remembered() {
    let (verifier, _) = verifier();
    let alice = Wallet::alice();
    let mut token = alice.token(Algorithm::Es256k, &alice.claims());
    assert!(verifier.verify(&token, now(), anybody).is_ok());
    let last = token.pop();
    assert!(verifier.verify(&token, now(), anybody).is_err());
    assert_eq!(verifier.known(), 1);
    token.extend(last);
    assert!(verifier.verify(&token, now(), anybody).is_ok());
}

#[test]
fn a_revoked_token_is_refused_at_first_sight_and_later() {
    let alice = Wallet::alice();
    for seen_before in [true, false] {
        for jti in [json!("one"), Value::Null] {
            let (verifier, revoked) = verifier();
            let token = alice.token(Algorithm::Es256k, &claims_but("jti", jti.clone()));
            let verified = verify(&token, &JwtRules::default(), now()).unwrap();
            assert!(!seen_before || verifier.verify(&token, now(), anybody).is_ok());
            revoked.revoke(Revocation::of(&verified), now()).unwrap();
            assert_eq!(verifier.verify(&token, now(), anybody), Err(BadToken::Revoked), "{jti}");
            // Another one of hers, and hers is not Bob's.
            for (of, jti) in [(&alice, "two"), (&Wallet::bob(), "one")] {
                let mut claims = of.claims();
                claims["jti"] = json!(jti);
                assert!(
                    verifier.verify(&of.token(Algorithm::Es256k, &claims), now(), anybody).is_ok()
                );
            }
        }
    }
}

#[test]
fn a_revoked_token_stays_revoked_however_its_signature_is_written() {
    let alice = Wallet::alice();
    for algorithm in [Algorithm::Es256kR, Algorithm::Eip191] {
        let (verifier, revoked) = verifier();
        let signed = signed_part(&json!({"alg": algorithm}), &claims_but("jti", Value::Null));
        let signature = alice.sign(algorithm, &signed);
        let mut other = signature.clone();
        other[64] += 27;
        let [token, other] = [signature, other].map(|bytes| with_signature(&signed, &bytes));
        let verified = verifier.verify(&token, now(), anybody).unwrap();
        assert!(verifier.verify(&other, now(), anybody).is_ok(), "it is as good");
        revoked.revoke(Revocation::of(&verified), now()).unwrap();
        for text in [token, other] {
            assert_eq!(verifier.verify(&text, now(), anybody), Err(BadToken::Revoked));
        }
    }
}

#[test]
fn a_revoked_jti_is_revoked_of_tokens_that_expire_later_too() {
    let (verifier, revoked) = verifier();
    let alice = Wallet::alice();
    let token = |exp| alice.token(Algorithm::Es256k, &claims_but("exp", json!(exp)));
    let [short, long] = [SECOND + 60, SECOND + 24 * 3600].map(token);
    let verified = verifier.verify(&short, now(), anybody).unwrap();
    revoked.revoke(Revocation::of(&verified), now()).unwrap();
    revoked.forget_expired(at(SECOND + 61));
    assert_eq!(verifier.verify(&long, at(SECOND + 61), anybody), Err(BadToken::Revoked));
}

#[test]
fn who_is_not_let_in_is_not_remembered() {
    let (verifier, _) = verifier();
    let [alice, bob] = [Wallet::alice(), Wallet::bob()];
    for wallet in [&alice, &bob] {
        let token = wallet.token(Algorithm::Es256k, &wallet.claims());
        let verified = verifier.verify(&token, now(), |account| account == alice.address());
        assert_eq!(verified.unwrap().address, wallet.address());
    }
    assert_eq!(verifier.known(), 1);
}

#[test]
fn a_revoked_jti_covers_every_token_with_it_and_is_forgotten_with_them() {
    let (verifier, revoked) = verifier();
    let alice = Wallet::alice();
    let revocation = |second| Revocation::of_jti(alice.address(), "one", at(SECOND + second));
    revoked.revoke(revocation(3600), now()).unwrap();
    revoked.revoke(revocation(60), now()).unwrap();
    for algorithm in Algorithm::ALL {
        let token = alice.token(algorithm, &alice.claims());
        assert_eq!(verifier.verify(&token, at(SECOND + 3599), anybody), Err(BadToken::Revoked));
    }
    assert_eq!(revoked.all(now()), [revocation(3600)], "the later time counts");
    assert_eq!(revoked.all(at(SECOND + 3600)), []);
    revoked.forget_expired(at(SECOND + 3600));
    revoked.revoke(revocation(1), at(SECOND + 1)).unwrap();
    assert_eq!(revoked.all(now()), [], "what has expired needs no revocation");
}

#[test]
fn revocations_can_be_kept_over_a_restart() {
    let revocation = Revocation::of_jti(Wallet::alice().address(), "one", at(SECOND + 9));
    let text = serde_json::to_string(&revocation).unwrap();
    assert!(text.contains(r#""expires":"2027-01-15T08:00:09Z""#), "{text}");
    assert_eq!(serde_json::from_str::<Revocation>(&text).unwrap(), revocation);
    assert!(
        serde_json::from_str::<Revocation>(&text.replace("token\":\"", "token\":\"0")).is_err()
    );
}

#[test]
fn a_revocation_is_never_given_up_for_another() {
    let revoked = Revocations::default();
    let revoke = |n: usize, second| {
        let account = Address::new([u8::try_from(n / 1024).unwrap(); 20]);
        revoked.revoke(Revocation::of_jti(account, &n.to_string(), at(SECOND + 60)), at(second))
    };
    assert!((0..65_536).all(|n| revoke(n, SECOND).is_ok()));
    assert_eq!(revoke(65_536, SECOND).unwrap_err().most, 65_536);
    assert_eq!(revoked.all(now()).len(), 65_536);
    assert!(revoke(0, SECOND).is_ok(), "it is there already");
    let another = Revocation::of_jti(Wallet::alice().address(), "another", at(SECOND + 120));
    assert_eq!(revoked.revoke(another, at(SECOND + 60)), Ok(()), "the others have expired");
    assert_eq!(revoked.all(at(SECOND + 60)), [another]);
}

#[test]
fn no_account_takes_all_the_room_for_revocations() {
    let revoked = Revocations::default();
    let revoke = |of: &Wallet, n: usize| {
        let revocation = Revocation::of_jti(of.address(), &n.to_string(), at(SECOND + 60));
        revoked.revoke(revocation, now())
    };
    let alice = Wallet::alice();
    assert!((0..1024).all(|n| revoke(&alice, n).is_ok()));
    assert_eq!(revoke(&alice, 1024).unwrap_err().most, 1024);
    assert!(revoke(&alice, 1023).is_ok(), "it is there already");
    assert!(revoke(&Wallet::bob(), 0).is_ok());
}
