//! Guests that fit into a boot sector: real-mode code that the firmware starts.

/// What a ticking guest writes once, when it starts.
pub(crate) const BANNER: &str = "!";

/// `cli; xor ax,ax; mov ds,ax; mov ss,ax; mov sp,0x7c00; sti`: a known beginning.
const BEGIN: &[u8] = &[0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb];
/// Switches the power off by ACPI: `mov dx,0x604; mov ax,0x2000; out dx,ax`.
const POWER_OFF: &[u8] = &[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef];
/// Resets by the chipset: `mov dx,0xcf9; mov al,6; out dx,al`.
const RESET: &[u8] = &[0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee];
/// `hlt; jmp` to it.
const HANG: &[u8] = &[0xf4, 0xeb, 0xfd];

fn sector(parts: &[&[u8]]) -> Vec<u8> {
    let mut sector = parts.concat();
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector
}

/// Writes the banner, then the alphabet over and over, a letter every 55 ms, from a counter that it
/// keeps in memory. Ends by `then` after so many letters.
fn ticking(letters: u16, then: &[u8]) -> Vec<u8> {
    let [low, high] = letters.to_le_bytes();
    let code = [
        0xba,
        0xf8,
        0x03, // mov dx, 0x3f8
        0xb0,
        b'!',
        0xee, // mov al, '!'; out dx, al
        0xb9,
        low,
        high, // mov cx, letters
        0xc6,
        0x06,
        0x00,
        0x06,
        b'A', // mov byte [0x600], 'A'
        // tick:
        0xa0,
        0x00,
        0x06,
        0xee, // mov al, [0x600]; out dx, al
        0xfe,
        0x06,
        0x00,
        0x06, // inc byte [0x600]
        0x80,
        0x3e,
        0x00,
        0x06,
        b'Z' + 1, // cmp byte [0x600], 'Z' + 1
        0x72,
        0x05, // jb wait
        0xc6,
        0x06,
        0x00,
        0x06,
        b'A', // mov byte [0x600], 'A'
        // wait:
        0xf4, // hlt: until the firmware's timer
        0x49, // dec cx
        0x75,
        0xe8, // jnz tick
    ];
    sector(&[BEGIN, &code, then, HANG])
}

/// Ticks for an hour.
pub(crate) fn ticks() -> Vec<u8> {
    ticking(u16::MAX, &[])
}

/// Ticks so many times, then resets itself.
pub(crate) fn ticks_then_resets(letters: u16) -> Vec<u8> {
    ticking(letters, RESET)
}

/// Ticks so many times, then powers itself off.
pub(crate) fn ticks_then_powers_off(letters: u16) -> Vec<u8> {
    ticking(letters, POWER_OFF)
}

/// The letter after this one.
pub(crate) fn next(letter: char) -> char {
    if letter == 'Z' { 'A' } else { (letter as u8 + 1) as char }
}
