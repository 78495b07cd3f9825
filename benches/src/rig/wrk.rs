//! Closed-loop load, by `wrk -t1 -c16`.

use crate::rig::{cleanup::Process, http::Address};
use anyhow::{Context, bail, ensure};
use std::{
    io::Read,
    process::{Command, Stdio},
    time::Duration,
};

/// How long more than it was told to it may take.
const GRACE: Duration = Duration::from_secs(30);

/// Loads a server for this long, and gives the answers a second.
pub(crate) fn requests_a_second(
    address: &Address,
    path: &str,
    duration: Duration,
) -> anyhow::Result<f64> {
    let Address::Tcp(address, token) = address else { bail!("wrk knows no unix sockets") };
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c16"]).arg(format!("-d{}s", duration.as_secs()));
    if let Some(token) = token {
        command.arg("-H").arg(format!("Authorization: Bearer {token}"));
    }
    command.arg(format!("http://{address}{path}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let process = Process::spawn(&mut command)?;
    let mut output = process.output()?;
    ensure!(process.wait(duration + GRACE)?.success(), "wrk failed");
    let mut text = String::new();
    output.read_to_string(&mut text)?;
    parse(&text).with_context(|| format!("wrk said {text:?}"))
}

fn parse(output: &str) -> anyhow::Result<f64> {
    for trouble in ["Non-2xx", "Socket errors"] {
        ensure!(!output.contains(trouble), "{trouble}");
    }
    let rate = output.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    Ok(rate.context("no rate")?.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_without_errors_counts() {
        let good = "  10 requests in 1.00s, 1.00KB read\nRequests/sec:  12345.67\n";
        assert_eq!(parse(good).unwrap(), 12345.67);
        assert!(parse(&format!("  Non-2xx or 3xx responses: 3\n{good}")).is_err());
        assert!(parse("").is_err());
    }
}
