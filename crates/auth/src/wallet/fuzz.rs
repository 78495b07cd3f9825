//! Entrances for fuzzers: anything may be thrown at these, and they must come back.
//!
//! Each reads what a stranger can send, and asserts what must be true of it whatever that was.

use super::{
    Address, JwtRules, Sessions,
    siwe::{Message, check_signature},
    verify,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use innkeeper_model::Timestamp;

/// A time at which there are tokens that count.
const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// A bearer's token, of a wallet or of a session.
///
/// # Panics
/// There is a mistake: one was taken that cannot be signed, or reading one failed in a way of its own.
pub fn token(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(verified) = verify(text, &JwtRules::default(), NOW) {
        assert!(verified.expires > NOW, "{verified:?}");
    }
    assert_eq!(Sessions::default().account(text, NOW), None);
}

/// The same of a token's parts before they are in base64: a header, a payload and a signature, with a line
/// feed after each of the first two. Of a changed token hardly any is in base64.
///
/// # Panics
/// As [`token`].
pub fn token_parts(bytes: &[u8]) {
    let parts: Vec<_> =
        bytes.splitn(3, |byte| *byte == b'\n').map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    token(parts.join(".").as_bytes());
}

/// A message to sign in with, and the signature after its last line.
///
/// # Panics
/// There is a mistake: something was taken for a message that is none, or reading one failed in a way of
/// its own.
pub fn sign_in(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (message, signature) = text.rsplit_once('\n').unwrap_or((text, ""));
    for message in [text, message] {
        if let Ok(parsed) = Message::parse(message) {
            assert!(message.is_ascii() && !message.contains('\r'), "{message:?}");
            assert!(message.contains(&parsed.address.to_string()), "{message:?}");
            // Whether it holds is not known here; that it is looked at is what matters.
            let _ = check_signature(message, signature, parsed.address);
        }
    }
}

/// An address.
///
/// # Panics
/// There is a mistake: it is not read as it is written.
pub fn address(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(address) = text.parse::<Address>() {
        assert!(text.eq_ignore_ascii_case(&address.to_string()), "{text:?}");
        assert_eq!(address.to_string().parse(), Ok(address));
        assert_eq!(address.project().as_str(), text.to_ascii_lowercase());
    }
}
