//! What is set aside of damaged segments: their bytes, and what was told of them.
//!
//! A segment in which something is damaged gets a second name, `….inn.damaged` (a hard link, which takes no
//! room), and a report beside it, `….inn.report`. Both are on the disk before the damage is told, and from
//! then on it is told by the report. So the segment goes in its turn like any other, and its bytes stay, by
//! the name that nobody here ever removes. A segment that is missing has an empty file in its place.
//!
//! Whoever has seen to what was told moves the `….inn.damaged` file away while the journal is closed. That
//! is the word: the next opening tells it no more, and removes the report once the segment has gone.
//!
//! Where a segment cannot be set aside, as on a full disk, it stays where it is with all newer ones, and the
//! next opening tries again.

use super::{
    Damage,
    chain::Lost,
    failed::DamageReason,
    framing::crc32c,
    segment::{self, Named},
};
use crate::{
    atomic::{sync_folder, write_atomically},
    harm,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    mem::discriminant,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// The damage that was set aside in a journal's folder, and that nobody has seen to. Changes nothing, so it
/// can be asked while the journal is open elsewhere.
///
/// # Errors
/// The folder cannot be listed.
pub fn set_aside(folder: &Path) -> io::Result<Vec<Damage>> {
    let mut damage = Vec::new();
    for entry in fs::read_dir(folder)? {
        if let Some(Named::Report(number)) = entry?.file_name().to_str().and_then(segment::named) {
            let place = Place::new(folder, number);
            if exists(&place.aside) {
                damage.extend(place.told(place.report(), true));
            }
        }
    }
    damage.sort_by(|one, other| (&one.file, one.offset).cmp(&(&other.file, other.offset)));
    Ok(damage)
}

/// Sets aside what was lost. Gives back what is to be told, with what is `reported` of before, and the
/// numbers of the segments that could not be set aside.
pub(super) fn keep(
    folder: &Path,
    reported: &BTreeSet<u64>,
    lost: Vec<Lost>,
) -> (Vec<Damage>, BTreeSet<u64>) {
    let mut all: BTreeMap<u64, Vec<Lost>> =
        reported.iter().map(|number| (*number, Vec::new())).collect();
    for lost in lost {
        all.entry(lost.number).or_default().push(lost);
    }
    let (mut damage, mut stuck) = (Vec::new(), BTreeSet::new());
    for (number, lost) in all {
        let place = Place::new(folder, number);
        let (report, kept) = place.keep(&lost);
        let is_aside = kept.is_ok();
        if let Err(error) = kept {
            let file = place.segment.display();
            tracing::warn!(%file, %error, "a damaged segment of the journal cannot be set aside");
            stuck.insert(number);
        }
        damage.extend(place.told(report, is_aside));
    }
    (damage, stuck)
}

/// Where what is set aside of one segment is.
struct Place {
    number: u64,
    segment: PathBuf,
    aside: PathBuf,
    report: PathBuf,
}

/// What was told of a segment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Report {
    damage: Vec<Reported>,
}

/// One damage, as it is in a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Reported {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<Uuid>,
    offset: u64,
    length: u64,
    reason: DamageReason,
    synced: bool,
    /// A person has seen to it.
    #[serde(default)]
    seen_to: bool,
}

impl Place {
    fn new(folder: &Path, number: u64) -> Self {
        let segment = segment::path(folder, number);
        let (aside, report) = (segment::damaged_path(&segment), segment::report_path(&segment));
        Self { number, segment, aside, report }
    }

    /// Sets aside, and reports, what was lost. Gives back all that is known of the segment, and whether that is
    /// on the disk.
    fn keep(&self, lost: &[Lost]) -> (Report, io::Result<()>) {
        let before = self.report();
        let mut report = before.clone();
        if !exists(&self.aside) {
            report.damage.iter_mut().for_each(|each| each.seen_to = true);
        }
        for lost in lost {
            let now = Reported::of(lost);
            if !report.damage.iter().any(|known| known.is(&now)) {
                report.damage.push(now);
            }
        }
        let all_is_seen_to = report.damage.iter().all(|each| each.seen_to);
        let kept = if all_is_seen_to && lost.is_empty() && !exists(&self.segment) {
            harm::remove_file(&self.report)
        } else {
            let aside = if all_is_seen_to { Ok(()) } else { self.set_aside() };
            aside.and_then(|()| if report == before { Ok(()) } else { self.write(&report) })
        };
        (report, kept)
    }

    /// Gives the segment its second name; an empty file stands for one that is not there.
    fn set_aside(&self) -> io::Result<()> {
        match (exists(&self.segment), exists(&self.aside)) {
            (true, true) if !is_same(&self.segment, &self.aside) => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            (_, true) => return Ok(()),
            (true, false) => fs::hard_link(&self.segment, &self.aside)?,
            (false, false) => {
                let mut empty = fs::OpenOptions::new();
                empty.write(true).create_new(true).mode(0o600).open(&self.aside)?;
            }
        }
        sync_folder(self.aside.parent().ok_or(io::ErrorKind::IsADirectory)?)
    }

    /// What was told of the segment. Of a report that is damaged itself only that.
    fn report(&self) -> Report {
        let reason = match fs::read(&self.report).map(|bytes| Report::read(&bytes)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Report::default(),
            Ok(Ok(report)) => return report,
            Ok(Err(reason)) => reason,
            Err(error) => error.to_string(),
        };
        let reason = DamageReason::Report(reason);
        let (about, seen_to, synced) = (None, false, true);
        Report { damage: vec![Reported { about, offset: 0, length: 0, reason, synced, seen_to }] }
    }

    fn write(&self, report: &Report) -> io::Result<()> {
        write_atomically(&self.report, &report.bytes(), 0o600).map_err(|failed| failed.source)
    }

    /// What nobody has seen to.
    fn told(&self, report: Report, is_aside: bool) -> impl Iterator<Item = Damage> + use<> {
        let segment = self.number;
        let file = if is_aside { self.aside.clone() } else { self.segment.clone() };
        let open = report.damage.into_iter().filter(|each| !each.seen_to);
        open.map(move |Reported { about, offset, length, reason, synced, .. }| {
            let file = file.clone();
            Damage { about, segment, file, offset, length, reason, synced }
        })
    }
}

impl Report {
    /// A checksum, and what it is of.
    fn bytes(&self) -> Vec<u8> {
        let text = serde_json::to_string_pretty(self)
            .expect("a report is plain data with text keys, which JSON can hold");
        format!("{:08x}\n{text}\n", crc32c(text.as_bytes())).into_bytes()
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let (checksum, text) = text.split_once('\n').ok_or("it was cut short")?;
        let text = text.trim_end();
        if checksum != format!("{:08x}", crc32c(text.as_bytes())) {
            return Err("its checksum does not match".into());
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

impl Reported {
    fn of(lost: &Lost) -> Self {
        let (offset, length) = (lost.at.start, lost.at.end.saturating_sub(lost.at.start));
        let Lost { about, synced, ref reason, .. } = *lost;
        Self { about, offset, length, reason: reason.clone(), synced, seen_to: false }
    }

    /// Whether this is the same damage, whatever the host says of it this time.
    fn is(&self, other: &Self) -> bool {
        let key = |it: &Self| (it.about, it.offset, it.length, discriminant(&it.reason));
        key(self) == key(other)
    }
}

fn exists(path: &Path) -> bool {
    // Whatever is there, or cannot be looked at.
    !matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Whether these are one file, or became two where the folder was copied.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity =
        |path: &Path| fs::symlink_metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let is_one = identity(one).is_some_and(|one| Some(one) == identity(other));
    is_one || matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}
