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

/// What the daemon removes from a host and whom it signals, it does on record, by `innkeeper_store::harm`:
/// clippy refuses anything else in code that says so, as all that is in a daemon must.
#[test]
fn nothing_is_removed_or_signalled_but_on_record() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let read = |file: &str| std::fs::read_to_string(format!("{root}/{file}")).unwrap();
    let warns = "[cfg_attr(not(test), warn(clippy::disallowed_methods))]";
    for (name, _) in ALLOWED {
        let file = format!("crates/{name}/src/lib.rs");
        assert!(read(&file).contains(&format!("\n#!{warns}\n")), "{file} does not say so");
    }
    assert!(read("crates/inn/src/lib.rs").contains(&format!("\n#{warns}\npub mod daemon;\n")));
    let disallowed = read("clippy.toml");
    for method in ["std::fs::remove_file", "rustix::process::pidfd_send_signal", "libc::kill"] {
        assert!(disallowed.contains(&format!("\"{method}\"")), "{method} may be called");
    }
}
