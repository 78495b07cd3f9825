//! Numbers drawn from a seed. The same question gets the same answer in every run, in whichever order
//! the questions come.

/// A number for what the parts say, spread evenly. (FNV-1a, then the finish of SplitMix64: the numbers
/// must stay the same from one version of Rust's library to the next.)
pub(crate) fn draw(seed: u64, parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
    for part in parts {
        for byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    finish(hash)
}

/// Spreads one number.
pub(crate) const fn finish(number: u64) -> u64 {
    let mut number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A drawn number as a fraction of one.
pub(crate) fn fraction(drawn: u64) -> f64 {
    // The upper 53 bits: what a double holds exactly.
    (drawn >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_differ_by_seed_and_by_every_part() {
        let drawn: Vec<f64> =
            (0..10_000_u32).map(|n| fraction(draw(1, &[b"x", &n.to_le_bytes()]))).collect();
        let below = |bound: f64| drawn.iter().filter(|number| **number < bound).count();
        assert!((900..1100).contains(&below(0.1)), "{}", below(0.1));
        assert!((4800..5200).contains(&below(0.5)), "{}", below(0.5));
        assert_ne!(draw(1, &[b"a", b"b"]), draw(2, &[b"a", b"b"]));
        assert_ne!(draw(1, &[b"a", b"b"]), draw(1, &[b"ab", b""]));
    }
}
