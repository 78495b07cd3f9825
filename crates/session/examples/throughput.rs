//! How fast a line goes through a hub to its viewers, beside `socat` on the same kind of socket:
//! `cargo run --release -p innkeeper-session --example throughput`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it measures, for a person to read")]

use innkeeper_session::{Hub, Role};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{UnixListener, UnixStream},
};

const MEGABYTES: usize = 64;
/// What a guest writes at once, and about how often: 16 MB a second.
const PIECE: usize = 16 << 10;
const EVERY: Duration = Duration::from_millis(1);

/// Writes to one who connects; as fast as they read, or at a pace.
fn write(listener: UnixListener, paced: bool) -> tokio::task::JoinHandle<Duration> {
    tokio::spawn(async move {
        let (mut line, _) = listener.accept().await.unwrap();
        let piece = vec![b'x'; PIECE];
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(EVERY);
        for _ in 0..(MEGABYTES << 20) / PIECE {
            if paced {
                ticks.tick().await;
            }
            line.write_all(&piece).await.unwrap();
        }
        begun.elapsed()
    })
}

async fn through_socat(path: &Path, paced: bool) -> Duration {
    let writing = write(UnixListener::bind(path).unwrap(), paced);
    let mut socat = Command::new("socat");
    let socat = socat.args(["-u", &format!("UNIX-CONNECT:{}", path.display()), "-"]);
    let mut socat = socat.stdout(Stdio::null()).spawn().unwrap();
    let took = writing.await.unwrap();
    socat.wait().unwrap();
    std::fs::remove_file(path).unwrap();
    took
}

/// How long it took, and what each viewer was shown.
async fn through_hub(path: &Path, viewers: usize, paced: bool) -> (Duration, Vec<u64>) {
    let writing = write(UnixListener::bind(path).unwrap(), paced);
    let hub = Hub::start(UnixStream::connect(path).await.unwrap(), b"");
    let viewing: Vec<_> = (0..viewers)
        .map(|number| {
            let mut viewer = hub.join("somebody", Role::Write).unwrap().viewer;
            tokio::spawn(async move {
                if number == 9 {
                    // One of ten does not read until the end.
                    std::future::pending::<()>().await;
                }
                copy(&mut viewer, &mut sink()).await.unwrap() - viewer.skipped().min(1)
            })
        })
        .collect();
    let took = writing.await.unwrap();
    let mut shown = Vec::new();
    for viewer in viewing.into_iter().take(9) {
        shown.push(viewer.await.unwrap());
    }
    std::fs::remove_file(path).unwrap();
    (took, shown)
}

#[tokio::main]
async fn main() {
    let folder = std::env::temp_dir().join(format!("innkeeper-throughput-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("line");
    let rate = |took: Duration| MEGABYTES as f64 / took.as_secs_f64();
    for paced in [true, false] {
        println!("{}", if paced { "16 MB/s offered" } else { "as fast as it is read" });
        println!("  socat           {:7.1} MiB/s", rate(through_socat(&path, paced).await));
        for viewers in [1, 10] {
            let (took, shown) = through_hub(&path, viewers, paced).await;
            let whole = shown.iter().filter(|shown| **shown == (MEGABYTES as u64) << 20).count();
            println!(
                "  hub, {viewers:2} viewers {:7.1} MiB/s, {whole} of {} saw every byte",
                rate(took),
                shown.len()
            );
        }
    }
    echo(&path).await;
    std::fs::remove_dir(folder).unwrap();
}

/// How long a key takes to its echo.
async fn echo(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut line, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut key = [0];
                while line.read_exact(&mut key).await.is_ok() && line.write_all(&key).await.is_ok()
                {
                }
            });
        }
    });
    let mut direct = UnixStream::connect(path).await.unwrap();
    let hub = Hub::start(UnixStream::connect(path).await.unwrap(), b"");
    let mut viewer = hub.join("somebody", Role::Write).unwrap().viewer;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..2000 {
        let begun = Instant::now();
        direct.write_all(b"k").await.unwrap();
        direct.read_exact(&mut [0]).await.unwrap();
        without.push(begun.elapsed());
        let begun = Instant::now();
        viewer.write_all(b"k").await.unwrap();
        viewer.read_exact(&mut [0]).await.unwrap();
        with.push(begun.elapsed());
    }
    without.sort();
    with.sort();
    println!("key to echo: {:?} without a hub, {:?} with one (medians)", without[1000], with[1000]);
    std::fs::remove_file(path).unwrap();
}
