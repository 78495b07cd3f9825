//! A simulated guest's serial console, and its one viewer.
//!
//! While somebody is at it, a task reads what is typed; what the guest writes goes to the viewer as it
//! is written, and is lost to one who does not keep up: no guest waits for its viewer. What is typed
//! while the CPUs are held, or the guest hangs, is lost.

use crate::{
    change::Change,
    shell::{self, Command, Line},
    world::{State, World},
};
use futures_util::FutureExt;
use innkeeper_model::{Code, Refusal, VmId};
use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};

/// How much output waits for a slow viewer, in bytes.
const VIEWER_BUFFER: usize = 256 << 10;

/// Tells one viewer's time at a console from the next one's.
static SEATS: AtomicU64 = AtomicU64::new(0);

/// A console that somebody looks at.
#[derive(Debug)]
pub(crate) struct Console {
    seat: u64,
    viewer: WriteHalf<DuplexStream>,
    line: Line,
}

impl Console {
    /// Shows the viewer what the guest wrote, as far as there is room.
    pub(crate) fn show(&mut self, text: &str) {
        let _ = self.viewer.write_all(text.as_bytes()).now_or_never();
    }

    /// Tells the viewer that there will be no more.
    pub(crate) fn hang_up(mut self) {
        let _ = self.viewer.shutdown().now_or_never();
    }
}

impl World {
    /// Opens the console of a machine that lives. Dropping the stream closes it.
    pub(crate) fn open_console(self: &Arc<Self>, vm: VmId) -> Result<DuplexStream, Refusal> {
        let mut state = self.state();
        if !state.machine(vm).is_some_and(crate::machine::Machine::is_alive) {
            return Err(Refusal::new(Code::WrongState, "the VM has no running machine"));
        }
        if state.consoles.contains_key(&vm) {
            let refusal = Refusal::new(Code::InUse, "the console has a viewer already");
            return Err(refusal
                .with_hint("`inn logs` shows what the guest wrote without taking the console"));
        }
        let (ours, viewers) = duplex(VIEWER_BUFFER);
        let (typed, viewer) = split(ours);
        let seat = SEATS.fetch_add(1, Ordering::Relaxed);
        state.consoles.insert(vm, Console { seat, viewer, line: Line::default() });
        tokio::spawn(listen(Arc::downgrade(self), vm, seat, typed));
        Ok(viewers)
    }

    /// Lets a guest read what was typed. `false` when the console is not this seat's any more.
    fn typed(&self, vm: VmId, seat: u64, typed: &str) -> bool {
        let mut state = self.state();
        let console = state.consoles.get_mut(&vm).filter(|console| console.seat == seat);
        let Some(mut line) = console.map(|console| std::mem::take(&mut console.line)) else {
            return false;
        };
        let mut rest = typed;
        while !rest.is_empty() {
            let Some(machine) = state.machine(vm).filter(|machine| machine.executes()) else {
                break;
            };
            let (name, memory) = (machine.name.clone(), machine.memory.clone());
            let (after, mut wrote, complete) = line.take(rest);
            rest = after;
            let mut command = Command::Answered;
            if let Some(complete) = complete {
                let answer;
                (command, answer) = shell::run(&complete, &memory);
                wrote.push_str(&answer);
                if !matches!(command, Command::Do(_)) {
                    wrote.push_str(&shell::prompt(&name));
                }
            }
            if !wrote.is_empty() {
                self.change(&mut state, vm, Change::Wrote(wrote.into()));
            }
            match command {
                Command::Answered => {}
                Command::Remember(note) => self.change(&mut state, vm, Change::Remembered(note)),
                Command::Do(happening) => {
                    line = Line::default();
                    self.guest_does(&mut state, vm, happening);
                }
            }
        }
        if let Some(console) = state.consoles.get_mut(&vm) {
            console.line = line;
        }
        true
    }

    fn leaves(&self, vm: VmId, seat: u64) {
        let mut state = self.state();
        let State { consoles, .. } = &mut *state;
        if consoles.get(&vm).is_some_and(|console| console.seat == seat) {
            consoles.remove(&vm);
        }
    }
}

/// Reads what a viewer types until they leave, or the machine is gone.
async fn listen(world: Weak<World>, vm: VmId, seat: u64, mut typed: ReadHalf<DuplexStream>) {
    let mut buffer = vec![0; 4096];
    while let Ok(length @ 1..) = typed.read(&mut buffer).await {
        let Some(world) = world.upgrade() else { return };
        if !world.typed(vm, seat, &String::from_utf8_lossy(&buffer[..length])) {
            return;
        }
    }
    if let Some(world) = world.upgrade() {
        world.leaves(vm, seat);
    }
}
