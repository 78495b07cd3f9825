//! Kernels that are no bzImage.

use super::tiny;
use crate::harness::Daemon;
use std::fs;

#[test]
fn an_elf_file_is_booted_at_its_pvh_entry() {
    const SAID: &str = "ENTERED-BY-PVH";
    let daemon = Daemon::start();
    let file = daemon.scratch().join("kernel.elf");
    fs::write(&file, pvh_kernel(SAID)).unwrap();
    let file = file.to_str().unwrap();
    daemon.inn_ok(&["image", "add", file, "--name", "pvh", "--kind", "kernel"]);
    let mut config = tiny("web", "");
    config["memory"] = "32MiB".into();
    config["boot"]["kernel"]["image"] = "pvh".into();
    daemon.create(&config);
    daemon.act("web", "start");
    daemon.wait_for_log("web", SAID);
    daemon.act("web", "kill");
}

/// A kernel that writes a text to the serial line and halts: a 64-bit ELF file of one segment with code, and
/// of a note that says where to enter it, in 32-bit mode.
fn pvh_kernel(text: &str) -> Vec<u8> {
    const ADDRESS: u32 = 0x20_0000;
    const HEADERS: u64 = 64 + 2 * 56;
    const NOTE: u64 = 24;
    let code = code(ADDRESS, text);
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // A program for x86-64, in the first version.
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for value in [ADDRESS.into(), 64, 0] {
        elf.extend(u64::to_le_bytes(value));
    }
    elf.extend([0; 4]);
    // The lengths of this header and of a segment's, of which there are two, and no sections.
    for value in [64_u16, 56, 2, 0, 0, 0] {
        elf.extend(value.to_le_bytes());
    }
    let length = code.len() as u64;
    for (kind, flags, at, address, length, alignment) in [
        // What is loaded, to be read and executed; and the note, to be read.
        (1_u32, 5_u32, HEADERS + NOTE, ADDRESS.into(), length, 1_u64),
        (4, 4, HEADERS, 0_u64, NOTE, 4),
    ] {
        elf.extend([kind.to_le_bytes(), flags.to_le_bytes()].concat());
        for value in [at, address, address, length, length, alignment] {
            elf.extend(value.to_le_bytes());
        }
    }
    // The lengths of its owner's name and of what it says, and that it is the entry.
    for value in [4_u32, 8, 18] {
        elf.extend(value.to_le_bytes());
    }
    elf.extend(b"Xen\0");
    elf.extend(u64::from(ADDRESS).to_le_bytes());
    elf.extend(code);
    elf
}

fn code(address: u32, text: &str) -> Vec<u8> {
    const LENGTH: u32 = 21;
    let mut code = vec![0xfc]; // cld
    code.extend([0x66, 0xba, 0xf8, 0x03]); // mov dx, 0x3f8
    code.push(0xbe); // mov esi, text
    code.extend((address + LENGTH).to_le_bytes());
    code.push(0xac); // next: lodsb
    code.extend([0x84, 0xc0]); // test al, al
    code.extend([0x74, 0x03]); // jz end
    code.push(0xee); // out dx, al
    code.extend([0xeb, 0xf8]); // jmp next
    code.push(0xf4); // end: hlt
    code.extend([0xeb, 0xfd]); // jmp end
    code.extend(text.bytes());
    code.push(0);
    code
}
