//! Whether a file is a CD-ROM: an ISO 9660 volume.

use super::has_magic;

/// Where the first volume descriptor says what it is.
const DESCRIPTOR: usize = 0x8001;

/// Whether a file that begins like this is one. 64 KiB hold what is looked at.
pub(crate) fn is_iso(head: &[u8]) -> bool {
    // "CD001" is ISO 9660; "BEA01" opens the descriptors of a disc that is UDF only, as the newer
    // Windows installers are.
    has_magic(head, DESCRIPTOR, b"CD001") || has_magic(head, DESCRIPTOR, b"BEA01")
}
