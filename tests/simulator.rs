//! `inn serve --driver sim`, as somebody uses it who has no hypervisor.

use crate::harness::{Daemon, SHORT, TCG, until};
use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

/// What comes of a command that is typed at.
fn typed(mut command: Command, text: &str) -> String {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{} {said} {:?}", output.status, output.stderr);
    said
}

#[test]
fn a_simulated_host_is_used_like_a_real_one() {
    let mut daemon = Daemon::prepared(TCG).with_flags(&["--driver", "sim"]);
    daemon.launch();
    let host = daemon.inn_ok(&["host"]);
    assert!(host.contains("sim"), "{host}");
    daemon.inn_ok(&["create", "web", "--memory", "512MiB", "--disk", "name=root,size=8MiB"]);

    // What would be done, and nothing of it done.
    let plan = daemon.inn_ok(&["start", "web", "--dry-run"]);
    assert!(plan.contains("sim/"), "{plan}");
    assert_eq!(daemon.vm("web")["state"], "stopped");
    let started = daemon.inn_ok(&["start", "web", "--no-wait"]);
    let watched = daemon.inn_ok(&["task", "watch", started.trim()]);
    assert!(watched.contains("sim/") && watched.contains("start of web: done"), "{watched}");
    for step in watched.lines().filter(|line| line.contains("sim/")) {
        let name = step.split_whitespace().find(|word| word.contains("sim/")).unwrap();
        let name = name.trim_end_matches(':');
        assert!(plan.contains(name), "{name} was not planned: {plan}");
    }

    let at_console =
        |text: &str| typed(daemon.command(&["console", "web", "--timeout", "1s"]), text);
    let said = at_console("help\nremember the milk\nuptime\n");
    assert!(said.contains("poweroff") && said.contains("booted 1 times"), "{said}");
    daemon.inn_ok(&["suspend", "web"]);
    let listed = daemon.inn_ok(&["list"]);
    assert!(listed.contains("suspended"), "{listed}");
    assert_eq!(daemon.inn(&["start", "web"]).status.code(), Some(4));
    daemon.inn_ok(&["resume", "web"]);
    let said = at_console("recall\nuptime\n");
    assert!(said.contains("the milk") && said.contains("booted 1 times"), "{said}");
    let log = daemon.inn_ok(&["logs", "web"]);
    assert!(log.contains("recall"), "{log}");

    let bundle = daemon.scratch().join("bundle.tar.gz");
    daemon.inn_ok(&["diagnose", "bundle", bundle.to_str().unwrap()]);
    assert!(fs::metadata(&bundle).unwrap().len() > 0);
    daemon.inn_ok(&["stop", "web"]);
    daemon.inn_ok(&["start", "web"]);
    typed(daemon.command(&["console", "web", "--timeout", "60s"]), "poweroff\n");
    daemon.inn_ok(&["wait", "web", "--for", "stopped", "--timeout", "60s"]);
    let end = daemon.vm("web")["facts"]["last_end"]["reason"].clone();
    assert_eq!(end, "guest_shutdown");
    daemon.inn_ok(&["delete", "web"]);
    until("nothing is left of it", SHORT, || {
        let left = daemon.inn_ok(&["list", "-o", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}
