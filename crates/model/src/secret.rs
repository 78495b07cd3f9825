//! Text that can be given to Innkeeper but never read back from it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A secret: once it is stored, all that any reader, log line or message shows of it is its digest.
///
/// It is read from plain text, or from the digest form that it is written as, so that a document
/// with secrets in it can be fetched, edited and sent back without knowing them. The two places that must
/// have the text, a file that is the daemon's alone and the answer to whoever is told it once, say so with
/// [`as_text`]. Memory that held a text is overwritten when it is given back.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String)]
pub struct Secret(Parts);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    text: Option<Zeroizing<Box<str>>>,
    digest: Box<str>,
}

const DIGEST_PREFIX: &str = "sha256:";

impl Secret {
    /// The secret with this text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        let text = Zeroizing::new(text.into());
        let hash = Sha256::digest(text.as_bytes());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(Parts { text: Some(text), digest: format!("{DIGEST_PREFIX}{hex}").into() })
    }

    /// The text, for the one place that needs it; `None` where only the digest is known.
    pub fn expose(&self) -> Option<&str> {
        self.0.text.as_deref().map(|text| &**text)
    }

    /// `sha256:` and the digest in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// The same secret with the text forgotten.
    #[must_use]
    pub fn sealed(&self) -> Self {
        Self(Parts { text: None, digest: self.0.digest.clone() })
    }
}

/// The empty text.
impl Default for Secret {
    fn default() -> Self {
        Self::new("")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.digest())
    }
}

/// Its digest.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digest())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.digest())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_digest = text.strip_prefix(DIGEST_PREFIX).is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        });
        Ok(if is_digest {
            Self(Parts { text: None, digest: text.into() })
        } else {
            Self::new(text)
        })
    }
}

/// A secret written as its text, for `#[serde(with = "…")]`: in a file with mode 0600 that has to have it, or in
/// the one answer that tells it.
pub mod as_text {
    use super::Secret;
    use serde::{Deserialize, Deserializer, Serializer, ser::Error};

    /// Writes the text.
    ///
    /// # Errors
    /// Only the digest is known.
    pub fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        match secret.expose() {
            Some(text) => serializer.serialize_str(text),
            None => Err(S::Error::custom("of this secret only the digest is known")),
        }
    }

    /// Reads a text, whatever it looks like.
    ///
    /// # Errors
    /// It is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }

    /// Reads a text where there may be none, for `#[serde(default, deserialize_with = "…")]`.
    ///
    /// # Errors
    /// It is neither a text nor `null`.
    pub fn maybe<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }

    /// Reads texts.
    ///
    /// # Errors
    /// They are none.
    pub fn several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Secret>, D::Error> {
        Ok(Vec::<String>::deserialize(deserializer)?.into_iter().map(Secret::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_prints_a_secret_shows_it() {
        let secret = Secret::new("hunter2");
        let shown = format!("{secret} {secret:?} {}", serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(secret.expose(), Some("hunter2"));
    }

    #[test]
    fn the_written_form_reads_back_as_the_same_secret_without_its_text() {
        let secret = Secret::new("hunter2");
        let read: Secret = serde_json::from_str(&serde_json::to_string(&secret).unwrap()).unwrap();
        assert_eq!(read, secret.sealed());
        assert_eq!(read.expose(), None);
    }

    #[test]
    fn what_must_have_the_text_says_so_and_is_not_printed_either() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Told {
            #[serde(with = "as_text")]
            token: Secret,
        }
        let told = Told { token: Secret::new("hunter2") };
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!(text, r#"{"token":"hunter2"}"#);
        assert_eq!(serde_json::from_str::<Told>(&text).unwrap(), told);
        assert!(!format!("{told:?}").contains("hunter2"));
        let sealed = Told { token: told.token.sealed() };
        assert!(serde_json::to_string(&sealed).is_err(), "a digest is no text");
        // What looks like a digest is a text all the same, where a text is meant.
        let digest = format!(r#"{{"token":"{}"}}"#, told.token.digest());
        assert!(serde_json::from_str::<Told>(&digest).unwrap().token.expose().is_some());
    }
}
