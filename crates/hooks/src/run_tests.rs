//! How one hook is run: what it finds, and that nothing it does holds the daemon or outlives it.

use super::*;
use crate::{
    HookEvent,
    fixture::{Fixture, PATIENCE, lives, until_dead},
    output::KEPT,
};
use std::{fs, os::fd::AsRawFd, sync::LazyLock, time::Instant};

/// A run without input that has all the time it wants.
fn plain(cancelled: &CancellationToken) -> Run<'_> {
    static SUBJECT: LazyLock<Subject> =
        LazyLock::new(|| Subject { vm_id: "an-id".into(), vm_name: "a-name".into() });
    Run { subject: &SUBJECT, input: b"", deadline: PATIENCE, cancelled }
}

/// The fixture's only hook.
fn only(fixture: &Fixture) -> Arc<Script> {
    let mut scripts = fixture.hooks().present(HookEvent::PreStart).unwrap();
    assert_eq!(scripts.len(), 1);
    Arc::new(scripts.remove(0))
}

/// Runs the fixture's only hook.
async fn run_with(fixture: &Fixture, input: &[u8], deadline: Duration) -> (End, Output) {
    let script = only(fixture);
    let cancelled = CancellationToken::new();
    Run { input, deadline, ..plain(&cancelled) }.of(script.clone()).await.unwrap()
}

async fn run_only(fixture: &Fixture) -> (End, Output) {
    run_with(fixture, b"", PATIENCE).await
}

async fn run(text: &str) -> (End, Vec<String>) {
    let fixture = Fixture::new();
    fixture.script("10-a", text);
    let (end, mut output) = run_only(&fixture).await;
    (end, output.tail(100))
}

