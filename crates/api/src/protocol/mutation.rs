//! Requests that change something: submitted as tasks, waited for as the caller prefers, and answered
//! with the revision from which on the effect can be read.

use crate::{
    protocol::{
        answer::{self, REVISION},
        asked::Asked,
        idempotency, prefer,
        problem::{Answer, Problem},
    },
    visit::Visit,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use innkeeper_engine::{Accepted, Caller, PowerVerb, Request};
use innkeeper_model::{
    Code, Image, ImageName, NetworkId, Refusal, Revision, ShownNetwork, SubnetId, Task, TaskId,
    TaskState, Vm, VmId, task::PlannedOperation,
};
use innkeeper_surface::{Sight, task_at_end, to_its_end};
use serde::Serialize;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use utoipa::{IntoResponses, ToSchema};

/// The answers to a file that a task then makes something of.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only described: mutation::perform answers")]
pub(crate) enum Imported {
    /// Imported
    #[response(status = 201)]
    Done(Outcome),
    /// It has arrived, and is imported
    #[response(status = 202)]
    Accepted(Outcome),
}

/// What was accepted, or done: the answer to everything that changes something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Outcome {
    /// The task that does it, or did it.
    #[schema(value_type = Task)]
    task: Arc<Task>,
    /// The VM that it concerns, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vm>)]
    vm: Option<Arc<Vm>>,
    /// The image that it concerns, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Image>)]
    image: Option<Arc<Image>>,
    /// The network that it concerns, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<ShownNetwork>,
}

/// What a request is about, which decides how its answer looks.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    /// The VM that the engine names.
    Vm,
    /// A VM that the request makes.
    NewVm,
    /// This image.
    Image(ImageName),
    /// This image, which the request makes.
    NewImage(ImageName),
    /// The network that the engine names.
    Network,
    /// A network that the request makes.
    NewNetwork,
    /// This subnet, which the request makes, of the network that the engine names.
    NewSubnet(SubnetId),
}

/// What came of a request that may be sent twice.
#[derive(Debug, Clone)]
pub(crate) struct Submitted {
    accepted: Accepted,
    /// What came of starting the new VM, where that was asked for as well.
    start: Option<Result<Accepted, Refusal>>,
    /// What the first of them was about, with the id that was chosen for it.
    subject: Subject,
}

/// What was done; or, with `dry_run`, what it would come to.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, clippy::large_enum_variant, reason = "it is there to be documented")]
pub(crate) enum DoneOrPlanned {
    Done(Outcome),
    Planned(PlannedOperation),
}

/// Answers what a request would come to, and does nothing.
pub(crate) async fn plan(state: &Visit, asked: &Asked, request: Request) -> Answer {
    let plan = state.operations().dry_run(&asked.caller, request).await?;
    let revision = state.revision();
    Ok(answer::json(revision, answer::encode(&plan)))
}

/// Submits a request, and answers as the caller prefers; or plans it, where that is asked.
pub(crate) async fn perform_or_plan(
    state: &Visit,
    asked: &Asked,
    request: Request,
    subject: Subject,
    dry_run: bool,
) -> Answer {
    match dry_run {
        true => plan(state, asked, request).await,
        false => perform(state, asked, request, subject).await,
    }
}

/// Submits a request, and answers as the caller prefers.
pub(crate) async fn perform(
    state: &Visit,
    asked: &Asked,
    request: Request,
    subject: Subject,
) -> Answer {
    let accepted = state.operations().submit(&asked.caller, request).await?;
    answer(state, accepted, asked.wait, &subject).await
}

/// A request that makes something, and that the caller may send twice.
pub(crate) struct Creation {
    /// The request.
    pub(crate) request: Request,
    /// Whether the new VM is to be started.
    pub(crate) start: bool,
    /// What it makes.
    pub(crate) subject: Subject,
    /// The caller's key for it.
    pub(crate) key: Option<String>,
    /// What makes it the same request.
    pub(crate) fingerprint: idempotency::Fingerprint,
}

