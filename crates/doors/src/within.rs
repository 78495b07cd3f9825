//! What a door does or refuses without the engine, on record: changes of the registry of hosts, and what is
//! not for a caller who is bound to a project.

use crate::Protocol;
use axum::{body::Body, response::Response};
use http::{Method, Request, StatusCode};
use innkeeper_auth::{Action, Principal, Resource, Scope};
use innkeeper_engine::Caller;
use innkeeper_model::{Code, Refusal};
use innkeeper_store::audit::AuditLog;
use innkeeper_surface::{TurnedAway, note_answer, to_its_end};

/// A request of which the answer may have to be on record.
#[derive(Debug)]
pub(crate) struct Within {
    caller: Caller,
    method: Method,
    path: String,
    changes_registry: bool,
    reads: bool,
}

impl Within {
    /// Such a request of this caller's, if it is one.
    pub(crate) fn of<P: Protocol>(
        protocol: &P,
        (caller, principal): (&Caller, &Principal),
        request: &Request<Body>,
    ) -> Option<Self> {
        let (method, path) = (request.method(), request.uri().path());
        let needs = protocol.needs(method, path);
        let changes_registry = needs == Some((Action::Change, Resource::Registry));
        let reads = matches!(needs, Some((Action::Read, _)));
        let is_bound = principal.scope != Scope::Everything;
        (changes_registry || is_bound).then(|| Self {
            caller: caller.clone(),
            method: method.clone(),
            path: path.to_owned(),
            changes_registry,
            reads,
        })
    }

    /// Whether it changes the registry of hosts.
    pub(crate) const fn changes_registry(&self) -> bool {
        self.changes_registry
    }

    /// The answer to what changes something: that is done, and on record, whether or not its caller waits for it.
    ///
    /// # Errors
    /// Nobody knows what was changed.
    pub(crate) async fn see_through(
        self,
        audit: Option<AuditLog>,
        answer: impl Future<Output = Response> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let on_record = async move {
            let response = answer.await;
            self.note(audit.as_ref(), response.status());
            Ok(response)
        };
        to_its_end(on_record).await
    }

    /// Puts on record what came of it, if that is the door's own doing.
    pub(crate) fn note(&self, audit: Option<&AuditLog>, status: StatusCode) {
        let Self { caller, method, path, changes_registry, reads } = self;
        if *changes_registry {
            return note_answer(audit, caller, (method, path.as_str()), status);
        }
        // Of what is changed, another's and what there is not are one.
        let is_refused =
            status == StatusCode::FORBIDDEN || status == StatusCode::NOT_FOUND && !reads;
        let Some(origin) = caller.origin.filter(|_| is_refused) else { return };
        let turned_away = TurnedAway {
            origin,
            caller: Some(&caller.name),
            request_id: caller.request_id.as_deref().unwrap_or_default(),
            action: (method, path),
        };
        turned_away.record(audit, &Refusal::new(Code::Forbidden, "it is not its project's"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chypervisord::{Chypervisord, ThisHost},
        testing::{House, of_project},
        virtx::Virtx,
    };
    use axum::response::IntoResponse;
    use futures_util::FutureExt;
    use innkeeper_auth::{Identity, Role};
    use innkeeper_engine::Origin;
    use innkeeper_model::{AuditEntry, AuditOutcome, HostId};
    use innkeeper_store::{
        audit::{AuditOptions, AuditQuery, read},
        registry::{EmbeddedRegistry, Hosts, Resources},
    };
    use std::{sync::Arc, time::Duration};
    use tokio::{sync::oneshot, time::timeout};

    fn caller() -> Caller {
        let origin = Some(Origin { door: "chypervisord", address: None });
        Caller { name: "uid:7".into(), request_id: Some("r1".into()), origin }
    }

    fn admin() -> Principal {
        Principal::admin(Identity::User { uid: 7 })
    }

    #[tokio::test]
    async fn what_is_not_a_callers_projects_is_on_record() {
        let house = House::new().await;
        let options = AuditOptions {
            folder: house.folder.path().join("audit"),
            file_size: 1 << 20,
            files: 2,
        };
        let audit = AuditLog::start(options).unwrap();
        let request = Request::builder().method("POST").uri("/vms").body(Body::empty()).unwrap();
        let protocol = Virtx::open();
        assert!(Within::of(&protocol, (&caller(), &admin()), &request).is_none());
        let bound = of_project("us", Role::Owner);
        let within = Within::of(&protocol, (&caller(), &bound), &request).unwrap();
        within.note(Some(&audit), StatusCode::CONFLICT);
        within.note(Some(&audit), StatusCode::FORBIDDEN);
        within.note(Some(&audit), StatusCode::NOT_FOUND);
        let looks = Request::builder().method("GET").uri("/vms").body(Body::empty()).unwrap();
        let looks = Within::of(&protocol, (&caller(), &bound), &looks).unwrap();
        looks.note(Some(&audit), StatusCode::NOT_FOUND);
        audit.end(Duration::from_secs(30));
        let page = read(audit.folder(), &AuditQuery::default(), None, 9).unwrap();
        let [line, of_nothing] = &page.lines[..] else { panic!("{:?}", page.lines) };
        assert!(of_nothing.contains("POST /vms"), "{of_nothing}");
        let line: AuditEntry = serde_json::from_str(line).unwrap();
        assert_eq!((&*line.action, line.outcome), ("POST /vms", AuditOutcome::Refused));
        assert_eq!(line.code, Some(Code::Forbidden));
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
        assert!(Within::of(&protocol, (&caller(), &admin()), &request("GET")).is_none());
        let post = Within::of(&protocol, (&caller(), &admin()), &request("POST")).unwrap();
        post.note(Some(&audit), StatusCode::CREATED);
        post.note(Some(&audit), StatusCode::CONFLICT);
        post.note(None, StatusCode::CONFLICT);
        // Whoever hangs up meanwhile has it changed all the same.
        let (answered, answer) = oneshot::channel();
        let answer = async { answer.await.unwrap() };
        assert!(post.see_through(Some(audit.clone()), answer).now_or_never().is_none());
        answered.send(StatusCode::NO_CONTENT.into_response()).unwrap();
        let written = async {
            while audit.diagnose().written < 3 {
                // The thread that writes gathers for some milliseconds.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(30), written).await.expect("the line does not come");
        audit.end(Duration::from_secs(30));
        let page = read(audit.folder(), &AuditQuery::default(), None, 9).unwrap();
        let lines: Vec<AuditEntry> =
            page.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let outcomes: Vec<_> = lines.iter().map(|line| line.outcome).collect();
        assert_eq!(outcomes, [AuditOutcome::Done, AuditOutcome::Refused, AuditOutcome::Done]);
        assert!(lines.iter().all(|line| line.action == "POST /hypervisors"), "{lines:?}");
        assert_eq!(lines[1].message.as_deref(), Some("answered 409 Conflict"));
    }
}
