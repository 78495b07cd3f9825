//! An entrance for fuzzers: bodies of this door.

use super::{
    body::first_value,
    change::{Change, texts_of},
    config::told,
};
use axum::body::Bytes;

/// Reads a body as each of those that there are.
pub fn body(bytes: &[u8]) {
    let sent = || Ok(Bytes::copy_from_slice(bytes));
    if let Ok(value) = first_value(sent()) {
        let _ = texts_of(&value);
        let _ = Change::read(value);
    }
    let _ = told(sent());
}
