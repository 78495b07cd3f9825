//! Open-loop load: requests are due at fixed times, and latency counts from when a request was due,
//! so that a server which stalls is not spared the requests that it kept from being sent.

use crate::rig::http::{Address, Connection};
use anyhow::anyhow;
use std::{
    io, thread,
    time::{Duration, Instant},
};

/// How many connections take turns.
const CONNECTIONS: u32 = 16;

/// Sends so many requests a second for so long, and gives the latency of each.
pub(crate) fn latencies(
    address: &Address,
    path: &str,
    rate: u32,
    duration: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let between = Duration::from_secs(1) / rate;
    let each = (duration.as_secs_f64() * f64::from(rate) / f64::from(CONNECTIONS)) as u32;
    // When all threads are surely there.
    let start = Instant::now() + Duration::from_millis(50);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|client| {
                let due = move |n: u32| start + between * (n * CONNECTIONS + client);
                scope.spawn(move || one_client(address, path, each, due))
            })
            .collect();
        let mut latencies = Vec::new();
        for client in clients {
            latencies.extend(client.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        Ok(latencies)
    })
}

fn one_client(
    address: &Address,
    path: &str,
    count: u32,
    due: impl Fn(u32) -> Instant,
) -> anyhow::Result<Vec<Duration>> {
    wake_up_on_time()?;
    let mut connection = Connection::open(address)?;
    let request = connection.compose("GET", path, "", "");
    let mut latencies = Vec::with_capacity(count as usize);
    for due in (0..count).map(due) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        connection.time(&request)?;
        latencies.push(due.elapsed());
    }
    Ok(latencies)
}

/// Has the kernel wake this thread when it said, and not up to 50 us later to save power, which would
/// be counted as the server's.
fn wake_up_on_time() -> anyhow::Result<()> {
    const NANOSECOND: libc::c_ulong = 1;
    // SAFETY: this option takes a number and touches no memory.
    let outcome = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, NANOSECOND) };
    anyhow::ensure!(outcome == 0, io::Error::last_os_error());
    Ok(())
}
