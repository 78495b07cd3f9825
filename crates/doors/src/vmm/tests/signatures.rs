//! What is easy to get wrong of wallets, through the door: each named for the point. Every account is let in
//! here, so that whoever were taken for another would be let in as that.

use super::{
    wallet::{
        ALICE, claims, keccak256, now, personal, sha3_256, sha256, sign, text, with, with_high_s,
    },
    *,
};
use crate::access::{Entrance, Peer};
use innkeeper_auth::{AccountRules, Accounts, Doorkeeper};

/// A house with one VM of Alice's, and its door for every account there is.
async fn open_to_all() -> (House, TestDoor<Vmm>) {
    let (house, admin) = service(none()).await;
    let mut request = printed();
    request["owner"] = json!(ALICE);
    ok(&post(&admin, "/vm/create", request).await);
    let rules = AccountRules { open: true, ..AccountRules::default() };
    let accounts = Accounts::new(rules, "innkeeper");
    let doorkeeper = Doorkeeper::default().with_accounts(Arc::new(accounts));
    let door = house.door_at(Vmm::new(none()), Entrance { doorkeeper, peer: Peer::Nobody });
    (house, door)
}

async fn list(door: &TestDoor<Vmm>, token: &str) -> Answered {
    let request = HttpRequest::post("/vm/list")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    door.answer(request).await
}

/// That it is Alice who is let in: an account that the signature recovers to by chance has no VM.
async fn is_alices(door: &TestDoor<Vmm>, token: &str, what: &str) {
    let listed = ok(&list(door, token).await);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{what}");
    assert_eq!(listed[0]["owner"], ALICE.to_lowercase(), "{what}");
}

#[tokio::test]
async fn point_1_each_way_to_sign_has_one_hash_and_another_is_no_other_account_but_401() {
    let (_house, door) = open_to_all().await;
    for (algorithm, length, right) in
        [("ES256K", 64, "SHA-256"), ("ES256K-R", 65, "SHA-256"), ("EIP191", 65, "EIP-191")]
    {
        let text = text(algorithm, &claims());
        for (name, hash) in [
            ("SHA-256", sha256(&text)),
            ("SHA-256 of SHA-256", sha256(sha256(&text))),
            ("Keccak-256", keccak256(&text)),
            ("SHA3-256", sha3_256(&text)),
            ("EIP-191", personal(&text)),
        ] {
            let token = with(&text, &sign(hash)[..length]);
            let what = format!("{algorithm} over {name}");
            match name == right {
                true => is_alices(&door, &token, &what).await,
                false => drop(refused(&list(&door, &token).await, 401)),
            }
        }
    }
}

#[tokio::test]
async fn point_2_a_signature_counts_for_its_account_door_time_and_form_alone() {
    let (_house, door) = open_to_all().await;
    let es256k = |claims: &Value| {
        let text = text("ES256K", claims);
        with(&text, &sign(sha256(&text))[..64])
    };
    is_alices(&door, &es256k(&claims()), "as it should be").await;
    // What is signed says for whom, for which door, and for how long.
    for (claim, value) in [
        ("iss", json!("0x1111111111111111111111111111111111111111")),
        ("aud", json!("another")),
        ("aud", Value::Null),
        ("exp", json!(now() - 1)),
        ("exp", json!(now() + 25 * 3600)),
        ("exp", Value::Null),
        ("iat", json!(now() + 600)),
        ("nbf", json!(now() + 600)),
    ] {
        let mut claims = claims();
        claims[claim] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(claim);
        }
        refused(&list(&door, &es256k(&claims)).await, 401);
    }

    // It has one form, and v is written in either of the two ways that wallets have.
    let plain = text("ES256K", &claims());
    let low = sign(sha256(&plain));
    for bytes in [&with_high_s(low)[..64], &low[..], &low[..63], b""] {
        refused(&list(&door, &with(&plain, bytes)).await, 401);
    }
    let wallets = text("EIP191", &claims());
    let low = sign(personal(&wallets));
    for v in 0..=u8::MAX {
        let mut signature = low;
        signature[64] = v;
        let token = with(&wallets, &signature);
        match v == low[64] || v == low[64] + 27 {
            true => is_alices(&door, &token, &format!("v {v}")).await,
            false => drop(refused(&list(&door, &token).await, 401)),
        }
    }
    for bytes in [&with_high_s(low)[..], &low[..64]] {
        refused(&list(&door, &with(&wallets, bytes)).await, 401);
    }

    // About half of all values recover to somebody, who signed nothing.
    for nonsense in 0..64_u8 {
        let token = with(&plain, &[sha256([nonsense]), [nonsense >> 1; 32]].concat());
        refused(&list(&door, &token).await, 401);
        let mut recoverable = [nonsense & 1; 65];
        recoverable[..32].copy_from_slice(&sha256([nonsense]));
        recoverable[32..64].copy_from_slice(&[nonsense >> 1; 32]);
        refused(&list(&door, &with(&wallets, &recoverable)).await, 401);
    }
}
