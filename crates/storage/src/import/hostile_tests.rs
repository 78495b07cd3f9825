//! Files that somebody made to do harm, or that are no files at all: none becomes an image, none keeps the daemon
//! waiting, and nothing is left of any.

use super::*;
use crate::{StorageOptions, format::blank::blank};
use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

/// The most that a disk may be here, and a little more than the most that is read of any file.
const LARGEST: ByteSize = ByteSize(8 << 20);
/// Long for one of these: what is refused, is refused by its header.
const LONG: Duration = Duration::from_secs(60);

struct Fixture {
    folder: tempfile::TempDir,
    storage: Storage,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // What is converted is read by another user.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let mut options = StorageOptions::new(folder.path().join("pool"));
        (options.max_virtual_size, options.max_import_size) = (LARGEST, LARGEST);
        options.sandbox_uid = rustix::process::geteuid().is_root().then_some(61_236);
        let storage = Storage::open(options).unwrap();
        Self { folder, storage }
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("file");
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Refuses it, and says why.
    async fn refused(&self, what: &str, path: &Path) -> Refusal {
        let request = ImportRequest {
            name: "image".parse().unwrap(),
            kind: ImageKind::Disk,
            source: ImportSource::File(path.into()),
            format: None,
            initrd: None,
        };
        let (on_progress, cancel): (OnProgress, _) = (Arc::new(|_| ()), CancellationToken::new());
        let import = self.storage.import(request, &on_progress, &cancel);
        let ended = tokio::time::timeout(LONG, import).await;
        let refusal = ended.unwrap_or_else(|_| panic!("{what}: it takes too long"));
        let refusal = refusal.err().unwrap_or_else(|| panic!("{what}: it is an image now"));
        let left = fs::read_dir(self.folder.path().join("pool/images")).unwrap().count();
        assert_eq!(left, 0, "{what}: something is left of it");
        refusal
    }
}

/// Where bytes are to be others, and which.
type Patch<'a> = (usize, &'a [u8]);

