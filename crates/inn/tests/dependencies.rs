//! Dependencies point one way. ARCHITECTURE.md says which; cargo says what is.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::Value;
use std::{collections::BTreeMap, process::Command};

/// What each crate may depend on among the others. A crate that is not here fails the test, so that
/// each new one is thought about.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("view", &["model"]),
    ("store", &["model"]),
    ("network", &["model", "store"]),
    ("hooks", &["model", "store"]),
    ("session", &["model"]),
    ("storage", &["model", "store"]),
    ("driver", &["model"]),
    ("auth", &["model", "store"]),
    ("qemu", &["driver", "model", "storage", "store"]),
    ("libvirt", &["driver", "model"]),
    // Of the store only `harm`: what removes files puts it on record.
    ("sim", &["driver", "model", "store"]),
    ("engine", &["driver", "hooks", "model", "network", "session", "storage", "store", "view"]),
    ("surface", &["auth", "driver", "engine", "model", "session", "store", "view"]),
    ("doors", &["auth", "engine", "model", "store", "surface", "view"]),
    ("api", &["auth", "driver", "engine", "model", "session", "store", "surface", "view"]),
];

fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let normal = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap();
        let normal = all.iter().filter(|dependency| dependency["kind"].is_null());
        normal.map(|dependency| text(&dependency["name"])).collect()
    };
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|package| (text(&package["name"]), normal(package))).collect()
}

#[test]
fn dependencies_point_one_way() {
    for (package, dependencies) in dependencies() {
        let Some(name) = package.strip_prefix("innkeeper-") else { continue };
        let allowed = ALLOWED.iter().find(|(crate_name, _)| *crate_name == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{package}: say what it may know"));
        for dependency in dependencies {
            let Some(other) = dependency.strip_prefix("innkeeper-") else { continue };
            assert!(allowed.contains(&other), "{package} may not depend on {dependency}");
        }
    }
}

#[test]
fn the_nouns_do_no_input_or_output() {
    for dependency in &dependencies()["innkeeper-model"] {
        assert!(
            !["tokio", "rustix", "libc", "hyper", "axum", "reqwest"].contains(&dependency.as_str()),
            "the model depends on {dependency}"
        );
    }
}

#[test]
fn the_engine_knows_no_hypervisor_and_no_wire() {
    for dependency in &dependencies()["innkeeper-engine"] {
        assert!(
            !["axum", "hyper", "http", "innkeeper-qemu", "innkeeper-api"]
                .contains(&dependency.as_str()),
            "the engine depends on {dependency}"
        );
    }
}

/// Where the daemon's code is.
const DAEMON: &[&str] = &[
    "api",
    "auth",
    "doors",
    "driver",
    "engine",
    "hooks",
    "inn/src/daemon",
    "model",
    "network",
    "qemu",
    "session",
    "sim",
    "storage",
    "store",
    "surface",
    "view",
];

/// What the daemon removes from a host, it removes on record: by `innkeeper_store::harm`.
#[test]
fn every_unlink_is_on_record() {
    assert_only_on_record(&["fs::remove_"]);
}

/// What it signals, it signals on record, too.
#[test]
fn every_signal_is_on_record() {
    assert_only_on_record(&[
        " kill_process",
        "::kill_process",
        "pidfd_send_signal(",
        "libc::kill",
        "kill_on_drop",
        "start_kill(",
        "child.kill(",
    ]);
}

/// That none of these is in the code of the daemon, but where it is put on record.
#[track_caller]
fn assert_only_on_record(deeds: &[&str]) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut bare = Vec::new();
    for folder in DAEMON {
        let folder = std::path::Path::new(root).join("crates").join(folder);
        let sources = if folder.ends_with("daemon") { folder } else { folder.join("src") };
        look_for(deeds, &sources, &mut bare);
    }
    assert!(bare.is_empty(), "not on record:\n{}", bare.join("\n"));
}

fn look_for(deeds: &[&str], folder: &std::path::Path, bare: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["tests", "harm"].contains(&&*name) {
            look_for(deeds, &path, bare);
        }
        let is_test = name.ends_with("tests.rs") || ["fixture.rs", "testing.rs"].contains(&&*name);
        if !name.ends_with(".rs") || is_test || name == "harm.rs" {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let is_one = |line: &str| deeds.iter().any(|deed| line.contains(deed));
        let found = code.lines().enumerate().filter(|(_, line)| is_one(line));
        bare.extend(
            found.map(|(number, line)| {
                format!("{}:{}: {}", path.display(), number + 1, line.trim())
            }),
        );
    }
}
