//! How the native API speaks HTTP, whatever the resource: what is read from a request and how it is
//! refused, conditional and repeated requests, and how answers, lists and problems are written.

pub(crate) mod answer;
pub(crate) mod asked;
pub(crate) mod audit;
pub(crate) mod conditional;
pub(crate) mod fields;
pub(crate) mod idempotency;
pub(crate) mod json;
pub(crate) mod list;
pub(crate) mod matching;
pub(crate) mod merge;
pub(crate) mod mutation;
pub(crate) mod on_disk;
pub(crate) mod params;
pub(crate) mod pieces;
pub(crate) mod prefer;
pub(crate) mod problem;
pub(crate) mod range;