/// A good qcow2 file of 1 MiB, with these bytes at these places instead.
fn qcow2(patches: &[Patch<'_>]) -> Vec<u8> {
    let blank = blank(ByteSize(1 << 20), None);
    let mut bytes = blank.bytes;
    bytes.resize(usize::try_from(blank.length).unwrap(), 0);
    for (at, patch) in patches {
        bytes[*at..at + patch.len()].copy_from_slice(patch);
    }
    bytes
}

#[tokio::test]
async fn a_header_that_lies_makes_no_image() {
    let fixture = Fixture::new();
    let [most64, most32] = [u64::MAX.to_be_bytes().to_vec(), u32::MAX.to_be_bytes().to_vec()];
    let eight_eib = (1_u64 << 63).to_be_bytes();
    let beyond = (1_u64 << 40).to_be_bytes();
    let one = 1_u32.to_be_bytes();
    let cases: &[(&str, &[Patch<'_>])] = &[
        (
            "a backing file",
            &[(8, &200_u64.to_be_bytes()), (16, &11_u32.to_be_bytes()), (200, b"/etc/shadow")],
        ),
        ("a backing file of all bytes", &[(8, &most64), (16, &most32)]),
        ("a disk of 16 EiB", &[(24, &most64)]),
        ("a disk of 8 EiB", &[(24, &eight_eib)]),
        ("a disk that is larger than may be", &[(24, &(LARGEST.0 + 512).to_be_bytes())]),
        ("clusters of 2 GiB", &[(20, &31_u32.to_be_bytes())]),
        ("clusters of a byte", &[(20, &[0; 4])]),
        ("encryption by AES", &[(32, &one)]),
        ("encryption by LUKS", &[(32, &2_u32.to_be_bytes())]),
        ("an L1 table of 32 GiB", &[(36, &most32)]),
        ("an L1 table without entries", &[(36, &[0; 4])]),
        ("an L1 table after the end", &[(40, &beyond)]),
        ("an L1 table at the end of all numbers", &[(40, &most64)]),
        ("a refcount table after the end", &[(48, &beyond)]),
        ("a refcount table of all clusters", &[(56, &most32)]),
        ("snapshots without end", &[(60, &most32), (64, &(1_u64 << 16).to_be_bytes())]),
        ("a snapshot after the end", &[(60, &one), (64, &beyond)]),
        ("a data file", &[(72, &4_u64.to_be_bytes())]),
        ("features that nobody knows", &[(72, &eight_eib)]),
        ("a mark that it is corrupt", &[(72, &2_u64.to_be_bytes())]),
        ("refcounts of 2^255 bits", &[(96, &255_u32.to_be_bytes())]),
        ("a header of 4 GiB", &[(100, &most32)]),
        ("extensions of 4 GiB", &[(104, &[0x11; 4]), (108, &most32)]),
        ("version 1", &[(4, &one)]),
        ("version 4", &[(4, &4_u32.to_be_bytes())]),
    ];
    for (what, patches) in cases {
        let refusal = fixture.refused(what, &fixture.file(&qcow2(patches))).await;
        assert_ne!(refusal.code, Code::Internal, "{what}: {refusal:?}");
        assert!(!refusal.message.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_file_that_is_cut_short_anywhere_makes_no_image() {
    let fixture = Fixture::new();
    let whole = qcow2(&[]);
    // What is missing of its last cluster is not missed: there are zeros.
    let l1 = usize::try_from(u64::from_be_bytes(whole[40..48].try_into().unwrap())).unwrap();
    for length in [4, 71, 72, 103, 104, 111, 4096, 1 << 16, (1 << 16) + 1, l1 + 7] {
        fixture.refused(&format!("{length} bytes"), &fixture.file(&whole[..length])).await;
    }
}

#[tokio::test]
async fn tables_that_lead_in_circles_or_nowhere_make_nothing_larger_than_may_be() {
    let fixture = Fixture::new();
    let good = qcow2(&[]);
    let l1 = usize::try_from(u64::from_be_bytes(good[40..48].try_into().unwrap())).unwrap();
    // To the header, to the table itself, into the middle of nothing, beyond the end; each said to be its own.
    for (what, entry) in [
        ("to the header", 1_u64 << 63),
        ("to itself", (1 << 63) | l1 as u64),
        ("to half a cluster", (1 << 63) | 512),
        ("beyond the end", (1 << 63) | (1 << 40)),
        ("to reserved bits", u64::MAX),
    ] {
        let path = fixture.file(&qcow2(&[(l1, &entry.to_be_bytes())]));
        fixture.refused(&format!("an L1 entry that leads {what}"), &path).await;
    }
}

#[tokio::test]
async fn another_format_is_told_by_its_name_and_not_taken_for_a_disk() {
    let fixture = Fixture::new();
    let mut vdi = vec![0; 4096];
    vdi[64..68].copy_from_slice(&[0x7f, 0x10, 0xda, 0xbe]);
    let begin = |magic: &[u8]| {
        let mut bytes = vec![0; 4096];
        bytes[..magic.len()].copy_from_slice(magic);
        bytes
    };
    for (name, bytes) in [
        ("VMDK", begin(b"KDMV")),
        ("VMDK", begin(b"# Disk DescriptorFile\nversion=1\nRW 1 FLAT \"/etc/shadow\" 0\n")),
        ("VDI", vdi),
        ("VHDX", begin(b"vhdxfile")),
    ] {
        let refusal = fixture.refused(name, &fixture.file(&bytes)).await;
        assert!(refusal.message.contains(name), "{name}: {refusal:?}");
    }
}

#[tokio::test]
async fn what_is_no_disk_on_the_host_is_refused_and_waited_for_by_nobody() {
    let fixture = Fixture::new();
    let at = |name: &str| fixture.folder.path().join(name);
    rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    std::os::unix::fs::symlink("loop", at("loop")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("to-a-device")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    // As long as this file system has them, and without a byte in it.
    let sparse = File::create(at("sparse")).unwrap();
    let is_made = |length: &&u64| sparse.set_len(**length).is_ok();
    let lengths = [(i64::MAX - 511).cast_unsigned(), 1 << 43, 1 << 34];
    assert!(lengths.iter().any(|length| is_made(&length)));
    for path in ["fifo", "socket", "loop", "to-a-device", "folder", "sparse", "missing"].map(at) {
        fixture.refused(&path.display().to_string(), &path).await;
    }
    for path in ["/dev/zero", "/dev/random", "/proc/kcore", "/proc/self/status", "/proc/self/mem"] {
        if Path::new(path).exists() {
            fixture.refused(path, Path::new(path)).await;
        }
    }
}

#[tokio::test]
async fn bytes_in_no_order_make_no_image_that_names_another_file() {
    let fixture = Fixture::new();
    // A small generator, so that what fails once fails again.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let request = |path: PathBuf| ImportRequest {
        name: "image".parse().unwrap(),
        kind: ImageKind::Disk,
        source: ImportSource::File(path),
        format: Some(DiskFormat::Qcow2),
        initrd: None,
    };
    for _ in 0..200 {
        let mut bytes = qcow2(&[]);
        for _ in 0..1 + random() % 8 {
            let at = 4 + random() as usize % 108;
            bytes[at] = random() as u8;
        }
        // What the header alone says: it is what decides whether anything else is opened.
        let checked = fixture.storage.check_import(&request(fixture.file(&bytes)));
        let has_backing = bytes[8..16] != [0; 8] && bytes[16..20] != [0; 4];
        let has_data_file = bytes[7] == 3 && bytes[79] & 4 != 0;
        let names_another = has_backing || has_data_file || bytes[32..36] != [0; 4];
        assert!(!(names_another && checked.is_ok()), "{:?}", &bytes[..112]);
    }
}
