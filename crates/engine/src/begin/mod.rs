//! How the engine begins: what is stored (`loading`), what still runs, what should (`opening`), and what an
//! earlier daemon was in the middle of (`taking_up`).

pub(crate) mod loading;
pub(crate) mod opening;
pub(crate) mod taking_up;
