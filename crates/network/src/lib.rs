//! What guests may reach.

mod loopback;

pub use loopback::{LoopbackGuard, UidRange};
