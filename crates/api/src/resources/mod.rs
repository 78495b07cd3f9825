//! The resources, one file each: their routes, and nothing that another resource needs.

pub(crate) mod audit;
pub(crate) mod diagnostics;
pub(crate) mod disks;
pub(crate) mod events;
pub(crate) mod exports;
pub(crate) mod feed;
pub(crate) mod foreign;
pub(crate) mod health;
pub(crate) mod host;
pub(crate) mod images;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod networks;
pub(crate) mod nics;
pub(crate) mod power;
pub(crate) mod pulse;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod statistics;
pub(crate) mod subnets;
pub(crate) mod tasks;
pub(crate) mod tokens;
pub(crate) mod vms;
