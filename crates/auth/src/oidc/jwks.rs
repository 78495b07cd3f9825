//! An issuer's keys, as it publishes them (RFC 7517), and signatures by them.
//!
//! A key has one algorithm, which the issuer chose by the key's kind and its `alg`; what a token says of its own
//! can only agree with that. What is no key for verifying in one of these ways is left out: keys of other kinds,
//! keys to encrypt with, and above all those that are a secret shared with somebody.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
        RsaParameters, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The most keys that an issuer may have at a time.
const MOST: usize = 64;
/// The lengths of a modulus in bytes that are taken: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// As `alg` has it. Case counts.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of a key of this kind that names this one, or none.
    fn of(kind: &str, curve: Option<&str>, named: Option<&str>) -> Option<Self> {
        let possible: &[Self] = match (kind, curve) {
            // The first is what is meant where nothing is said.
            ("RSA", None) => &[Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256],
            ("EC", Some("P-256")) => &[Self::Es256],
            ("EC", Some("P-384")) => &[Self::Es384],
            ("OKP", Some("Ed25519")) => &[Self::EdDsa],
            _ => return None,
        };
        match named {
            None => possible.first().copied(),
            Some(named) => possible.iter().copied().find(|algorithm| algorithm.as_str() == named),
        }
    }
}

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    id: Option<Box<str>>,
    algorithm: Algorithm,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Rsa(PublicKeyComponents<Box<[u8]>>),
    /// A point of a curve, as the algorithm has it.
    Point(Box<[u8]>),
}

impl PartialEq for Public {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rsa(one), Self::Rsa(other)) => one.n == other.n && one.e == other.e,
            (Self::Point(one), Self::Point(other)) => one == other,
            (Self::Rsa(_), Self::Point(_)) | (Self::Point(_), Self::Rsa(_)) => false,
        }
    }
}

impl Eq for Public {}

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer has none for tokens now.
    None,
    /// It has none like that now.
    Unknown,
    /// It has, and that one is for another algorithm.
    Algorithm,
    /// It has several, and the token does not say which.
    Unnamed,
}

/// The keys of an issuer. There may be none: so it takes all of them back.
#[derive(Debug)]
pub(super) struct Keys(Vec<Arc<Key>>);

/// Why what an issuer publishes is no set of keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadKeys {
    #[error("it is no set of keys")]
    Json(#[source] serde_json::Error),
    #[error("there are {0} keys, more than {MOST}")]
    TooMany(usize),
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

/// A key as it is published. All other members are somebody else's business.
#[derive(Deserialize)]
struct Described {
    kty: String,
    kid: Option<Box<str>>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Those of them that verify tokens.
    ///
    /// # Errors
    /// It is no such document, or there are too many.
    pub(super) fn parse(document: &[u8]) -> Result<Self, BadKeys> {
        let Published { keys } = serde_json::from_slice(document).map_err(BadKeys::Json)?;
        let count = keys.len();
        if count > MOST {
            return Err(BadKeys::TooMany(count));
        }
        Ok(Self(keys.into_iter().filter_map(Key::of).map(Arc::new).collect()))
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The key of a token with this header.
    pub(super) fn of_token(&self, id: Option<&str>, algorithm: &str) -> Result<&Arc<Key>, NoKey> {
        if self.0.is_empty() {
            return Err(NoKey::None);
        }
        let is_meant = |key: &&Arc<Key>| id.is_none_or(|id| key.id.as_deref() == Some(id));
        let mut meant = self.0.iter().filter(is_meant).peekable();
        if meant.peek().is_none() {
            return Err(NoKey::Unknown);
        }
        let mut fitting = meant.filter(|key| key.algorithm.as_str() == algorithm);
        let key = fitting.next().ok_or(NoKey::Algorithm)?;
        match fitting.next() {
            None => Ok(key),
            Some(_) => Err(NoKey::Unnamed),
        }
    }

    /// Whether this key is among them, as it was.
    pub(super) fn contains(&self, key: &Arc<Key>) -> bool {
        self.0.iter().any(|known| Arc::ptr_eq(known, key) || known == key)
    }

    /// Whether there is a key that a token with this header may mean.
    pub(super) fn has(&self, id: Option<&str>) -> bool {
        self.0.iter().any(|key| id.is_none() || key.id.as_deref() == id)
    }
}

impl Key {
    /// The key that is described, if it is one for verifying tokens.
    fn of(described: Value) -> Option<Self> {
        let described: Described = serde_json::from_value(described).ok()?;
        let signs = described.usage.as_deref().is_none_or(|usage| usage == "sig")
            && described.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let Described { kty, kid: id, alg, crv, .. } = &described;
        let algorithm = Algorithm::of(kty, crv.as_deref(), alg.as_deref()).filter(|_| signs)?;
        let public = match algorithm {
            Algorithm::Es256 => described.point(32)?,
            Algorithm::Es384 => described.point(48)?,
            Algorithm::EdDsa => Public::Point(part(described.x.as_deref(), 32..=32)?),
            _ => {
                let n = part(described.n.as_deref(), MODULUS)?;
                let e = part(described.e.as_deref(), 1..=4)?;
                Public::Rsa(PublicKeyComponents { n, e })
            }
        };
        Some(Self { id: id.clone(), algorithm, public })
    }

    /// Whether this key made this signature of this text.
    pub(super) fn made(&self, signature: &[u8], text: &[u8]) -> bool {
        let verified = match &self.public {
            Public::Rsa(components) => components.verify(self.rsa(), text, signature),
            Public::Point(point) => {
                UnparsedPublicKey::new(self.curve(), point).verify(text, signature)
            }
        };
        verified.is_ok()
    }

    const fn rsa(&self) -> &'static RsaParameters {
        match self.algorithm {
            Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
            _ => &RSA_PKCS1_2048_8192_SHA256,
        }
    }

    fn curve(&self) -> &'static dyn VerificationAlgorithm {
        match self.algorithm {
            Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
            Algorithm::EdDsa => &ED25519,
            _ => &ECDSA_P256_SHA256_FIXED,
        }
    }
}

