//! What the tests of this crate have in common.
