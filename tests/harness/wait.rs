//! Waiting for conditions.

use std::{
    fmt::Display,
    thread,
    time::{Duration, Instant},
};

/// How long a guest may take to boot or to power off: under TCG, on a host that is busy with others.
pub(crate) const BOOT: Duration = Duration::from_secs(120);
/// How long anything else may take.
pub(crate) const SHORT: Duration = Duration::from_secs(60);

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Asks until the answer is `Ok`. An `Err` says what was found instead.
#[track_caller]
pub(crate) fn until<T, E: Display>(
    what: &str,
    within: Duration,
    mut ask: impl FnMut() -> Result<T, E>,
) -> T {
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) if begun.elapsed() > within => {
                panic!("{what}: not within {} s; the last that was seen: {last}", within.as_secs())
            }
            Err(_) => thread::sleep(LOOK_AGAIN_AFTER),
        }
    }
}
