//! The peer of the engine's rate: the journal alone, with as many appenders at once, and the records
//! that the engine writes, in its order and as durably.

use crate::bench::Bench;
use crate::rig::{
    cleanup::Folder,
    crowd::Crowd,
    daemon::{Daemon, State},
    lives::Lives,
};
use anyhow::{Context, bail, ensure};
use innkeeper_store::journal::{Durability, Found, Journal, JournalOptions};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};
use uuid::Uuid;

/// The records of one VM's life, in the order in which they are written one after another.
#[derive(Debug)]
pub(crate) struct Template(Vec<(Vec<u8>, Durability)>);

impl Template {
    /// What the engine writes of a VM's life now: taken from the journal of a daemon that was killed
    /// after some. The notes that files were written, one for many VMs, are left out.
    pub(crate) fn take(bench: &Bench) -> anyhow::Result<Self> {
        const LIVES: usize = 4;
        let state = State::simulated(bench)?;
        let daemon = Daemon::start(&state)?;
        let lives = Lives::new(LIVES)?;
        lives.live(&mut Crowd::connect(&state.socket(), 1)?)?;
        daemon.kill();
        let opened = Journal::open(JournalOptions::new(state.path().join("journal")))?;
        let mut of_vms: BTreeMap<Uuid, Vec<(Vec<u8>, Durability)>> = BTreeMap::new();
        for Found { about, bytes, .. } in opened.records {
            let durability = durability(&bytes)?;
            of_vms.entry(about).or_default().push((bytes, durability));
        }
        opened.journal.close();
        of_vms.remove(&Uuid::nil());
        ensure!(of_vms.len() == LIVES, "the journal has {} VMs, not {LIVES}", of_vms.len());
        let mut records: Vec<_> = of_vms.into_values().collect();
        let middle = records.len() / 2;
        records.sort_by_key(Vec::len);
        Ok(Self(records.swap_remove(middle)))
    }

    pub(crate) fn records(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn synced(&self) -> usize {
        self.0.iter().filter(|(_, durability)| *durability == Durability::Synced).count()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(bytes, _)| bytes.len()).sum()
    }
}

/// How durable the engine makes a record, by what it says (`engine::journal`).
fn durability(record: &[u8]) -> anyhow::Result<Durability> {
    let record: Value = serde_json::from_slice(record)?;
    let is = |key: &str, word: &str| record[key] == word;
    Ok(match record["entry"].as_str() {
        Some("begun" | "owed" | "ended") => Durability::Synced,
        Some("way") if is("way", "only-forward") => Durability::Synced,
        Some("step") if is("mark", "begun") => Durability::Synced,
        Some("accepted" | "way" | "step" | "wish" | "no-wish" | "kept" | "noted") => {
            Durability::Written
        }
        other => bail!("the engine writes what is not known here: {other:?}"),
    })
}

/// How many records a second a journal takes when so many appenders write the records of so many lives.
pub(crate) fn records_a_second(
    among: &Path,
    template: &Template,
    appenders: usize,
    lives: usize,
) -> anyhow::Result<f64> {
    let folder = Folder::new(among)?;
    // With as many threads as the daemon has.
    let threads =
        std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, 8));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build()?;
    let journal = Journal::open(JournalOptions::new(folder.path()))?.journal;
    let records: Arc<[(Vec<u8>, Durability)]> = template.0.as_slice().into();
    let begun = Instant::now();
    let all: Vec<_> = (0..appenders)
        .map(|appender| {
            let (journal, records) = (journal.clone(), Arc::clone(&records));
            let mine = lives / appenders + usize::from(appender < lives % appenders);
            runtime.spawn(async move {
                for _ in 0..mine {
                    let about = Uuid::now_v7();
                    for (bytes, durability) in &*records {
                        journal.append(about, bytes.clone(), *durability).await?;
                    }
                }
                anyhow::Ok(())
            })
        })
        .collect();
    runtime.block_on(async {
        for appender in all {
            appender.await.context("an appender panicked")??;
        }
        anyhow::Ok(())
    })?;
    let took = begun.elapsed();
    journal.close();
    Ok((lives * template.records()) as f64 / took.as_secs_f64())
}
