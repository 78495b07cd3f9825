//! Lists of credentials in a file: tokens and certificates that were issued, and wallets' tokens that were
//! taken back.
//!
//! ```text
//! { "schema": 1, "checksum": "sha256:…", "tokens": [ … ] }
//! ```
//!
//! What is listed stands under its own name, so that the one is never read for the other; until each had one, all were
//! called `tokens`, which is read and not written any more. The checksum is over the text
//! of the list exactly as it stands in the file. One that was damaged is not taken for one with fewer credentials, or
//! with other rights: the daemon does not start with it.

use crate::{
    digest::Digest,
    private_file::{self, Found},
};
use innkeeper_store::{WriteFailed, write_atomically};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{
    io,
    path::{Path, PathBuf},
};

/// The version of the file's shape that this binary writes, and the only one that it reads.
const SCHEMA: u32 = 1;
/// The most bytes of a file that are read: more than the longest list takes, which is that of 65,536 tokens
/// that were taken back.
const MAX_FILE: u64 = 16 << 20;

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Tokens.
    Tokens,
    /// Client certificates.
    Certificates,
    /// Tokens of wallets that were taken back.
    Revoked,
}

/// Why it is not known which credentials there are.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file cannot be read.
    #[error("the list {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the host says.
        #[source]
        source: io::Error,
    },
    /// Others could have written to the file.
    #[error(
        "the list {path} belongs to user {owner} and has mode {mode:04o}, so others may have \
         written to it: look through it, then give it to the daemon's user alone (chown, chmod 600)"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not what was written.
    #[error(
        "the list {path} is damaged ({problem}): put a copy of it back; or move it away, and \
         the daemon begins with an empty one"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    schema: u32,
    checksum: String,
    #[serde(borrow)]
    tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    certificates: Option<&'a RawValue>,
    #[serde(borrow)]
    revoked: Option<&'a RawValue>,
}

impl Listed {
    /// The name that the list has in its file.
    const fn key(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Certificates => "certificates",
            Self::Revoked => "revoked",
        }
    }
}

impl<'a> Envelope<'a> {
    /// The list, if it is the only one and may be of this.
    fn list(&self, of: Listed) -> Option<&'a str> {
        let Self { tokens, certificates, revoked, .. } = *self;
        let list = match (of, tokens, certificates, revoked) {
            // What all were called once. Their entries have other members, so that none is taken for another.
            (_, Some(list), None, None)
            | (Listed::Certificates, None, Some(list), None)
            | (Listed::Revoked, None, None, Some(list)) => list,
            _ => return None,
        };
        Some(list.get())
    }
}

/// What is in the file; nothing where there is none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, of: Listed) -> Result<Vec<T>, ListError> {
    let Found { bytes, owner, mode } = match private_file::read(path, MAX_FILE) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ListError::Unreadable { path: path.into(), source }),
    };
    if mode & 0o077 != 0 || owner != rustix::process::geteuid().as_raw() {
        return Err(ListError::Exposed { path: path.into(), owner, mode });
    }
    parse(&bytes, of).map_err(|problem| ListError::Damaged { path: path.into(), problem })
}

fn parse<T: DeserializeOwned>(bytes: &[u8], of: Listed) -> Result<Vec<T>, String> {
    let unreadable = |error: serde_json::Error| error.to_string();
    let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(unreadable)?;
    if envelope.schema != SCHEMA {
        let found = envelope.schema;
        return Err(format!("it has schema {found}, and this version of Innkeeper knows {SCHEMA}"));
    }
    let list = envelope.list(of).ok_or_else(|| format!("it is no list of {}", of.key()))?;
    let actual = checksum(list);
    if envelope.checksum != actual {
        let written = envelope.checksum;
        return Err(format!("its checksum is {written}, and what is on it has {actual}"));
    }
    serde_json::from_str(list).map_err(unreadable)
}

/// Replaces the file with one of these. It waits for the disk.
pub(crate) fn write<T: Serialize>(path: &Path, of: Listed, list: &[T]) -> Result<(), WriteFailed> {
    let text = serde_json::to_string_pretty(list)
        .expect("credentials have no map with keys that are not text, and no writer that can fail");
    let text = text.replace('\n', "\n  ");
    let (checksum, key) = (checksum(&text), of.key());
    let whole = format!(
        "{{\n  \"schema\": {SCHEMA},\n  \"checksum\": \"{checksum}\",\n  \"{key}\": {text}\n}}\n"
    );
    write_atomically(path, whole.as_bytes(), 0o600)
}

fn checksum(text: &str) -> String {
    format!("sha256:{}", Digest::of(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Listed; 3] = [Listed::Tokens, Listed::Certificates, Listed::Revoked];

    fn read_as(path: &Path, of: Listed) -> Result<Vec<u8>, String> {
        read(path, of).map_err(|refused| refused.to_string())
    }

    #[test]
    fn a_list_is_read_for_what_it_is_of_and_by_the_name_that_all_had_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.json");
        for written in ALL {
            write(&file, written, &[1_u8, 2]).unwrap();
            let whole = std::fs::read_to_string(&file).unwrap();
            assert!(whole.contains(&format!("\"{}\": [", written.key())), "{whole}");
            assert_eq!(read_as(&file, written).unwrap(), [1, 2]);
            for other in ALL.into_iter().filter(|of| *of != written && written != Listed::Tokens) {
                let problem = read_as(&file, other).unwrap_err();
                assert!(problem.contains(&format!("no list of {}", other.key())), "{problem}");
            }
            let key = format!("\"{}\"", written.key());
            write_private(&file, &whole.replace(&key, "\"tokens\""));
            assert_eq!(read_as(&file, written).unwrap(), [1, 2], "{written:?} of before");
            if written != Listed::Tokens {
                let twice = whole.replace(&key, &format!("\"tokens\": [], {key}"));
                write_private(&file, &twice);
                assert!(read_as(&file, written).is_err(), "{twice}");
            }
        }
    }

    /// In place of the file, with its mode.
    fn write_private(file: &Path, text: &str) {
        write_atomically(file, text.as_bytes(), 0o600).unwrap();
    }
}
