//! An entrance for fuzzers: what QEMU says.

use super::{
    client::{Waiting, deliver, read_line},
    commands::{
        Command, QomList, QueryBlockstats, QueryCpusFast, QueryDump, QueryFdsets, QueryMigrate,
        QueryStatus, QueryVersion, RingbufRead,
    },
};
use futures_util::FutureExt;
use std::collections::HashMap;
use tokio::{
    io::BufReader,
    sync::{mpsc, oneshot},
};

/// Everything that a connection says, line by line, while one answer is awaited, of any command.
pub(crate) fn lines(bytes: &[u8]) {
    let (answer_to, mut answer) = oneshot::channel();
    let waiting = Waiting::new(Some(HashMap::from([(1, answer_to)])));
    let (events_to, mut events) = mpsc::unbounded_channel();
    let mut reader = BufReader::new(bytes);
    // What is in memory is always there.
    while let Some(Ok(line)) = read_line(&mut reader).now_or_never() {
        deliver(&line, &waiting, &events_to);
        while let Ok(event) = events.try_recv() {
            let _ = (event.milliseconds(), event.time.timestamp());
        }
    }
    if let Ok(Ok(answer)) = answer.try_recv() {
        let answer = answer.get();
        understood::<QueryStatus>(answer);
        understood::<RingbufRead>(answer);
        understood::<QueryFdsets>(answer);
        understood::<QueryMigrate>(answer);
        understood::<QueryDump>(answer);
        understood::<QueryVersion>(answer);
        understood::<QueryCpusFast>(answer);
        understood::<QueryBlockstats>(answer);
        understood::<QomList>(answer);
    }
}

fn understood<C: Command>(answer: &str) {
    let _ = serde_json::from_str::<C::Answer>(answer);
}
