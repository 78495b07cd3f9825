//! Cancels in the middle of what takes long: copies, downloads, programs, turns.

use crate::{
    agreement::names,
    support::{AT_ONCE, Bench, LONG, START, Setup, caller},
};
use innkeeper_engine::{Accepted, AddImage, ImageFrom, ImportVm, PowerVerb, Request};
use innkeeper_model::{DiskFormat, ImageKind, Secret, Task, TaskState, VmId, task::StepState};
use innkeeper_sim::{CallKind, Fault, FaultRule};
use innkeeper_storage::StorageOptions;
use serde_json::json;
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a cancel may take where nobody answers.
const HALF_A_MINUTE: Duration = Duration::from_secs(30);
/// What takes long to read, and no room: mostly nothing.
const LARGE: u64 = 4 << 30;
/// What takes long to copy: so many blocks, and a hole behind each.
const PIECES: u64 = 64 << 10;
const BLOCK: u64 = 4 << 10;
/// A cluster of a qcow2 file.
const CLUSTER: u64 = 64 << 10;
/// Nobody's digest.
const SHA256: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
/// Rewrites half of an image, and no more.
const QEMU_IMG: &str = "#!/bin/sh
[ $1 = check ] && exit 0
echo $$ >\"$0.pid\"
echo '(50.00/100%)'
exec sleep 600
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// The copy of a VM's disks.
    Clone,
    /// An import of a whole VM, one disk of which is written anew.
    Import,
    /// An image of a VM's disk, one of a file of the host's, and one that was uploaded.
    OfDisk,
    OfFile,
    OfUpload,
    /// One from a server that stops sending, or sends a byte now and then.
    FromSilence,
    FromTrickle,
    /// One that `qemu-img` rewrites.
    Rewritten,
    /// What waits for its turn behind what does not end.
    Turn,
}

impl Work {
    const ALL: [Self; 9] = [
        Self::Clone,
        Self::Import,
        Self::OfDisk,
        Self::OfFile,
        Self::OfUpload,
        Self::FromSilence,
        Self::FromTrickle,
        Self::Rewritten,
        Self::Turn,
    ];

    /// Puts there what is worked on.
    async fn request(self, bench: &Bench, vm: VmId) -> Request {
        let folder = bench.path().join("allowed");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("file");
        let raw = Some(DiskFormat::Raw);
        match self {
            Self::Clone => {
                spread(&bench.volumes(vm).join("root.qcow2"));
                Request::Clone { vm, name: "copy".parse().unwrap() }
            }
            Self::Import => import(bench, vm).await,
            Self::OfDisk => add(ImageFrom::Disk { vm, disk: None }, None),
            Self::OfFile => {
                File::create(&file).unwrap().set_len(LARGE).unwrap();
                add(ImageFrom::File(file), raw)
            }
            Self::OfUpload => {
                upload(bench).await;
                add(ImageFrom::Upload { sha256: SHA256.into() }, raw)
            }
            Self::FromSilence | Self::FromTrickle => {
                let url = Secret::new(serve_half(self == Self::FromTrickle));
                add(ImageFrom::Url { url, checksum: Some(SHA256.into()) }, raw)
            }
            Self::Rewritten => {
                std::fs::copy(bench.volumes(vm).join("root.qcow2"), &file).unwrap();
                add(ImageFrom::File(file), Some(DiskFormat::Qcow2))
            }
            Self::Turn => {
                bench.hangs("sim/launch");
                bench.submit(Request::Power { vm, verb: START }).await.unwrap();
                Request::Power { vm, verb: PowerVerb::Pause }
            }
        }
    }

    /// Whether it is in the middle.
    fn is_in(self, task: &Task) -> bool {
        match self {
            Self::Turn => task.state == TaskState::Queued,
            _ => task.percent.is_some_and(|percent| (1..99).contains(&percent)),
        }
    }
}

fn add(from: ImageFrom, format: Option<DiskFormat>) -> Request {
    let (name, kind) = ("image".parse().unwrap(), ImageKind::Disk);
    Request::AddImage(Box::new(AddImage { name, kind, from, format, initrd: None }))
}

