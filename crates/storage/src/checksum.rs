//! The checksum of a sparse file, holes read as zeros, at the cost of what is not a hole.
//!
//! CRC-64/NVME: it finds every flipped bit and torn page that a disk can cause, several times faster than
//! a disk can read. It is no defence against somebody who writes to the pool; nobody but the daemon may.

use crate::{cancel, copy::next_data};
use crc_fast::{CrcAlgorithm, Digest};
use innkeeper_model::Refusal;
use std::{fs::File, io, os::unix::fs::FileExt};
use tokio_util::sync::CancellationToken;

/// How much is read at once: it stays in the processor's cache between reading and summing.
const PIECE: usize = 256 << 10;
/// The polynomial, its highest power left out, its bits in the order in which bytes bring them.
const POLYNOMIAL: u64 = 0x9a6c_9329_ac4b_c9b5;
/// The polynomial `1` in the same order.
const ONE: u64 = 1 << 63;

/// `crc64nvme:` and the checksum of a file in hexadecimal. `report` is told up to which byte it is.
pub(crate) fn of_file(
    file: &File,
    report: impl Fn(u64),
    cancel: &CancellationToken,
) -> Result<String, Refusal> {
    let length = file.metadata()?.len();
    let mut buffer = vec![0; PIECE];
    let (mut sum, mut at) = (0, 0);
    while let Some((start, end)) = next_data(file, at, length)? {
        sum = joined(sum, of_zeros(start - at), start - at);
        sum = joined(sum, of_data(file, start, end, &mut buffer, &report, cancel)?, end - start);
        at = end;
    }
    sum = joined(sum, of_zeros(length - at), length - at);
    Ok(format!("crc64nvme:{sum:016x}"))
}

fn of_data(
    file: &File,
    start: u64,
    end: u64,
    buffer: &mut [u8],
    report: &impl Fn(u64),
    cancel: &CancellationToken,
) -> Result<u64, Refusal> {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    let mut at = start;
    while at < end {
        cancel::check(cancel)?;
        let wanted = usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE));
        match file.read_at(&mut buffer[..wanted], at)? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            count => {
                digest.update(&buffer[..count]);
                at += count as u64;
                report(at);
            }
        }
    }
    Ok(digest.finalize())
}

/// The checksum of two stretches one after the other, the second one `length` bytes long. A stretch of
/// no bytes has the checksum zero.
fn joined(first: u64, second: u64, length: u64) -> u64 {
    product(first, power_of_x(length)) ^ second
}

/// The checksum of so many zeros: what a register of all ones becomes, inverted as every checksum is.
fn of_zeros(length: u64) -> u64 {
    !product(!0, power_of_x(length))
}

/// What a stretch of so many bytes multiplies the register by: x to the power of its bits.
fn power_of_x(bytes: u64) -> u64 {
    let (mut power, mut left) = (ONE, bytes);
    // x to the power of 8: one byte.
    let mut square = ONE >> 8;
    while left > 0 {
        if left & 1 == 1 {
            power = product(power, square);
        }
        square = product(square, square);
        left >>= 1;
    }
    power
}

/// The product of two polynomials modulo the checksum's.
fn product(a: u64, b: u64) -> u64 {
    let (mut product, mut a, mut b) = (0, a, b);
    while a != 0 {
        if a & ONE != 0 {
            product ^= b;
        }
        a <<= 1;
        b = (b >> 1) ^ if b & 1 == 1 { POLYNOMIAL } else { 0 };
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(bytes: &[u8]) -> u64 {
        crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)
    }

    #[test]
    fn it_is_the_checksum_that_everybody_knows() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"123456789", 0).unwrap();
        let sum = of_file(&file, |_| (), &CancellationToken::new()).unwrap();
        // The check value of CRC-64/NVME in the catalogue of parametrised CRCs.
        assert_eq!(sum, "crc64nvme:ae8b14860a799888");
    }

    #[test]
    fn a_hole_counts_as_the_zeros_that_it_reads_as() {
        let file = tempfile::tempfile().unwrap();
        let mut bytes = vec![0; 3 << 20];
        for at in [1 << 20, (2 << 20) + 12_345] {
            file.write_all_at(b"something", at as u64).unwrap();
            bytes[at..at + 9].copy_from_slice(b"something");
        }
        file.set_len(bytes.len() as u64).unwrap();
        let sum = of_file(&file, |_| (), &CancellationToken::new()).unwrap();
        assert_eq!(sum, format!("crc64nvme:{:016x}", plain(&bytes)));
    }

    #[test]
    fn a_cancel_ends_it() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"something", 0).unwrap();
        let cancel = CancellationToken::new();
        cancel.cancel();
        assert_eq!(
            of_file(&file, |_| (), &cancel).unwrap_err().code,
            innkeeper_model::Code::Cancelled
        );
    }

    proptest! {
        #[test]
        fn stretches_can_be_joined(first: Vec<u8>, zeros in 0_usize..5000, second: Vec<u8>) {
            let whole = [&first[..], &vec![0; zeros], &second].concat();
            let (zeros, length) = (zeros as u64, second.len() as u64);
            let begun = joined(plain(&first), of_zeros(zeros), zeros);
            prop_assert_eq!(joined(begun, plain(&second), length), plain(&whole));
        }
    }
}
