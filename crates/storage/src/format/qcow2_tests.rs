use super::*;
use crate::format::blank::{Base, blank};
use innkeeper_model::DiskFormat;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

/// A good file of 64 MiB, whole.
fn good() -> Vec<u8> {
    let blank = blank(ByteSize(64 * MIB), None);
    let mut bytes = blank.bytes;
    bytes.resize(usize::try_from(blank.length).unwrap(), 0);
    bytes
}

fn check(bytes: &[u8]) -> Result<Qcow2Info, BadQcow2> {
    let head = &bytes[..bytes.len().min(crate::format::HEAD_LENGTH)];
    Qcow2Info::parse(head, bytes.len() as u64).and_then(Qcow2Info::importable)
}

fn with(at: usize, patch: &[u8]) -> Result<Qcow2Info, BadQcow2> {
    let mut bytes = good();
    bytes[at..at + patch.len()].copy_from_slice(patch);
    check(&bytes)
}

fn extension(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

#[test]
fn a_plain_file_is_taken() {
    assert_eq!(check(&good()).unwrap().virtual_size, ByteSize(64 * MIB));
}

#[test]
fn a_version_2_header_is_taken() {
    let mut bytes = good();
    bytes[4..8].copy_from_slice(&2u32.to_be_bytes());
    // Where version 2 has its extensions, version 3 has its features: none of either.
    assert!(check(&bytes).is_ok());
}

#[test]
fn a_backing_file_is_refused_with_its_name() {
    let base = Base { path: "/etc/shadow", format: DiskFormat::Raw };
    let overlay = blank(ByteSize(64 * MIB), Some(&base));
    let info = Qcow2Info::parse(&overlay.bytes, overlay.length).unwrap();
    assert_eq!(info.backing_format.as_deref(), Some("raw"));
    let refused = info.importable().unwrap_err();
    assert_eq!(refused, BadQcow2::BackingFile("/etc/shadow".into()));
    assert!(refused.to_string().contains("/etc/shadow"));
}

#[test]
fn a_data_file_is_refused_by_its_feature_and_by_its_name() {
    assert_eq!(with(72, &4u64.to_be_bytes()), Err(BadQcow2::DataFile));
    let name = extension(super::extension::DATA_FILE, b"/etc/shadow");
    assert_eq!(with(112, &name), Err(BadQcow2::DataFile));
    // Also behind others.
    let mut others = extension(0x6803_f857, &[7; 48]);
    others.extend(name);
    assert_eq!(with(112, &others), Err(BadQcow2::DataFile));
}

#[test]
fn encryption_is_refused_in_both_its_forms() {
    assert_eq!(with(32, &1u32.to_be_bytes()), Err(BadQcow2::Encrypted));
    assert_eq!(with(32, &2u32.to_be_bytes()), Err(BadQcow2::Encrypted));
    let luks = extension(super::extension::ENCRYPTION, &[0; 16]);
    assert_eq!(with(112, &luks), Err(BadQcow2::Encrypted));
}

#[test]
fn features_that_nobody_knows_are_refused() {
    for bit in 5..64 {
        let features: u64 = 1 << bit;
        let refused = with(72, &features.to_be_bytes());
        assert_eq!(refused, Err(BadQcow2::UnknownFeatures(features)));
    }
    assert_eq!(with(72, &2u64.to_be_bytes()), Err(BadQcow2::Corrupt));
    assert!(with(72, &1u64.to_be_bytes()).is_ok(), "dirty is mended on the way");
}

#[test]
fn impossible_fields_are_refused_by_name() {
    for (at, patch, field) in [
        (20, 8u32.to_be_bytes().to_vec(), "cluster size"),
        (20, 22u32.to_be_bytes().to_vec(), "cluster size"),
        (20, u32::MAX.to_be_bytes().to_vec(), "cluster size"),
        (96, 7u32.to_be_bytes().to_vec(), "refcount order"),
        (100, 80u32.to_be_bytes().to_vec(), "header length"),
        (100, u32::MAX.to_be_bytes().to_vec(), "header length"),
        (32, 3u32.to_be_bytes().to_vec(), "encryption method"),
        (36, 0u32.to_be_bytes().to_vec(), "L1 entries"),
        (36, u32::MAX.to_be_bytes().to_vec(), "L1 entries"),
        (24, u64::MAX.to_be_bytes().to_vec(), "L1 entries"),
        (40, 77u64.to_be_bytes().to_vec(), "L1 table"),
        (48, 0u64.to_be_bytes().to_vec(), "refcount table"),
        (16, 1024u32.to_be_bytes().to_vec(), "backing file's name"),
    ] {
        let mut bytes = good();
        if field.starts_with("backing") {
            bytes[8..16].copy_from_slice(&200u64.to_be_bytes());
        }
        bytes[at..at + patch.len()].copy_from_slice(&patch);
        let refused = check(&bytes).unwrap_err().to_string();
        assert!(refused.contains(field), "{field}: {refused}");
    }
    assert_eq!(with(4, &1u32.to_be_bytes()), Err(BadQcow2::Version(1)));
    assert_eq!(with(4, &4u32.to_be_bytes()), Err(BadQcow2::Version(4)));
}

#[test]
fn a_compression_type_must_be_known() {
    let mut bytes = good();
    bytes[72..80].copy_from_slice(&8u64.to_be_bytes());
    bytes[104] = 1;
    assert!(check(&bytes).is_ok());
    bytes[104] = 2;
    assert!(check(&bytes).unwrap_err().to_string().contains("compression type"));
}

#[test]
fn tables_outside_the_file_mean_that_it_is_cut_short() {
    let bytes = good();
    for length in [0, 3, 71, 100, 4096, 65536, 3 * 65536, 3 * 65536 + 4] {
        let refused = check(&bytes[..length]).unwrap_err();
        assert!(matches!(refused, BadQcow2::Truncated { .. }), "{length}: {refused}");
    }
    assert!(check(&bytes[..3 * 65536 + 8]).is_ok(), "the last table's last byte is there");
}

#[test]
fn extensions_that_do_not_end_are_refused() {
    let endless = extension(0x1234_5678, &[]).repeat(65536 / 8);
    let mut bytes = good();
    bytes[112..65536].copy_from_slice(&endless[..65536 - 112]);
    assert!(check(&bytes).is_ok(), "they end with the cluster");
    assert!(matches!(
        with(112, &[1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff]),
        Err(BadQcow2::Truncated { .. })
    ));
}

proptest! {
    #[test]
    fn no_header_makes_it_panic_or_names_files_unnoticed(
        patches in proptest::collection::vec((0usize..300, any::<u8>()), 0..40),
        length in 0usize..262_144,
    ) {
        let mut bytes = good();
        for (at, value) in patches {
            bytes[at] = value;
        }
        bytes.truncate(length);
        if let Ok(info) = check(&bytes) {
            prop_assert!(info.backing_file.is_none() && !info.data_file && !info.encrypted);
        }
    }
}
