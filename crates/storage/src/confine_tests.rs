use super::*;
use innkeeper_model::Code;
use std::{fs, io::Read, os::unix::fs::symlink};

struct Fixture {
    folder: tempfile::TempDir,
    allowed: AllowedFolders,
}

/// A folder with `allowed/inside`, `outside`, and `allowed/own/secret` which is Innkeeper's.
fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir_all(path.join("allowed/own")).unwrap();
    fs::write(path.join("allowed/inside"), "inside").unwrap();
    fs::write(path.join("allowed/own/secret"), "secret").unwrap();
    fs::write(path.join("outside"), "outside").unwrap();
    let allowed = AllowedFolders::new(vec![path.join("allowed")], &[path.join("allowed/own")]);
    Fixture { folder, allowed }
}

impl Fixture {
    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn open(&self, relative: &str) -> Result<String, OpenFailed> {
        let file = self.allowed.file(&self.path(relative))?;
        let mut text = String::new();
        let mut file = fs::File::from(file.open(Access::Read)?);
        file.read_to_string(&mut text).unwrap();
        Ok(text)
    }
}

#[test]
fn a_file_in_an_allowed_folder_is_opened() {
    assert_eq!(fixture().open("allowed/inside").unwrap(), "inside");
}

#[test]
fn what_is_written_as_outside_is_refused_without_looking() {
    let fixture = fixture();
    for relative in
        ["outside", "allowed/../outside", "allowed", "allowed-too/file", "allowed/./../outside"]
    {
        let failed = fixture.open(relative).unwrap_err();
        assert!(matches!(failed, OpenFailed::NotAllowed { .. }), "{relative}: {failed}");
    }
    let relative = fixture.allowed.file(Path::new("allowed/inside")).unwrap_err();
    let refusal = relative.at("disks[root].path");
    assert_eq!(refusal.code, Code::InvalidField);
    assert_eq!(refusal.field.as_deref(), Some("disks[root].path"));
    assert!(refusal.limit.unwrap().ends_with("/allowed"));
}

#[test]
fn a_link_is_followed_inside_and_not_outside() {
    let fixture = fixture();
    symlink("inside", fixture.path("allowed/good")).unwrap();
    assert_eq!(fixture.open("allowed/good").unwrap(), "inside");

    symlink(fixture.path("outside"), fixture.path("allowed/absolute")).unwrap();
    symlink("../outside", fixture.path("allowed/relative")).unwrap();
    symlink("..", fixture.path("allowed/up")).unwrap();
    symlink("/proc/self/root/etc/passwd", fixture.path("allowed/magic")).unwrap();
    for relative in ["allowed/absolute", "allowed/relative", "allowed/up/outside", "allowed/magic"]
    {
        let failed = fixture.open(relative).unwrap_err();
        assert!(matches!(failed, OpenFailed::Escapes { .. }), "{relative}: {failed}");
    }
}

#[test]
fn innkeepers_own_files_are_not_opened_even_in_an_allowed_folder() {
    let fixture = fixture();
    symlink("own", fixture.path("allowed/alias")).unwrap();
    for relative in ["allowed/own/secret", "allowed/alias/secret"] {
        let failed = fixture.open(relative).unwrap_err();
        assert!(matches!(failed, OpenFailed::Private { .. }), "{relative}: {failed}");
    }
}

#[test]
fn what_is_no_file_is_refused_and_does_not_block() {
    let fixture = fixture();
    let fifo = fixture.path("allowed/fifo");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(fixture.path("allowed/socket")).unwrap();
    for relative in ["allowed/fifo", "allowed/own", "allowed/socket"] {
        let failed = fixture.open(relative).unwrap_err();
        assert!(matches!(failed, OpenFailed::NotAFile { .. }), "{relative}: {failed}");
    }
}

#[test]
fn a_missing_file_is_called_so() {
    let failed = fixture().open("allowed/missing").unwrap_err();
    let refusal = failed.at("path");
    assert!(refusal.message.contains("does not exist"), "{}", refusal.message);
}

#[test]
fn the_pool_has_no_links() {
    let fixture = fixture();
    symlink("inside", fixture.path("allowed/link")).unwrap();
    let pool = fixture.path("allowed");
    ConfinedFile::in_pool(&pool, "inside").open(Access::ReadWrite).unwrap();
    for relative in ["link", "../outside"] {
        let failed = ConfinedFile::in_pool(&pool, relative).open(Access::Read);
        assert!(matches!(failed, Err(OpenFailed::Escapes { .. })), "{failed:?}");
    }
}
