//! What a path leads to. The gate and the routes ask here, so that what is let in is what is answered.

use innkeeper_auth::Resource;

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// A sign of life.
    Ping,
    /// How the daemon is.
    Status,
    /// All VMs.
    Vms,
    /// The VM that is called this.
    Vm(&'a str),
    /// What happens.
    Events,
    /// Nothing.
    Nowhere,
}

impl<'a> Route<'a> {
    /// The route of a path, of which further segments are not looked at.
    pub(super) fn of(path: &'a str) -> Self {
        match normalised(path)[..] {
            ["ping", ..] => Self::Ping,
            ["status", ..] => Self::Status,
            ["vms"] => Self::Vms,
            ["vms", name, ..] => Self::Vm(name),
            ["events", ..] => Self::Events,
            _ => Self::Nowhere,
        }
    }

    /// What is read there.
    pub(super) const fn resource(self) -> Resource {
        match self {
            Self::Ping => Resource::Service,
            Self::Status => Resource::Diagnostics,
            Self::Events => Resource::Event,
            Self::Vms | Self::Vm(_) | Self::Nowhere => Resource::Vm,
        }
    }
}

/// The segments of a path, without those that lead nowhere or back.
fn normalised(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_a_path_is_written_it_leads_to_one_route() {
        for (path, route) in [
            ("/status", Route::Status),
            ("/status/", Route::Status),
            ("//status", Route::Status),
            ("/./status", Route::Status),
            ("/status/x", Route::Status),
            ("/x/../status", Route::Status),
            ("/../status", Route::Status),
            ("/vms/../status", Route::Status),
            ("/status/../vms", Route::Vms),
            ("//events//x", Route::Events),
            ("/vms/", Route::Vms),
            ("/vms/x/status", Route::Vm("x")),
            ("/ping/status", Route::Ping),
            ("/%73tatus", Route::Nowhere),
            ("/Status", Route::Nowhere),
            ("/", Route::Nowhere),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
