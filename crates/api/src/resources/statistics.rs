//! `/v1/vms/{vm}/statistics`: what a machine has used of its host.

use crate::{
    protocol::{
        answer,
        asked::{Asked, Segment},
        params::Params,
        problem::Answer,
    },
    resources::vms::target,
    router::WriteProblems,
    visit::Visit,
};
use innkeeper_model::Statistics;

/// Read what a VM's machine has used of its host
///
/// Processor time, memory, and what its disks and NICs have moved since the machine was made, read when
/// they are asked for. What cannot be read of a machine, such as of one that does not answer, is named in
/// `missing`.
#[utoipa::path(
    get,
    path = "/v1/vms/{vm}/statistics",
    tag = "vms",
    operation_id = "getVmStatistics",
    params(
        ("vm" = String, Path, description = "Its id or name, or the beginning of either if only one begins so"),
        ("project" = Option<String>, Query, description = "Where to look for the name"),
    ),
    responses(
        (status = 200, description = "The figures", body = Statistics),
        WriteProblems,
    ),
)]
pub(crate) async fn read(
    state: Visit,
    Segment(text): Segment,
    params: Params,
    _asked: Asked,
) -> Answer {
    let vm = target(&state, &text, params)?.id;
    let statistics = state.operations().statistics(vm).await?;
    let revision = state.revision();
    Ok(answer::json(revision, answer::encode(&statistics)))
}

#[cfg(test)]
mod tests {
    use crate::test_support::Api;
    use serde_json::json;

    #[tokio::test]
    async fn figures_are_read_of_the_vm_that_is_meant() {
        let (api, _) = Api::with(&["web"]).await;
        let figures = api.get("/v1/vms/web/statistics").await.json();
        assert_eq!(
            (&figures["cpu_time_ms"], &figures["memory_resident"]),
            (&json!(1500), &json!("64MiB"))
        );
        api.get("/v1/vms/nobody/statistics").await.problem("not-found");
        api.get("/v1/vms/web/statistics?since=1").await.problem("invalid-field");
    }
}
