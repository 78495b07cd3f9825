//! The agent in a simulated guest, which says what it was told to.

use crate::{NAME, machine::Machine, world::World};
use innkeeper_model::{Code, Refusal, VmId};
use serde_json::{Value, json};
use std::{
    fmt,
    sync::{Arc, Weak},
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

/// How much waits in the channel, in bytes.
const CHANNEL: usize = 64 << 10;

/// What an agent answers: from the command and its arguments to the value that it returns; `None` is
/// silence.
type Answers = dyn Fn(&str, &Value) -> Option<Value> + Send + Sync;

/// One agent's.
#[derive(Clone)]
pub(crate) struct Script(Arc<Answers>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

impl World {
    /// Gives the guest of a VM an agent, which answers by this function: from a command and its arguments
    /// to what is returned, or to nothing, if it says nothing. Machines that were made before have no
    /// channel to it for whoever has asked for one.
    pub fn put_agent(
        &self,
        vm: VmId,
        answers: impl Fn(&str, &Value) -> Option<Value> + Send + Sync + 'static,
    ) {
        self.state().agents.insert(vm, Script(Arc::new(answers)));
    }

    pub(crate) fn open_agent(self: &Arc<Self>, vm: VmId) -> Result<DuplexStream, Refusal> {
        let state = self.state();
        if !state.machine(vm).is_some_and(Machine::is_alive) {
            return Err(Refusal::new(Code::WrongState, "the VM has no running machine"));
        }
        let Some(script) = state.agents.get(&vm).cloned() else {
            let message = format!("driver {NAME} has no channel to an agent in this guest");
            return Err(Refusal::new(Code::Unsupported, message));
        };
        let (ours, theirs) = duplex(CHANNEL);
        tokio::spawn(answer(Arc::downgrade(self), vm, script, ours));
        Ok(theirs)
    }
}

/// Answers until the other end hangs up, or the machine is gone.
async fn answer(world: Weak<World>, vm: VmId, Script(script): Script, channel: DuplexStream) {
    let mut channel = BufReader::new(channel);
    let mut line = Vec::new();
    while let Ok(1..) = channel.read_until(b'\n', &mut line).await {
        let alive = world
            .upgrade()
            .is_some_and(|world| world.state().machine(vm).is_some_and(Machine::is_alive));
        if !alive {
            return;
        }
        line.retain(|byte| *byte != 0xff);
        let call: Value = serde_json::from_slice(&line).unwrap_or_default();
        line.clear();
        let reply = match call["execute"].as_str().unwrap_or_default() {
            "guest-sync-delimited" => {
                [&[0xff], format!("{}\n", json!({ "return": call["arguments"]["id"] })).as_bytes()]
                    .concat()
            }
            command => {
                let Some(returned) = script(command, &call["arguments"]) else { continue };
                format!("{}\n", json!({ "return": returned, "id": call["id"] })).into_bytes()
            }
        };
        if channel.write_all(&reply).await.is_err() {
            return;
        }
    }
}
