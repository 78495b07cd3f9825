//! What needs no daemon: usage, help, manual, completion, `serve`'s configuration, `doctor`; and what
//! is said when a daemon is needed and not there.

use crate::{check_exit, data, inn, inn_in, talk};
use serde_json::Value;
use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
};

#[test]
fn a_line_that_makes_no_sense_is_a_usage_error() {
    for line in [
        &[][..],
        &["frobnicate"],
        &["get"],
        &["get", ""],
        &["create"],
        &["create", "a,b"],
        &["create", "web", "--memory", "512"],
        &["create", "web", "--cmdline", "quiet"],
        &["create", "web", "--nic"],
        &["create", "--from-file", "-", "--user-data", "-"],
        &["stop", "web", "--timeout", "60"],
        &["wait", "web", "--for", "bliss"],
        &["create", "--from-file", "/nonexistent.yaml"],
        &["create", "--from-file", "/etc/hostname"],
        &["list", "-o", "xml"],
    ] {
        let output = inn_in("/nonexistent".as_ref(), line);
        check_exit(&output, 2);
        assert!(!talk(&output).is_empty() && data(&output).is_empty(), "{line:?}");
    }
}

#[test]
fn help_and_manual_tell_the_exit_codes() {
    for line in [&["--help"][..], &["help"], &["man"]] {
        let output = inn(line).output().unwrap();
        check_exit(&output, 0);
        let text = data(&output);
        assert!(text.contains("daemon refused") && text.contains("130"), "{line:?}: {text}");
    }
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = inn(&["man", "--dir"]).arg(folder.path()).output().unwrap();
    check_exit(&output, 0);
    for page in ["inn.1", "inn-serve.1", "inn-create.1", "inn-image-add.1"] {
        let text = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
    check_exit(&inn(&["man", "--dir", "/nonexistent/folder"]).output().unwrap(), 2);
}

#[test]
fn every_shell_gets_a_script_that_asks_this_program() {
    for shell in ["bash", "zsh", "fish", "elvish"] {
        let output = inn(&["completion", shell]).output().unwrap();
        check_exit(&output, 0);
        assert!(data(&output).contains("INN_COMPLETE"), "{shell}");
    }
    check_exit(&inn(&["completion", "tcsh"]).output().unwrap(), 2);
}

#[test]
fn words_are_completed_without_a_daemon() {
    let output = inn(&["--", "inn", "cons"])
        .env("INN_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "1")
        .output()
        .unwrap();
    assert_eq!(data(&output).trim(), "console");
}

#[test]
fn a_daemon_that_is_not_there_is_told_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for line in [&["list"][..], &["start", "web"], &["console", "web"], &["events"], &["host"]] {
        let output = inn_in(folder.path(), line);
        check_exit(&output, 5);
        let text = talk(&output);
        let remedy = format!("inn serve --state-dir {}", folder.path().display());
        assert!(text.contains("there is no socket") && text.contains(&remedy), "{text}");
        assert!(data(&output).is_empty());
    }
    drop(UnixListener::bind(folder.path().join("inn.sock")).unwrap());
    let output = inn_in(folder.path(), &["list"]);
    check_exit(&output, 5);
    assert!(talk(&output).contains("nobody listens"), "{}", talk(&output));
}

#[test]
fn a_flag_outranks_the_variables() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = inn(&["list", "--state-dir"]);
    let output = command.arg(folder.path()).env("INN_SOCKET", "/elsewhere/s").output().unwrap();
    assert!(talk(&output).contains(&folder.path().display().to_string()), "{}", talk(&output));
    let output = inn(&["list"]).env("INN_SOCKET", "/elsewhere/s").output().unwrap();
    assert!(talk(&output).contains("/elsewhere/s"), "{}", talk(&output));
}

#[test]
fn serve_refuses_what_it_cannot_serve_on_and_what_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let output = inn_in(folder.path(), &["serve", "--listen", "0.0.0.0:7100"]);
    check_exit(&output, 2);
    assert!(talk(&output).contains("0.0.0.0:7100") && talk(&output).contains("loopback"));

    let config = folder.path().join("config.toml");
    fs::write(&config, "driver = \"qemu\"\nlisten_on = []\n").unwrap();
    let output = inn_in(folder.path(), &["serve", "--config", config.to_str().unwrap()]);
    check_exit(&output, 2);
    let text = talk(&output);
    assert!(text.contains("line 2") && text.contains("listen_on"), "{text}");

    check_exit(&inn_in(folder.path(), &["serve", "--config", "/nonexistent"]), 2);
    check_exit(&inn_in(folder.path(), &["serve", "--driver", "bhyve"]), 2);
    let deep = folder.path().join("x".repeat(100));
    let output = inn_in(&deep, &["serve"]);
    check_exit(&output, 2);
    assert!(talk(&output).contains("107"), "{}", talk(&output));
    assert!(!deep.exists(), "a refused start leaves nothing behind");
}

#[test]
fn the_doctor_finds_what_is_missing_and_the_command_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = inn(&["doctor", "-o", "json", "--state-dir"])
        .arg(folder.path())
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    check_exit(&output, 1);
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let verdict = |what: &str| {
        let found = findings.iter().find(|finding| finding["what"] == what);
        found.unwrap_or_else(|| panic!("no {what} in {findings:?}"))["verdict"].clone()
    };
    assert_eq!(verdict("qemu"), "missing");
    assert_eq!(verdict("qemu-img"), "missing");
    assert_eq!(verdict("daemon"), "lacking");
    verdict("kvm");
}

