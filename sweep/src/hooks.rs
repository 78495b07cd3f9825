//! Hooks that run until they are let go, so that whatever is to happen in their midst finds them there.

use innkeeper_engine::{Point, Site};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The events that have one.
const EVENTS: [&str; 2] = ["pre-start", "post-start"];

/// Writes the hooks into a trial's folder.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    let gates = gates(folder);
    fs::create_dir_all(&gates)?;
    for event in EVENTS {
        let hooks = folder.join("hooks").join(event);
        fs::create_dir_all(&hooks)?;
        let file = hooks.join("10-waits");
        fs::write(&file, script(&gates, event))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Waits for a file. A daemon that was killed may leave it waiting: it ends with the trial's folder, too.
fn script(gates: &Path, event: &str) -> String {
    let gates = gates.display();
    format!(
        "#!/bin/sh\nwhile [ -d '{gates}' ] && ! [ -e '{gates}/{event}' ]; do sleep 0.01; done\n"
    )
}

/// Where the files appear that hooks wait for.
fn gates(folder: &Path) -> PathBuf {
    folder.join("gates")
}

/// Lets the hook go that waits at this point, if one does.
pub(crate) fn let_go(folder: &Path, point: &Point) {
    let name = point.path.rsplit('/').next().unwrap_or_default();
    if let Some(event) = name.strip_prefix("hook:").filter(|_| matches!(point.site, Site::InWait)) {
        open(folder, event);
    }
}

/// Lets all hooks go, those of a daemon that was killed and those that are still to come.
pub(crate) fn let_all_go(folder: &Path) {
    EVENTS.iter().for_each(|event| open(folder, event));
}

fn open(folder: &Path, event: &str) {
    // Where there are no hooks, none waits.
    let _ = fs::write(gates(folder).join(event), "");
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::TaskId;
    use std::{
        process::{Child, Command},
        thread,
        time::{Duration, Instant},
    };

    fn point(path: &str, site: Site) -> Point {
        Point {
            operation: "start".into(),
            path: path.into(),
            site,
            waits: true,
            task: TaskId::new(),
            vm: None,
        }
    }

    /// A hook that has come to its waiting: the shell reads its script after it was started, and has it open from then on.
    fn hook(folder: &Path, event: &str) -> Child {
        let script = folder.join("hooks").join(event).join("10-waits");
        let mut hook = Command::new(&script).spawn().unwrap();
        let files = PathBuf::from(format!("/proc/{}/fd", hook.id()));
        let deadline = Instant::now() + Duration::from_secs(60);
        while !fs::read_dir(&files)
            .unwrap()
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|open| open == script))
        {
            assert!(hook.try_wait().unwrap().is_none(), "the hook ended");
            assert!(Instant::now() < deadline, "the hook never read its script");
            // A poll: a process tells nobody what it opens.
            thread::sleep(Duration::from_millis(1));
        }
        hook
    }

    #[test]
    fn a_hook_waits_until_its_point_in_the_wait_is_passed_or_its_folder_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let mut first = hook(folder.path(), "pre-start");
        let mut second = hook(folder.path(), "post-start");
        for site in [Site::BeforeJournal, Site::AfterJournal, Site::AfterAct] {
            let_go(folder.path(), &point("hook:pre-start", site));
        }
        let_go(folder.path(), &point("set-want", Site::InWait));
        assert!(first.try_wait().unwrap().is_none());
        let_go(folder.path(), &point("hook:pre-start", Site::InWait));
        assert!(first.wait().unwrap().success());
        assert!(second.try_wait().unwrap().is_none());
        drop(folder);
        assert!(second.wait().unwrap().success());
    }
}
