use super::{
    Bench, LONG,
    issuer::{Answer, Answers, SigningKey},
    now,
};
use crate::oidc::keyring::Pace;
use innkeeper_model::{Code, Refusal};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Waits until the issuer was asked so many times.
async fn asked(bench: &Bench, times: usize) {
    let end = Instant::now() + LONG;
    while bench.issuer.asked() < times {
        assert!(Instant::now() < end, "asked {} times, not {times}", bench.issuer.asked());
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_key_that_is_not_known_yet_is_asked_for_and_counts_then() {
    let mut bench = Bench::of(SigningKey::es256()).await;
    let old = bench.token(&json!({}), &json!({}));
    bench.admit(&old).await.unwrap();
    bench.key = SigningKey::es256();
    bench.issuer.publishes(&[bench.key.published("two")]);
    let new = bench.token(&json!({ "kid": "two" }), &json!({}));
    bench.admit(&new).await.unwrap();
    // What its issuer took back is no key any more, also of a token that was let in before.
    let refused = bench.admit(&old).await.unwrap_err();
    assert!(refused.message.contains("kid"), "{refused}");
}

#[tokio::test]
async fn a_token_is_known_again_when_its_issuers_keys_were_renewed_and_another_key_of_that_name_is_another()
 {
    let mut bench = Bench::of(SigningKey::es256()).await;
    let text = bench.token(&json!({}), &json!({}));
    bench.admit(&text).await.unwrap();
    let renew = async |bench: &Bench| {
        let other = bench.token(&json!({ "kid": "none" }), &json!({}));
        let before = bench.issuer.asked();
        bench.admit(&other).await.unwrap_err();
        assert!(bench.issuer.asked() > before, "nobody asks");
    };
    renew(&bench).await;
    let again = bench.issuers.admit(&text, now(), || panic!("it is looked at again"));
    again.unwrap().unwrap();
    bench.key = SigningKey::es256();
    bench.issuer.publishes(&[bench.key.published("one")]);
    renew(&bench).await;
    let refused = bench.admit(&text).await.unwrap_err();
    assert!(refused.message.contains("signature"), "{refused}");
}

#[tokio::test]
async fn who_comes_before_the_keys_waits_for_them() {
    let bench = Bench::begun(SigningKey::es256(), Pace::default(), |_| ()).await;
    let text = bench.token(&json!({}), &json!({}));
    let refused = bench.admit_now(&text).unwrap().unwrap_err();
    assert!(refused.message.contains("keys are not known"), "{refused}");
    bench.admit(&text).await.unwrap();
    assert_eq!(bench.issuer.asked(), 1);
}

#[tokio::test]
async fn all_who_wait_for_a_key_wait_for_one_answer() {
    let bench = Bench::of(SigningKey::es256()).await;
    bench.admit(&bench.token(&json!({}), &json!({}))).await.unwrap();
    let before = bench.issuer.asked();
    let bench = Arc::new(bench);
    let held = bench.issuer.held().await;
    let waiting: Vec<_> = (0..40)
        .map(|n| {
            let bench = Arc::clone(&bench);
            let text = bench.token(&json!({ "kid": format!("none-{n}") }), &json!({}));
            tokio::spawn(async move { bench.admit(&text).await })
        })
        .collect();
    asked(&bench, before + 1).await;
    drop(held);
    for waited in waiting {
        let refused = waited.await.unwrap().unwrap_err();
        assert!(refused.message.contains("kid"), "{refused}");
    }
    // One more may have come for whoever was too late for the first.
    assert!(bench.issuer.asked() <= before + 2, "{} after {before}", bench.issuer.asked());
}

#[tokio::test]
async fn an_issuer_is_not_asked_again_at_once_whoever_makes_up_keys() {
    let pace = Pace { again_after: LONG, ..Pace::default() };
    let bench = Bench::at(SigningKey::es256(), pace).await;
    bench.admit(&bench.token(&json!({}), &json!({}))).await.unwrap();
    for n in 0..50 {
        let text = bench.token(&json!({ "kid": format!("none-{n}") }), &json!({}));
        bench.admit(&text).await.unwrap_err();
    }
    assert_eq!(bench.issuer.asked(), 1);
    // A token that is refused for what it says has nobody asked.
    bench.admit(&bench.token(&json!({}), &json!({ "aud": "x" }))).await.unwrap_err();
    assert_eq!(bench.issuer.asked(), 1);
}

#[tokio::test]
async fn keys_of_before_go_on_where_new_ones_are_not_to_be_had() {
    let bench = Bench::of(SigningKey::es256()).await;
    let text = bench.token(&json!({}), &json!({}));
    bench.admit(&text).await.unwrap();
    let unknown = bench.token(&json!({ "kid": "two" }), &json!({}));
    for (times, keys) in [
        Answer { status: 500, head: String::new(), body: Vec::new() },
        Answer { status: 200, head: String::new(), body: b"<html>".to_vec() },
        Answer::json(&json!({ "keys": {} })),
        Answer::keys(&vec![json!({}); 65]),
    ]
    .into_iter()
    .enumerate()
    {
        bench.issuer.answer(|answers| answers.keys = keys);
        bench.admit(&unknown).await.unwrap_err();
        asked(&bench, times + 2).await;
        bench.admit(&text).await.unwrap();
    }
}

#[tokio::test]
async fn an_issuer_takes_all_of_its_keys_back_and_what_they_opened_ends() {
    for none in [
        json!({ "keys": [] }),
        json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "one" }, { "kty": "EC" }] }),
    ] {
        let bench = Bench::of(SigningKey::es256()).await;
        let text = bench.token(&json!({}), &json!({}));
        let standing = bench.admit(&text).await.unwrap().standing;
        assert!(standing.can_end() && standing.holds(now()));
        bench.issuer.answer(|answers| answers.keys = Answer::json(&none));
        let unknown = bench.token(&json!({ "kid": "two" }), &json!({}));
        // Also of a token that was let in before, and of one that names no key.
        for text in [&unknown, &text, &bench.token(&json!({ "kid": null }), &json!({}))] {
            let refused = bench.admit(text).await.unwrap_err();
            assert!(refused.message.contains("no keys for tokens now"), "{none}: {refused}");
        }
        assert!(!standing.holds(now()), "{none}: what was opened goes on");
        // Until it has some again; the same one is the same.
        bench.issuer.publishes(&[bench.key.published("one")]);
        bench.admit(&text).await.unwrap();
        assert!(standing.holds(now()));
    }
}

