use super::*;
use crate::{
    Hooks,
    fixture::{Fixture, set_mode, write_executable},
};
use innkeeper_model::{Code, Refusal};
use std::{fs, os::unix::fs::symlink, time::Duration};

fn names(fixture: &Fixture) -> Result<Vec<String>, Refusal> {
    let scripts = fixture.hooks().present(HookEvent::PreStart)?;
    Ok(scripts.iter().map(Script::name).collect())
}

/// That a file or folder is refused, with a hint that has these words.
#[track_caller]
fn refused(fixture: &Fixture, path: &Path, message: &str, hint: &str) {
    let refusal = names(fixture).expect_err("it is not fit to run");
    assert_eq!(refusal.code, Code::HookFailed);
    assert_eq!(refusal.value.as_deref(), path.to_str());
    assert!(refusal.message.contains(message), "{}", refusal.message);
    assert!(refusal.hint.as_ref().is_some_and(|h| h.contains(hint)), "{refusal:?}");
    assert!(fixture.hooks().problems().contains(&refusal), "a look at all finds it too");
}

#[test]
fn without_folders_there_are_no_hooks() {
    let fixture = Fixture::new();
    assert!(names(&fixture).unwrap().is_empty());
    assert_eq!(fixture.hooks().events(), [].into());
    fs::remove_dir(fixture.folder()).unwrap();
    assert!(names(&fixture).unwrap().is_empty());
    assert_eq!(fixture.hooks().events(), [].into());
    assert_eq!(fixture.hooks().problems(), []);
}

#[test]
fn hooks_come_in_the_order_of_their_names() {
    let fixture = Fixture::new();
    for name in ["b", "10-a", "9-a", "B", "é"] {
        fixture.script(name, "");
    }
    let expected = ["10-a", "9-a", "B", "b", "é"].map(|name| format!("pre-start/{name}"));
    assert_eq!(names(&fixture).unwrap(), expected);
    assert!(fixture.hooks().present(HookEvent::OnCrash).unwrap().is_empty());
    assert_eq!(fixture.hooks().events(), [HookEvent::PreStart].into());
}

#[test]
fn events_whose_hooks_cannot_be_told_count_as_having_some() {
    let fixture = Fixture::new();
    set_mode(&fixture.script("10-a", ""), 0o777);
    assert_eq!(fixture.hooks().events(), [HookEvent::PreStart].into());
    set_mode(&fixture.folder(), 0o777);
    assert_eq!(fixture.hooks().events(), HookEvent::ALL.into());
}

#[test]
fn what_is_left_over_is_passed_over_in_whatever_state_it_is() {
    let fixture = Fixture::new();
    let left_over = [
        ".hidden",
        "10-a~",
        "10-a.bak",
        "10-a.rpmsave",
        "10-a.rpmnew",
        "10-a.dpkg-old",
        "10-a.dpkg-dist",
        "README",
        "README.md",
    ];
    for name in left_over {
        let path = fixture.script(name, "");
        set_mode(&path, 0o666);
    }
    fixture.script("README-is-no-ending", "");
    assert_eq!(names(&fixture).unwrap(), ["pre-start/README-is-no-ending"]);
}

#[test]
fn a_file_that_others_can_write_to_is_refused() {
    for mode in [0o775, 0o757, 0o777, 0o720] {
        let fixture = Fixture::new();
        let path = fixture.script("10-a", "");
        set_mode(&path, mode);
        let hint = format!("chmod go-w {}", path.display());
        refused(&fixture, &path, &format!("(mode {mode:04o})"), &hint);
    }
}

#[test]
fn a_file_that_is_not_executable_is_refused() {
    let fixture = Fixture::new();
    let path = fixture.script("10-a", "");
    set_mode(&path, 0o644);
    refused(&fixture, &path, "not executable", &format!("chmod u+x {}", path.display()));
}

#[test]
fn a_link_is_refused_wherever_it_leads() {
    let fixture = Fixture::new();
    let target = fixture.script("10-a", "");
    let link = target.with_file_name("20-link");
    symlink(&target, &link).unwrap();
    refused(&fixture, &link, "is a link", "put the file itself");
    fs::remove_file(&link).unwrap();
    symlink("/nowhere", &link).unwrap();
    refused(&fixture, &link, "is a link", "put the file itself");
}

