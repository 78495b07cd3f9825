use super::*;
use std::{fs, os::unix::fs::PermissionsExt, time::Instant};

/// A stand-in for qemu-img: a shell script that is given the folder it runs in.
struct Fixture {
    folder: tempfile::TempDir,
    program: PathBuf,
}

fn script(text: &str) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    Fixture { folder, program }
}

impl Fixture {
    async fn run(
        &self,
        change: impl FnOnce(&mut Confinement<'_>),
    ) -> Result<String, QemuImgFailed> {
        self.run_until(change, &CancellationToken::new()).await
    }

    async fn run_until(
        &self,
        change: impl FnOnce(&mut Confinement<'_>),
        cancel: &CancellationToken,
    ) -> Result<String, QemuImgFailed> {
        let mut confinement = Confinement {
            program: &self.program,
            folder: self.folder.path(),
            uid: None,
            deadline: Duration::from_secs(30),
            largest_file: 1 << 20,
        };
        change(&mut confinement);
        let mut output = Vec::new();
        let on_output = |bytes: &[u8]| output.extend(bytes);
        confinement.run(&[], &[0], on_output, cancel).await?;
        Ok(String::from_utf8(output).unwrap())
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn it_runs_in_its_folder_with_limits_and_nothing_of_the_daemons() {
    let output = script("pwd; env; ulimit -v; ulimit -c; grep NoNewPrivs /proc/self/status")
        .run(|_| ())
        .await
        .unwrap();
    assert!(output.contains("LC_ALL=C"), "{output}");
    assert!(!output.contains("CARGO"), "{output}");
    assert!(output.contains("\n1048576\n0\nNoNewPrivs:\t1\n"), "{output}");
}

#[tokio::test]
async fn as_root_it_runs_as_nobody_without_groups_or_network() {
    if !is_root() {
        return;
    }
    let text = "id -u; id -G; cat /proc/net/dev | tail -n +3 | cut -d: -f1; cat /etc/shadow && exit 0 || exit 0";
    let output = script(text).run(|c| c.uid = Some(61_234)).await.unwrap();
    let words: Vec<_> = output.split_whitespace().collect();
    assert_eq!(words, ["61234", "61234", "lo"]);
}

#[tokio::test]
async fn what_it_says_against_a_file_is_told() {
    let refused =
        script("echo 'qemu-img: it is broken' >&2; echo more >&2; exit 1").run(|_| ()).await;
    assert!(matches!(&refused, Err(QemuImgFailed::Said(said)) if said == "it is broken"));
}

#[tokio::test]
async fn a_flood_of_words_is_cut() {
    let text = "i=0; while [ $i -lt 2000 ]; do echo 'a long line of complaint' >&2; i=$((i+1)); done; exit 2";
    match script(text).run(|_| ()).await {
        Err(QemuImgFailed::Said(said)) => assert!(said.len() <= MAX_MESSAGE),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_full_disk_and_a_file_over_the_limit_are_told_apart() {
    let full = script("echo 'qemu-img: x: No space left on device' >&2; exit 1")
        .run(|_| ())
        .await
        .unwrap_err();
    assert_eq!(Refusal::from(full).code, Code::OutOfSpace);
    let large = script("exec head -c 2000000 /dev/zero > large").run(|_| ()).await;
    assert!(matches!(large, Err(QemuImgFailed::TooMuchWritten(_))), "{large:?}");
}

#[tokio::test]
async fn a_missing_program_is_named_with_its_package() {
    let fixture = script("");
    let missing = Path::new("no-such-qemu-img");
    let failed = fixture.run(|c| c.program = missing).await.unwrap_err();
    let refusal = Refusal::from(failed);
    assert_eq!(refusal.code, Code::MissingProgram);
    assert!(refusal.hint.unwrap().contains("qemu-utils"));
}

/// Starts a script that has a child of its own, and returns both pids once they are there.
async fn pids(fixture: &Fixture) -> Vec<String> {
    let file = fixture.folder.path().join("pids");
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < Duration::from_secs(30), "the script never said its pids");
        let text = fs::read_to_string(&file).unwrap_or_default();
        if text.ends_with("ready\n") {
            return text.lines().take(2).map(str::to_owned).collect();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn lives(pid: &str) -> bool {
    // A zombie is dead; who reaps a grandchild is the system's business.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

const WITH_CHILD: &str = "sleep 600 & echo $$ > pids; echo $! >> pids; echo ready >> pids; wait";

async fn until_dead(pids: &[String]) {
    let start = Instant::now();
    while pids.iter().any(|pid| lives(pid)) {
        assert!(start.elapsed() < Duration::from_secs(10), "{pids:?} still live");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_cancel_kills_the_whole_group() {
    let fixture = script(WITH_CHILD);
    let cancel = CancellationToken::new();
    let (ended, pids) = tokio::join!(fixture.run_until(|_| (), &cancel), async {
        let pids = pids(&fixture).await;
        cancel.cancel();
        pids
    });
    assert!(matches!(ended, Err(QemuImgFailed::Cancelled)), "{ended:?}");
    assert!(!lives(&pids[0]), "it is reaped when the run returns");
    until_dead(&pids).await;
}

#[tokio::test]
async fn a_deadline_kills_it() {
    let fixture = script(WITH_CHILD);
    let deadline = Duration::from_millis(300);
    let ended = fixture.run(|c| c.deadline = deadline).await;
    assert!(matches!(ended, Err(QemuImgFailed::Deadline(_))), "{ended:?}");
    if fixture.folder.path().join("pids").exists() {
        until_dead(&pids(&fixture).await).await;
    }
}
