//! How long a token takes. For a person who builds with optimisation:
//! `cargo test --release -p innkeeper-auth -- --ignored --nocapture wallet::tests::timing`.

use super::{Wallet, at, now};
use crate::wallet::{Algorithm, JwtRules, JwtVerifier, Revocation, Revocations};
use serde_json::json;
use std::{hint::black_box, sync::Arc, time::Instant};

/// Tokens that are seen for the first time.
const TOKENS: usize = 500;
/// How often each is seen again.
const AGAIN: usize = 20;

#[test]
#[ignore = "a measurement: it says something where the build is optimised and the machine idle"]
fn first_sight_takes_less_than_300_us_and_later_ones_less_than_20() {
    let mut medians = Vec::new();
    for algorithm in Algorithm::ALL {
        let wallet = Wallet::alice();
        let tokens: Vec<_> = (0..TOKENS)
            .map(|n| {
                let mut claims = wallet.claims();
                claims["jti"] = json!(n.to_string());
                wallet.token(algorithm, &claims)
            })
            .collect();
        let revoked = Arc::new(Revocations::default());
        let other = Revocation::of_jti(wallet.address(), "other", at(i64::from(u32::MAX)));
        revoked.revoke(other, now()).unwrap();
        let verifier = JwtVerifier::new(JwtRules::default(), revoked);
        let took = |times: usize| {
            let mut each = Vec::with_capacity(times * TOKENS);
            for token in tokens.iter().cycle().take(times * TOKENS) {
                let start = Instant::now();
                black_box(verifier.verify(black_box(token), now(), |_| true)).unwrap();
                each.push(start.elapsed());
            }
            each.sort_unstable();
            (each[each.len() / 2], each[each.len() * 99 / 100])
        };
        let (first, later) = (took(1), took(AGAIN));
        println!("{algorithm}: first sight {first:?}, later {later:?} (median, 99 of 100)");
        medians.push((first.0.as_micros(), later.0.as_micros()));
    }
    assert!(medians.iter().all(|(first, later)| *first <= 300 && *later <= 20));
}