/// Has a volume hold much, with more that is nothing in between.
fn spread(volume: &Path) {
    let file = File::options().write(true).open(volume).unwrap();
    for piece in 1..=PIECES {
        file.write_all_at(&[7; BLOCK as usize], piece * 2 * BLOCK).unwrap();
    }
}

/// What becomes of an export of this VM whose disk, once it has arrived, is all one cluster of zeros, over
/// and over: it is not laid out as it would be here, and is written anew.
async fn import(bench: &Bench, vm: VmId) -> Request {
    let mut export = bench.engine.export_vm(&caller(), vm).await.unwrap().file;
    let mut arrival = bench.engine.receive_vm(&caller(), None, None).await.unwrap().arrival;
    while let Some((piece, next)) = export.read().await.unwrap() {
        arrival = arrival.write(piece).await.unwrap();
        export = next;
    }
    let staged = Arc::new(arrival.finish().await.unwrap());
    let disk = bench.path().join("pool/uploads").join(staged.name()).join("root.qcow2");
    let disk = File::options().read(true).write(true).open(disk).unwrap();
    let entry = |offset: u64| offset.to_be_bytes();
    let mut l1 = [0; 8];
    disk.read_exact_at(&mut l1, 40).unwrap();
    let (l1, per_table) = (u64::from_be_bytes(l1), CLUSTER / 8);
    let (l2, zeros) = (64 * CLUSTER, 65 * CLUSTER);
    for table in 0..LARGE / CLUSTER / per_table {
        disk.write_all_at(&entry(l2), l1 + table * 8).unwrap();
    }
    disk.write_all_at(&entry(zeros).repeat(per_table as usize), l2).unwrap();
    // How far it is, is told of what has arrived.
    disk.set_len(LARGE).unwrap();
    let name = Some("copy".parse().unwrap());
    Request::Import(Box::new(ImportVm { staged, name, project: None, keep_identity: false }))
}

/// Leaves an upload that is larger than anybody wants to send.
async fn upload(bench: &Bench) {
    let name = "image".parse().unwrap();
    let opened = bench.engine.upload_image(&caller(), &name, SHA256, 0, None).await;
    opened.unwrap().upload.write(vec![7; 1000]).await.unwrap();
    let uploads = bench.path().join("pool/uploads");
    let [part] = &names(&uploads)[..] else { panic!("one part") };
    File::options().write(true).open(uploads.join(part)).unwrap().set_len(LARGE).unwrap();
}

/// A server that sends half of a mebibyte, and then nothing or a byte now and then, for as long as somebody
/// is there.
fn serve_half(trickles: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/image", listener.local_addr().unwrap());
    let serve = move |mut client: TcpStream| {
        let mut asked = BufReader::new(client.try_clone()?).lines();
        while asked.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1 << 20);
        client.write_all(head.as_bytes())?;
        client.write_all(&[7; 1 << 19])?;
        if trickles {
            loop {
                // This is the pace that is meant.
                std::thread::sleep(Duration::from_millis(10));
                client.write_all(&[7])?;
            }
        }
        // There is nothing more to come but its end.
        std::io::copy(&mut client, &mut std::io::sink())
    };
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    url
}

fn stand_in(folder: &Path) -> PathBuf {
    folder.join("qemu-img")
}

/// The stand-in's process, if it was begun and has not ended.
fn lives(folder: &Path) -> bool {
    let pid = std::fs::read_to_string(stand_in(folder).with_extension("pid"));
    pid.is_ok_and(|pid| Path::new("/proc").join(pid.trim()).exists())
}

/// What the pool has, whoever knows of it: images, volumes with what is in them, and what has arrived.
fn pool(bench: &Bench) -> Vec<String> {
    let output = Command::new("find").arg(bench.path().join("pool")).output().unwrap();
    let mut found: Vec<_> =
        String::from_utf8(output.stdout).unwrap().lines().map(Into::into).collect();
    found.sort();
    found
}