#[test]
fn the_doctor_says_whether_vms_can_run_and_exits_so() {
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("bin");
    fs::create_dir(&programs).unwrap();
    for program in ["qemu-system-x86_64", "qemu-img", "nft"] {
        let program = programs.join(program);
        fs::write(&program, "#!/bin/sh\necho QEMU\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let doctor = || {
        let mut command = inn(&["doctor", "--state-dir"]);
        command.arg(folder.path()).env("PATH", &programs).output().unwrap()
    };
    let lacking = doctor();
    check_exit(&lacking, 0);
    assert!(data(&lacking).contains("VMs can run here, without what is lacking"));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o775)).unwrap();
    let missing = doctor();
    check_exit(&missing, 1);
    let text = data(&missing);
    let mend = format!("  chmod go-w {}\n", folder.path().display());
    assert!(text.contains("VMs cannot run here") && text.contains(&mend), "{text}");
}

#[test]
fn the_doctor_says_which_dnsmasq_is_there_and_whether_it_is_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("dnsmasq");
    let is_root = rustix::process::geteuid().is_root();
    for (version, good) in [("2.80", !is_root), ("2.90", true)] {
        let script = format!("#!/bin/sh\necho 'Dnsmasq version {version}  Copyright'\n");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut doctor = inn(&["doctor", "-o", "json", "--state-dir"]);
        let output = doctor.arg(folder.path()).env("PATH", folder.path()).output().unwrap();
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let found = findings.iter().find(|finding| finding["what"] == "dnsmasq").unwrap();
        assert_eq!(found["verdict"] == "good", good, "{found}");
        let detail = found["detail"].as_str().unwrap();
        assert!(detail.contains(version) && detail.contains("/dnsmasq"), "{detail}");
        assert_eq!(detail.contains("2.81 or newer is needed"), version == "2.80", "{detail}");
    }
}

#[test]
fn the_doctor_names_hooks_that_will_not_run_and_what_mends_them() {
    let folder = tempfile::tempdir().unwrap();
    let hooks = folder.path().join("hooks/pre-start");
    fs::create_dir_all(&hooks).unwrap();
    let found = || {
        let mut doctor = inn(&["doctor", "-o", "json", "--state-dir"]);
        let output = doctor.arg(folder.path()).output().unwrap();
        let mut findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        findings.retain(|finding| finding["what"] == "hooks");
        findings
    };
    assert!(matches!(&found()[..], [one] if one["verdict"] == "good"), "{:?}", found());
    let hook = hooks.join("10-dns");
    fs::write(&hook, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(folder.path().join("hooks/pre-strat")).unwrap();
    let bad = found();
    assert!(bad.len() == 2 && bad.iter().all(|one| one["verdict"] == "lacking"), "{bad:?}");
    let mend = |text: &str| bad.iter().any(|one| one["mend"].as_str().unwrap().contains(text));
    assert!(
        mend("chmod u+x") && bad.iter().any(|one| one.to_string().contains("pre-strat")),
        "{bad:?}"
    );
}

#[test]
fn serve_refuses_a_folder_that_others_can_write_to_and_leaves_it_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let output = inn_in(folder.path(), &["serve"]);
    check_exit(&output, 4);
    assert!(talk(&output).contains("hint: name a folder in it"), "{}", talk(&output));
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o7777, 0o1777);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_doctor_names_a_damaged_spec_and_leaves_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let specs = folder.path().join("vms");
    fs::create_dir(&specs).unwrap();
    let file = specs.join("0192a4b0-0000-7000-8000-000000000001.json");
    fs::write(&file, "{\"schema\": 1,").unwrap();
    let output = inn_in(folder.path(), &["doctor"]);
    let text = data(&output);
    assert!(text.contains(file.to_str().unwrap()), "{text}{}", talk(&output));
    let mend = format!(
        "inn delete --force 0192a4b0-0000-7000-8000-000000000001 --state-dir {} ",
        folder.path().display()
    );
    assert!(text.contains(&mend), "{text}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"schema\": 1,");
}

#[test]
fn the_doctor_names_a_damaged_network_and_leaves_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("networks/0192a4b0-0000-7000-8000-0000000000b1.json");
    fs::create_dir_all(folder.path().join("vms")).unwrap();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "{").unwrap();
    let text = data(&inn_in(folder.path(), &["doctor"]));
    assert!(text.contains("stored network 0192a4b0"), "{text}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{");
}

#[test]
fn the_doctor_names_what_the_journal_has_lost_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    fs::create_dir_all(folder.path().join("vms")).unwrap();
    fs::create_dir_all(&journal).unwrap();
    // The report is damaged itself, which is damage, too.
    let segment = journal.join("journal-00000000000000000005.inn");
    let [aside, report] =
        ["damaged", "report"].map(|kind| segment.with_extension(format!("inn.{kind}")));
    fs::write(&aside, "").unwrap();
    fs::write(&report, "?").unwrap();
    let text = data(&inn_in(folder.path(), &["doctor"]));
    let mend = format!("mv {} ~/", aside.display());
    assert!(text.contains("damaged at byte 0") && text.contains(&mend), "{text}");
    fs::remove_file(&aside).unwrap();
    let text = data(&inn_in(folder.path(), &["doctor"]));
    assert!(!text.contains("damaged at byte"), "{text}");
    assert!(report.exists(), "it changes nothing");
}
