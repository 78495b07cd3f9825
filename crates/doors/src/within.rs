//! What a door does or refuses without the engine, on record: changes of the registry of hosts, and whatever
//! is another owner's.

use crate::Protocol;
use axum::body::Body;
use http::{Method, Request, StatusCode};
use innkeeper_auth::{Action, Resource};
use innkeeper_engine::Caller;
use innkeeper_model::{Code, Refusal};
use innkeeper_store::audit::AuditLog;
use innkeeper_surface::{TurnedAway, note_answer};

/// A request of which the answer may have to be on record.
#[derive(Debug)]
pub(crate) struct Within {
    caller: Caller,
    method: Method,
    path: String,
    changes_registry: bool,
}

impl Within {
    /// Such a request of this caller's, if it is one.
    pub(crate) fn of<P: Protocol>(
        protocol: &P,
        caller: &Caller,
        request: &Request<Body>,
    ) -> Option<Self> {
        let (method, path) = (request.method(), request.uri().path());
        let changes_registry =
            matches!(protocol.needs(method, path), Some((Action::Change, Resource::Registry)));
        (changes_registry || protocol.keeps_projects_apart()).then(|| Self {
            caller: caller.clone(),
            method: method.clone(),
            path: path.to_owned(),
            changes_registry,
        })
    }

    /// Puts on record what came of it, if that is the door's own doing.
    pub(crate) fn note(&self, audit: Option<&AuditLog>, status: StatusCode) {
        let Self { caller, method, path, changes_registry } = self;
        if *changes_registry {
            return note_answer(audit, caller, (method, path.as_str()), status);
        }
        let Some(origin) = caller.origin.filter(|_| status == StatusCode::FORBIDDEN) else {
            return;
        };
        let turned_away = TurnedAway {
            origin,
            caller: Some(&caller.name),
            request_id: caller.request_id.as_deref().unwrap_or_default(),
            action: (method, path),
        };
        turned_away.record(audit, &Refusal::new(Code::Forbidden, "it is another owner's"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chypervisord::{Chypervisord, ThisHost},
        testing::House,
    };
    use innkeeper_engine::Origin;
    use innkeeper_model::{AuditEntry, AuditOutcome, HostId};
    use innkeeper_store::{
        audit::{AuditOptions, AuditQuery, read},
        registry::{EmbeddedRegistry, Hosts, Resources},
    };
    use std::{sync::Arc, time::Duration};

    fn caller() -> Caller {
        let origin = Some(Origin { door: "chypervisord", address: None });
        Caller { name: "uid:7".into(), request_id: Some("r1".into()), origin }
    }

    #[tokio::test]
    async fn changes_of_the_registry_are_on_record_and_reads_are_not() {
        let house = House::new().await;
        let options = AuditOptions {
            folder: house.folder.path().join("audit"),
            file_size: 1 << 20,
            files: 2,
        };
        let audit = AuditLog::start(options).unwrap();
        let registry = EmbeddedRegistry::open(&house.folder.path().join("registry.redb")).unwrap();
        let hosts = Hosts::new(Arc::new(registry));
        let this_host = ThisHost {
            id: HostId::from_uuid(uuid::Uuid::new_v4()),
            ip: None,
            mac: None,
            total: Resources::default(),
        };
        let protocol = Chypervisord::open(hosts, this_host).await.unwrap();
        let request = |method: &str| {
            Request::builder().method(method).uri("/hypervisors").body(Body::empty()).unwrap()
        };
        assert!(Within::of(&protocol, &caller(), &request("GET")).is_none());
        let post = Within::of(&protocol, &caller(), &request("POST")).unwrap();
        post.note(Some(&audit), StatusCode::CREATED);
        post.note(Some(&audit), StatusCode::CONFLICT);
        post.note(None, StatusCode::CONFLICT);
        audit.end(Duration::from_secs(30));
        let page = read(audit.folder(), &AuditQuery::default(), None, 9).unwrap();
        let lines: Vec<AuditEntry> =
            page.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let outcomes: Vec<_> = lines.iter().map(|line| line.outcome).collect();
        assert_eq!(outcomes, [AuditOutcome::Done, AuditOutcome::Refused]);
        assert!(lines.iter().all(|line| line.action == "POST /hypervisors"), "{lines:?}");
        assert_eq!(lines[1].message.as_deref(), Some("answered 409 Conflict"));
    }
}
