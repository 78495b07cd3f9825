//! Cloud-init's seed.

use super::tiny;
use crate::harness::{BOOT, Daemon, GuestSlots, files_in, new_value};
use serde_json::json;

#[test]
fn a_guest_finds_its_seed_and_nobody_else_does() {
    const SECRET: &str = "correct-horse-battery-staple";
    let _slot = GuestSlots::one();
    let daemon = Daemon::start();
    daemon.import_tiny();
    let user_data = format!("#cloud-config\npassword: {SECRET}\n");
    let network = format!("# {SECRET}\nversion: 2\n");
    let mut config = tiny("seeded", "");
    config["cloud_init"] = json!({ "user_data": user_data, "network_config": network });
    let mut feed = daemon.feed();
    let id = daemon.create(&config);
    daemon.act("seeded", "start");
    let mut console = daemon.console("seeded");
    console.log_in();
    let device = "$(findfs LABEL=CIDATA || findfs LABEL=cidata)";
    console.output_of(&format!("mount -t vfat -o ro {device} /mnt"));
    assert_eq!(console.output_of("cat /mnt/user-data").replace('\r', ""), user_data.trim_end());
    assert_eq!(console.output_of("cat /mnt/network-config"), network.trim_end());
    let meta_data = console.output_of("cat /mnt/meta-data");
    assert!(meta_data.contains(&id) && meta_data.contains("seeded"), "{meta_data}");
    // The console has shown it, and its log is the guest's own.
    daemon.act("seeded", "kill");
    daemon.act("seeded", "start");

    let shown = daemon.inn_ok(&["get", "seeded", "-o", "json"]);
    assert!(shown.contains("sha256:") && !shown.contains(SECRET), "{shown}");
    let mut told = String::new();
    feed.expect("the kill", BOOT, |change| {
        told += &change.to_string();
        new_value(change, "facts.last_end.reason").is_some()
    });
    assert!(!told.contains(SECRET), "{told}");
    let seed = daemon.state().join("pool/volumes").join(&id).join("seed.img");
    let files = files_in(daemon.scratch());
    let has_secret =
        |bytes: &[u8]| bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
    let with_secret: Vec<_> = files.iter().filter(|(_, bytes)| has_secret(bytes)).collect();
    let with_secret: Vec<_> = with_secret.into_iter().map(|(path, _)| path).collect();
    assert_eq!(with_secret, [&seed]);
}
