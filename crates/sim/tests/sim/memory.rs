//! A memory that comes back is the one that went.

use crate::support::{Bench, failed, spec, standing};
use innkeeper_driver::{Driver, Operation};
use innkeeper_model::{
    ByteSize, Code, MachineState, MemoryImage, Refusal, Spec, Timestamp,
    memory::MEMORY_IMAGE_SCHEMA,
};
use innkeeper_sim::Happening;
use std::{path::PathBuf, sync::Arc};
use tempfile::NamedTempFile;

/// A VM that is suspended, after its guest has rebooted and was told something.
struct Suspended {
    bench: Bench,
    spec: Spec,
    file: NamedTempFile,
    image: MemoryImage,
    memory: u64,
}

async fn suspended() -> Suspended {
    let (bench, spec) = (standing(), spec());
    let file = NamedTempFile::new().unwrap();
    bench.run(&spec, Operation::Start).await;
    bench.world.guest(spec.id, Happening::Reboots);
    bench.world.guest_remembers(spec.id, "where it was");
    let memory = bench.world.machine(spec.id).unwrap().memory;
    bench.run(&spec, Operation::Suspend { memory: file.path().into() }).await;
    let image = MemoryImage {
        schema: MEMORY_IMAGE_SCHEMA,
        incarnation: (*bench.told.of(spec.id).incarnation.unwrap()).clone(),
        size: ByteSize(file.path().metadata().unwrap().len()),
        checksum: String::new(),
        created: Timestamp::now(),
    };
    bench.run(&spec, Operation::PutAway).await;
    assert_eq!(bench.world.leftovers(spec.id), ["logs"]);
    Suspended { bench, spec, file, image, memory }
}

impl Suspended {
    fn restore(&self) -> Operation {
        Operation::Restore { image: Arc::new(self.image.clone()), memory: self.file.path().into() }
    }

    /// Why the memory is refused when it is loaded; then takes back what was made for it.
    async fn refused(&self) -> Refusal {
        let plan = self.bench.plan(&self.spec, &self.restore()).await;
        for step in &plan {
            if let Err(error) = self.bench.perform(&self.spec, step).await {
                assert_eq!(step.name, "sim/load-memory");
                self.bench.undo(&self.spec, &plan).await;
                assert_eq!(self.bench.world.leftovers(self.spec.id), ["logs"]);
                return failed(error);
            }
        }
        panic!("it was not refused");
    }
}

#[tokio::test]
async fn a_guest_goes_on_with_the_memory_that_it_had() {
    let suspended = suspended().await;
    let Suspended { bench, spec, memory, .. } = &suspended;
    assert!(suspended.image.size.0 > 64 << 10);
    let mut edited = spec.clone();
    edited.config.nics.clear();
    bench.run(&edited, suspended.restore()).await;
    let restored = bench.world.machine(spec.id).unwrap();
    assert_eq!((restored.memory, restored.boots), (*memory, 2));
    assert_eq!(restored.devices, ["disk root", "read-only-disk iso", "nic lan"], "as it was");
    assert_eq!(restored.facts.machine, MachineState::Running);
    let serial = String::from_utf8(bench.driver.serial_log(spec.id).await.unwrap()).unwrap();
    assert!(!serial.contains("boot"), "it has not booted: {serial}");

    bench.run(spec, Operation::Kill).await;
    bench.run(spec, Operation::Start).await;
    assert_ne!(bench.world.machine(spec.id).unwrap().memory, *memory);
}

#[tokio::test]
async fn a_restore_loads_just_before_it_lets_the_guest_run() {
    let suspended = suspended().await;
    let plan = suspended.bench.plan(&suspended.spec, &suspended.restore()).await;
    let names: Vec<_> = plan.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names[..2], ["sim/prepare", "sim/launch"]);
    assert_eq!(names[names.len() - 2..], ["sim/load-memory", "sim/continue"]);
}

#[tokio::test]
async fn a_memory_that_is_not_whole_or_not_known_is_refused_and_undone() {
    let suspended = suspended().await;
    let path = suspended.file.path();
    let whole = std::fs::read(path).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut newer = whole.clone();
    newer[8] = 200;
    for (contents, says) in [
        (&whole[..whole.len() - 1], "truncated"),
        (&[], "truncated"),
        (&damaged, "damaged"),
        (&newer, "version 200"),
        (&[0; 100_000], "not of the simulated hypervisor"),
    ] {
        std::fs::write(path, contents).unwrap();
        let refused = suspended.refused().await;
        assert_eq!(refused.code, Code::IncompatibleMemory);
        assert!(refused.message.contains(says), "{refused}");
        assert!(refused.hint.unwrap().contains("--discard-memory"));
    }
    std::fs::write(path, &whole).unwrap();
    suspended.bench.run(&suspended.spec, suspended.restore()).await;
}

#[tokio::test]
async fn the_memory_of_another_machine_is_refused() {
    let mut suspended = suspended().await;
    let opens = suspended.image.incarnation.opens.clone();
    suspended.image.incarnation.opens.as_array_mut().unwrap().pop();
    let refused = suspended.refused().await;
    assert!(refused.message.contains("nic lan"), "{refused}");
    suspended.image.incarnation.opens = opens;
    suspended.image.incarnation.cpu_model = "486".into();
    let refused = suspended.refused().await;
    assert!(refused.message.contains("CPU sim") && refused.message.contains("486"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_taken_over_is_refused_before_anything_starts() {
    let suspended = suspended().await;
    type Spoil = fn(&mut MemoryImage);
    let spoils: [(Spoil, &str); 4] = [
        (|image| image.incarnation.driver = "qemu".into(), "another hypervisor's"),
        (|image| image.schema = 99, "newer Innkeeper"),
        (|image| image.incarnation.machine = "sim-9.0".into(), "machine type"),
        (|image| image.incarnation.accelerator = "kvm".into(), "accelerator"),
    ];
    for (spoil, says) in spoils {
        let mut image = suspended.image.clone();
        spoil(&mut image);
        let memory = suspended.file.path().into();
        let restore = Operation::Restore { image: Arc::new(image), memory };
        let refused = suspended.bench.flow(&suspended.spec, &restore).await.unwrap_err();
        assert_eq!(refused.code, Code::IncompatibleMemory);
        assert!(refused.message.contains(says), "{refused}");
        let named = ["0.", "sim-1.0", "CPU", "accelerator none"];
        assert!(named.iter().all(|what| refused.message.contains(what)), "{refused}");
    }
}

#[tokio::test]
async fn only_a_memory_that_does_not_change_is_written() {
    let (bench, spec) = (standing(), spec());
    bench.run(&spec, Operation::Start).await;
    let file: PathBuf = "/nowhere/at/all".into();
    let dump = Operation::Dump { file: file.clone() };
    let (_, refused) = bench.attempt(&spec, dump.clone()).await.unwrap_err();
    assert_eq!(refused.code, Code::WrongState);
    let save = bench.step(&spec, &Operation::Suspend { memory: file }, "sim/save-memory").await;
    assert_eq!(failed(bench.perform(&spec, &save).await.unwrap_err()).code, Code::WrongState);
    // A guest that panicked has a memory to look at.
    bench.world.guest(spec.id, Happening::Panics);
    let file = NamedTempFile::new().unwrap();
    bench.run(&spec, Operation::Dump { file: file.path().into() }).await;
    assert!(std::fs::read(file.path()).unwrap().starts_with(b"\x7fELF"));
    let (_, refused) = bench.attempt(&spec, dump).await.unwrap_err();
    assert_eq!(refused.code, Code::Internal, "there is no such file");
}
