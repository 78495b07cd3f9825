//! Whatever a stranger sends.

use super::{SECOND, Wallet, at, encode, now, signed_part, with_signature};
use crate::wallet::{Algorithm, BadToken, JwtRules, fuzz, siwe::check_signature, verify};
use proptest::{collection::vec, prelude::*};
use serde_json::json;

/// What messages and tokens are made of, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("example.com wants you to sign in with your Ethereum account:\n".to_owned()),
        Just("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n".to_owned()),
        Just("\n".to_owned()),
        Just("URI: https://example.com/login\n".to_owned()),
        Just("Version: 1\nChain ID: 1\n".to_owned()),
        Just("Nonce: 32891756\n".to_owned()),
        Just("Issued At: 2021-09-30T16:25:24Z".to_owned()),
        Just("\nResources:\n- a:".to_owned()),
        Just(encode(r#"{"alg":"ES256K"}"#)),
        Just(".".to_owned()),
        "\\PC{0,8}",
        "[ -~\n]{0,30}",
        vec(any::<u8>(), 0..20).prop_map(encode),
    ];
    vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in pieces()) {
        fuzz::token(text.as_bytes());
        fuzz::sign_in(text.as_bytes());
        fuzz::address(text.as_bytes());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        fuzz::token(&bytes);
        fuzz::sign_in(&bytes);
        fuzz::address(&bytes);
    }

    #[test]
    fn no_json_makes_it_panic(header in "[{\"alg:ES256K,}]{0,40}", payload in "\\PC{0,60}") {
        for header in [header.as_str(), r#"{"alg":"ES256K"}"#] {
            fuzz::token(format!("{}.{}.", encode(header), encode(&payload)).as_bytes());
        }
    }

    #[test]
    fn a_date_is_never_read_past_its_end(text in "[0-9TZ:.+\\-é]{0,40}") {
        let message = format!(
            "a wants you to sign in with your Ethereum account:\n\
             0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n\nURI: a:\nVersion: 1\nChain ID: 1\n\
             Nonce: 32891756\nIssued At: {text}"
        );
        fuzz::sign_in(message.as_bytes());
    }

    #[test]
    fn any_times_are_weighed(exp in any::<i64>(), nbf in any::<f64>(), iat in -1_i64..1 << 40) {
        let mut claims = Wallet::alice().claims();
        claims["exp"] = json!(exp);
        claims["nbf"] = json!(nbf);
        claims["iat"] = json!(iat);
        let signed = signed_part(&json!({"alg": "ES256K"}), &claims);
        for now in [at(0), now(), innkeeper_model::Timestamp::MAX, innkeeper_model::Timestamp::MIN] {
            prop_assert!(verify(&with_signature(&signed, &[1; 64]), &JwtRules::default(), now).is_err());
        }
    }
}

proptest! {
    // Each of these recovers keys, which takes a build without optimisation some milliseconds.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_random_signature_is_never_the_claimed_accounts(
        r in any::<[u8; 32]>(),
        s in any::<[u8; 32]>(),
        v in any::<bool>(),
    ) {
        // Below half of the order, so that half of these are somebody's.
        let mut signature = [r, s].concat();
        signature[32] &= 0x3f;
        signature.push(u8::from(v));
        let alice = Wallet::alice();
        for algorithm in Algorithm::ALL {
            let signed = signed_part(&json!({"alg": algorithm}), &alice.claims());
            let length = if algorithm == Algorithm::Es256k { 64 } else { 65 };
            let token = with_signature(&signed, &signature[..length]);
            let found = verify(&token, &JwtRules::default(), at(SECOND));
            prop_assert!(matches!(found, Err(BadToken::Signature(_))), "{found:?}");
        }
        let text = format!("0x{}", super::super::hex::encode(&signature));
        prop_assert!(check_signature("text", &text, alice.address()).is_err());
    }

    #[test]
    fn what_any_account_signs_is_that_accounts(key in any::<[u8; 32]>(), text in "\\PC{0,40}") {
        let Ok(key) = k256::ecdsa::SigningKey::from_slice(&key) else { return Ok(()) };
        let wallet = Wallet(key);
        let signature = wallet.personal_sign(&text);
        prop_assert_eq!(check_signature(&text, &signature, wallet.address()), Ok(()));
        let other = format!("{text}.");
        prop_assert!(check_signature(&other, &signature, wallet.address()).is_err());
        let mut claims = wallet.claims();
        claims["jti"] = json!(format!("x{text}").chars().take(20).collect::<String>());
        for algorithm in Algorithm::ALL {
            let found = verify(&wallet.token(algorithm, &claims), &JwtRules::default(), now());
            prop_assert_eq!(found.map(|found| found.address), Ok(wallet.address()));
        }
    }
}
