//! That what is written is read back, and that nothing else does harm.

use super::*;
use proptest::{collection, prelude::*};
use std::fmt::Debug;

fn written(value: &impl Encode) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

fn comes_back<T: Encode + Decode + PartialEq + Debug>(value: &T) {
    let bytes = written(value);
    assert_eq!(bytes.len() % 4, 0, "XDR is made of words");
    assert!(bytes.len() >= T::LEAST);
    assert_eq!(decode_whole::<T>(&bytes).as_ref(), Ok(value));
    for end in 0..bytes.len() {
        assert!(decode_whole::<T>(&bytes[..end]).is_err(), "cut to {end} bytes");
    }
    let surplus = [bytes.as_slice(), &[0; 4]].concat();
    assert_eq!(decode_whole::<T>(&surplus), Err(XdrError::Surplus(4)));
}

type Words = (u32, i32, u64, String, Option<String>);

proptest! {
    #[test]
    fn what_is_written_is_read(a: u32, b: i32, c: u64, d: String, e: Option<String>) {
        comes_back::<Words>(&(a, b, c, d, e));
    }

    #[test]
    fn lists_are_read(items in collection::vec(any::<(String, u32)>(), 0..8), uuid: u128) {
        comes_back(&List::<(String, u32), 1_000>(items));
        comes_back(&Uuid::from_u128(uuid));
    }

    #[test]
    fn garbage_is_refused_or_read_but_never_worse(bytes: Vec<u8>) {
        drop(decode_whole::<Words>(&bytes));
        drop(decode_whole::<List<(String, Uuid), 1_000>>(&bytes));
        drop(decode_whole::<Option<List<Option<u64>, 1_000>>>(&bytes));
    }
}

#[test]
fn words_are_as_the_standard_says() {
    assert_eq!(written(&(1_u32, -1_i32)), [0, 0, 0, 1, 255, 255, 255, 255]);
    assert_eq!(written(&"abcde".to_owned()), b"\0\0\0\x05abcde\0\0\0");
    assert_eq!(written(&Some("".to_owned())), [0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(written(&1.0_f64)[..2], [0x3f, 0xf0]);
}

/// A list that claims a million items in ten bytes must not make room for a million.
#[test]
fn a_length_is_compared_with_what_is_there_before_room_is_made() {
    type Many = List<(u64, u64), { usize::MAX >> 8 }>;
    let claims = written(&u32::MAX);
    assert!(matches!(decode_whole::<Many>(&claims), Err(XdrError::Truncated { .. })));
    assert_eq!(
        decode_whole::<List<u32, 3>>(&written(&4_u32)),
        Err(XdrError::TooLong { length: 4, limit: 3 })
    );
    let text = written(&u32::MAX);
    assert!(matches!(decode_whole::<String>(&text), Err(XdrError::TooLong { .. })));
}

#[test]
fn a_choice_that_is_none_is_refused() {
    assert_eq!(decode_whole::<Option<u32>>(&written(&7_u32)), Err(XdrError::UnknownChoice(7)));
}

#[test]
fn text_that_is_no_utf8_is_still_text() {
    let bytes = [0, 0, 0, 2, b'a', 0xff, 0, 0];
    assert_eq!(decode_whole::<String>(&bytes).as_deref(), Ok("a\u{fffd}"));
}
