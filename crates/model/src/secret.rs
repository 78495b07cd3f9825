//! Text that can be given to Innkeeper but never read back from it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;
use utoipa::ToSchema;

/// A secret: once it is stored, all that any reader, log line or message shows of it is its digest.
///
/// It is read from plain text, or from the digest form that it is written as, so that a document
/// with secrets in it can be fetched, edited and sent back without knowing them.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String)]
pub struct Secret(Parts);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    text: Option<Box<str>>,
    digest: Box<str>,
}

const DIGEST_PREFIX: &str = "sha256:";

impl Secret {
    /// The secret with this text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        let text = text.into();
        let hash = Sha256::digest(text.as_bytes());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(Parts { text: Some(text), digest: format!("{DIGEST_PREFIX}{hex}").into() })
    }

    /// The text, for the one place that needs it; `None` where only the digest is known.
    pub fn expose(&self) -> Option<&str> {
        self.0.text.as_deref()
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

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.digest())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_prints_a_secret_shows_it() {
        let secret = Secret::new("hunter2");
        let shown = format!("{secret:?} {}", serde_json::to_string(&secret).unwrap());
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
}
