//! Messages to sign in with, right and wrong.

use super::{SECOND, Wallet, at, now, with_high_s};
use crate::wallet::{
    BadSignature, hex,
    siwe::{BadMessage, BadSignIn, MAX_MESSAGE_LENGTH, Message, SignIns, SignedIn},
};
use innkeeper_model::{Code, Refusal};

/// The examples of EIP-4361, which differ in what they begin with.
fn example(origin: &str) -> String {
    format!(
        "{origin} wants you to sign in with your Ethereum account:\n\
         0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\
         \n\
         I accept the ExampleOrg Terms of Service: https://example.com/tos\n\
         \n\
         URI: https://example.com/login\n\
         Version: 1\n\
         Chain ID: 1\n\
         Nonce: 32891756\n\
         Issued At: 2021-09-30T16:25:24Z\n\
         Resources:\n\
         - ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/\n\
         - https://example.com/my-web2-claim.json"
    )
}

#[test]
fn the_examples_of_eip_4361_are_taken_apart() {
    for (origin, scheme, domain) in [
        ("example.com", None, "example.com"),
        ("example.com:3388", None, "example.com:3388"),
        ("https://example.com", Some("https"), "example.com"),
    ] {
        let text = example(origin);
        let expected = Message {
            scheme,
            domain,
            address: "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2".parse().unwrap(),
            statement: Some("I accept the ExampleOrg Terms of Service: https://example.com/tos"),
            uri: "https://example.com/login",
            chain_id: 1,
            nonce: "32891756",
            issued: "2021-09-30T16:25:24Z".parse().unwrap(),
            expires: None,
            not_before: None,
            request_id: None,
            resources: vec![
                "ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/",
                "https://example.com/my-web2-claim.json",
            ],
        };
        assert_eq!(Message::parse(&text), Ok(expected));
    }
}

#[test]
fn what_may_be_missing_may_be_missing() {
    let text = example("example.com");
    let statement = "I accept the ExampleOrg Terms of Service: https://example.com/tos\n";
    let resources = text.find("\nResources:").unwrap();
    for (text, expected) in [
        (text.replace(statement, ""), None),
        (text.replace(statement, "\n"), Some("")),
        (text.replace(statement, "URI: x\n"), Some("URI: x")),
    ] {
        assert_eq!(Message::parse(&text).unwrap().statement, expected, "{text}");
    }
    assert_eq!(Message::parse(&text[..resources]).unwrap().resources, [""; 0]);
    assert_eq!(Message::parse(&text[..resources + 11]).unwrap().resources, [""; 0]);

    let rest = "\nExpiration Time: 2021-09-30T18:25:24.5+02:00\nNot Before: 2021-09-30t16:25:24z\n\
                Request ID: a%20b:@";
    let text = format!("{}{rest}", &text[..resources]);
    let message = Message::parse(&text).unwrap();
    assert_eq!(message.expires, "2021-09-30T16:25:24.5Z".parse().ok());
    assert_eq!(message.not_before, "2021-09-30T16:25:24Z".parse().ok());
    assert_eq!(message.request_id, Some("a%20b:@"));
    let empty = text.replace("a%20b:@", "");
    assert_eq!(Message::parse(&empty).unwrap().request_id, Some(""));
}

