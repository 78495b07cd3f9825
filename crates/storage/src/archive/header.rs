//! The block before a member of a tar. Nothing is known here but plain files, by their names and lengths.

use super::bad;
use innkeeper_model::{Code, Refusal, Timestamp};

/// What a tar is counted in, in bytes.
pub(super) const BLOCK: u64 = 512;

/// The zeros between the end of a member and the next block.
pub(super) const fn padding(length: u64) -> u64 {
    length.next_multiple_of(BLOCK) - length
}

/// The block before a member: GNU's, which has no bound for lengths.
pub(super) fn write(name: &str, length: u64, written: Timestamp) -> Result<Vec<u8>, Refusal> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(length);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(written.as_second()).unwrap_or_default());
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
}

/// Reads the block before a member: its name and length.
pub(super) fn read(block: &[u8]) -> Result<(String, u64), Refusal> {
    let unreadable = |problem: &str| {
        let message = format!("this is no tar: {problem}");
        Refusal::new(Code::BadRequest, message)
            .with_hint("inn import takes what inn export has written, unpacked where it was packed")
    };
    let header = tar::Header::from_byte_slice(block);
    // All bytes of the block, those of the sum itself counted as spaces.
    let sum = block.iter().enumerate().map(|(at, byte)| match at {
        148..156 => u32::from(b' '),
        _ => u32::from(*byte),
    });
    if header.cksum().ok() != Some(sum.sum()) {
        return Err(unreadable("the sum of a header is wrong"));
    }
    let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
    let kind = header.entry_type();
    if kind.is_pax_local_extensions() || kind.is_pax_global_extensions() {
        let problem = "has an extended header, which is not taken";
        return Err(bad(&name, problem).with_hint("pack it with: tar --format=gnu"));
    }
    if kind != tar::EntryType::Regular {
        return Err(bad(&name, "is no file"));
    }
    let length = header.entry_size().map_err(|_| unreadable("the length of a member is none"))?;
    Ok((name, length))
}
