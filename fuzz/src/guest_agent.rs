//! A guest whose agent says what it was not asked.

use innkeeper_model::Refusal;
use innkeeper_session::agent::{Agent, Channel, Opening, Stream};
use std::{
    future::ready,
    io,
    sync::{Mutex, PoisonError},
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

/// The byte before the reply by which both sides get in step.
const MARK: u8 = 0xff;

/// Three calls, each to an agent that gets in step and then says these bytes.
pub(crate) fn says(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime of one thread needs nothing");
    runtime.block_on(async {
        let _ = agent_of(bytes).info().await;
        let _ = agent_of(bytes).interfaces().await;
        let _ = agent_of(bytes).os_info().await;
    });
}

fn agent_of(bytes: &[u8]) -> Agent {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    // It ends with its connection, or with the runtime.
    drop(tokio::spawn(guest(theirs, bytes.to_vec())));
    Agent::new(Once(Mutex::new(Some(ours))))
}

/// Answers the first line with the number in it, and the second with whatever is to be said.
async fn guest(connection: DuplexStream, says: Vec<u8>) -> io::Result<()> {
    let mut connection = BufReader::new(connection);
    let mut asked = Vec::new();
    connection.read_until(b'\n', &mut asked).await?;
    let asked = String::from_utf8_lossy(&asked);
    let number = asked.rsplit("\"id\":").next().unwrap_or_default();
    let number: String = number.chars().take_while(char::is_ascii_digit).collect();
    connection.write_u8(MARK).await?;
    connection.write_all(format!("{{\"return\":{number}}}\n").as_bytes()).await?;
    connection.read_until(b'\n', &mut Vec::new()).await?;
    connection.write_all(&says).await
}

/// A connection that can be had once.
struct Once(Mutex<Option<DuplexStream>>);

impl Channel for Once {
    fn open(&self) -> Opening<'_> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let opened = connection.map(|connection| Box::new(connection) as Box<dyn Stream>);
        Box::pin(ready(opened.ok_or_else(|| Refusal::not_found("connection", "a second"))))
    }
}
