//! The feed with many readers: five hundred, and a thousand changes a second.

use super::serve_view;
use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::{
        process::{cpu_time, resident},
        statistics::ms,
    },
    rig::{
        cleanup::{Folder, Process},
        http::Address,
        readers::{Readers, Seen},
    },
};
use anyhow::{Context, ensure};
use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const READERS: usize = 500;
/// Changes a second.
const RATE: u64 = 1_000;
/// The VMs that change in turn.
const VMS: usize = 1_000;
/// Changes after which the feed's memory, which has a bound, is full: readers are not to be charged
/// for it.
const FILLS_THE_FEED: u64 = 10_000;
/// How long readers may lag behind the last change.
const LAG: Duration = Duration::from_secs(10);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let folder = Folder::new(&bench.scratch)?;
    let mut server = Server::start(&folder)?;
    let mut single = server.readers(1)?;
    server.load(&mut single, FILLS_THE_FEED, 5 * RATE)?;
    let before = resident(server.pid())?;

    let mut readers = server.readers(READERS)?;
    // Not measured: what is set up at a connection's first use.
    server.load(&mut readers, RATE, RATE)?;
    let (cpu, started) = (cpu_time(server.pid())?, Instant::now());
    let changes = RATE * bench.seconds(10, 2).as_secs();
    let seen = server.load(&mut readers, changes, RATE)?;
    let cores = (cpu_time(server.pid())? - cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    let each = resident(server.pid())?.saturating_sub(before) as f64 / READERS as f64;

    let missing = changes * READERS as u64 - seen.changes;
    let name = |what: &str| format!("500 subscribers, 1,000 changes/s: {what}");
    let p99 = ms(seen.quantile(0.99));
    Ok(vec![
        Measured::new(name("gaps and missing changes"), (seen.gaps + missing) as f64, "")
            .at_most(0.0),
        Measured::new(name("delay, p99"), p99, "ms").at_most(20.0),
        Measured::new(name("daemon's CPU"), cores, "cores").at_most(0.6),
        Measured::new(name("memory a reader"), each / 1024.0, "KiB").at_most(64.0),
    ])
}

/// This program again, as [`serve_view`].
struct Server {
    process: Process,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: Address,
    since: SystemTime,
}

impl Server {
    fn start(folder: &Folder) -> anyhow::Result<Self> {
        let socket = folder.path().join("view.sock");
        let since = SystemTime::now();
        let microseconds = since.duration_since(UNIX_EPOCH)?.as_micros();
        // To the microsecond, as the server is told.
        let since = UNIX_EPOCH + Duration::from_micros(microseconds.try_into()?);
        let mut command = Command::new(std::env::current_exe()?);
        command.args([serve_view::COMMAND, "--vms", &VMS.to_string()]);
        command.arg("--since").arg(microseconds.to_string()).arg("--socket").arg(&socket);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let process = Process::spawn(&mut command)?;
        let (commands, answers) = (process.input()?, BufReader::new(process.output()?));
        let address = Address::Unix(socket);
        let mut server = Self { process, commands, answers, address, since };
        server.expect("ready")?;
        Ok(server)
    }

    const fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn readers(&self, count: usize) -> anyhow::Result<Readers> {
        Readers::connect(&self.address, "/v1/events", count, self.since)
    }

    /// Has so many changes posted, and reads them.
    fn load(&mut self, readers: &mut Readers, changes: u64, rate: u64) -> anyhow::Result<Seen> {
        writeln!(self.commands, "post {changes} {rate}")?;
        let seen = readers.read(changes, Duration::from_secs(changes / rate) + LAG)?;
        self.expect("posted")?;
        Ok(seen)
    }

    fn expect(&mut self, word: &str) -> anyhow::Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line).context("the server's answer")?;
        ensure!(line.trim() == word, "the server said {line:?}, not {word}");
        Ok(())
    }
}
