//! The serial console, typed at as a person would.

use crate::support::{Bench, LONG, spec, spec_of, standing};
use innkeeper_driver::{ByteStream, Driver, Operation};
use innkeeper_model::{Code, EndReason, MachineState, Spec};
use innkeeper_sim::Happening;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Viewer(Box<dyn ByteStream>);

impl Viewer {
    async fn at(bench: &Bench, spec: &Spec) -> Self {
        Self(bench.driver.open_console(spec.id).await.unwrap())
    }

    async fn types(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until it has read this.
    async fn sees(&mut self, wanted: &str) -> String {
        let mut seen = String::new();
        let reading = async {
            while !seen.contains(wanted) {
                let mut some = [0; 1024];
                let length = self.0.read(&mut some).await.unwrap();
                assert_ne!(length, 0, "the console ended after {seen:?}");
                seen.push_str(str::from_utf8(&some[..length]).unwrap());
            }
        };
        let read = tokio::time::timeout(LONG, reading).await;
        read.unwrap_or_else(|_| panic!("saw only {seen:?}"));
        seen
    }

    async fn sees_the_end(mut self) -> String {
        let mut rest = String::new();
        let read = tokio::time::timeout(LONG, self.0.read_to_string(&mut rest)).await;
        read.unwrap().unwrap();
        rest
    }
}

async fn running() -> (Bench, Spec) {
    let (bench, spec) = (standing(), spec());
    bench.run(&spec, Operation::Start).await;
    (bench, spec)
}

async fn serial(bench: &Bench, spec: &Spec) -> String {
    String::from_utf8(bench.driver.serial_log(spec.id).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_guest_answers_and_what_it_wrote_is_kept() {
    let (bench, spec) = running().await;
    assert!(serial(&bench, &spec).await.ends_with("boot 1. Type help.\r\nweb# "));
    let mut viewer = Viewer::at(&bench, &spec).await;
    viewer.types("echo hello\r").await;
    assert_eq!(viewer.sees("hello\r\nweb# ").await, "echo hello\r\nhello\r\nweb# ");
    viewer.types("remember where I").await;
    viewer.types(" left off\n").await;
    viewer.sees("web# ").await;
    viewer.types("recall\n").await;
    viewer.sees("\r\nwhere I left off\r\n").await;
    bench.world.guest_writes(spec.id, "a cron job ran\r\n");
    viewer.sees("a cron job ran").await;
    assert!(serial(&bench, &spec).await.contains("hello\r\nweb# "));
}

#[tokio::test]
async fn what_is_typed_is_done() {
    for (word, end) in [("poweroff", EndReason::GuestShutdown), ("panic", EndReason::GuestPanic)] {
        let (bench, spec) = running().await;
        let mut viewer = Viewer::at(&bench, &spec).await;
        viewer.types(&format!("{word}\necho lost\n")).await;
        viewer.sees("as you wish").await;
        bench.world.until(spec.id, MachineState::Ended).await;
        assert_eq!(bench.told.of(spec.id).facts.last_end, Some(end));
        bench.run(&spec, Operation::PutAway).await;
        assert!(!viewer.sees_the_end().await.contains("lost"));
        assert!(serial(&bench, &spec).await.contains(word), "kept when it is put away");
    }
}

#[tokio::test]
async fn a_reboot_can_be_watched_and_a_hang_cannot_be_talked_to() {
    let (bench, spec) = running().await;
    let mut viewer = Viewer::at(&bench, &spec).await;
    viewer.types("reboot\n").await;
    viewer.sees("boot 2. Type help.\r\nweb# ").await;
    viewer.types("hang\n").await;
    viewer.sees("as you wish").await;
    viewer.types("poweroff\n").await;
    assert!(!bench.world.guest(spec.id, Happening::PowersOff));
    bench.run(&spec, Operation::Reset).await;
    viewer.sees("boot 3").await;
    assert_eq!(bench.state(&spec), MachineState::Running);
}

#[tokio::test]
async fn a_reboot_follows_the_policy() {
    let bench = standing();
    let spec = spec_of(json!({ "name": "web", "on": { "reboot": "stop" } }));
    bench.run(&spec, Operation::Start).await;
    Viewer::at(&bench, &spec).await.types("reboot\n").await;
    bench.world.until(spec.id, MachineState::Ended).await;
    assert_eq!(bench.told.of(spec.id).facts.last_end, Some(EndReason::GuestReset));
}

#[tokio::test]
async fn there_is_one_seat_and_it_is_free_again_when_its_viewer_leaves() {
    let (bench, spec) = running().await;
    let viewer = Viewer::at(&bench, &spec).await;
    let refused = bench.driver.open_console(spec.id).await.err().unwrap();
    assert_eq!(refused.code, Code::InUse);
    drop(viewer);
    let free = async {
        while bench.driver.open_console(spec.id).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, free).await.unwrap();
    bench.run(&spec, Operation::Kill).await;
    let refused = bench.driver.open_console(spec.id).await.err().unwrap();
    assert_eq!(refused.code, Code::WrongState);
}

#[tokio::test]
async fn a_viewer_who_does_not_read_holds_nobody_up() {
    let (bench, spec) = running().await;
    let viewer = Viewer::at(&bench, &spec).await;
    for line in 0..10_000 {
        bench.world.guest_writes(spec.id, &format!("line {line} {}\r\n", "x".repeat(80)));
    }
    assert!(serial(&bench, &spec).await.contains("line 9999"));
    bench.run(&spec, Operation::Kill).await;
    let seen = viewer.sees_the_end().await;
    assert!(seen.contains("line 0 ") && !seen.contains("line 9999"), "{}", seen.len());
}

#[tokio::test]
async fn a_guest_that_is_held_reads_nothing() {
    let (bench, spec) = running().await;
    let mut viewer = Viewer::at(&bench, &spec).await;
    bench.run(&spec, Operation::Pause).await;
    viewer.types("poweroff\n").await;
    tokio::task::yield_now().await;
    bench.run(&spec, Operation::Resume).await;
    assert_eq!(bench.state(&spec), MachineState::Running);
}