/// Submits a request that makes something, once for each key, and answers as the caller prefers.
pub(crate) async fn create(state: &Visit, asked: Asked, creation: Creation) -> Answer {
    let Creation { request, start, subject, key, fingerprint } = creation;
    let Asked { caller, wait } = asked;
    let shared = state.clone();
    // A task of its own: a caller who hangs up must not lose the key of what it has begun.
    let submitted = to_its_end(async move {
        let whose = key_holder(&caller, shared.sight());
        let submitting = async {
            let accepted = shared.operations().submit(&caller, request).await?;
            let start = match accepted.vm.filter(|_| start) {
                Some(vm) => {
                    let start =
                        Request::Power { vm, verb: PowerVerb::Start { discard_memory: false } };
                    Some(shared.operations().submit(&caller, start).await)
                }
                None => None,
            };
            Ok::<_, Refusal>(Submitted { accepted, start, subject })
        };
        match key {
            Some(key) => {
                shared.keys().once((&whose, &key), fingerprint, Instant::now(), submitting).await
            }
            None => submitting.await,
        }
    });
    answer_creation(state, submitted.await?, wait).await
}

/// Whose a key is: a name that another project's token had before is another's.
fn key_holder(caller: &Caller, sight: &Sight) -> String {
    match sight.project() {
        None => caller.name.clone(),
        Some(project) => format!("{} of {project}", caller.name),
    }
}

async fn answer_creation(state: &Visit, submitted: Submitted, wait: Option<Duration>) -> Answer {
    let Submitted { accepted, start, ref subject } = submitted;
    let Some(start) = start else {
        return answer(state, accepted, wait, subject).await;
    };
    let begun = Instant::now();
    // Should making the VM fail, that is the reason to tell, not that it could not be started then.
    let made = ended(state, accepted.task, wait.unwrap_or_default()).await?;
    succeeded(&made)?;
    match start {
        Ok(start) => {
            let left = wait.map(|wait| wait.saturating_sub(begun.elapsed()));
            answer(state, start, left, subject).await
        }
        Err(refusal) => Err(Problem::from(refusal).of_task(accepted.task)),
    }
}

/// Answers for a task: at once, or when it has ended or the wait is over.
pub(crate) async fn answer(
    state: &Visit,
    accepted: Accepted,
    wait: Option<Duration>,
    subject: &Subject,
) -> Answer {
    let task = ended(state, accepted.task, wait.unwrap_or_default()).await?;
    if wait.is_some() {
        succeeded(&task)?;
    }
    let done = wait.is_some() && task.state == TaskState::Done;
    let settled = task.settled_at.filter(|_| done).unwrap_or_default();
    let revision = accepted.revision.max(settled);
    let about = About { task, vm: accepted.vm, network: accepted.network };
    Ok(written(state, about, revision, subject, (done, wait)))
}

/// The answer with a task that something was asked of: to stop, to go on, to go back.
pub(crate) async fn answer_of_task(state: &Visit, asked: &Asked, id: TaskId) -> Answer {
    let task = ended(state, id, asked.wait.unwrap_or_default()).await?;
    let done = asked.wait.is_some() && task.state.is_final();
    let revision = task.settled_at.unwrap_or(task.revision);
    let about = About { vm: task.vm, network: None, task };
    Ok(written(state, about, revision, &Subject::Vm, (done, asked.wait)))
}

/// What an answer is about.
struct About {
    task: Arc<Task>,
    vm: Option<VmId>,
    network: Option<NetworkId>,
}

