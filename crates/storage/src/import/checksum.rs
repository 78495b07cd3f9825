//! The checksum that a file from elsewhere must have.

use innkeeper_model::Refusal;
use std::str::FromStr;

/// A SHA-256 digest, in the form that [`crate::copy::written`] writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checksum(String);

impl Checksum {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits alone.
    pub(crate) fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }
}

impl FromStr for Checksum {
    type Err = Refusal;

    /// Reads `sha256:` and 64 hexadecimal digits, or the digits alone, as `sha256sum` prints them.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(format!("sha256:{}", hex.to_ascii_lowercase())));
        }
        let problem = "is not sha256: and 64 hexadecimal digits";
        Err(Refusal::invalid("checksum", text, problem).with_hint(
            "a download needs the SHA-256 that its publisher states: --checksum sha256:…",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_customary_forms_are_one_checksum() {
        let hex = "AB".repeat(32);
        let long: Checksum = format!("sha256:{hex}").parse().unwrap();
        assert_eq!(long, hex.parse().unwrap());
        assert_eq!(long.as_str(), format!("sha256:{}", "ab".repeat(32)));
    }

    #[test]
    fn others_are_refused_by_field() {
        for text in ["", "sha256:", "sha512:abcd", &"g".repeat(64), &"a".repeat(63)] {
            let refusal = text.parse::<Checksum>().unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some("checksum"), "{text}");
        }
    }
}
