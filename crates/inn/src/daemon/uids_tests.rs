use super::*;
use tempfile::TempDir;

/// A host: where its daemons say what they have, and folders for their states.
struct Host {
    folder: TempDir,
    registry: Registry,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let system_state = folder.path().join("system");
        let registry = Registry { folder: folder.path().join("run/uids"), system_state };
        Self { folder, registry }
    }

    fn state(&self, name: &str) -> PathBuf {
        let state = self.folder.path().join(name);
        fs::create_dir_all(&state).unwrap();
        state
    }

    fn start(&self, name: &str) -> Result<Claim, Refusal> {
        self.start_with(name, true, None)
    }

    fn start_with(
        &self,
        name: &str,
        has_vms: bool,
        configured: Option<&str>,
    ) -> Result<Claim, Refusal> {
        let state = self.state(name);
        let configured = configured.map(|text| text.parse().unwrap());
        let configured = configured.as_ref();
        self.registry.claim(Claimant { state_dir: &state, has_vms, configured })
    }

    /// The host is booted anew.
    fn boot(&self) {
        fs::remove_dir_all(&self.registry.folder).unwrap();
    }

    fn records(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.registry.folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != LOCK).collect();
        names.sort();
        names
    }
}

const BLOCK_0: &str = "2000000000-2000065535";
const BLOCK_1: &str = "2000065536-2000131071";

#[track_caller]
fn check(claim: &Claim, expected: &str) {
    assert_eq!(claim.range.to_string(), expected);
}

#[test]
fn daemons_side_by_side_have_ranges_of_their_own_and_keep_them() {
    let host = Host::new();
    let (one, two) = (host.start("one").unwrap(), host.start("two").unwrap());
    check(&one, BLOCK_0);
    check(&two, BLOCK_1);
    drop((one, two));
    check(&host.start("two").unwrap(), BLOCK_1);
    check(&host.start("one").unwrap(), BLOCK_0);
    assert_eq!(host.records(), [BLOCK_0, BLOCK_1]);
}

#[test]
fn the_guests_of_a_daemon_that_does_not_run_keep_their_users() {
    let host = Host::new();
    drop(host.start("one").unwrap());
    check(&host.start("two").unwrap(), BLOCK_1);
}

#[test]
fn the_range_of_a_state_folder_that_is_gone_is_free_again() {
    let host = Host::new();
    drop(host.start("one").unwrap());
    let _two = host.start("two").unwrap();
    fs::remove_dir_all(host.state("one")).unwrap();
    let three = host.start("three").unwrap();
    check(&three, BLOCK_0);
    drop(three);
    fs::remove_dir_all(host.state("three")).unwrap();
    drop(host.start_with("four", false, Some("5000-5999")).unwrap());
    assert_eq!(host.records(), [BLOCK_1, "5000-5999"], "the stale one was removed");
}

#[test]
fn the_hosts_own_daemon_keeps_its_range_over_a_boot() {
    let host = Host::new();
    drop(host.start("system").unwrap());
    host.boot();
    let _other = host.start("other").unwrap();
    check(&host.start("system").unwrap(), BLOCK_0);
}

#[test]
fn a_range_that_another_took_meanwhile_is_given_up_unless_vms_have_it() {
    let host = Host::new();
    drop(host.start("one").unwrap());
    host.boot();
    let other = host.start("other").unwrap();
    check(&other, BLOCK_0);
    let refusal = host.start("one").unwrap_err();
    let folder = host.state("other").canonicalize().unwrap();
    assert!(refusal.hint.unwrap().contains(folder.to_str().unwrap()));
    check(&host.start_with("one", false, None).unwrap(), BLOCK_1);
}

#[test]
fn a_configured_range_is_taken_or_refused() {
    let host = Host::new();
    let _one = host.start("one").unwrap();
    for range in [BLOCK_0, "1000-2000000000", "2000000007-2000000008", "2000065535-2000070000"] {
        let refusal = host.start_with("two", false, Some(range)).unwrap_err();
        assert_eq!(refusal.code, Code::InUse, "{range}");
    }
    let two = host.start_with("two", false, Some("2000065536-2000065540")).unwrap();
    check(&host.start("three").unwrap(), "2000131072-2000196607");
    // It is kept when it is configured no more.
    drop(two);
    check(&host.start("two").unwrap(), "2000065536-2000065540");
}

#[test]
fn vms_keep_their_users_when_the_configuration_changes() {
    let host = Host::new();
    drop(host.start_with("one", true, Some("5000-5999")).unwrap());
    let refusal = host.start_with("one", true, Some("6000-6999")).unwrap_err();
    assert!(refusal.hint.unwrap().contains("5000-5999"));
    check(&host.start_with("one", true, Some("4000-5999")).unwrap(), "4000-5999");
    check(&host.start_with("one", false, Some("6000-6999")).unwrap(), "6000-6999");
    assert_eq!(host.records(), ["6000-6999"]);
}

#[test]
fn many_that_start_at_once_have_ranges_of_their_own() {
    let host = Host::new();
    let claims: Vec<_> = thread::scope(|scope| {
        let start = |number| {
            let host = &host;
            scope.spawn(move || host.start(&format!("state{number}")).unwrap())
        };
        let started: Vec<_> = (0..16).map(start).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut firsts: Vec<_> = claims.iter().map(|claim| *claim.range.0.start()).collect();
    firsts.sort_unstable();
    let expected: Vec<_> = blocks().take(16).map(|block| *block.0.start()).collect();
    assert_eq!(firsts, expected);
}

#[test]
fn what_is_in_the_place_of_a_state_folder_that_is_gone_is_not_waited_for() {
    let host = Host::new();
    drop(host.start("one").unwrap());
    let file = host.state("one").join(REMEMBERED);
    fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        rustix::fs::FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    check(&host.start("two").unwrap(), BLOCK_0);
}

#[test]
fn the_blocks_end_below_two_to_the_31() {
    let last = blocks().last().unwrap();
    assert!(*last.0.end() <= MOST_UID && MOST_UID - last.0.end() < BLOCK, "{last}");
}
