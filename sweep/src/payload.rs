//! The smallest guest that obeys its power button: what QEMU runs in a sweep, within 100 ms.
//!
//! An ELF with a PVH entry, entered in 32-bit protected mode by the firmware's boot ROM. It has the
//! chipset (q35, whose power management the firmware puts at I/O port 0x600) notice the power button,
//! writes a dot to the serial line from time to time, and powers the machine off when the button was
//! pressed.

/// Where the code is loaded and entered: above what the firmware uses.
const ENTRY: u32 = 0x10_0000;
/// `XEN_ELFNOTE_PHYS32_ENTRY`: the note that names a PVH entry.
const PHYS32_ENTRY: u32 = 18;
const ELF_HEADER: u32 = 52;
const PROGRAM_HEADER: u32 = 32;
/// Where in the file the code is.
const CODE_AT: u32 = 0x100;

const CODE: [u8; 53] = [
    0xfa, //                               cli
    0x66, 0xba, 0x02, 0x06, //             mov dx, 0x602    what is noticed:
    0x66, 0xb8, 0x00, 0x01, //             mov ax, 0x100    the power button
    0x66, 0xef, //                         out dx, ax
    0x31, 0xc9, //                         xor ecx, ecx
    0x66, 0xba, 0x00, 0x06, //       look: mov dx, 0x600    what has happened
    0x66, 0xed, //                         in ax, dx
    0xf6, 0xc4, 0x01, //                   test ah, 1
    0x75, 0x12, //                         jnz off
    0x41, //                               inc ecx
    0xf7, 0xc1, 0xff, 0xff, 0x00, 0x00, // test ecx, 0xffff
    0x75, 0xec, //                         jnz look
    0x66, 0xba, 0xf8, 0x03, //             mov dx, 0x3f8    the serial line
    0xb0, 0x2e, //                         mov al, '.'
    0xee, //                               out dx, al
    0xeb, 0xe3, //                         jmp look
    0x66, 0xba, 0x04, 0x06, //        off: mov dx, 0x604    control:
    0x66, 0xb8, 0x00, 0x20, //             mov ax, 0x2000   sleep type 0, which is off
    0x66, 0xef, //                         out dx, ax
    0xf4, //                               hlt
];

/// The file.
pub(crate) fn elf() -> Vec<u8> {
    let length = u32::try_from(CODE.len()).expect("the code is short");
    let note_at = ELF_HEADER + 2 * PROGRAM_HEADER;
    let note: Vec<u8> = [4, 4, PHYS32_ENTRY]
        .into_iter()
        .map(u32::to_le_bytes)
        .chain([*b"Xen\0", ENTRY.to_le_bytes()])
        .flatten()
        .collect();
    let note_length = u32::try_from(note.len()).expect("the note is short");
    let mut file = Vec::new();
    // 32 bits, little-endian, version 1; executable, 80386.
    file.extend(b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend([2_u16, 3].into_iter().flat_map(u16::to_le_bytes));
    let words = [1, ENTRY, ELF_HEADER, 0, 0];
    file.extend(words.into_iter().flat_map(u32::to_le_bytes));
    file.extend([52_u16, 32, 2, 0, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    // The code, readable and executable, in a page; then the note.
    let load = [1, CODE_AT, ENTRY, ENTRY, length, length, 5, 0x1000];
    let noted = [4, note_at, 0, 0, note_length, note_length, 4, 4];
    file.extend(load.into_iter().chain(noted).flat_map(u32::to_le_bytes));
    file.extend(note);
    file.resize(CODE_AT as usize, 0);
    file.extend(CODE);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_land_where_they_say() {
        let target = |at: usize| (at + 2).wrapping_add_signed(isize::from(CODE[at + 1] as i8));
        let (look, off) = (13, 42);
        assert_eq!((target(22), target(31), target(40)), (off, look, look));
        assert_eq!(CODE[look..look + 4], [0x66, 0xba, 0, 6]);
        assert_eq!(CODE[off..off + 4], [0x66, 0xba, 4, 6]);
    }

    #[test]
    fn the_headers_point_at_what_they_name() {
        let file = elf();
        assert_eq!(file.len(), CODE_AT as usize + CODE.len());
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        assert_eq!((word(24), word(28)), (ENTRY, ELF_HEADER));
        let note = word(52 + 32 + 4) as usize;
        assert_eq!(&file[note + 12..note + 16], b"Xen\0");
        assert_eq!(word(note + 16), ENTRY);
    }
}
