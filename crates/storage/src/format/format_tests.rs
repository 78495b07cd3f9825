use super::*;

const LIMIT: ByteSize = ByteSize(1 << 30);

fn padded(at: usize, magic: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[at..at + magic.len()].copy_from_slice(magic);
    bytes
}

fn detect_in(bytes: &[u8]) -> Result<Inspection, BadDisk> {
    inspect(bytes, bytes.len() as u64, None, LIMIT)
}

#[test]
fn what_is_not_known_is_raw() {
    let found = detect_in(&padded(510, &[0x55, 0xaa])).unwrap();
    assert_eq!(found.format, DiskFormat::Raw);
    assert_eq!(found.virtual_size, ByteSize(4096));
}

#[test]
fn other_formats_are_refused_by_name_with_the_fix() {
    for foreign in &FOREIGN {
        let bad = detect_in(&padded(foreign.offset, foreign.magic)).unwrap_err();
        let refusal = bad.at("source", "disk.img");
        assert!(refusal.message.contains(foreign.phrase), "{}", refusal.message);
        assert!(refusal.hint.unwrap().contains("-O qcow2"));
    }
    for (packer, at, magic) in PACKED {
        let message = detect_in(&padded(at, magic)).unwrap_err().to_string();
        assert!(message.contains(packer), "{message}");
    }
}

#[test]
fn what_is_declared_raw_is_raw_whatever_it_begins_with() {
    for magic in [&b"QFI\xfb\0\0\0\x03"[..], b"KDMV", b"LUKS\xba\xbe", b"\x1f\x8b"] {
        let bytes = padded(0, magic);
        let found = inspect(&bytes, 4096, Some(DiskFormat::Raw), LIMIT).unwrap();
        assert_eq!(found.format, DiskFormat::Raw);
    }
}

#[test]
fn what_is_declared_qcow2_must_be() {
    let refused = inspect(&[0; 4096], 4096, Some(DiskFormat::Qcow2), LIMIT);
    assert_eq!(refused, Err(BadDisk::NotQcow2));
}

#[test]
fn the_disk_must_fit_the_limit() {
    let large = ByteSize::from_gibibytes(2);
    let sparse = inspect(&[0; 4096], large.0, None, LIMIT);
    assert!(matches!(sparse, Err(BadDisk::TooLarge { .. })));
    let qcow2 = blank::blank(large, None);
    let refused = inspect(&qcow2.bytes, qcow2.length, None, LIMIT).unwrap_err();
    let refusal = refused.at("source", "x");
    assert_eq!(refusal.limit.as_deref(), Some("1GiB"));
    let exact = blank::blank(LIMIT, None);
    assert!(inspect(&exact.bytes, exact.length, None, LIMIT).is_ok());
}

#[test]
fn an_empty_file_and_a_partial_sector_are_refused() {
    assert_eq!(detect_in(&[]), Err(BadDisk::Empty));
    assert_eq!(detect_in(&[0; 1000]), Err(BadDisk::PartialSector(1000)));
}

#[test]
fn a_disc_is_known_by_its_descriptor() {
    let mut disc = vec![0; 0x9000];
    assert!(!iso::is_iso(&disc));
    disc[0x8001..0x8006].copy_from_slice(b"CD001");
    assert!(iso::is_iso(&disc));
    assert!(!iso::is_iso(&disc[..0x8004]));
}