#[tokio::test]
async fn a_hook_finds_an_environment_of_its_own_and_nothing_else() {
    let fixture = Fixture::new();
    // As the kernel gave it to the shell, which adds some of its own.
    let path = fixture.script("10-a", "tr '\\0' '\\n' < /proc/$$/environ");
    let (end, mut output) = run_only(&fixture).await;
    assert_eq!(end, End::Exited(0));
    let mut found = output.tail(100);
    found.sort();
    let hook = format!("INN_HOOK={}", path.display());
    let path = format!("PATH={}", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let expected = [
        "INN_EVENT=pre-start",
        &hook,
        "INN_VM_ID=an-id",
        "INN_VM_NAME=a-name",
        "LANG=C.UTF-8",
        &path,
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn it_runs_in_the_root_folder_in_a_session_of_its_own() {
    let (end, said) = run("pwd; umask; cut -d' ' -f1,5,6 /proc/$$/stat; echo $$").await;
    assert_eq!(end, End::Exited(0));
    let pid = &said[3];
    assert_eq!(said[..3], ["/", "0022", &*format!("{pid} {pid} {pid}")]);
}

#[tokio::test]
async fn signals_are_as_a_program_expects_them() {
    let (_, said) = run("exec grep -E '^Sig(Blk|Ign):' /proc/self/status").await;
    assert_eq!(said.len(), 2);
    for line in said {
        // The last eight digits: above them, and in their first bit, are those of the C library.
        let standard = u32::from_str_radix(&line[line.len() - 8..], 16).unwrap() & 0x7fff_ffff;
        assert_eq!(standard, 0, "{line}");
    }
}

#[tokio::test]
async fn it_inherits_no_descriptor_but_its_own_file() {
    let leak = fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let fixture = Fixture::new();
    let path = fixture.script("10-a", "exec ls -l /proc/self/fd");
    let (_, mut output) = run_only(&fixture).await;
    let said = output.tail(100);
    let targets = said.iter().filter_map(|line| line.split_once(" -> ")).map(|(_, target)| target);
    // What ls itself has open is the folder that it lists.
    let foreign = targets.filter(|to| !to.starts_with("pipe:") && !to.starts_with("/proc/"));
    let found: Vec<_> = foreign.collect();
    assert_eq!(found, [path.to_str().unwrap()], "{} may have leaked", leak.as_raw_fd());
}

#[tokio::test]
async fn it_has_no_access_to_its_own_file_by_that_descriptor() {
    let (_, said) = run("exec grep -sh '^flags:' /proc/self/fdinfo/*").await;
    let flags = said.iter().map(|line| line.trim_start_matches("flags:").trim());
    let flags: Vec<_> = flags.map(|octal| i32::from_str_radix(octal, 8).unwrap()).collect();
    let without_access = flags.iter().filter(|flags| **flags & libc::O_PATH != 0);
    assert_eq!(without_access.count(), 1, "{said:?}");
    let to_write = flags.iter().filter(|flags| **flags & libc::O_ACCMODE != libc::O_RDONLY);
    assert_eq!(to_write.count(), 2, "its two outputs: {said:?}");
}

#[tokio::test]
async fn both_outputs_come_in_the_order_in_which_they_were_said() {
    let (_, said) = run("echo one; echo two >&2; echo three; exit 7").await;
    assert_eq!(said, ["one", "two", "three"]);
}

#[tokio::test]
async fn how_it_ended_is_told() {
    assert_eq!(run("exit 7").await.0, End::Exited(7));
    assert_eq!(run("kill -USR1 $$").await.0, End::Signalled(libc::SIGUSR1));
}

#[tokio::test]
async fn the_input_is_read_whole_however_long_it_is() {
    let fixture = Fixture::new();
    fixture.script("10-a", "sleep 0.1; wc -c");
    let input = vec![b'x'; 3 << 20];
    let (_, mut output) = run_with(&fixture, &input, PATIENCE).await;
    assert_eq!(output.tail(1), [(3 << 20).to_string()]);
}

#[tokio::test]
async fn a_hook_may_talk_before_it_listens() {
    let fixture = Fixture::new();
    fixture.script("10-a", "head -c 1000000 /dev/zero; echo; wc -c");
    let (_, mut output) = run_with(&fixture, &vec![b'x'; 3 << 20], PATIENCE).await;
    assert_eq!(output.tail(1).last().unwrap(), &(3 << 20).to_string());
}

#[tokio::test]
async fn a_hook_need_not_read_its_input() {
    for text in ["exit 0", "exec <&-; sleep 0.1; exit 0"] {
        let fixture = Fixture::new();
        fixture.script("10-a", text);
        let (end, _) = run_with(&fixture, &[b'x'; 1 << 20], PATIENCE).await;
        assert_eq!(end, End::Exited(0));
    }
}

#[tokio::test]
async fn a_flood_is_read_to_its_end_and_only_its_end_is_kept() {
    let (end, said) = run("head -c 104857600 /dev/zero | tr '\\0' 'x'; echo; echo the end").await;
    assert_eq!(end, End::Exited(0));
    assert_eq!(said.last().unwrap(), "the end");
    let left_out = 104_857_600 + 1 + "the end\n".len() - KEPT;
    assert_eq!(said[0], format!("({left_out} bytes of output before this are left out)"));
}

#[tokio::test]
async fn what_it_leaves_in_its_group_is_not_waited_for_and_killed() {
    let fixture = Fixture::new();
    fixture.script("10-a", "sleep 600 & echo $! > NOTES/pid; echo said");
    let (end, mut output) = run_only(&fixture).await;
    assert_eq!(end, End::Exited(0));
    assert_eq!(output.tail(9), ["said"]);
    until_dead(&[&fixture.noted("pid").await]).await;
}

#[tokio::test]
async fn what_has_left_its_group_with_its_output_is_not_waited_for() {
    let fixture = Fixture::new();
    let detached = "setsid sh -c 'echo $$ > NOTES/pid; trap \"\" PIPE
        while [ -e NOTES/pid ]; do echo flood; done' &
        until [ -s NOTES/pid ]; do sleep 0.01; done; echo said";
    fixture.script("10-a", detached);
    let (end, _) = run_only(&fixture).await;
    assert_eq!(end, End::Exited(0));
    let pid = fixture.noted("pid").await;
    assert!(lives(&pid), "it has detached itself, and is somebody else's from then on");
    fs::remove_file(fixture.note("pid")).unwrap();
    until_dead(&[&pid]).await;
}

#[test]
fn what_goes_on_talking_for_ever_is_not_listened_to_for_ever() {
    // It returns at all.
    read_what_is_left(fs::File::open("/dev/zero").unwrap(), &mut Output::default());
}

const DEAF: &str =
    "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > NOTES/child; sleep 600; sleep 600' &
    echo $$ > NOTES/self; while :; do sleep 600; done";

async fn pids(fixture: &Fixture) -> [String; 2] {
    [fixture.noted("self").await, fixture.noted("child").await]
}

#[tokio::test]
async fn a_deadline_kills_the_whole_group() {
    let fixture = Fixture::new();
    fixture.script("10-a", &format!("echo hello; {DEAF}"));
    let (end, mut output) = run_with(&fixture, b"", Duration::from_millis(1500)).await;
    assert_eq!(end, End::Deadline);
    assert_eq!(output.tail(9), ["hello"]);
    let pids = pids(&fixture).await;
    assert!(!lives(&pids[0]), "it is reaped when the run returns");
    until_dead(&[&pids[1]]).await;
}

#[tokio::test]
async fn a_flood_without_end_does_not_hold_back_the_deadline() {
    let fixture = Fixture::new();
    fixture.script("10-a", "for n in 1 2 3 4; do cat /dev/zero & done; wait");
    let (end, _) = run_with(&fixture, b"", Duration::from_millis(300)).await;
    assert_eq!(end, End::Deadline);
}

#[tokio::test]
async fn a_hook_that_closes_its_output_still_has_its_deadline() {
    let fixture = Fixture::new();
    fixture.script("10-a", "exec >&- 2>&-; sleep 600");
    let (end, _) = run_with(&fixture, b"", Duration::from_millis(200)).await;
    assert_eq!(end, End::Deadline);
}

/// Cancels a hook once it has noted who it is; how it ended, and how long after the cancel.
async fn cancel(fixture: &Fixture) -> (End, Output, Duration) {
    let script = only(fixture);
    let cancelled = CancellationToken::new();
    let run = plain(&cancelled);
    let (ended, since) =
        tokio::join!(async { (run.of(script.clone()).await.unwrap(), Instant::now()) }, async {
            fixture.noted("self").await;
            fixture.noted("child").await;
            cancelled.cancel();
            Instant::now()
        });
    let ((end, output), at) = ended;
    (end, output, at - since)
}

#[tokio::test]
async fn a_cancel_kills_what_does_not_listen_within_two_seconds() {
    let fixture = Fixture::new();
    fixture.script("10-a", DEAF);
    let (end, _, took) = cancel(&fixture).await;
    assert_eq!(end, End::Cancelled);
    assert!(took < Duration::from_secs(2), "{took:?}");
    let pids = pids(&fixture).await;
    assert!(!lives(&pids[0]));
    until_dead(&[&pids[1]]).await;
}

#[tokio::test]
async fn a_cancel_lets_a_hook_tidy_up() {
    let fixture = Fixture::new();
    let text = "trap 'echo tidied; exit 0' TERM; sleep 600 &
        echo $$ > NOTES/self; echo $! > NOTES/child; wait";
    fixture.script("10-a", text);
    let (end, mut output, _) = cancel(&fixture).await;
    assert_eq!(end, End::Cancelled, "even if it says that all is well");
    assert_eq!(output.tail(9), ["tidied"]);
    until_dead(&[&fixture.noted("child").await]).await;
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_is_killed() {
    let fixture = Fixture::new();
    fixture.script("10-a", DEAF);
    let script = only(&fixture);
    let cancelled = CancellationToken::new();
    let run = plain(&cancelled);
    let pids = tokio::select! {
        _ = run.of(script.clone()) => panic!("it never ends by itself"),
        pids = pids(&fixture) => pids,
    };
    until_dead(&[&pids[0], &pids[1]]).await;
}

#[test]
fn a_start_that_does_not_come_about_holds_nobody_and_is_not_made_up_for() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let fixture = Fixture::new();
    fixture.script("10-a", "echo ran > NOTES/log");
    let script = only(&fixture);
    let (go, held) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        let busy = tokio::task::spawn_blocking(move || held.recv());
        let cancelled = CancellationToken::new();
        let late = Run { deadline: Duration::from_millis(50), ..plain(&cancelled) };
        assert_eq!(late.of(script.clone()).await.unwrap().0, End::Deadline);
        cancelled.cancel();
        assert_eq!(plain(&cancelled).of(script.clone()).await.unwrap().0, End::Cancelled);
        drop(go);
        busy.await.unwrap().unwrap_err();
        // What was asked for meanwhile would come before this.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    });
    assert!(!fixture.note("log").exists());
}

/// The errno with which a file with this text cannot be started.
async fn not_started(text: &str) -> Option<i32> {
    let fixture = Fixture::new();
    fixture.file("10-a", text);
    let script = only(&fixture);
    plain(&CancellationToken::new()).of(script.clone()).await.unwrap_err().raw_os_error()
}

#[tokio::test]
async fn what_the_kernel_cannot_run_is_not_given_to_a_shell() {
    assert_eq!(not_started("#!/no/such/interpreter\n").await, Some(libc::ENOENT));
    assert_eq!(not_started("touch NOTES/was-here\n").await, Some(libc::ENOEXEC));
    assert_eq!(not_started("").await, Some(libc::ENOEXEC));
    assert_eq!(not_started("#!/etc/passwd\n").await, Some(libc::EACCES));
}

#[tokio::test]
async fn what_was_looked_at_is_what_runs() {
    let fixture = Fixture::new();
    let path = fixture.script("10-a", "echo the one that was looked at");
    let script = only(&fixture);
    fs::remove_file(&path).unwrap();
    fixture.script("10-a", "echo another");
    let cancelled = CancellationToken::new();
    let run = plain(&cancelled);
    let (end, mut output) = run.of(script.clone()).await.unwrap();
    assert_eq!((end, output.tail(9)), (End::Exited(0), vec!["the one that was looked at".into()]));
    fs::remove_file(&path).unwrap();
    let (end, _) = run.of(script.clone()).await.unwrap();
    assert_eq!(end, End::Exited(0), "removed, it still runs");
}

#[tokio::test]
async fn programs_and_other_interpreters_run_as_well() {
    let fixture = Fixture::new();
    let path = fixture.script("10-a", "");
    fs::remove_file(&path).unwrap();
    let copied = std::process::Command::new("cp").arg("/bin/cat").arg(&path).status().unwrap();
    assert!(copied.success());
    let (end, mut output) = run_with(&fixture, b"{}\n", PATIENCE).await;
    assert_eq!((end, output.tail(9)), (End::Exited(0), vec!["{}".into()]));

    for (interpreter, text) in [("/bin/bash", "echo it"), ("/usr/bin/perl", "print \"it\\n\";")] {
        if !std::path::Path::new(interpreter).exists() {
            eprintln!("skipped: there is no {interpreter}");
            continue;
        }
        let fixture = Fixture::new();
        fixture.file("10-a", &format!("#!{interpreter}\n{text}\n"));
        let (end, mut output) = run_only(&fixture).await;
        assert_eq!((end, output.tail(9)), (End::Exited(0), vec!["it".into()]), "{interpreter}");
    }
}
