//! What the refusals are tried on, and how.

use crate::harness::{Daemon, Reply, Request};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// An idempotency key that the fixture's first VM was created with.
pub(super) const USED_KEY: &str = "used-before";

/// A request, and how it is to be refused.
#[derive(Debug)]
pub(super) struct Case {
    request: Request,
    status: u16,
    field: String,
    code: Option<String>,
    limit: Option<String>,
    says: Vec<String>,
}

/// Refused with this status, blaming this field; none where it is empty.
pub(super) fn refused(request: Request, status: u16, field: &str) -> Case {
    Case { request, status, field: field.into(), code: None, limit: None, says: Vec::new() }
}

impl Case {
    /// With this code.
    pub(super) fn code(mut self, code: &str) -> Self {
        self.code = Some(code.into());
        self
    }

    /// With this limit.
    pub(super) fn limit(mut self, limit: &str) -> Self {
        self.limit = Some(limit.into());
        self
    }

    /// With this in its detail or as its value.
    pub(super) fn says(mut self, text: &str) -> Self {
        self.says.push(text.into());
        self
    }

    /// What is wrong with the answer.
    fn faults(&self, reply: &Reply) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |right: bool, what: String| {
            if !right {
                faults.push(what);
            }
        };
        let problem: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let text = |key: &str| problem[key].as_str().unwrap_or_default();
        fault(reply.status == self.status, format!("its status is not {}", self.status));
        fault(problem["status"] == reply.status, "the document has another status".into());
        let kind = reply.header("content-type");
        fault(kind == Some("application/problem+json"), format!("its type is {kind:?}"));
        let urn = format!("urn:innkeeper:error:{}", text("code"));
        fault(!text("code").is_empty() && text("type") == urn, "its code is not its type".into());
        fault(text("field") == self.field, format!("its field is not {:?}", self.field));
        if let Some(code) = &self.code {
            fault(text("code") == code, format!("its code is not {code}"));
        }
        if let Some(limit) = &self.limit {
            fault(text("limit") == limit, format!("its limit is not {limit}"));
        }
        for said in &self.says {
            let found = text("detail").contains(said) || text("value").contains(said);
            fault(found, format!("it does not say {said:?}"));
        }
        faults
    }
}

/// A daemon with a stopped VM, `still`, a running one, `busy`, a protected one, `kept`, and a disk
/// image of 1 MiB, `base`. VMs may use files in one folder.
pub(super) struct Fixture {
    pub(super) daemon: Daemon,
    files: TempDir,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let in_files = |name: &str| files.path().join(name);
        for folder in ["allowed", "outside"] {
            fs::create_dir(in_files(folder)).unwrap();
            fs::write(in_files(folder).join("disk.raw"), vec![0; 1 << 20]).unwrap();
        }
        symlink("/etc/passwd", in_files("allowed/link.raw")).unwrap();
        symlink(in_files("outside"), in_files("allowed/folder")).unwrap();
        let daemon = Daemon::configured(&format!(
            "[qemu]\naccelerator = \"tcg\"\n[storage]\nallowed_paths = [{:?}]\nmax_virtual_size = \"1TiB\"\n",
            in_files("allowed")
        ));
        let image = in_files("outside/disk.raw");
        daemon.done(
            Request::new("POST", "/v1/images")
                .json(&json!({ "name": "base", "kind": "disk", "format": "raw", "path": image })),
        );
        let config = json!({ "name": "still", "memory": "32MiB", "display": "none" });
        let create = Request::new("POST", "/v1/vms").header("Idempotency-Key", USED_KEY);
        daemon.done(create.json(&config));
        daemon.create(&json!({ "name": "kept", "memory": "32MiB", "protected": true }));
        daemon.create(&json!({ "name": "busy", "memory": "32MiB", "display": "none" }));
        daemon.act("busy", "start");
        Self { daemon, files }
    }

    /// The folder around `allowed` and `outside`.
    pub(super) fn files(&self) -> &Path {
        self.files.path()
    }

    /// Tries them all; each is to be refused as it says, and to change nothing.
    #[track_caller]
    pub(super) fn check(&self, cases: &[Case]) {
        let mut faults = String::new();
        for case in cases {
            let before = self.seen();
            let reply = self.daemon.send(&case.request.clone().header("Prefer", "wait=60"));
            let mut found = case.faults(&reply);
            // All of them can be refused before anything is begun.
            if self.seen().tasks > before.tasks {
                found.push("it was accepted as a task".into());
            }
            if (self.seen().vms, self.seen().images) != (before.vms, before.images) {
                found.push("it changed what there is".into());
            }
            if self.seen().files != before.files {
                found.push("it changed files".into());
            }
            if !found.is_empty() {
                let request = format!("{:?}", case.request);
                let request: String = request.chars().take(300).collect();
                let (faults_found, answer) = (found.join("; "), reply.text());
                faults += &format!("\n{request}\n  {faults_found}\n  {} {answer}\n", reply.status);
            }
        }
        assert!(faults.is_empty(), "{faults}");
    }

    fn seen(&self) -> Seen {
        let items = |path: &str| self.daemon.get(path)["items"].clone();
        Seen {
            vms: items("/v1/vms"),
            images: items("/v1/images"),
            tasks: items("/v1/tasks?limit=1000").as_array().unwrap().len(),
            files: self.daemon.kept(),
        }
    }
}

/// All that a refused request could have changed.
struct Seen {
    vms: Value,
    images: Value,
    tasks: usize,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

/// A small qcow2 disk, made by hand and then tampered with.
pub(super) fn qcow2(tamper: impl FnOnce(&mut [u8])) -> Vec<u8> {
    const CLUSTER: usize = 1 << 16;
    let mut bytes = vec![0; 4 * CLUSTER];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"QFI\xfb");
    put(4, &3_u32.to_be_bytes());
    put(20, &16_u32.to_be_bytes());
    put(24, &(1_u64 << 20).to_be_bytes());
    put(36, &1_u32.to_be_bytes());
    put(40, &(3 * CLUSTER as u64).to_be_bytes());
    put(48, &(CLUSTER as u64).to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    put(96, &4_u32.to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    // The refcount table's one block, and one reference to each of the four clusters.
    put(CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    for cluster in 0..4 {
        put(2 * CLUSTER + 2 * cluster, &1_u16.to_be_bytes());
    }
    tamper(&mut bytes);
    bytes
}
