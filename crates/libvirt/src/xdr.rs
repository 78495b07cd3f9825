//! XDR (RFC 4506), as far as libvirt's protocol uses it.
//!
//! What is read may be hostile: a length is compared with its bound and with what is there before
//! anything is allocated, so that no message makes more memory than a small multiple of its own size.
//! What is written is Innkeeper's own, and cannot fail.

use uuid::Uuid;

/// The longest text, in bytes: libvirt's own bound.
pub(crate) const MAX_TEXT: usize = 4 << 20;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XdrError {
    /// The bytes end too early.
    #[error("it ends {missing} bytes too early")]
    Truncated {
        /// How many are missing, at least.
        missing: usize,
    },
    /// There are bytes left.
    #[error("there are {0} bytes too many")]
    Surplus(usize),
    /// A text or list is longer than it may be.
    #[error("something of it has length {length}, and may have {limit}")]
    TooLong {
        /// The length that it claims.
        length: usize,
        /// The bound.
        limit: usize,
    },
    /// A choice is none of those there are.
    #[error("{0} is none of the choices there are")]
    UnknownChoice(u32),
}

/// Something that can be written.
pub(crate) trait Encode {
    /// Appends it.
    fn encode(&self, out: &mut Vec<u8>);
}

/// Something that can be read.
pub(crate) trait Decode: Sized {
    /// How many bytes one takes at least: a list cannot have more of them than fit.
    const LEAST: usize;

    /// Reads it.
    fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError>;
}

/// Reads one value that takes all of the bytes.
pub(crate) fn decode_whole<T: Decode>(bytes: &[u8]) -> Result<T, XdrError> {
    let mut input = Reader { rest: bytes };
    let value = T::decode(&mut input)?;
    match input.rest.len() {
        0 => Ok(value),
        surplus => Err(XdrError::Surplus(surplus)),
    }
}

/// Reads one value, after which more may follow.
pub(crate) fn decode_beginning<T: Decode>(bytes: &[u8]) -> Result<T, XdrError> {
    T::decode(&mut Reader { rest: bytes })
}

/// Bytes that are being read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], XdrError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(XdrError::Truncated { missing: length - self.rest.len() });
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], XdrError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| XdrError::Truncated { missing: N - self.rest.len() })?;
        self.rest = rest;
        Ok(*taken)
    }

    fn length(&mut self, limit: usize) -> Result<usize, XdrError> {
        let length = usize::try_from(u32::decode(self)?).unwrap_or(usize::MAX);
        if length > limit { Err(XdrError::TooLong { length, limit }) } else { Ok(length) }
    }
}

/// How many bytes of padding follow so many bytes of data.
const fn padding(length: usize) -> usize {
    length.wrapping_neg() % 4
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Encode for $number {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend(self.to_be_bytes());
            }
        }

        impl Decode for $number {
            const LEAST: usize = size_of::<Self>();

            fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError> {
                Ok(Self::from_be_bytes(input.array()?))
            }
        }
    )*};
}

numbers!(u32, i32, u64, i64, f64);

macro_rules! tuples {
    ($($($part:ident)*;)*) => {$(
        #[expect(non_snake_case, reason = "a part is called as its type is")]
        impl<$($part: Encode),*> Encode for ($($part,)*) {
            fn encode(&self, out: &mut Vec<u8>) {
                let ($($part,)*) = self;
                $($part.encode(out);)*
            }
        }

        impl<$($part: Decode),*> Decode for ($($part,)*) {
            const LEAST: usize = 0 $(+ $part::LEAST)*;

            fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError> {
                Ok(($($part::decode(input)?,)*))
            }
        }
    )*};
}

tuples! { A; A B; A B C; A B C D; A B C D E; }

/// Nothing: a procedure without arguments, or without an answer.
impl Encode for () {
    fn encode(&self, _: &mut Vec<u8>) {}
}

impl Decode for () {
    const LEAST: usize = 0;

    fn decode(_: &mut Reader<'_>) -> Result<Self, XdrError> {
        Ok(())
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.len()).expect("Innkeeper writes no texts of gigabytes");
        length.encode(out);
        out.extend(self.as_bytes());
        out.resize(out.len() + padding(self.len()), 0);
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_str().encode(out);
    }
}

/// Bytes that are no UTF-8 are replaced: a name that is not well made is still a name.
impl Decode for String {
    const LEAST: usize = 4;

    fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError> {
        let length = input.length(MAX_TEXT)?;
        let text = input.take(length)?;
        input.take(padding(length))?;
        Ok(Self::from_utf8_lossy(text).into_owned())
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        u32::from(self.is_some()).encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    const LEAST: usize = 4;

    fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError> {
        match u32::decode(input)? {
            0 => Ok(None),
            1 => T::decode(input).map(Some),
            other => Err(XdrError::UnknownChoice(other)),
        }
    }
}

impl Encode for Uuid {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.as_bytes());
    }
}

impl Decode for Uuid {
    const LEAST: usize = 16;

    fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError> {
        Ok(Self::from_bytes(input.array()?))
    }
}

/// A list of at most so many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List<T, const MAX: usize>(pub(crate) Vec<T>);

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.0.len()).expect("Innkeeper writes no lists of milliards");
        length.encode(out);
        for item in &self.0 {
            item.encode(out);
        }
    }
}

impl<T: Decode, const MAX: usize> Decode for List<T, MAX> {
    const LEAST: usize = 4;

    fn decode(input: &mut Reader<'_>) -> Result<Self, XdrError> {
        let length = input.length(MAX)?;
        let least = length * T::LEAST;
        if least > input.rest.len() {
            return Err(XdrError::Truncated { missing: least - input.rest.len() });
        }
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(T::decode(input)?);
        }
        Ok(Self(items))
    }
}

#[cfg(test)]
#[path = "xdr_tests.rs"]
mod tests;
