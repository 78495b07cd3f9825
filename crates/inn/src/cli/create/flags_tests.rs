use super::*;
use crate::document::Syntax;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: ConfigFlags,
}

fn document(file: &str, line: &str) -> Result<Value, Failure> {
    let words = std::iter::once("create").chain(line.split_whitespace());
    let flags =
        Line::try_parse_from(words).map_err(|error| Failure::usage(error.to_string()))?.flags;
    let mut document = Document::parse(file, Syntax::Json)?;
    let here = Surroundings { working_dir: "/home/kit".into(), ..Surroundings::default() };
    flags.change(&mut document, &here)?;
    Ok(document.into_value())
}

fn check(line: &str, expected: Value) {
    assert_eq!(document("{}", line).unwrap(), expected, "{line}");
}

#[test]
fn each_flag_is_its_field() {
    check("--cpus 2 --memory 1GiB", json!({"cpus": 2, "memory": "1GiB"}));
    check("--no-display", json!({"display": "none"}));
    check("--quota 10GiB", json!({"quota": "10GiB"}));
    check("--firmware uefi", json!({"boot": {"firmware": "uefi"}}));
    check("--image debian", json!({"disks": [{"name": "root", "image": "debian"}]}));
    check(
        "--on-crash preserve --on-shutdown restart",
        json!({"on": {"crash": "preserve", "shutdown": "restart"}}),
    );
    check("--on-reboot pause", json!({"on": {"reboot": "pause"}}));
    check("--nic user", json!({"nics": [{"name": "nic0", "network": "user"}]}));
    check(
        "--nic=none --nic user",
        json!({"nics": [
            {"name": "nic0", "network": "none"},
            {"name": "nic1", "network": "user"},
        ]}),
    );
}

#[test]
fn what_is_said_about_a_vm_is_added_to_what_the_file_says() {
    let file = r#"{"labels": {"tier": "test", "team": "red"}}"#;
    let line = "--label tier=prod --label note=a=b --label empty= --description Shop --protected";
    let expected = json!({
        "description": "Shop", "protected": true,
        "labels": {"tier": "prod", "team": "red", "note": "a=b", "empty": ""},
    });
    assert_eq!(document(file, line).unwrap(), expected);
}

#[test]
fn a_slash_makes_a_path() {
    check("--kernel tiny", json!({"boot": {"kernel": {"image": "tiny"}}}));
    check(
        "--kernel ./vmlinuz --initrd initrd.img --cmdline quiet",
        json!({"boot": {"kernel": {
            "path": "/home/kit/vmlinuz", "initrd": "/home/kit/initrd.img", "cmdline": "quiet",
        }}}),
    );
    check(
        "--cdrom debian-iso --cdrom /srv/a.iso",
        json!({"disks": [
            {"name": "cdrom0", "kind": "cdrom", "image": "debian-iso"},
            {"name": "cdrom1", "kind": "cdrom", "path": "/srv/a.iso", "format": "raw"},
        ]}),
    );
}

#[test]
fn disks_have_the_keys_that_were_given_and_a_name_in_any_case() {
    check(
        "--disk name=data,size=10GiB,read_only --disk path=d.qcow2,format=qcow2",
        json!({"disks": [
            {"name": "data", "size": "10GiB", "read_only": true},
            {"name": "disk0", "path": "/home/kit/d.qcow2", "format": "qcow2"},
        ]}),
    );
    for wrong in
        ["--disk sise=1GiB", "--disk ,", "--disk size=1GiB,size=2GiB", "--disk read_only=2"]
    {
        assert!(document("{}", wrong).is_err(), "{wrong}");
    }
}

#[test]
fn flags_change_what_the_file_says_and_leave_the_rest() {
    let file = r#"{"name": "web", "cpus": 1, "disks": [{"name": "root", "size": "1GiB"}],
        "boot": {"kernel": {"image": "tiny", "cmdline": "a"}}}"#;
    let changed = document(file, "--cpus 4 --image debian --cmdline b").unwrap();
    let expected = json!({
        "name": "web", "cpus": 4, "disks": [{"name": "root", "image": "debian"}],
        "boot": {"kernel": {"image": "tiny", "cmdline": "b"}},
    });
    assert_eq!(changed, expected);
}

#[test]
fn user_data_is_read_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("user-data");
    std::fs::write(&file, "#cloud-config\n").unwrap();
    check(
        &format!("--user-data {}", file.display()),
        json!({"cloud_init": {"user_data": "#cloud-config\n"}}),
    );
}

#[test]
fn flags_that_make_no_sense_together_are_refused() {
    for line in [
        "--cmdline x",
        "--initrd x",
        "--kernel a --firmware bios",
        "--memory 512",
        "--nic",
        "--label web",
        "--label =web",
    ] {
        assert!(document("{}", line).is_err(), "{line}");
    }
    assert!(document(r#"{"nics": 1}"#, "--nic user").is_err());
    assert!(document(r#"{"labels": 1}"#, "--label a=b").is_err());
}
