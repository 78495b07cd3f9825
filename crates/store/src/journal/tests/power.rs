//! Random work on a disk that fails, and dies at a random moment: with its daemon, so that what was
//! written is there, or with the host, so that each sector that was not synced is there or not.

use super::*;
use crate::journal::disk::SegmentFile;
use proptest::prelude::*;
use rustix::io::Errno;
use std::{collections::BTreeMap, collections::HashMap, io};

const SECTOR: usize = 512;

/// A disk whose files are in memory.
#[derive(Debug, Clone, Default)]
struct Simulated(Arc<Mutex<World>>);

#[derive(Debug, Default)]
struct World {
    files: BTreeMap<PathBuf, Vec<Write>>,
    /// How many calls it lives for.
    life: usize,
    calls: usize,
    /// Which calls fail.
    faults: HashMap<usize, usize>,
    size: usize,
    /// The last call that synced records.
    synced: usize,
}

#[derive(Debug, Clone)]
struct Write {
    offset: usize,
    bytes: Vec<u8>,
    state: WriteState,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum WriteState {
    Cached,
    Synced,
    /// A sync failed at this call: the kernel has forgotten that it is not on disk.
    Forgotten(usize),
}

enum Fate {
    Fine,
    /// It fails after this many bytes.
    Fails(usize),
    /// So does the host.
    Dies(usize),
}

impl World {
    fn fate(&mut self) -> Fate {
        self.calls += 1;
        let part = self.faults.get(&self.calls).copied();
        match self.calls.cmp(&self.life) {
            std::cmp::Ordering::Less => part.map_or(Fate::Fine, Fate::Fails),
            std::cmp::Ordering::Equal => Fate::Dies(part.unwrap_or(self.calls * 37)),
            std::cmp::Ordering::Greater => Fate::Fails(usize::MAX),
        }
    }

    /// Something that is done, or not.
    fn act(&mut self, act: impl FnOnce(&mut Self)) -> io::Result<()> {
        match self.fate() {
            Fate::Fine => {
                act(self);
                Ok(())
            }
            Fate::Fails(_) | Fate::Dies(_) => Err(Errno::IO.into()),
        }
    }
}

impl Disk for Simulated {
    fn create(&self, path: &Path, size: u64) -> io::Result<Box<dyn SegmentFile>> {
        let mut world = self.0.lock().unwrap();
        world.size = size as usize;
        world.act(|world| drop(world.files.insert(path.into(), Vec::new())))?;
        Ok(Box::new(SimulatedFile(self.clone(), path.into())))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().act(|world| drop(world.files.remove(path)))
    }
}

#[derive(Debug)]
struct SimulatedFile(Simulated, PathBuf);

impl SegmentFile for SimulatedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.0.0.lock().unwrap();
        let (done, answer) = match world.fate() {
            Fate::Fine => (bytes.len(), Ok(())),
            Fate::Fails(usize::MAX) => (0, Err(Errno::IO.into())),
            Fate::Fails(part) | Fate::Dies(part) => {
                (part % (bytes.len() + 1), Err(Errno::IO.into()))
            }
        };
        if let Some(writes) = world.files.get_mut(&self.1) {
            let (offset, bytes) = (offset as usize, bytes[..done].to_vec());
            writes.push(Write { offset, bytes, state: WriteState::Cached });
        }
        answer
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.0.0.lock().unwrap();
        let (state, answer) = match world.fate() {
            Fate::Fine => (WriteState::Synced, Ok(())),
            Fate::Fails(usize::MAX) | Fate::Dies(_) => return Err(Errno::IO.into()),
            Fate::Fails(_) => (WriteState::Forgotten(world.calls), Err(Errno::IO.into())),
        };
        let World { files, synced, calls, .. } = &mut *world;
        for write in files.get_mut(&self.1).into_iter().flatten() {
            if write.state == WriteState::Cached {
                write.state = state;
                if answer.is_ok() && write.offset > 0 {
                    *synced = *calls;
                }
            }
        }
        answer
    }
}

/// What is on the disk after the end.
fn materialize(world: &World, power_lost: bool, mut random: u64) {
    let mut toss = || {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 63 == 0
    };
    for (path, writes) in &world.files {
        let mut bytes = vec![0; world.size];
        for write in writes {
            let end = write.offset + write.bytes.len();
            let mut at = write.offset;
            let all = match write.state {
                WriteState::Synced => true,
                WriteState::Cached => !power_lost,
                // The kernel has not dropped its pages before there was a copy, if only by luck.
                WriteState::Forgotten(call) => !power_lost && (world.synced < call || toss()),
            };
            while at < end {
                let next = ((at / SECTOR + 1) * SECTOR).min(end);
                if all || (power_lost && toss()) {
                    let from = at - write.offset;
                    bytes[at..next].copy_from_slice(&write.bytes[from..from + next - at]);
                }
                at = next;
            }
        }
        std::fs::write(path, bytes).unwrap();
    }
}

