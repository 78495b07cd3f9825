//! What is opened to something in a machine: streams that take a connection over, and calls that wait
//! for what a guest says. None of it is a task.

pub(crate) mod agent;
pub(crate) mod console;
pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod freeze;
mod opening;
pub(crate) mod screen;
mod stream;
pub(crate) mod tickets;

pub(crate) use opening::is_ticketed;

#[cfg(test)]
mod tests;