#[test]
fn what_the_grammar_does_not_allow_is_refused_with_its_place() {
    let text = example("example.com");
    let malformed = BadMessage::Malformed;
    for (from, to, expected) in [
        ("example.com wants", " wants", malformed("domain")),
        ("example.com wants", "a b wants", malformed("domain")),
        ("example.com wants", "https:// wants", malformed("domain")),
        ("example.com wants", "1s://example.com wants", malformed("domain")),
        ("example.com wants", "example.com/x wants", malformed("domain")),
        ("example.com wants", "example.com  wants", malformed("domain")),
        ("example.com wants", "\nexample.com wants", malformed("domain")),
        ("example.com wants", "éxample.com wants", malformed("domain")),
        ("Ethereum account:\n", "Ethereum account: \n", malformed("domain")),
        ("Ethereum account:\n", "Ethereum account:\r\n", malformed("domain")),
        ("Ethereum account:\n", "Ethereum account\n", malformed("domain")),
        ("0xC02aaA", "0xc02aaA", malformed("address")),
        ("0xC02aaA", "C02aaA", malformed("address")),
        (
            "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
            "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
            malformed("address"),
        ),
        ("Cc2\n\n", "Cc2\n", malformed("statement")),
        ("Cc2\n\n", "Cc2\n \n", malformed("statement")),
        ("Cc2\n\n", "Cc2\n\n\n", malformed("URI")),
        ("I accept", "I accept\nthis", malformed("statement")),
        ("I accept", "I \"accept\"", malformed("statement")),
        ("I accept", "I accept 100%", malformed("statement")),
        ("I accept", "I accépt", malformed("statement")),
        ("/tos\n\n", "/tos\n", malformed("statement")),
        ("/tos\n\n", "/tos\n\n\n", malformed("URI")),
        ("URI: https://example.com/login", "URI: example.com/login", malformed("URI")),
        ("URI: https://example.com/login", "URI: https://example.com/lo gin", malformed("URI")),
        ("URI: ", "URI:", malformed("URI")),
        ("URI: ", "uri: ", malformed("URI")),
        ("Version: 1", "Version: 2", malformed("Version")),
        ("Version: 1", "Version: 01", malformed("Version")),
        ("Version: 1\n", "", malformed("Version")),
        ("Version: 1\nChain ID: 1", "Chain ID: 1\nVersion: 1", malformed("Version")),
        ("Chain ID: 1", "Chain ID: ", malformed("Chain ID")),
        ("Chain ID: 1", "Chain ID: +1", malformed("Chain ID")),
        ("Chain ID: 1", "Chain ID: 0x1", malformed("Chain ID")),
        ("Chain ID: 1", "Chain ID: 99999999999999999999", malformed("Chain ID")),
        ("Nonce: 32891756", "Nonce: 3289175", malformed("Nonce")),
        ("Nonce: 32891756", "Nonce: 3289175-", malformed("Nonce")),
        ("Nonce: 32891756", "Nonce: 3289175é", malformed("Nonce")),
        ("Nonce: 32891756", "Nonce: 32891756 ", malformed("Nonce")),
        ("Nonce: 32891756\n", "Nonce: 32891756\nNonce: 32891756\n", malformed("Issued At")),
        ("2021-09-30T16:25:24Z", "2021-09-30 16:25:24Z", malformed("Issued At")),
        ("2021-09-30T16:25:24Z", "2021-09-30T16:25:24", malformed("Issued At")),
        ("2021-09-30T16:25:24Z", "2021-09-30T16:25:24Z[UTC]", malformed("Issued At")),
        ("2021-09-30T16:25:24Z", "2021-09-30T16:25:24+02", malformed("Issued At")),
        ("2021-09-30T16:25:24Z", "2021-09-30T16:25:24,5Z", malformed("Issued At")),
        ("2021-09-30T16:25:24Z", "2021-09-30T16:25:24.Z", malformed("Issued At")),
        ("2021-09-30T16:25:24Z", "20210930T162524Z", malformed("Issued At")),
        ("2021-09-30T16:25:24Z", "2021-02-30T16:25:24Z", malformed("Issued At")),
        ("2021-09-30T16:25:24Z", "2021-09-30T25:25:24Z", malformed("Issued At")),
        ("2021-09-30T16:25:24Z", "+002021-09-30T16:25:24Z", malformed("Issued At")),
        ("2021-09-30T16:25:24Z", "1633019124", malformed("Issued At")),
        ("Z\nResources:", "Z\nExpiration Time: never\nResources:", malformed("Expiration Time")),
        ("Z\nResources:", "Z\nNot Before: \nResources:", malformed("Not Before")),
        ("Z\nResources:", "Z\nRequest ID: a/b\nResources:", malformed("Request ID")),
        (
            "Z\nResources:",
            "Z\nRequest ID: a\nNot Before: 2021-09-30T16:25:24Z",
            BadMessage::Trailing,
        ),
        ("Z\nResources:", "Z\nFurther: 1\nResources:", BadMessage::Trailing),
        ("Z\nResources:", "Z\nResources: ", BadMessage::Trailing),
        ("Z\nResources:", "Z\n\nResources:", BadMessage::Trailing),
        ("- ipfs:", "-ipfs:", malformed("Resources")),
        ("- ipfs:", "* ipfs:", malformed("Resources")),
        ("- ipfs:", "- ", malformed("Resources")),
        (".json", ".json\n", malformed("Resources")),
        (".json", ".json\r", malformed("Resources")),
    ] {
        assert!(text.contains(from), "{from}");
        let wrong = text.replacen(from, to, 1);
        assert_eq!(Message::parse(&wrong), Err(expected), "{to:?} for {from:?}");
    }
    for wrong in ["", "\n", "example.com", &text[..80]] {
        assert!(Message::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_message_that_is_too_long_is_not_looked_at() {
    let text = example("example.com");
    let fill = MAX_MESSAGE_LENGTH - text.len();
    let longest = text.replace("I accept", &format!("I accept{}", "!".repeat(fill)));
    assert!(Message::parse(&longest).is_ok());
    assert_eq!(Message::parse(&format!("{longest}x")), Err(BadMessage::TooLong));
}

fn sign_ins() -> SignIns {
    SignIns::new("https://vms.example.org".parse().unwrap())
}

/// A message by Alice with a nonce of these sign-ins, and more lines.
fn message(sign_ins: &SignIns, more: &str) -> String {
    let nonce = sign_ins.challenges().issue(now()).unwrap().nonce;
    let address = Wallet::alice().address();
    format!(
        "vms.example.org wants you to sign in with your Ethereum account:\n{address}\n\n\n\
         URI: https://vms.example.org/login\nVersion: 1\nChain ID: 5\nNonce: {nonce}\n\
         Issued At: 2027-01-15T08:00:00Z{more}"
    )
}

#[test]
fn an_account_signs_in_once_with_a_nonce() {
    let (sign_ins, alice) = (sign_ins(), Wallet::alice());
    let text = message(&sign_ins, "");
    let signature = alice.personal_sign(&text);
    let address = alice.address();
    let expected = SignedIn { address, chain_id: 5, asked: now(), until: None };
    assert_eq!(sign_ins.verify(&text, &signature, at(SECOND + 299)), Ok(expected));
    assert_eq!(sign_ins.verify(&text, &signature, at(SECOND + 299)), Err(BadSignIn::Nonce));

    let text = message(&sign_ins, "\nExpiration Time: 2027-01-15T08:10:00Z");
    let until = sign_ins.verify(&text, &alice.personal_sign(&text), now()).unwrap().until;
    assert_eq!(until, Some(at(SECOND + 600)));
}

/// Each is refused for what is wrong, and the nonce is used up by it: the right one is too late then.
#[test]
fn a_message_that_is_wrong_is_refused_and_its_nonce_is_used() {
    let alice = Wallet::alice();
    let domain = "vms.example.org wants";
    let uri = "URI: https://vms.example.org/";
    let issued = "Issued At: 2027-01-15T08:00:00Z";
    let with = |more: &str| format!("{issued}\n{more}");
    for (from, to, expected) in [
        (domain, "evil.example wants".to_owned(), BadSignIn::Site("domain")),
        (domain, "vms.example.org:8443 wants".to_owned(), BadSignIn::Site("domain")),
        (domain, "vms.example.org@evil.example wants".to_owned(), BadSignIn::Site("domain")),
        (domain, "http://vms.example.org wants".to_owned(), BadSignIn::Site("scheme")),
        (uri, "URI: https://evil.example/".to_owned(), BadSignIn::Site("URI")),
        (uri, "URI: http://vms.example.org/".to_owned(), BadSignIn::Site("URI")),
        (uri, "URI: https://vms.example.org@evil.example/".to_owned(), BadSignIn::Site("URI")),
        (
            issued,
            "Issued At: 2027-01-15T08:00:31Z".to_owned(),
            BadSignIn::IssuedInFuture(at(SECOND + 31)),
        ),
        (issued, with("Expiration Time: 2027-01-15T08:00:00Z"), BadSignIn::Expired(now())),
        (issued, with("Not Before: 2027-01-15T08:00:31Z"), BadSignIn::NotYet(at(SECOND + 31))),
    ] {
        let sign_ins = sign_ins();
        let right = message(&sign_ins, "");
        let wrong = right.replacen(from, &to, 1);
        assert_ne!(wrong, right);
        let result = sign_ins.verify(&wrong, &alice.personal_sign(&wrong), now());
        assert_eq!(result, Err(expected), "{to}");
        let result = sign_ins.verify(&right, &alice.personal_sign(&right), now());
        assert_eq!(result, Err(BadSignIn::Nonce), "{to}");
    }
}

#[test]
fn a_wrong_signature_uses_the_nonce_up_and_says_no_more_than_that() {
    let (alice, bob) = (Wallet::alice(), Wallet::bob());
    let high = |text: &str| {
        let right: [u8; 65] = hex::decode(&alice.personal_sign(text)[2..]).unwrap();
        let mut high = with_high_s(&right);
        high[64] = 55 - right[64];
        format!("0x{}", hex::encode(&high))
    };
    let other_v = |text: &str| {
        let right = alice.personal_sign(text);
        format!("{}{}", &right[..130], if right.ends_with("1b") { "1c" } else { "1b" })
    };
    let sha256 = |text: &str| {
        format!("0x{}", hex::encode(&alice.sign_hash(&super::sha256(text.as_bytes()))))
    };
    type Sign<'a> = &'a dyn Fn(&str) -> String;
    let cases: [(Sign<'_>, BadSignature); 7] = [
        (&|text| bob.personal_sign(text), BadSignature::Signer),
        (
            &|text| alice.personal_sign(&text.replace("Chain ID: 5", "Chain ID: 1")),
            BadSignature::Signer,
        ),
        (&sha256, BadSignature::Signer),
        (&other_v, BadSignature::Signer),
        (&high, BadSignature::HighS),
        (&|text| alice.personal_sign(text)[2..].to_owned(), BadSignature::Form),
        (&|_| String::new(), BadSignature::Form),
    ];
    let mut told = Vec::new();
    for (sign, expected) in cases {
        let sign_ins = sign_ins();
        let text = message(&sign_ins, "");
        let bad = sign_ins.verify(&text, &sign(&text), now()).unwrap_err();
        assert_eq!(bad, BadSignIn::Signature(expected));
        told.push(Refusal::from(&bad));
        let right = alice.personal_sign(&text);
        assert_eq!(sign_ins.verify(&text, &right, now()), Err(BadSignIn::Nonce));
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    assert_eq!(told[0].code, Code::Unauthenticated);
}

#[test]
fn a_nonce_of_somebody_elses_making_or_too_old_is_refused() {
    let (sign_ins, alice) = (sign_ins(), Wallet::alice());
    let text = message(&sign_ins, "");
    let signature = alice.personal_sign(&text);
    assert_eq!(sign_ins.verify(&text, &signature, at(SECOND + 300)), Err(BadSignIn::Nonce));
    let elsewhere = message(&self::sign_ins(), "");
    let signature = alice.personal_sign(&elsewhere);
    assert_eq!(sign_ins.verify(&elsewhere, &signature, now()), Err(BadSignIn::Nonce));
}

#[test]
fn a_text_that_is_no_message_leaves_the_nonce_alone() {
    let (sign_ins, alice) = (sign_ins(), Wallet::alice());
    let text = message(&sign_ins, "");
    let bad = sign_ins.verify(&format!("{text}\n"), "", now());
    assert_eq!(bad, Err(BadSignIn::Message(BadMessage::Trailing)));
    assert!(sign_ins.verify(&text, &alice.personal_sign(&text), now()).is_ok());
}
