//! The daemon's bearer token: a file that only its owner can read, and a digest in memory.
//!
//! Only the digest is kept, so that neither a core dump nor a log line can show the token.

use crate::{
    digest::Digest,
    private_file::{self, Found},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use innkeeper_store::harm;
use std::{
    fmt, fs,
    fs::File,
    io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The random bytes in a token.
const RANDOM_BYTES: usize = 32;
/// The characters of a token: [`RANDOM_BYTES`] in base64 without padding.
pub(crate) const LENGTH: usize = 43;
/// The most that is read of a token's file: a token and a line's end, and one byte to notice more.
const MAX_FILE: u64 = 46;

/// The token whose bearers are administrators. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    digest: Digest,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("the token file {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the host says.
        #[source]
        source: io::Error,
    },
    /// A new file cannot be written; nothing was left behind.
    #[error("the token file {path} cannot be written")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the host says.
        #[source]
        source: io::Error,
    },
    /// Others can read or change the file, so the token in it may be known already.
    #[error(
        "the token file {path} has mode {mode:04o}, so others may know the token: \
         delete the file, and the next start writes a new one with mode 0600"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file belongs to another user, who knows the token.
    #[error(
        "the token file {path} belongs to user {owner}: \
         delete the file, and the next start writes a new one"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The file holds something else.
    #[error(
        "the token file {path} holds no token ({LENGTH} characters of base64url): \
         delete the file, and the next start writes a new one"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl Token {
    /// The token in this file; where there is none, a new one, written with mode 0600 and synced.
    ///
    /// # Errors
    /// The file cannot be read or written, or its token may be known to others.
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        match load(path) {
            Err(TokenError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                create(path)
                    .map_err(|source| TokenError::Unwritable { path: path.into(), source })?;
                // What is in force is what is in the file, not what was meant to be.
                load(path)
            }
            loaded => loaded,
        }
    }

    /// Whether this is the token.
    pub fn matches(&self, presented: &str) -> bool {
        presented.len() == LENGTH && self.digest == Digest::of(presented)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

fn load(path: &Path) -> Result<Token, TokenError> {
    let Found { bytes, owner, mode } = private_file::read(path, MAX_FILE)
        .map_err(|source| TokenError::Unreadable { path: path.into(), source })?;
    if owner != rustix::process::geteuid().as_raw() {
        return Err(TokenError::Foreign { path: path.into(), owner });
    }
    if mode & 0o077 != 0 {
        return Err(TokenError::Exposed { path: path.into(), mode });
    }
    // What is no text is no token either.
    let content = String::from_utf8_lossy(&bytes);
    let text = content.trim_end();
    if !is_token(text) {
        return Err(TokenError::Malformed { path: path.into() });
    }
    Ok(Token { digest: Digest::of(text) })
}

fn is_token(text: &str) -> bool {
    text.len() == LENGTH
        && URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == RANDOM_BYTES)
}

/// A new text that nobody can guess.
///
/// # Errors
/// The host has no random numbers.
pub(crate) fn random_text() -> io::Result<String> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random)?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// Writes a new token, whole or not at all.
fn create(path: &Path) -> io::Result<()> {
    let text = random_text()? + "\n";

    let temporary = path.with_extension("new");
    // One that an earlier start left when it was killed at this very place.
    let _ = harm::remove_file(&temporary);
    let written = write_new(&temporary, &text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = harm::remove_file(&temporary);
    }
    written?;
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn folder_with(content: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn the_first_start_writes_a_token_and_the_next_one_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let made = Token::load_or_create(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim_end().len(), LENGTH);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(made.matches(text.trim_end()));
        assert_eq!(Token::load_or_create(&path).unwrap(), made);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left");
    }

    #[test]
    fn two_tokens_differ_and_nothing_else_matches() {
        let folder = tempfile::tempdir().unwrap();
        let one = Token::load_or_create(&folder.path().join("one")).unwrap();
        let two = Token::load_or_create(&folder.path().join("two")).unwrap();
        assert_ne!(one, two);
        for wrong in ["", "x", &"A".repeat(LENGTH)] {
            assert!(!one.matches(wrong));
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::load_or_create(&folder.path().join("token")).unwrap();
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn a_token_that_others_may_know_is_refused() {
        let (_folder, path) = folder_with(&"A".repeat(LENGTH), 0o640);
        let refused = Token::load_or_create(&path);
        assert!(matches!(refused, Err(TokenError::Exposed { mode: 0o640, .. })), "{refused:?}");
    }

    #[test]
    fn a_file_that_holds_no_token_is_refused_and_kept() {
        for content in ["", "password", &"A".repeat(LENGTH + 1), &"é".repeat(30)] {
            let (_folder, path) = folder_with(content, 0o600);
            let refused = Token::load_or_create(&path);
            assert!(matches!(refused, Err(TokenError::Malformed { .. })), "{content}: {refused:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let (folder, path) = folder_with(&"A".repeat(LENGTH), 0o600);
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(matches!(Token::load_or_create(&link), Err(TokenError::Unreadable { .. })));
    }

    #[test]
    fn what_a_killed_start_left_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token.new"), "half").unwrap();
        assert!(Token::load_or_create(&folder.path().join("token")).is_ok());
    }
}