#[tokio::test]
async fn what_a_token_opened_ends_with_its_key_alone_or_at_its_time() {
    let bench = Bench::of(SigningKey::es256()).await;
    let other = SigningKey::es256();
    bench.issuer.publishes(&[bench.key.published("one"), other.published("two")]);
    let header = super::merged(bench.header(), &json!({ "kid": "two" }));
    let theirs = bench.admit(&other.token(&header, &bench.claims())).await.unwrap().standing;
    let own = bench.admit(&bench.token(&json!({}), &json!({}))).await.unwrap().standing;
    bench.issuer.publishes(&[other.published("two")]);
    bench.admit(&bench.token(&json!({ "kid": "none" }), &json!({}))).await.unwrap_err();
    assert!(theirs.holds(now()) && !own.holds(now()));
    assert!(!theirs.holds(innkeeper_model::Timestamp::from_second(super::NOW + 300).unwrap()));
}

#[tokio::test]
async fn keys_that_could_not_be_renewed_count_for_so_long_and_no_longer() {
    let short = Duration::from_millis(1);
    let pace = Pace {
        fresh_within: (short, short),
        kept: Duration::from_millis(300),
        retry_within: Duration::from_millis(20),
        again_after: Duration::ZERO,
        ..Pace::default()
    };
    let bench = Bench::at(SigningKey::es256(), pace).await;
    let text = bench.token(&json!({}), &json!({}));
    let standing = bench.admit(&text).await.unwrap().standing;
    bench.issuer.answer(|answers| answers.keys.status = 503);
    let end = Instant::now() + LONG;
    while bench.admit_now(&text).unwrap().is_ok() {
        assert!(Instant::now() < end, "they count for ever");
        sleep(Duration::from_millis(5)).await;
    }
    let refused = bench.admit(&text).await.unwrap_err();
    assert!(refused.message.contains("keys are not known"), "{refused}");
    assert!(!standing.holds(now()), "what was opened goes on");
    // And they count again when they are there again.
    bench.issuer.answer(|answers| answers.keys.status = 200);
    while bench.admit(&text).await.is_err() {
        assert!(Instant::now() < end, "they do not come back");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn keys_are_renewed_before_they_are_old() {
    let fresh = Duration::from_millis(10);
    let pace = Pace { fresh, fresh_within: (fresh, LONG), ..Pace::default() };
    let bench = Bench::at(SigningKey::es256(), pace).await;
    bench.admit(&bench.token(&json!({}), &json!({}))).await.unwrap();
    asked(&bench, 4).await;
    // As the issuer says, within bounds.
    let head = "Cache-Control: public, Max-Age=3600\r\n".to_owned();
    bench.issuer.answer(|answers| answers.keys.head = head);
    let mut before = 0;
    let end = Instant::now() + LONG;
    while before != bench.issuer.asked() {
        assert!(Instant::now() < end, "it is asked again and again");
        before = bench.issuer.asked();
        sleep(20 * fresh).await;
    }
}

/// What a token is told where the issuer answers like this from the start.
async fn refused(keys: Option<Answer>, description: Option<Answer>) -> Refusal {
    let change = |answers: &mut Answers| {
        answers.description = description;
        answers.keys = keys.unwrap_or_else(|| answers.keys.clone());
    };
    let bench = Bench::begun(SigningKey::es256(), Pace::default(), change).await;
    bench.admit(&bench.token(&json!({}), &json!({}))).await.unwrap_err()
}

#[tokio::test]
async fn what_an_issuer_answers_is_bounded_and_leads_nowhere() {
    let large = || {
        let mut body = br#"{"keys":[],"x":""#.to_vec();
        body.resize(10 << 20, b'x');
        Answer { status: 200, head: String::new(), body }
    };
    let moved = || Answer {
        status: 302,
        head: "Location: http://127.0.0.1:1/keys\r\n".into(),
        body: Vec::new(),
    };
    let elsewhere =
        |issuer: &str, keys: &str| Answer::json(&json!({ "issuer": issuer, "jwks_uri": keys }));
    for (keys, description) in [
        (Some(large()), None),
        (None, Some(large())),
        (Some(moved()), None),
        (None, Some(moved())),
        (None, Some(elsewhere("https://evil.example", "http://127.0.0.1:1/keys"))),
        (None, Some(Answer::json(&json!({})))),
    ] {
        let refusal = refused(keys, description).await;
        assert_eq!(refusal.code, Code::Unauthenticated);
        assert!(refusal.message.contains("keys are not known"), "{refusal}");
    }
}
