//! Sizes that carry their unit in the type and in their text.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A number of bytes. Written as text with a binary unit, `"10GiB"`; the largest unit that divides
/// it is used, so that writing and reading back is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, example = "10GiB", pattern = r"^\d+(\.\d+)? ?([KMGTP]?i?B?)$")]
pub struct ByteSize(pub u64);

/// A number of mebibytes (2^20 bytes); what a machine's memory is counted in. Written like
/// [`ByteSize`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, example = "512MiB", pattern = r"^\d+(\.\d+)? ?([KMGTP]?i?B?)$")]
pub struct Mebibytes(pub u64);

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotASize {
    /// It has no unit, so it could mean anything.
    #[error("{0:?} has no unit: write for example \"512MiB\" or \"10GiB\"")]
    NoUnit(String),
    /// It is no number with a known unit.
    #[error("{0:?} is not a size: write for example \"512MiB\" or \"10GiB\"")]
    Unreadable(String),
    /// It does not fit into what is stored.
    #[error("{0:?} is too large")]
    TooLarge(String),
    /// It is no whole number of the unit that is stored.
    #[error("{0:?} is not a whole number of {1}")]
    NotWhole(String, &'static str),
}

impl ByteSize {
    /// So many mebibytes.
    pub const fn from_mebibytes(count: u64) -> Self {
        Self(count * MIB)
    }

    /// So many gibibytes.
    pub const fn from_gibibytes(count: u64) -> Self {
        Self(count * (MIB << 10))
    }
}

impl Mebibytes {
    /// The same size in bytes.
    pub const fn to_bytes(self) -> ByteSize {
        ByteSize(self.0 * MIB)
    }
}

fn unit_in_bytes(unit: &str) -> Option<u64> {
    // "MiB", "MB", "Mi" and "M" all mean 2^20: whoever sizes memory or disks with any of them means
    // the binary unit, and a machine of 1,000,000 bytes' multiples is in nobody's interest.
    let prefix = unit.trim_end_matches(['B', 'b']).trim_end_matches('i');
    Some(match prefix {
        "" => 1,
        "K" | "k" => KIB,
        "M" | "m" => MIB,
        "G" | "g" => MIB << 10,
        "T" | "t" => MIB << 20,
        "P" | "p" => MIB << 30,
        _ => return None,
    })
}

impl FromStr for ByteSize {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let trimmed = text.trim();
        let split =
            trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let unit = unit.trim();
        if unit.is_empty() && trimmed != "0" {
            return Err(if number.is_empty() {
                NotASize::Unreadable(text.into())
            } else {
                NotASize::NoUnit(text.into())
            });
        }
        let scale = unit_in_bytes(unit).ok_or_else(|| NotASize::Unreadable(text.into()))?;
        let too_large = || NotASize::TooLarge(text.into());
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(scale).map(Self).ok_or_else(too_large);
        }
        let fraction: f64 = number.parse().map_err(|_| NotASize::Unreadable(text.into()))?;
        let bytes = fraction * scale as f64;
        // 2^53: beyond it a double no longer names each byte.
        if bytes >= 9_007_199_254_740_992.0 {
            return Err(too_large());
        }
        if bytes.fract() != 0.0 {
            return Err(NotASize::NotWhole(text.into(), "bytes"));
        }
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(MIB << 20, "TiB"), (MIB << 10, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
        for (scale, unit) in units {
            if self.0 >= scale && self.0.is_multiple_of(scale) {
                return f.pad(&format!("{}{unit}", self.0 / scale));
            }
        }
        f.pad(&format!("{}B", self.0))
    }
}

impl FromStr for Mebibytes {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let ByteSize(bytes) = text.parse()?;
        if bytes.is_multiple_of(MIB) {
            Ok(Self(bytes / MIB))
        } else {
            Err(NotASize::NotWhole(text.into(), "MiB"))
        }
    }
}

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().fmt(f)
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a size with its unit, such as \"512MiB\"")
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}
as_text!(ByteSize);
as_text!(Mebibytes);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("512MiB", 512 * MIB),
            ("512M", 512 * MIB),
            ("1.5 GiB", 1536 * MIB),
            ("10gb", 10240 * MIB),
            ("4096B", 4096),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_or_nonsense_is_refused() {
        for text in ["512", "", "MiB", "-1GiB", "1e9GiB", "1.5.5MiB", "99999999PiB", "12 parsecs"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_stored_is_refused_for_its_own_reason() {
        let said = |text: &str| text.parse::<Mebibytes>().unwrap_err().to_string();
        assert_eq!(said("1KiB"), "\"1KiB\" is not a whole number of MiB");
        assert_eq!(said("0.3B"), "\"0.3B\" is not a whole number of bytes");
        assert_eq!(said("99999999PiB"), "\"99999999PiB\" is too large");
        assert_eq!(said("9999999.5PiB"), "\"9999999.5PiB\" is too large");
    }

    proptest! {
        #[test]
        fn writing_and_reading_back_is_exact(bytes: u64) {
            let text = ByteSize(bytes).to_string();
            prop_assert_eq!(text.parse(), Ok(ByteSize(bytes)));
        }
    }
}
