//! `/v1/foreign/{pid}`: machines on this host that are not Innkeeper's. They are listed with the host.

use crate::{
    protocol::{
        asked::{Asked, Segment},
        json,
        mutation::{self, Outcome, Subject},
        params::Params,
        problem::Answer,
    },
    router::WriteProblems,
    state::ApiState,
};
use axum::{body::Body, extract::State};
use http::HeaderMap;
use innkeeper_engine::Request;
use innkeeper_model::{Refusal, VmName};
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
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the task's end"),
    ),
    request_body = Option<Adoption>,
    responses(
        (status = 201, description = "Adopted", body = Outcome),
        (status = 202, description = "Accepted", body = Outcome),
        WriteProblems,
    ),
)]
pub(crate) async fn adopt(
    State(state): State<ApiState>,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    params.nothing_else()?;
    let pid =
        text.parse().map_err(|_| Refusal::not_found("foreign machine with process", &text))?;
    let Adoption { name } = json::optional(&headers, body).await?;
    mutation::perform(&state, &asked, Request::Adopt { pid, name }, Subject::NewVm).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Api;
    use http::StatusCode;
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
}
