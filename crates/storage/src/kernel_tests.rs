use super::*;
use std::io::Write;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// A bzImage with four setup sectors and 32 bytes of kernel.
fn bzimage() -> Vec<u8> {
    let mut bytes = vec![0; 5 * 512 + 32];
    bytes[0x1f1] = 4;
    bytes[0x1f4] = 2;
    bytes[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    bytes[0x211] = 1;
    bytes
}

/// A 64-bit ELF file with one note segment of this name and type.
fn elf(machine: u16, name: &[u8; 4], kind: u32) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
    bytes[54..56].copy_from_slice(&56u16.to_le_bytes());
    bytes[56..58].copy_from_slice(&1u16.to_le_bytes());
    bytes.extend(4u32.to_le_bytes());
    bytes.extend(4u32.to_le_bytes());
    for value in [120u64, 0, 0, 48, 48, 4] {
        bytes.extend(value.to_le_bytes());
    }
    // A note of another owner, then the one that is asked for.
    for (name, kind) in [(b"GNU\0", 3), (name, kind)] {
        for value in [4u32, 8, kind] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(name);
        bytes.extend([0; 8]);
    }
    bytes
}

fn refused(bytes: &[u8]) -> String {
    identify(&file(bytes)).unwrap_err().to_string()
}

#[test]
fn the_two_kinds_of_kernel_are_recognised() {
    assert_eq!(identify(&file(&bzimage())).unwrap(), KernelFormat::BzImage);
    let pvh = elf(62, b"Xen\0", 18);
    assert_eq!(identify(&file(&pvh)).unwrap(), KernelFormat::PvhElf);
}

#[test]
fn others_are_refused_by_what_they_are() {
    let mut arm = vec![0; 128];
    arm[0x38..0x3c].copy_from_slice(b"ARM\x64");
    for (bytes, said) in [
        (arm, "an arm64 Image"),
        (b"\x1f\x8b\x08 packed".to_vec(), "a gzip file"),
        (b"\xfd7zXZ\0 packed".to_vec(), "an xz file"),
        (b"MZ and more".to_vec(), "a UEFI program"),
        (elf(62, b"GNU\0", 18), "without a PVH entry"),
        (elf(62, b"Xen\0", 5), "without a PVH entry"),
        (elf(183, b"Xen\0", 18), "for another machine"),
        (b"#!/bin/sh\n".to_vec(), "neither a bzImage nor"),
        (Vec::new(), "neither a bzImage nor"),
    ] {
        let message = refused(&bytes);
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_truncated_kernel_is_refused() {
    let whole = bzimage();
    assert!(refused(&whole[..whole.len() - 1]).contains("cut short"));
    assert!(refused(&whole[..0x210]).contains("cut short"));
    let elf = elf(62, b"Xen\0", 18);
    assert!(refused(&elf[..130]).contains("cut short"));
    assert!(refused(&elf[..100]).contains("cut short"));
}

#[test]
fn an_ancient_kernel_is_refused() {
    let mut zimage = bzimage();
    zimage[0x211] = 0;
    assert!(refused(&zimage).contains("before Linux"));
}

#[test]
fn hostile_sizes_in_an_elf_file_do_no_harm() {
    let good = elf(62, b"Xen\0", 18);
    for at in 4..good.len() {
        for value in [0, 0x7f, 0xff] {
            let mut bytes = good.clone();
            let end = (at + 8).min(bytes.len());
            bytes[at..end].fill(value);
            // Refused or not: it must come back.
            drop(identify(&file(&bytes)));
        }
    }
}
