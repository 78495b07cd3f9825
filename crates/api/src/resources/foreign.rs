//! Machines on this host that are not Innkeeper's, and how they are adopted: processes, listed with the
//! host (`/v1/foreign/{pid}`), and VMs of other managers, listed with all others (`/v1/vms/{vm}`).

use crate::{
    protocol::{
        asked::{Asked, Segment},
        json,
        mutation::{self, DoneOrPlanned, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    resources::vms::target,
    router::WriteProblems,
    visit::Visit,
};
use axum::body::Body;
use http::HeaderMap;
use innkeeper_engine::Request;
use innkeeper_model::{Refusal, VmName, task::PlannedOperation};
use serde::Deserialize;
use utoipa::ToSchema;

/// How a machine is taken over.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Adoption {
    /// The VM's name; the machine's own where absent.
    #[serde(default)]
    name: Option<VmName>,
}

/// Take over a machine that somebody else made
///
/// It becomes a VM that can be stopped, killed and watched, with a draft of a configuration. The VM can
/// be started again once somebody has looked through that draft and saved it. Which machines can be
/// adopted, and why others cannot, is in `foreign` of the host.
#[utoipa::path(
    post,
    path = "/v1/foreign/{pid}/adopt",
    tag = "vms",
    operation_id = "adoptMachine",
    params(
        ("pid" = u32, Path, description = "The machine's process"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = Option<Adoption>,
    responses(
        (status = 200, description = "Planned, with `dry_run`", body = PlannedOperation),
        (status = 201, description = "Adopted", body = Outcome),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn adopt(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let dry_run = params.flag("dry_run")?;
    params.nothing_else()?;
    let pid =
        text.parse().map_err(|_| Refusal::not_found("foreign machine with process", &text))?;
    let Adoption { name } = json::optional(&headers, body).await?;
    if dry_run {
        return mutation::plan(&state, &asked, Request::Adopt { pid, name }).await;
    }
    mutation::perform(&state, &asked, Request::Adopt { pid, name }, Subject::NewVm).await
}

/// Have a VM of another manager's driven here
///
/// A VM with `managed` and without `spec` is another manager's, such as libvirt's: it is shown, and nothing
/// is done to it. From its adoption on it can be started, stopped, killed, paused and resumed, through its
/// manager, whose it stays. Deleting it afterwards gives it back as it is, and removes nothing.
#[utoipa::path(
    post,
    path = "/v1/vms/{vm}/adopt",
    tag = "vms",
    operation_id = "adoptVm",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
        ("dry_run" = Option<bool>, Query, description = "Do nothing, and answer what it would come to"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = Option<Adoption>,
    responses(
        (status = 200, description = "Adopted; or planned, with `dry_run`", body = DoneOrPlanned),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn adopt_managed(
    state: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let dry_run = params.flag("dry_run")?;
    let vm = target(&state, &text, params)?.id;
    let Adoption { name } = json::optional(&headers, body).await?;
    let request = Request::AdoptManaged { vm, name };
    mutation::perform_or_plan(&state, &asked, request, Subject::Vm, dry_run).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Api;
    use http::StatusCode;
    use innkeeper_model::{MachineState, ManagedMachine, NeighbourMachine, VmId};
    use innkeeper_view::Update;
    use serde_json::json;

    #[tokio::test]
    async fn a_machine_of_somebody_elses_becomes_a_vm() {
        let api = Api::new();
        let adopted = api.send("POST", "/v1/foreign/4711/adopt", "").await;
        assert_eq!(adopted.status, StatusCode::ACCEPTED, "{}", adopted.text);
        assert_eq!(adopted.json()["vm"]["name"], "adopted");
        let named = api.send("POST", "/v1/foreign/7/adopt", r#"{"name":"web"}"#).await;
        assert_eq!(named.json()["vm"]["name"], json!("web"));
        let name = Some("web".parse().unwrap());
        assert_eq!(
            api.engine.asked(),
            [Request::Adopt { pid: 4711, name: None }, Request::Adopt { pid: 7, name }]
        );
        for (uri, body, code) in [
            ("/v1/foreign/web/adopt", "", "not-found"),
            ("/v1/foreign/-1/adopt", "", "not-found"),
            ("/v1/foreign/7/adopt", r#"{"nmae":"web"}"#, "invalid-field"),
            ("/v1/foreign/7/adopt", r#"{"name":"../a"}"#, "invalid-field"),
            ("/v1/foreign/7/adopt?force=true", "", "invalid-field"),
        ] {
            api.send("POST", uri, body).await.problem(code);
        }
        assert_eq!(api.engine.asked(), []);
    }
    /// A machine of libvirt's, as the view is told of it.
    fn domain(id: VmId, name: &str) -> Update {
        let is = ManagedMachine { name: name.into(), cpus: 2, ..ManagedMachine::default() };
        let machine = NeighbourMachine { id, machine: MachineState::Running, last_end: None, is };
        Update::VmManaged { by: "libvirt".parse().unwrap(), machine: Box::new(machine) }
    }

    #[tokio::test]
    async fn a_vm_of_another_managers_is_listed_read_and_adopted() {
        let (api, _) = Api::with(&["own"]).await;
        let vm = VmId::new();
        api.post(vec![domain(vm, "web")]).await;
        let names = async |query: &str| {
            let list = api.get(&format!("/v1/vms?{query}")).await.json();
            let items = list["items"].as_array().cloned().unwrap_or_default();
            items.into_iter().map(|item| item["name"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(names("").await, ["own", "web"]);
        assert_eq!(names("manager=libvirt").await, ["web"]);
        assert_eq!(names("manager=innkeeper").await, ["own"]);
        let read = api.get("/v1/vms/web").await.json();
        assert_eq!((&read["state"], &read["project"]), (&json!("running"), &json!("libvirt")));
        assert_eq!(read["managed"]["by"], "libvirt");
        assert_eq!(read["managed"]["machine"]["cpus"], 2);
        assert_eq!(read.get("spec"), None);
        let refused = api.send("PATCH", "/v1/vms/web", r#"{"cpus":3}"#).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        refused.problem("managed-elsewhere");
        assert_eq!(api.engine.asked(), []);

        let adopted = api.send("POST", "/v1/vms/web/adopt", "").await;
        assert_eq!(adopted.status, StatusCode::ACCEPTED, "{}", adopted.text);
        api.send("POST", "/v1/vms/web/adopt?project=libvirt", r#"{"name":"www"}"#).await;
        let name = Some("www".parse().unwrap());
        assert_eq!(
            api.engine.asked(),
            [Request::AdoptManaged { vm, name: None }, Request::AdoptManaged { vm, name }]
        );
        for (uri, body, code) in [
            ("/v1/vms/nope/adopt", "", "not-found"),
            ("/v1/vms/web/adopt?project=default", "", "not-found"),
            ("/v1/vms/web/adopt", r#"{"pid":7}"#, "invalid-field"),
            ("/v1/vms/web/adopt?dry_run=maybe", "", "invalid-field"),
        ] {
            api.send("POST", uri, body).await.problem(code);
        }
    }
}
