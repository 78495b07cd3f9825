//! Files that somebody else made: taken if they are sound, and refused otherwise.

use super::{made::*, *};

#[tokio::test]
async fn what_somebody_made_by_hand_is_taken_if_it_is_sound() {
    let pool = Pool::new();
    let made = Made::new(&manifest(), empty_disk(1 << 20));
    let staged = pool.send(&made.bytes(), 1000).await.unwrap();
    pool.bring(VmId::new(), &staged).await.unwrap();
    // It may be filled up with zeros.
    let mut long = made.bytes();
    long.resize(long.len() + 9000, 0);
    drop(pool.send(&long, 1000).await.unwrap());
    pool.is_cleared();
}

#[tokio::test]
async fn hostile_files_are_refused_and_leave_nothing() {
    use tar::EntryType;
    let pool = Pool::with(|options| {
        options.max_import_size = ByteSize(64 << 20);
        options.max_virtual_size = ByteSize(1 << 30);
    });
    let disk = || empty_disk(1 << 20);
    let good = Made::new(&manifest(), disk());
    let of = |manifest: Value| Made::new(&manifest, disk());
    let only = |bytes: &[u8]| Made { members: Vec::new(), ..good.clone() }.with("vm.json", bytes);
    let cut = |bytes: usize| {
        let mut file = good.bytes();
        file.truncate(file.len() - bytes);
        file
    };
    let changed = |at: usize| {
        let mut file = good.bytes();
        let at = file.len() - at;
        file[at] ^= 1;
        file
    };
    let huge = {
        // All that is said of it is how long it will be.
        let mut file = only(manifest().to_string().as_bytes());
        (file.sums, file.end) = (false, false);
        let mut header = tar::Header::new_gnu();
        header.set_path("root.qcow2").unwrap();
        header.set_size(1 << 50);
        header.set_cksum();
        [file.bytes(), header.as_bytes().to_vec()].concat()
    };
    let misfit = || {
        let mut file = Made { sums: false, end: false, ..good.clone() }.bytes();
        put(
            &mut file,
            SUMS,
            format!("{}  root.qcow2\n", "0".repeat(64)).as_bytes(),
            EntryType::Regular,
        );
        file
    };
    let table: Vec<(&str, Vec<u8>, Code, &str)> = vec![
        ("nothing", Vec::new(), Code::BadRequest, "cut short"),
        ("no tar", vec![b'x'; 4096], Code::BadRequest, "no tar"),
        ("zeros", vec![0; 4096], Code::BadRequest, "cut short"),
        ("cut in the end", cut(1024), Code::BadRequest, "cut short"),
        ("cut in the sums", cut(1600), Code::BadRequest, "cut short"),
        ("cut in the disk", cut(100_000), Code::BadRequest, "cut short"),
        ("a changed byte of a disk", changed(1024 + 1024 + 70_000), Code::InvalidField, "SHA-256"),
        ("another digest", misfit(), Code::InvalidField, "SHA-256"),
        ("more behind the end", [good.bytes(), vec![1]].concat(), Code::BadRequest, "behind"),
        (
            "zeros without end",
            [good.bytes(), vec![0; 2 << 20]].concat(),
            Code::BadRequest,
            "behind",
        ),
        ("a second file", [good.bytes(), good.bytes()].concat(), Code::BadRequest, "behind"),
        (
            "a disk first",
            {
                let first = Made { members: Vec::new(), ..good.clone() };
                first.with("root.qcow2", disk()).bytes()
            },
            Code::InvalidField,
            "is not vm.json",
        ),
        ("no sums", Made { sums: false, ..good.clone() }.bytes(), Code::BadRequest, "cut short"),
        (
            "sums that say nothing",
            {
                let made = Made { sums: false, ..good.clone() };
                made.with(SUMS, "").bytes()
            },
            Code::InvalidField,
            "no digest",
        ),
        (
            "sums of what did not come",
            {
                let sums = format!("{}  passwd\n", "0".repeat(64));
                Made { sums: false, ..good.clone() }.with(SUMS, sums).bytes()
            },
            Code::InvalidField,
            "did not come",
        ),
        (
            "sums that are none",
            { Made { sums: false, ..good.clone() }.with(SUMS, "é".repeat(40)).bytes() },
            Code::InvalidField,
            "sha256sum",
        ),
        (
            "no disk",
            only(manifest().to_string().as_bytes()).bytes(),
            Code::InvalidField,
            "is missing",
        ),
        (
            "a member twice",
            good.clone().with("root.qcow2", disk()).bytes(),
            Code::InvalidField,
            "twice",
        ),
        ("vm.json twice", good.clone().with("vm.json", "{}").bytes(), Code::InvalidField, "twice"),
        (
            "an unknown member",
            good.clone().with("x", "x").bytes(),
            Code::InvalidField,
            "nothing that",
        ),
        (
            "variables of a BIOS",
            good.clone().with(NVRAM, "x").bytes(),
            Code::InvalidField,
            "nothing that",
        ),
        ("../", good.clone().with("../x", "x").bytes(), Code::InvalidField, "nothing that"),
        ("/", good.clone().with("/etc/shadow", "x").bytes(), Code::InvalidField, "nothing that"),
        ("./", good.clone().with("./root.qcow2", "x").bytes(), Code::InvalidField, "nothing that"),
        (
            "after the sums",
            {
                let mut file = Made { end: false, ..good.clone() }.bytes();
                put(&mut file, "x", b"x", EntryType::Regular);
                file
            },
            Code::InvalidField,
            "the last",
        ),
        ("too long a disk", huge, Code::TooLarge, "1024TiB, more than"),
        ("too long a vm.json", only(&vec![b' '; 2 << 20]).bytes(), Code::TooLarge, "vm.json"),
        ("no JSON", only(b"{").bytes(), Code::InvalidField, "cannot be read"),
        ("deep JSON", only(&vec![b'['; 100_000]).bytes(), Code::InvalidField, "cannot be read"),
        ("another format", of(with("/format", json!("ovf"))).bytes(), Code::InvalidField, "format"),
        ("version 0", of(with("/version", json!(0))).bytes(), Code::InvalidField, "version 0"),
        ("version 2", of(with("/version", json!(2))).bytes(), Code::InvalidField, "version 2"),
        (
            "an unknown field",
            { of(with("/config", json!({ "name": "web", "qemu_args": ["-s"] }))).bytes() },
            Code::InvalidField,
            "cannot be read",
        ),
        (
            "a host file",
            {
                let path = json!({ "name": "root", "path": "/etc/shadow", "format": "raw" });
                of(with("/config/disks/0", path)).bytes()
            },
            Code::InvalidField,
            "file of a host",
        ),
        (
            "a host file as a CD-ROM",
            {
                let path = json!({ "name": "cd", "kind": "cdrom", "path": "/etc/shadow", "format": "raw" });
                of(with("/config/disks/0", path)).bytes()
            },
            Code::InvalidField,
            "file of a host",
        ),
        (
            "a kernel of the host",
            {
                let mut kernel = manifest();
                kernel["config"]["boot"] = json!({ "kernel": { "path": "/boot/vmlinuz" } });
                of(kernel).bytes()
            },
            Code::InvalidField,
            "file of a host",
        ),
        (
            "a disk over an image",
            { of(with("/config/disks/0", json!({ "name": "root", "image": "base" }))).bytes() },
            Code::InvalidField,
            "in the file",
        ),
        (
            "secrets",
            {
                let mut seeded = manifest();
                seeded["config"]["cloud_init"] = json!({ "user_data": "#cloud-config" });
                of(seeded).bytes()
            },
            Code::InvalidField,
            "cloud-init",
        ),
        (
            "two devices in one place",
            {
                let both = json!({ "disk/root": { "port": 0 }, "nic/a": { "port": 0 } });
                of(with("/assigned/devices", both)).bytes()
            },
            Code::InvalidField,
            "another device",
        ),
        (
            "a port that no machine has",
            { of(with("/assigned/devices", json!({ "disk/root": { "port": 200 } }))).bytes() },
            Code::InvalidField,
            "can be",
        ),
        (
            "too many ports",
            of(with("/assigned/ports", json!(200))).bytes(),
            Code::InvalidField,
            "ports",
        ),
        (
            "too large a disk",
            { of(with("/config/disks/0/size", json!("2TiB"))).bytes() },
            Code::InvalidField,
            "larger than a disk may be",
        ),
        (
            "a disk of another size",
            Made::new(&manifest(), empty_disk(2 << 20)).bytes(),
            Code::InvalidField,
            "describes a disk",
        ),
        (
            "a smaller disk",
            Made::new(&manifest(), empty_disk(512)).bytes(),
            Code::InvalidField,
            "says 1MiB",
        ),
        (
            "a disk that is none",
            Made::new(&manifest(), vec![7; 4096]).bytes(),
            Code::InvalidField,
            "qcow2",
        ),
        ("an empty disk", Made::new(&manifest(), Vec::new()).bytes(), Code::InvalidField, "empty"),
        (
            "a backing file",
            Made::new(&manifest(), backed()).bytes(),
            Code::InvalidField,
            "backing file",
        ),
        (
            "a disk that is larger than its file",
            Made::new(&manifest(), bomb()).bytes(),
            Code::InvalidField,
            "several places",
        ),
        (
            "tables that lead nowhere",
            {
                let mut disk = disk();
                disk[3 * CLUSTER..3 * CLUSTER + 8].copy_from_slice(&(1_u64 << 50).to_be_bytes());
                Made::new(&manifest(), disk).bytes()
            },
            Code::InvalidField,
            "damaged",
        ),
    ];
    let links = [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::Char,
        EntryType::Fifo,
        EntryType::GNUSparse,
        EntryType::GNULongName,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ];
    let links = links.map(|kind| {
        let only = only(manifest().to_string().as_bytes());
        let file = only.with_kind("root.qcow2", Vec::new(), kind).bytes();
        ("another kind of member", file, Code::InvalidField, "in the file")
    });
    for (what, file, code, said) in table.into_iter().chain(links) {
        let refusal = match pool.send(&file, 70_000).await {
            Err(refusal) => refusal,
            Ok(_) => panic!("{what}: it was taken"),
        };
        assert_eq!(refusal.code, code, "{what}: {refusal:?}");
        let all = format!("{refusal:?}");
        assert!(refusal.message.contains(said), "{what}: {all}");
        pool.is_cleared();
    }
}