/// Waits until work is in its middle.
async fn until_in(bench: &Bench, work: Work, accepted: &Accepted) {
    let reached = async {
        loop {
            let task = bench.engine.task(accepted.task).await.unwrap();
            assert!(!task.state.is_final(), "{work:?} is over too soon: {task:?}");
            if work.is_in(&task) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(LONG, reached).await;
    waited.unwrap_or_else(|_| panic!("{work:?} is never in its middle"));
}

/// Whether a copy in this folder takes no time, since the two files share their blocks.
fn shares_blocks(folder: &Path) -> bool {
    let [from, to] = ["from", "to"].map(|name| folder.join(name));
    std::fs::write(&from, "x").unwrap();
    let mut copy = Command::new("cp");
    let copied = copy.arg("--reflink=always").args([&from, &to]).output().unwrap();
    copied.status.success()
}

#[tokio::test]
async fn what_takes_long_is_cancelled_in_its_middle_and_nothing_of_it_is_left() {
    for work in Work::ALL {
        let storage = |folder: &Path, options: &mut StorageOptions| {
            options.qemu_img = stand_in(folder);
            options.http.allow_private = true;
        };
        let bench = Bench::with(Setup { storage, ..Setup::default() }).await;
        if work == Work::Clone && shares_blocks(bench.path()) {
            continue;
        }
        let program = stand_in(bench.path());
        std::fs::write(&program, QEMU_IMG).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let disks = json!([{ "name": "root", "size": "4GiB" }]);
        let vm = bench.create_of(json!({ "name": "web", "disks": disks })).await;
        bench.idle().await;
        let taken = || {
            let usage = bench.engine.diagnose().usage;
            (pool(&bench), usage.vms, usage.cpus, usage.memory, usage.disk)
        };
        let before = taken();

        let request = work.request(&bench, vm).await;
        let accepted = bench.submit(request).await.unwrap();
        until_in(&bench, work, &accepted).await;
        assert_eq!(lives(bench.path()), work == Work::Rewritten);
        let asked = Instant::now();
        bench.cancel(&accepted).await.unwrap();
        let task = bench.end_of(&accepted).await;
        assert!(asked.elapsed() < AT_ONCE, "{work:?}: {:?}", asked.elapsed());
        assert_eq!(task.state, TaskState::Cancelled, "{work:?}: {task:?}");
        assert!(work == Work::Turn || work.is_in(&task), "{work:?} was not cut short: {task:?}");
        // What was done before is undone, what was to come has not begun.
        let mut states = task.steps.iter().map(|step| step.state);
        let cut_short = states.by_ref().find(|state| *state != StepState::Undone);
        assert_eq!(cut_short, (work != Work::Turn).then_some(StepState::Failed), "{task:?}");
        assert!(states.all(|state| state == StepState::Waiting), "{task:?}");
        assert!(task.leftovers.is_empty(), "{task:?}");
        assert!(!lives(bench.path()), "{work:?}");
        bench.world.take_away_all();
        bench.is_sound().await;
        if work == Work::Turn {
            bench.powers(vm, &[PowerVerb::Kill]).await;
        }
        // What has arrived is nobody's by now; and who wrote what was downloaded hears of the end last.
        let promised = || bench.storage.room_seen().map_or(0, |room| room.promised.0);
        bench.until_so("given back", || taken() == before && promised() == 0).await;
    }
}

/// It answers neither to what is done nor to what is taken back.
#[tokio::test]
async fn a_cancel_ends_in_bounds_where_the_hypervisor_answers_to_nothing() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let hung = bench.hangs("sim/continue");
    bench.world.inject(FaultRule::new("sim/launch", Fault::Hangs).when(CallKind::Undo));
    let start = bench.submit(Request::Power { vm, verb: START }).await.unwrap();
    bench.world.until_hit(hung).await;
    let asked = Instant::now();
    bench.cancel(&start).await.unwrap();
    let task = bench.end_of(&start).await;
    assert!(asked.elapsed() < HALF_A_MINUTE, "{:?}", asked.elapsed());
    assert_eq!(task.state, TaskState::Cancelled, "{task:?}");
    let left = &task.leftovers[0];
    assert!(left.starts_with("sim/launch") && left.contains("within"), "{task:?}");

    let asked = Instant::now();
    bench.powers(vm, &[PowerVerb::Kill]).await;
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    bench.world.take_away_all();
    bench.is_sound().await;
}
