//! All endpoints of all surfaces, from their documents.

use crate::harness::Request;
use serde_json::{Value, json};
use std::{fmt, fs, net::TcpListener, path::Path};

/// A surface, and its document.
pub(super) struct Surface {
    pub(super) name: &'static str,
    document: &'static str,
}

pub(super) const SURFACES: &[Surface] = &[
    Surface { name: "native", document: "crates/api/openapi.json" },
    Surface { name: "vmm", document: "docs/doors/vmm.openapi.json" },
    Surface { name: "vminfod", document: "docs/doors/vminfod.openapi.json" },
    Surface { name: "chypervisord", document: "docs/doors/chypervisord.openapi.json" },
    Surface { name: "virtx", document: "docs/doors/virtx.openapi.json" },
];

/// A port that was free a moment ago.
pub(super) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A door whose protocol has no credential, open to whom the operator lets in as viewers.
pub(super) fn with_viewers(door: &str) -> &'static str {
    match door {
        "vminfod" => "vminfod=127.0.0.1:0,anonymous=viewer",
        "chypervisord" => "chypervisord=127.0.0.1:0,anonymous=viewer",
        "virtx" => "virtx=127.0.0.1:0,anonymous=viewer",
        other => panic!("{other} asks for a credential"),
    }
}

/// One endpoint.
pub(super) struct Endpoint {
    pub(super) surface: &'static str,
    method: String,
    /// With its parameters in braces.
    path: String,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<12} {:<6} {}", self.surface, self.method, self.path)
    }
}

/// The endpoints of all documents, in their order.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let of = |surface: &Surface| {
        let document = fs::read(root.join(surface.document)).unwrap();
        let document: Value = serde_json::from_slice(&document).unwrap();
        let mut found = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let methods = ["get", "head", "put", "post", "delete", "patch"];
            for method in methods.iter().filter(|&&method| item.get(method).is_some()) {
                let (method, path) = (method.to_uppercase(), path.clone());
                found.push(Endpoint { surface: surface.name, method, path });
            }
        }
        found
    };
    SURFACES.iter().flat_map(of).collect()
}

impl Endpoint {
    pub(super) fn native(method: &str, path: &str) -> Self {
        Self { surface: "native", method: method.into(), path: path.into() }
    }

    pub(super) fn is_of_browser_sessions(&self) -> bool {
        self.path == "/v1/browser-session"
    }

    /// Whether it is about one VM.
    pub(super) fn is_of_a_vm(&self) -> bool {
        match self.surface {
            "vmm" => {
                let others = ["/health", "/ping", "/vm/create", "/vm/list", "/vm/task"];
                !others.contains(&self.path.as_str())
            }
            "chypervisord" => false,
            _ => self.path.starts_with("/vms/{") || self.path.starts_with("/v1/vms/{"),
        }
    }

    /// A request that names this VM, and has no more in it than it takes for that VM to be looked for.
    pub(super) fn request(&self, vm: &str) -> Request {
        let mut path = String::new();
        for segment in self.path.split_inclusive('/') {
            let is_vm = path.ends_with("/vms/");
            let (name, slash) = segment.strip_suffix('/').map_or((segment, ""), |name| (name, "/"));
            path += match name.starts_with('{') {
                true if is_vm => vm,
                // Of no subnet, host, image or task is this the id or name.
                true => "01890000-0000-7000-8000-000000000000",
                false => name,
            };
            path += slash;
        }
        let of_vm = self.path.strip_prefix("/v1/vms/{vm}/").unwrap_or_default();
        let body = match (self.surface, self.path.as_str(), of_vm) {
            ("vmm", "/vm/device/add", _) => json!({ "build_id": vm, "device": { "type": "nic" } }),
            ("vmm", "/vm/device/remove", _) => json!({ "build_id": vm, "device_id": "net0" }),
            ("vmm", ..) => json!({ "build_id": vm }),
            // Refused, since one that is made here would be there for other rows, which are asked at the same time.
            (_, "/v1/projects/{name}", _) => json!({ "vms": "all" }),
            (.., "clone") => json!({ "name": "copy" }),
            (.., "exec") => json!({ "argv": ["true"] }),
            (.., "keys") => json!({ "keys": ["a"] }),
            (.., "nics") => json!({ "name": "extra" }),
            (.., "tickets") => json!({ "kind": "console" }),
            _ => json!({}),
        };
        if of_vm == "files" {
            path += "?path=/etc/hostname";
        }
        let request = Request::new(&self.method, &path).json(&body);
        match of_vm {
            "console" | "vnc" => {
                request.header("Connection", "upgrade").header("Upgrade", "innkeeper-stream")
            }
            _ if self.surface == "native" && self.method == "PATCH" => {
                request.header("Content-Type", "application/merge-patch+json")
            }
            _ => request,
        }
    }
}
