//! What happens to machines behind the daemon's back: as by hand, by chance, or by their guests. Each
//! of these says whether there was anything for it to happen to.

use crate::{
    NAME,
    change::{Change, Entry},
    clock::later,
    guest::{Guest, Happening},
    machine::{Doing, Due, Life, Machine},
    world::{State, World},
};
use innkeeper_model::{EndReason, Foreign, ProcessIdentity, VmId};

impl World {
    /// A machine's process dies, as by `kill -9`.
    pub fn kill_hypervisor(&self, vm: VmId) -> bool {
        let status = Some("signal 9".into());
        let reason = EndReason::HypervisorDied { status };
        self.happens(vm, Machine::is_alive, |world, state| {
            world.change(state, vm, Change::Died { reason, politely: false });
        })
    }

    /// A machine's process is held, as by SIGSTOP: what is asked of it waits until it goes on. It can
    /// still be killed. That it does not answer is noticed after [`crate::WorldOptions::noticed_after`].
    pub fn stop_answering(&self, vm: VmId) -> bool {
        let can = |machine: &Machine| machine.is_alive() && !machine.held;
        self.happens(vm, can, |world, state| {
            world.change(state, vm, Change::Held);
            let at = later(world.now(), world.options.noticed_after);
            world.change(state, vm, Change::Intends(Due { at, what: Doing::IsNoticed }));
        })
    }

    /// It goes on, as after SIGCONT.
    pub fn resume_answering(&self, vm: VmId) -> bool {
        self.happens(
            vm,
            |machine| machine.held,
            |world, state| {
                world.change(state, vm, Change::Released);
            },
        )
    }

    /// Somebody holds a machine's CPUs.
    pub fn pause_behind(&self, vm: VmId) -> bool {
        let can = |machine: &Machine| machine.life == Life::Running && !machine.held;
        self.happens(vm, can, |world, state| world.change(state, vm, Change::Paused))
    }

    /// Somebody lets them go on.
    pub fn resume_behind(&self, vm: VmId) -> bool {
        let can = |machine: &Machine| machine.life == Life::Paused && !machine.held;
        self.happens(vm, can, |world, state| world.change(state, vm, Change::Continued))
    }

    /// A guest does something, now.
    pub fn guest(&self, vm: VmId, happening: Happening) -> bool {
        self.happens(vm, Machine::executes, |world, state| world.guest_does(state, vm, happening))
    }

    /// A guest keeps a text in its memory, at most 4 KiB of it.
    pub fn guest_remembers(&self, vm: VmId, text: &str) -> bool {
        self.happens(vm, Machine::executes, |world, state| {
            world.change(state, vm, Change::Remembered(text.into()));
        })
    }

    /// A guest writes to its serial line.
    pub fn guest_writes(&self, vm: VmId, text: &str) -> bool {
        self.happens(vm, Machine::executes, |world, state| {
            world.change(state, vm, Change::Wrote(text.into()));
        })
    }

    /// A VM's guests behave like this from now on; what they do by themselves counts from their next
    /// boot. Kept until the VM is forgotten.
    pub fn set_guest(&self, vm: VmId, guest: Guest) {
        self.change(&mut self.state(), vm, Change::Behaves(guest));
    }

    /// Somebody else starts a machine. Returned as the driver will show it: with a process of its own.
    pub fn add_foreign(&self, machine: Foreign) -> Foreign {
        let mut state = self.state();
        let process = state.host.next_process(self.now());
        let foreign = Foreign { driver: NAME.into(), process, ..machine };
        self.write_down(&mut state, Entry::Foreign(Box::new(foreign.clone())));
        foreign
    }

    /// Somebody else's machine ends.
    pub fn end_foreign(&self, process: ProcessIdentity) -> bool {
        let mut state = self.state();
        let is_there = state.host.is_foreign(process);
        if is_there {
            self.write_down(&mut state, Entry::ForeignGone(process));
        }
        is_there
    }

    /// The host is booted: all machines are gone, and what belonged to them; only logs are left. No
    /// driver is told, since no daemon outlives this.
    pub fn reboot_host(&self) {
        self.boot(&mut self.state());
    }

    fn happens(
        &self,
        vm: VmId,
        can: impl FnOnce(&Machine) -> bool,
        what: impl FnOnce(&Self, &mut State),
    ) -> bool {
        let mut state = self.state();
        let can = state.machine(vm).is_some_and(can);
        if can {
            what(self, &mut state);
        }
        can
    }
}