#[test]
fn what_is_not_a_file_is_refused_and_does_not_hold_the_daemon() {
    let fixture = Fixture::new();
    let path = fixture.script("10-a", "").with_file_name("20-b");
    fs::create_dir(&path).unwrap();
    refused(&fixture, &path, "not a regular file", "move");
    fs::remove_dir(&path).unwrap();
    let mode = Mode::from_raw_mode(0o755);
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, mode, 0).unwrap();
    refused(&fixture, &path, "not a regular file", "move");
}

#[test]
fn what_belongs_to_somebody_else_is_refused() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a file away");
        return;
    }
    let fixture = Fixture::new();
    let path = fixture.script("10-a", "");
    let folder = path.parent().unwrap().to_owned();
    for path in [path, folder, fixture.folder()] {
        std::os::unix::fs::chown(&path, Some(4242), None).unwrap();
        let hint = format!("chown root {}", path.display());
        refused(&fixture, &path, "belongs to the user 4242", &hint);
        let users = Hooks::new(fixture.folder(), Duration::ZERO, OwnerRule::User(4242));
        assert_eq!(
            users.present(HookEvent::PreStart).unwrap().len(),
            1,
            "it is that user's daemon"
        );
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    }
    assert_eq!(names(&fixture).unwrap(), ["pre-start/10-a"]);
}

#[test]
fn folders_must_be_as_safe_as_what_is_in_them() {
    let fixture = Fixture::new();
    let event = fixture.script("10-a", "").parent().unwrap().to_owned();
    for folder in [event.clone(), fixture.folder()] {
        set_mode(&folder, 0o775);
        refused(&fixture, &folder, "(mode 0775)", "chmod go-w");
        set_mode(&folder, 0o755);

        let elsewhere = fixture.note("real");
        fs::rename(&folder, &elsewhere).unwrap();
        symlink(&elsewhere, &folder).unwrap();
        refused(&fixture, &folder, "is a link", "put the file itself");
        fs::remove_file(&folder).unwrap();
        write_executable(&folder, "");
        refused(&fixture, &folder, "is not a folder", "move");
        fs::remove_file(&folder).unwrap();
        fs::rename(&elsewhere, &folder).unwrap();
    }
    assert_eq!(names(&fixture).unwrap(), ["pre-start/10-a"]);
}

#[test]
fn a_slash_after_the_folders_name_does_not_follow_a_link() {
    let fixture = Fixture::new();
    let link = fixture.note("link");
    symlink(fixture.folder(), &link).unwrap();
    let folder = PathBuf::from(format!("{}/", link.display()));
    let hooks = Hooks::new(folder, Duration::ZERO, OwnerRule::of_this_process());
    assert!(hooks.present(HookEvent::PreStart).unwrap_err().message.contains("is a link"));
}

#[test]
fn a_folder_that_is_named_for_no_event_is_found_by_a_look_at_all() {
    let fixture = Fixture::new();
    fixture.script("10-a", "");
    fs::create_dir(fixture.folder().join("prestart")).unwrap();
    fs::write(fixture.folder().join("README"), "").unwrap();
    let problems = fixture.hooks().problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].message.contains("prestart is not named for an event"), "{problems:?}");
    assert!(problems[0].hint.as_ref().unwrap().contains("pre-start, post-start"));
    assert_eq!(names(&fixture).unwrap().len(), 1, "it stops no operation");
}

#[test]
fn hooks_without_end_are_refused() {
    let fixture = Fixture::new();
    let first = fixture.script("00", "");
    for n in 1..MAX_SCRIPTS {
        fs::copy(&first, first.with_file_name(format!("{n:02}"))).unwrap();
    }
    assert_eq!(names(&fixture).unwrap().len(), MAX_SCRIPTS);
    fs::copy(&first, first.with_file_name("one-more")).unwrap();
    let refusal = names(&fixture).unwrap_err();
    assert_eq!(refusal.limit.as_deref(), Some("64"));
}