#[derive(Debug, Clone)]
enum Work {
    /// These at once: how large each is, and whether it is to be synced.
    Append(Vec<(usize, bool)>),
    /// Let go of this many of the oldest.
    Release(usize),
}

fn work() -> impl Strategy<Value = Work> {
    prop_oneof![
        4 => prop::collection::vec((8_usize..1500, any::<bool>()), 1..12).prop_map(Work::Append),
        1 => (0_usize..8).prop_map(Work::Release),
    ]
}

/// What a record holds: its number, then filling that depends on it.
fn payload(number: usize, size: usize) -> Vec<u8> {
    let mut bytes = (number as u64).to_le_bytes().to_vec();
    bytes.extend((bytes.len()..size).map(|at| (at * 7 + number) as u8));
    bytes
}

struct Sent {
    group: usize,
    size: usize,
    synced: bool,
    accepted: bool,
    held: Option<Held>,
}

/// Does the work; whoever was answered is in the list, in the order of the calls.
fn perform(journal: &Journal, all: &[Work]) -> Vec<Sent> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut sent: Vec<Sent> = Vec::new();
    for (group, work) in all.iter().enumerate() {
        match work {
            Work::Append(records) => {
                let first = sent.len();
                let waiting = records.iter().enumerate().map(|(at, (size, synced))| {
                    let durability =
                        [Durability::Written, Durability::Synced][usize::from(*synced)];
                    journal.append(Uuid::nil(), payload(first + at, *size), durability)
                });
                let answers = runtime.block_on(join_all(waiting.collect::<Vec<_>>()));
                sent.extend(records.iter().zip(answers).map(|((size, synced), answer)| {
                    let accepted = answer.is_ok();
                    Sent { group, size: *size, synced: *synced, accepted, held: answer.ok() }
                }));
            }
            Work::Release(count) => {
                sent.iter_mut().filter(|sent| sent.held.is_some()).take(*count).for_each(|sent| {
                    sent.held = None;
                });
            }
        }
    }
    sent
}

fn number(found: &Found) -> usize {
    u64::from_le_bytes(found.bytes[..8].try_into().unwrap()) as usize
}

fn check(sent: &[Sent], opened: &Opened, power_lost: bool) -> Result<(), TestCaseError> {
    let found: Vec<usize> = opened.records.iter().map(number).collect();
    prop_assert!(found.is_sorted_by(|one, next| one < next), "order: {found:?}");
    for record in &opened.records {
        let number = number(record);
        prop_assert_eq!(&record.bytes, &payload(number, sent[number].size));
    }
    let oldest_held = sent.iter().position(|sent| sent.held.is_some()).unwrap_or(sent.len());
    let accepted = found.iter().rfind(|number| sent[**number].accepted);
    let last_accepted = accepted.map(|number| sent[*number].group);
    for (number, sent) in sent.iter().enumerate() {
        let is_found = found.contains(&number);
        if sent.accepted && number >= oldest_held && (sent.synced || !power_lost) {
            prop_assert!(is_found, "record {number} is lost; found: {found:?}");
        }
        // Refused is refused once another was accepted after it.
        if !sent.accepted && last_accepted.is_some_and(|group| sent.group < group) {
            prop_assert!(!is_found, "record {number} was refused; found: {found:?}");
        }
    }
    for damage in &opened.damage {
        prop_assert!(power_lost && !damage.synced, "{damage:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn what_was_acknowledged_is_found_and_nothing_else(
        all in prop::collection::vec(work(), 1..12),
        life in prop_oneof![1_usize..150, Just(usize::MAX)],
        faults in prop::collection::hash_map(1_usize..100, 0_usize..5000, 0..8),
        power_lost: bool,
        random: u64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Simulated::default();
        *disk.0.lock().unwrap() = World { life, faults, ..World::default() };
        let opened = Journal::open_on(Arc::new(disk.clone()), small(folder.path())).unwrap();
        let sent = perform(&opened.journal, &all);
        // The world as it is now, or was when it ended; closing is no part of it.
        let world = std::mem::take(&mut *disk.0.lock().unwrap());
        materialize(&world, power_lost, random);
        drop(opened);

        let opened = open(folder.path());
        check(&sent, &opened, power_lost)?;
        let Opened { journal, records, damage } = opened;
        let more = perform(&journal, &[Work::Append(vec![(100, true), (2000, false), (3000, true)])]);
        prop_assert!(more.iter().all(|sent| sent.accepted));
        journal.close();

        let again = open(folder.path());
        let (before, after) = again.records.split_at(records.len());
        prop_assert!(before.iter().zip(&records).all(|(one, other)| one.bytes == other.bytes));
        prop_assert_eq!(after.len(), 3);
        prop_assert_eq!(again.damage.len(), damage.len());
    }
}
