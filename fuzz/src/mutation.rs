//! Inputs that nearly make sense: those that do, changed in a few places. From one seed come always the
//! same.

/// Pieces that parsers find hard.
const PIECES: [&[u8]; 30] = [
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[",
    b"{\"a\":",
    b",",
    b":",
    b"null",
    b"-1",
    b"1e999",
    b"65536",
    b"4294967296",
    b"18446744073709551615",
    b"9223372036854775808",
    b"\0",
    b"\n",
    b"\r\n",
    b"%ff",
    b"&",
    b"=",
    b"~(",
    b"<",
    b"../",
    b"\xff\xfe",
    "é\u{202e}".as_bytes(),
];

/// Numbers at the edges of what there is.
const EDGES: [u64; 10] =
    [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, u64::MAX];

/// Numbers in an order that nobody foresees, by SplitMix64.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Those of this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one; 0 if that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % (bound.max(1) as u64)) as usize
    }
}

/// One of these inputs, changed in up to eight places, and no longer than `most` bytes.
pub(crate) fn mutated(random: &mut Random, inputs: &[Vec<u8>], most: usize) -> Vec<u8> {
    let mut input = inputs[random.below(inputs.len())].clone();
    for _ in 0..=random.below(8) {
        change(random, inputs, &mut input);
    }
    input.truncate(most);
    input
}

fn change(random: &mut Random, inputs: &[Vec<u8>], input: &mut Vec<u8>) {
    let at = random.below(input.len() + 1);
    let end = at + random.below(input.len() - at + 1).min(random.below(64));
    match random.below(8) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.below(256) as u8,
        2 => drop(input.drain(at..end)),
        3 => input.truncate(at),
        4 => drop(input.splice(at..end, PIECES[random.below(PIECES.len())].iter().copied())),
        5 => {
            let repeated = input[at..end].repeat(1 + random.below(8));
            drop(input.splice(at..at, repeated));
        }
        6 => {
            let other = &inputs[random.below(inputs.len())];
            let from = random.below(other.len() + 1);
            let to = from + random.below(other.len() - from + 1).min(64);
            drop(input.splice(at..end, other[from..to].iter().copied()));
        }
        // In place, so that everything else stays where it is.
        _ => {
            let number = EDGES[random.below(EDGES.len())].wrapping_sub(random.below(2) as u64);
            let width = 1 << random.below(4);
            let mut bytes = number.to_be_bytes();
            if random.below(2) == 0 {
                bytes.reverse();
                bytes.rotate_left(8 - width);
            }
            for (old, new) in input[at..].iter_mut().zip(&bytes[8 - width..]) {
                *old = *new;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Random, mutated};
    use std::collections::BTreeSet;

    #[test]
    fn one_seed_makes_always_the_same_and_hardly_anything_twice() {
        let inputs = [b"{\"name\":\"web\",\"cpus\":2}".to_vec(), b"[1]".to_vec()];
        let of = |seed| {
            let mut random = Random::new(seed);
            (0..1000).map(|_| mutated(&mut random, &inputs, 64)).collect::<Vec<_>>()
        };
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        let made: BTreeSet<_> = of(7).into_iter().collect();
        assert!(made.len() > 700, "{}", made.len());
        assert!(made.iter().all(|input| input.len() <= 64));
    }
}
