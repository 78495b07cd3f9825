//! Tokens and a sign-in that other programs signed: python-ecdsa 0.19 and eth-keys made the first two, and
//! agree on r and s; eth-account the others; ethers 6 and viem make the same of all. The key is that of the
//! examples in web3.js' documentation, and r is chosen by it and the hash alone (RFC 6979), so that the
//! same bytes come out here, too.

use super::{SECOND, Wallet, at, encode, now};
use crate::wallet::{
    Algorithm, JwtRules, hex,
    siwe::{Message, check_signature},
    verify,
};

const PAYLOAD: &str = concat!(
    r#"{"iss":"0x2c7536E3605D9C16a7a3D7b1898e529396a65c23","aud":"innkeeper","#,
    r#""iat":1800000000,"exp":1800003600,"jti":"example-1"}"#
);

/// Also the example in `docs/wallets.md`.
const ES256K: &str = concat!(
    "eyJhbGciOiJFUzI1NksiLCJ0eXAiOiJKV1QifQ.",
    "eyJpc3MiOiIweDJjNzUzNkUzNjA1RDlDMTZhN2EzRDdiMTg5OGU1MjkzOTZhNjVjMjMiLCJhdWQiOiJpbm5rZWVwZXIi",
    "LCJpYXQiOjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMzYwMCwianRpIjoiZXhhbXBsZS0xIn0.",
    "b0EcNEDBsJ_ibUGEM9s2DZXnnsun4AE9_wKY2AV-0zMfaaTGmUu3q4Nwkt3CUuaytqh9baeRzZRp-S3lJeBezQ"
);

/// Each with r, s and v as the other program has them.
const SIGNED: [(Algorithm, &str); 3] = [
    (
        Algorithm::Es256k,
        "6f411c3440c1b09fe26d418433db360d95e79ecba7e0013dff0298d8057ed333\
         1f69a4c6994bb7ab837092ddc252e6b2b6a87d6da791cd9469f92de525e05ecd",
    ),
    (
        Algorithm::Es256kR,
        "a1be997c92d3eeead8c44d3f638392f99701a6ac85c54de2725ad03d8077c8f3\
         57dff8e5b92a40f5bd7e0c8e66913f3e8df4cc19020743b7c89028220042d015\
         00",
    ),
    (
        Algorithm::Eip191,
        "4076a28c35bb46711a17e5956270837d02de04f6ebe1c9c42de4238238b21944\
         5cb3896afea1c69d793111a2d3744c87af8562224464cc1442aaf1dade56134d\
         1b",
    ),
];

#[test]
fn tokens_that_other_programs_signed_are_taken() {
    for (algorithm, signature) in SIGNED {
        let signature = signature_bytes(algorithm, signature);
        let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#);
        let signed = format!("{}.{}", encode(header), encode(PAYLOAD));
        let token = format!("{signed}.{}", encode(&signature));
        if algorithm == Algorithm::Es256k {
            assert_eq!(token, ES256K);
        }
        let verified = verify(&token, &JwtRules::default(), now()).expect(&token);
        assert_eq!(verified.address, Wallet::alice().address());
        assert_eq!((verified.issued, verified.expires), (Some(now()), at(SECOND + 3600)));
        assert_eq!(verified.jti.as_deref(), Some("example-1"));

        let mut ours = Wallet::alice().sign(algorithm, &signed);
        if algorithm == Algorithm::Eip191 {
            ours[64] += 27;
        }
        assert_eq!(ours, signature, "{algorithm}");
    }
}

fn signature_bytes(algorithm: Algorithm, digits: &str) -> Vec<u8> {
    match algorithm {
        Algorithm::Es256k => hex::decode::<64>(digits).unwrap().to_vec(),
        _ => hex::decode::<65>(digits).unwrap().to_vec(),
    }
}

#[test]
fn the_token_in_the_documentation_is_this_one() {
    let page = include_str!("../../../../../docs/wallets.md");
    let text: String = page.split_whitespace().collect();
    assert!(text.contains(ES256K), "docs/wallets.md shows another token");
    assert!(page.contains(PAYLOAD));
}

#[test]
fn a_message_that_another_program_signed_is_taken() {
    let alice = Wallet::alice();
    let message = format!(
        "vms.example.org wants you to sign in with your Ethereum account:\n{}\n\n\
         Sign in to Innkeeper.\n\n\
         URI: https://vms.example.org/login\nVersion: 1\nChain ID: 1\n\
         Nonce: KEsB1M3xdTq8vYw0ZcRfUhL7nA2pG9iO\nIssued At: 2027-01-15T08:00:00Z",
        alice.address()
    );
    let signature = "0x2efc94d9557787d54e0e5da6338b611d1aac3cfe79ac5ec51801666d8c87eb72\
                     75059da7ddbd0a3a2162725e77ee699cb2101174b0ce3ac79f452c05f7df54dd1c";
    assert_eq!(check_signature(&message, signature, alice.address()), Ok(()));
    assert_eq!(alice.personal_sign(&message), signature);
    assert_eq!(Message::parse(&message).map(|message| message.address), Ok(alice.address()));
}

/// viem's `createSiweMessage` and `signMessage`, without a statement, with a fraction of a second.
#[test]
fn a_message_that_viem_made_is_taken() {
    let alice = Wallet::alice();
    let message = "vms.example.org wants you to sign in with your Ethereum account:\n\
         0x2c7536E3605D9C16a7a3D7b1898e529396a65c23\n\n\n\
         URI: https://vms.example.org/login\nVersion: 1\nChain ID: 1\n\
         Nonce: KEsB1M3xdTq8vYw0ZcRfUhL7nA2pG9iO\nIssued At: 2027-01-15T08:00:00.000Z";
    let signature = "0xde1b2a2107545a30b3c5abee151051dab16d37c2f1ad47a5a67c81dfb8d1d919\
                     5e028d9dd164c818112e21ff473d1f5e96b6d108f481ffcf697a231b0cb85a0c1c";
    let parsed = Message::parse(message).unwrap();
    assert_eq!((parsed.address, parsed.statement), (alice.address(), None));
    assert_eq!(parsed.issued, now());
    assert_eq!(check_signature(message, signature, alice.address()), Ok(()));
}
