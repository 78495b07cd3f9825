//! Writing a machine's memory to files, and reading it back.

use super::{Outcome, blocking, wrong};
use crate::{
    change::Change,
    image::{self, Image},
    machine::Life,
    memory::Memory,
    world::World,
};
use innkeeper_model::{Code, IncarnationId, Refusal, VmId};
use std::path::PathBuf;

impl World {
    pub(super) async fn save_memory(
        &self,
        vm: VmId,
        incarnation: IncarnationId,
        file: PathBuf,
    ) -> Outcome {
        let image = {
            let state = self.state();
            let machine = state.alive(vm, Some(incarnation))?;
            if machine.life != Life::Paused {
                return Err(wrong("its memory changes while it is written: it is not paused"));
            }
            Image::of(machine)
        };
        blocking(move || image.write(&file)).await?;
        self.still_lives(vm, Some(incarnation))
    }

    pub(super) async fn load_memory(
        &self,
        vm: VmId,
        incarnation: IncarnationId,
        file: PathBuf,
    ) -> Outcome {
        let image = tokio::task::spawn_blocking(move || Image::read(&file)).await;
        let image = image.map_err(|error| Refusal::new(Code::Internal, error.to_string()))??;
        let mut state = self.state();
        let machine = state.alive(vm, Some(incarnation))?;
        if machine.life != Life::Created {
            return Err(wrong("its guest has begun, and has a memory"));
        }
        image.check_fits(machine)?;
        self.change(&mut state, vm, Change::Loaded(image.memory));
        Ok(())
    }

    pub(super) async fn dump(
        &self,
        vm: VmId,
        incarnation: Option<IncarnationId>,
        file: PathBuf,
    ) -> Outcome {
        let memory: Memory = {
            let state = self.state();
            let machine = state.alive(vm, incarnation)?;
            if !matches!(machine.life, Life::Paused | Life::Ended) {
                return Err(wrong("its memory changes while it is written: it is not paused"));
            }
            machine.memory.clone()
        };
        blocking(move || image::write_core(&memory, &file)).await?;
        self.still_lives(vm, incarnation)
    }

    pub(super) fn still_lives(&self, vm: VmId, incarnation: Option<IncarnationId>) -> Outcome {
        self.state().alive(vm, incarnation).map(drop)
    }
}
