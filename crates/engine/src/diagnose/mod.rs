//! What an operator sees from outside while everything else may be stuck, and what they can do then.

pub(crate) mod diagnosis;
