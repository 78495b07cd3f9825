//! A daemon that is killed while it writes: this test's own program, started once more.

use super::*;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// Where the child's journal is; that it is set makes a child of the test.
const FOLDER: &str = "INNKEEPER_TEST_JOURNAL";

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn child(test: &str, folder: &Path) -> Killed {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    Killed(child.unwrap())
}

/// Appends for ever, eight at once, and says which were acknowledged.
async fn append_for_ever(folder: &Path) {
    let options = JournalOptions { folder: folder.into(), segment_size: 64 << 10 };
    let opened = Journal::open(options).unwrap();
    let mut held = Vec::new();
    for round in 0_u64.. {
        let appends = (0..8).map(|at| {
            let number = round * 8 + at;
            let bytes = [number.to_le_bytes().as_slice(), &[0; 500]].concat();
            opened.journal.append(about(number.into()), bytes, Durability::Written)
        });
        for answer in join_all(appends.collect::<Vec<_>>()).await {
            held.push(answer.unwrap());
        }
        println!("acknowledged {}", held.len());
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return append_for_ever(Path::new(&folder)).await;
    }
    for after in [1, 7, 40, 200, 900] {
        let folder = tempfile::tempdir().unwrap();
        let mut child =
            child("journal::tests::crashes::what_was_acknowledged_survives_kill_9", folder.path());
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        for (round, line) in lines.map_while(Result::ok).filter_map(said).enumerate() {
            acknowledged = line;
            if round == after {
                // What it says until it is dead is read too.
                child.0.kill().unwrap();
            }
        }
        assert!(acknowledged >= after * 8, "the child ended early");
        let opened = Journal::open(JournalOptions::new(folder.path())).unwrap();
        assert!(opened.damage.is_empty(), "{:?}", opened.damage);
        assert!(opened.records.len() >= acknowledged, "{acknowledged} were acknowledged");
        for (number, found) in opened.records.iter().enumerate() {
            assert_eq!(found.about, about(number as u128));
            assert_eq!(found.bytes[..8], (number as u64).to_le_bytes());
        }
    }
}

fn said(line: String) -> Option<usize> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}
