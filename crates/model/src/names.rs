//! Names: labels that people choose, from an alphabet that is safe as a path component, a host name
//! and a word on a command line. Free text belongs in a VM's description.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;

/// The longest name, in characters: what DNS allows one label.
pub const MAX_LENGTH: usize = 63;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{value:?} is not a name: 1 to {MAX_LENGTH} of the characters a-z A-Z 0-9 . _ - \
     are allowed, and the first must be a letter or a digit"
)]
pub struct NotAName {
    /// What was given, cut to a printable length.
    pub value: String,
}

fn check(text: &str) -> Result<(), NotAName> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = (1..=MAX_LENGTH).contains(&text.len());
    if fits && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal) {
        return Ok(());
    }
    Err(NotAName { value: text.chars().take(MAX_LENGTH + 1).collect() })
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                check(text).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAName;

            fn try_from(text: String) -> Result<Self, NotAName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A VM's name, unique in its project on a host.
    VmName
}
name! {
    /// An image's name, unique on a host.
    ImageName
}
name! {
    /// The name of a disk or NIC, unique in its VM.
    DeviceName
}
name! {
    /// A network's name, unique on a host; a subnet's, unique in its network.
    NetworkName
}
name! {
    /// The project (tenant) that a VM belongs to.
    ProjectName
}
name! {
    /// The name of a token that was issued to a caller, unique on a host.
    TokenName
}

impl Default for ProjectName {
    fn default() -> Self {
        Self("default".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_names() {
        for name in ["a", "web", "web-1", "0", "db.example.org", "A_b", &"x".repeat(63)] {
            assert!(name.parse::<VmName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn what_could_be_syntax_somewhere_is_refused() {
        let hostile = [
            "",
            ".",
            "..",
            "../etc",
            "a/b",
            "a,b",
            "a=b",
            "a b",
            "a\nb",
            "a\"b",
            "a'b",
            "-rf",
            "é",
            "🦀",
            "a\0b",
            "%2e",
            "$(id)",
            &"x".repeat(64),
        ];
        for name in hostile {
            assert!(name.parse::<VmName>().is_err(), "{name:?}");
        }
    }
}
