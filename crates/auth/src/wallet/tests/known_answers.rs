//! Signatures that others published.

use super::{super::hex, Wallet, personal};
use crate::wallet::{Address, BadSignature, siwe::check_signature};

/// <https://docs.web3js.org/api/web3-eth-accounts/function/sign>
const SOME_DATA: &str = "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd\
     6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c";

#[test]
fn personal_sign_is_as_web3_js_documents_it() {
    let alice = Wallet::alice();
    assert_eq!(alice.address().to_string(), "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23");
    let hash = "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655";
    assert_eq!(hex::encode(&personal(b"Some data")), hash);
    assert_eq!(alice.personal_sign("Some data"), SOME_DATA);
    assert_eq!(check_signature("Some data", SOME_DATA, alice.address()), Ok(()));

    let refused = |text: &str, of: Address| check_signature("Some data", text, of).unwrap_err();
    assert_eq!(refused(SOME_DATA, Wallet::bob().address()), BadSignature::Signer);
    for form in ["", "0x", &SOME_DATA[2..], &format!("{SOME_DATA}00"), &SOME_DATA[..130]] {
        assert_eq!(refused(form, alice.address()), BadSignature::Form, "{form}");
    }
    let upper = format!("0x{}", SOME_DATA[2..].to_uppercase());
    assert_eq!(check_signature("Some data", &upper, alice.address()), Ok(()));
}

/// <https://docs.web3js.org/guides/wallet/signing>; the key is not given there, so this is its hash alone.
#[test]
fn the_hash_of_hello_world_is_as_web3_js_documents_it() {
    let hash = "d9eba16ed0ecae432b71fe008c98cc872bb4cc214d3220a36f365326cf807d68";
    assert_eq!(hex::encode(&personal(b"hello world")), hash);
}