impl Described {
    /// A point of a curve whose coordinates have so many bytes, uncompressed.
    fn point(&self, length: usize) -> Option<Public> {
        let [x, y] = [&self.x, &self.y].map(|part_of| part(part_of.as_deref(), length..=length));
        Some(Public::Point([&[4][..], &x?, &y?].concat().into()))
    }
}

/// A number of a key, of so many bytes.
fn part(text: Option<&str>, length: std::ops::RangeInclusive<usize>) -> Option<Box<[u8]>> {
    let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
    length.contains(&bytes.len()).then(|| bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rsa(more: Value) -> Value {
        let mut key =
            json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xc1; 256]), "e": "AQAB" });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    fn algorithm(key: Value) -> Option<&'static str> {
        Key::of(key).map(|key| key.algorithm.as_str())
    }

    #[test]
    fn a_key_has_the_algorithm_of_its_kind() {
        let x = URL_SAFE_NO_PAD.encode([1; 32]);
        let long = URL_SAFE_NO_PAD.encode([1; 48]);
        for (key, expected) in [
            (rsa(json!({})), Some("RS256")),
            (rsa(json!({ "alg": "RS512", "use": "sig", "key_ops": ["verify"] })), Some("RS512")),
            (rsa(json!({ "alg": "PS256" })), Some("PS256")),
            (rsa(json!({ "alg": "HS256" })), None),
            (rsa(json!({ "alg": "ES256" })), None),
            (rsa(json!({ "alg": "RSA-OAEP" })), None),
            (rsa(json!({ "use": "enc" })), None),
            (rsa(json!({ "key_ops": ["encrypt"] })), None),
            (rsa(json!({ "n": "AQAB" })), None),
            (rsa(json!({ "e": "" })), None),
            (json!({ "kty": "EC", "crv": "P-256", "x": x, "y": x }), Some("ES256")),
            (json!({ "kty": "EC", "crv": "P-384", "x": long, "y": long }), Some("ES384")),
            (json!({ "kty": "EC", "crv": "P-256", "x": x, "y": long }), None),
            (json!({ "kty": "EC", "crv": "P-256", "x": x }), None),
            (json!({ "kty": "EC", "crv": "secp256k1", "x": x, "y": x }), None),
            (json!({ "kty": "EC", "crv": "P-256", "alg": "ES384", "x": x, "y": x }), None),
            (json!({ "kty": "OKP", "crv": "Ed25519", "x": x }), Some("EdDSA")),
            (json!({ "kty": "OKP", "crv": "X25519", "x": x }), None),
            (json!({ "kty": "oct", "k": x, "alg": "HS256" }), None),
            (json!({ "kty": 7 }), None),
            (json!("key"), None),
        ] {
            assert_eq!(algorithm(key.clone()), expected, "{key}");
        }
    }

    #[test]
    fn a_set_is_of_what_verifies_and_not_too_many() {
        let parse = |keys: Vec<Value>| {
            Keys::parse(json!({ "keys": keys, "more": 1 }).to_string().as_bytes())
        };
        assert_eq!(parse(vec![rsa(json!({})), json!({ "kty": "oct" })]).unwrap().count(), 1);
        for none in [vec![], vec![json!({})], vec![json!({ "kty": "oct" }), json!(7)]] {
            let keys = parse(none).unwrap();
            assert_eq!((keys.count(), keys.has(None)), (0, false));
            assert_eq!(keys.of_token(None, "RS256"), Err(NoKey::None));
        }
        assert!(matches!(parse(vec![rsa(json!({})); 65]), Err(BadKeys::TooMany(65))));
        for wrong in ["", "[]", "{}", "{\"keys\":{}}", "<html>"] {
            assert!(matches!(Keys::parse(wrong.as_bytes()), Err(BadKeys::Json(_))), "{wrong}");
        }
    }

    #[test]
    fn a_token_names_its_key_and_not_its_algorithm() {
        let keys = [("a", "RS256"), ("b", "RS512"), ("c", "RS512")];
        let keys = keys.map(|(kid, alg)| rsa(json!({ "kid": kid, "alg": alg })));
        let keys = Keys::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        let of = |id, algorithm| keys.of_token(id, algorithm).map(|key| key.id.as_deref());
        assert_eq!(of(Some("a"), "RS256"), Ok(Some("a")));
        assert_eq!(of(Some("a"), "RS512"), Err(NoKey::Algorithm));
        assert_eq!(of(Some("a"), "none"), Err(NoKey::Algorithm));
        assert_eq!(of(Some("d"), "RS256"), Err(NoKey::Unknown));
        assert_eq!(of(None, "RS256"), Ok(Some("a")));
        assert_eq!(of(None, "RS512"), Err(NoKey::Unnamed));
        assert!(keys.has(None) && keys.has(Some("b")) && !keys.has(Some("d")));
    }

    /// The example of RFC 7515, A.2.
    #[test]
    fn a_signature_that_a_standard_shows_is_one() {
        let key = json!({ "kty": "RSA", "e": "AQAB", "n":
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL\
             -yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA\
             9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8N\
             Aco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" });
        let text = b"eyJhbGciOiJSUzI1NiJ9.\
            eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W\
            2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L0\
            7Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8n\
            p6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = Key::of(key).unwrap();
        assert!(key.made(&signature, text));
        signature[9] ^= 1;
        assert!(!key.made(&signature, text) && !key.made(b"", text));
    }
}