#[tokio::test]
async fn what_another_program_wrote_is_written_anew() {
    let pool = Pool::new();
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw");
    let mut bytes = vec![0; 1 << 20];
    bytes[300_000..400_000].fill(5);
    fs::write(&raw, &bytes).unwrap();
    let qcow2 = folder.path().join("disk");
    let convert = |options: &[&str]| {
        let arguments = [&["convert", "-f", "raw", "-O", "qcow2"], options].concat();
        Command::new("qemu-img").args(arguments).args([&raw, &qcow2]).output()
    };
    let Ok(output) = convert(&["-o", "cluster_size=4k"]) else {
        eprintln!("qemu-img is not installed: not tried with it");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let sent = fs::read(&qcow2).unwrap();
    let staged = pool.send(&Made::new(&manifest(), sent.clone()).bytes(), 9999).await.unwrap();
    let vm = VmId::new();
    pool.bring(vm, &staged).await.unwrap();
    let disk = staged.manifest().disks().next().unwrap();
    assert!(contents(&pool, vm, disk).await == bytes);
    let written = fs::read(pool.volume(vm, "root.qcow2")).unwrap();
    assert!(written != sent && written.len() > sent.len(), "it has clusters of another size");
    let said = testing::qemu_img(&["check", "-f", "qcow2"], &pool.volume(vm, "root.qcow2"));
    assert!(said.unwrap().contains("No errors were found"));
    assert_eq!(pool.names(&format!("volumes/{vm}")).len(), 2, "the disk and the marker");
    // Packed ones would have to be unpacked by a program that believes them.
    assert!(convert(&["-c"]).unwrap().status.success());
    let refusal = pool.send(&Made::new(&manifest(), fs::read(&qcow2).unwrap()).bytes(), 9999).await;
    let refusal = refusal.unwrap_err();
    assert!(format!("{refusal:?}").contains("compressed"), "{refusal:?}");
}