fn written(
    state: &Visit,
    About { task, vm, network }: About,
    revision: Revision,
    subject: &Subject,
    (done, wait): (bool, Option<Duration>),
) -> axum::response::Response {
    let seen = state.seen();
    let snapshot = seen.whole();
    let id = task.id;
    let vm = vm.and_then(|vm| seen.vm(vm)).map(|record| Arc::clone(record.value()));
    let image = match subject {
        Subject::Image(name) | Subject::NewImage(name) => {
            snapshot.images.get(name).map(|record| Arc::clone(record.value()))
        }
        _ => None,
    };
    let network = network.and_then(|network| snapshot.networks.get(&network));
    let of_task = || format!("/v1/tasks/{id}");
    let made = match (subject, &vm, &network) {
        (Subject::Vm | Subject::Image(_) | Subject::Network, ..) => None,
        (Subject::NewVm, Some(vm), _) => Some(format!("/v1/vms/{}", vm.id)),
        (Subject::NewImage(name), ..) => Some(format!("/v1/images/{name}")),
        (Subject::NewNetwork, _, Some(network)) => Some(format!("/v1/networks/{}", network.id)),
        (Subject::NewSubnet(subnet), ..) => Some(format!("/v1/subnets/{subnet}")),
        // It is gone already.
        (Subject::NewVm | Subject::NewNetwork, ..) => Some(of_task()),
    };
    let (status, location) = match (done, made) {
        (false, _) => (StatusCode::ACCEPTED, of_task()),
        (true, Some(made)) => (StatusCode::CREATED, made),
        (true, None) => (StatusCode::OK, of_task()),
    };
    let network = network.map(|network| ShownNetwork::from(&***network));
    let body = answer::encode(&Outcome { task, vm, image, network });
    let mut response = answer::json(revision, body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    insert(headers, header::LOCATION, location);
    if let Some(wait) = wait {
        insert(headers, prefer::PREFERENCE_APPLIED, format!("wait={}", wait.as_secs()));
    }
    debug_assert!(headers.contains_key(REVISION));
    response
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: String) {
    // Ids, names of the model and numbers: none has a character that a header may not hold.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// The task as it is when it has ended, or after so long, or when the daemon stops.
///
/// # Errors
/// The task is not known, or not any more.
pub(crate) async fn ended(
    state: &Visit,
    id: TaskId,
    at_most: Duration,
) -> Result<Arc<Task>, Refusal> {
    let (operations, view) = (state.operations().as_ref(), state.view());
    let task = task_at_end(operations, view, state.stopping(), id, at_most).await;
    task.ok_or_else(|| forgotten(id))
}

/// Refuses a task that is not there for the caller, as one that is not known. Of whoever sees everything,
/// nothing is asked here: what comes next finds out.
///
/// # Errors
/// It is not there.
pub(crate) async fn check_task(state: &Visit, id: TaskId) -> Result<(), Refusal> {
    if state.sight().is_everything() {
        return Ok(());
    }
    let task = state.sight().task(&**state.operations(), id).await;
    task.map(drop).ok_or_else(|| forgotten(id))
}

fn forgotten(id: TaskId) -> Refusal {
    Refusal::not_found("task", id).with_hint(
        "ended tasks are forgotten after a time that the daemon's configuration says; what it was \
         done to can be read",
    )
}

/// Whether the task did not fail, as far as it has come.
fn succeeded(task: &Task) -> Result<(), Problem> {
    let refusal = match task.state {
        TaskState::Queued | TaskState::Running | TaskState::Done => return Ok(()),
        TaskState::Failed => task.error.clone().unwrap_or_else(|| {
            Refusal::new(Code::Internal, format!("{} failed without a reason", task.operation))
        }),
        TaskState::Interrupted => {
            let message = format!("{} stopped halfway, and a person must say how", task.operation);
            Refusal::new(Code::Interrupted, message)
                .with_hint(format!("see `inn task show {}`", task.id))
        }
        TaskState::Cancelled => task.error.clone().unwrap_or_else(|| {
            Refusal::new(Code::Cancelled, format!("{} was cancelled", task.operation))
        }),
    };
    Err(Problem::from(refusal).of_task(task.id))
}
