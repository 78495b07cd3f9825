//! `/v1/projects`: what each project may take of the host, and what it has taken.
//!
//! A project is a name that VMs carry. Whoever is bound to one sees that one, and no other.

use crate::{
    protocol::{
        answer::{self, encode},
        asked::{Asked, Segment},
        audit,
        conditional::{self, IfNoneMatch},
        json, merge as patch,
        params::Params,
        problem::Answer,
    },
    router::{ReadProblems, WriteProblems},
    visit::Visit,
};
use axum::{body::Body, response::Response};
use http::{HeaderMap, header};
use innkeeper_engine::Projects;
use innkeeper_model::{Code, Project, ProjectName, Quota, Refusal, Revision};
use serde::Serialize;
use utoipa::ToSchema;

/// What a project's entity tag is of.
const SUBJECT: &str = "the project's quota";

/// Projects, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProjectList {
    /// The projects that have taken something, or of which something is said by name.
    items: Vec<Project>,
}

/// List projects
///
/// Those that have taken something, or of which something is said by name, with what each may take and has
/// taken.
#[utoipa::path(
    get,
    path = "/v1/projects",
    tag = "projects",
    operation_id = "listProjects",
    responses((status = 200, description = "Projects", body = ProjectList), ReadProblems),
)]
pub(crate) async fn list(visit: Visit, params: Params) -> Answer {
    params.nothing_else()?;
    let projects = projects(&visit)?;
    let items = match visit.sight().project() {
        None => projects.all(),
        Some(own) => vec![for_its_own(projects.shown(own))],
    };
    Ok(answer::json(visit.revision(), encode(&ProjectList { items })))
}

/// Read a project
///
/// Its entity tag is the revision of the quota that it has of its own: it does not change with what is taken.
#[utoipa::path(
    get,
    path = "/v1/projects/{name}",
    tag = "projects",
    operation_id = "getProject",
    params(
        ("name" = String, Path, description = "Its name"),
        ("If-None-Match" = Option<String>, Header, description = "The entity tag of the quota that the caller has"),
    ),
    responses(
        (status = 200, description = "The project", body = Project, headers(("ETag" = String, description = "The quota's revision"))),
        (status = 304, description = "The caller has the quota already"),
        ReadProblems,
    ),
)]
pub(crate) async fn read(
    visit: Visit,
    Segment(text): Segment,
    params: Params,
    if_none_match: IfNoneMatch,
) -> Answer {
    params.nothing_else()?;
    let project = find(&visit, &text)?;
    let document = || encode(&project);
    Ok(if_none_match.answer(project.revision, visit.revision(), document))
}

/// Set what a project may take
///
/// All five at once: what is `null` or left out is without bound. It outranks what the configuration says.
/// What is over it stays as it is, and gets no more.
#[utoipa::path(
    put,
    path = "/v1/projects/{name}",
    tag = "projects",
    operation_id = "replaceProjectQuota",
    params(
        ("name" = String, Path, description = "Its name"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the quota that the change is based on"),
    ),
    request_body = Quota,
    responses(
        (status = 200, description = "The project", body = Project, headers(("ETag" = String, description = "The quota's revision"))),
        WriteProblems,
    ),
)]
pub(crate) async fn replace(
    visit: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    params.nothing_else()?;
    let quota: Quota = json::required(&headers, body).await?;
    let name = named(&text)?;
    let current = projects(&visit)?.shown(&name).revision;
    let expected = conditional::expected(&headers, SUBJECT, current)?;
    set(&visit, asked, name, quota, expected).await
}

/// Change what a project may take
///
/// A JSON Merge Patch (RFC 7396) of the quota that it has now, whoever said that: what is `null` is without
/// bound from then on, and what is left out stays.
#[utoipa::path(
    patch,
    path = "/v1/projects/{name}",
    tag = "projects",
    operation_id = "changeProjectQuota",
    params(
        ("name" = String, Path, description = "Its name"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the quota that the change is based on; without it, the quota as it is"),
    ),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The project", body = Project, headers(("ETag" = String, description = "The quota's revision"))),
        WriteProblems,
    ),
)]
pub(crate) async fn merge(
    visit: Visit,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    params.nothing_else()?;
    let body = json::read_patch(&headers, body).await?;
    let name = named(&text)?;
    let Project { revision, quota, .. } = projects(&visit)?.shown(&name);
    conditional::expected(&headers, SUBJECT, revision)?;
    let quota = patch::merged(&quota, &body)?;
    // Based on this revision and no other, whether the caller named it or not.
    set(&visit, asked, name, quota, Some(revision)).await
}

/// Take a project's own quota away
///
/// What the configuration says holds for it from then on. Where it has VMs that is refused, unless it is forced.
#[utoipa::path(
    delete,
    path = "/v1/projects/{name}",
    tag = "projects",
    operation_id = "deleteProjectQuota",
    params(
        ("name" = String, Path, description = "Its name"),
        ("force" = Option<bool>, Query, description = "Though it has VMs, which may lose their bounds; or though what is stored is damaged"),
        ("If-Match" = Option<String>, Header, description = "The entity tag of the quota that is meant"),
    ),
    responses((status = 200, description = "The project as it is now", body = Project), WriteProblems),
)]
pub(crate) async fn delete(
    visit: Visit,
    Segment(text): Segment,
    mut params: Params,
    asked: Asked,
    headers: HeaderMap,
) -> Answer {
    let force = params.flag("force")?;
    params.nothing_else()?;
    // What is no name is nobody's.
    let name: ProjectName = text.parse().map_err(|_| Refusal::not_found("project", &text))?;
    let projects = projects(&visit)?;
    let expected = conditional::expected(&headers, SUBJECT, projects.shown(&name).revision)?;
    let (about, projects) = (("project-delete", name.clone()), projects.clone());
    let removing = async move { projects.remove(name, force, expected).await };
    Ok(shown(&visit, &audit::done((visit.state(), asked), about, removing).await?))
}

async fn set(
    visit: &Visit,
    asked: Asked,
    name: ProjectName,
    quota: Quota,
    expected: Option<Revision>,
) -> Answer {
    let (about, projects) = (("project-set", name.clone()), projects(visit)?.clone());
    let setting = async move { projects.set(name, quota, expected).await };
    Ok(shown(visit, &audit::done((visit.state(), asked), about, setting).await?))
}

fn shown(visit: &Visit, project: &Project) -> Response {
    let mut response = answer::json(visit.revision(), encode(project));
    response.headers_mut().insert(header::ETAG, conditional::etag(project.revision));
    response
}

/// The project that this text means.
///
/// # Errors
/// There is none for this caller: in the same words, whether or not there is one for others.
fn find(visit: &Visit, text: &str) -> Result<Project, Refusal> {
    let missing = || {
        Refusal::not_found("project", text)
            .with_hint("a project is there when it has VMs, or something is said of it by name")
    };
    let name: ProjectName = text.parse().map_err(|_| missing())?;
    let projects = projects(visit)?;
    match visit.sight().project() {
        None => projects.get(&name).ok_or_else(missing),
        Some(own) if *own == name => Ok(for_its_own(projects.shown(&name))),
        Some(_) => Err(missing()),
    }
}

/// A project for its own people, who do not learn where this host keeps what.
fn for_its_own(project: Project) -> Project {
    let problem = project.problem.as_ref();
    let problem =
        problem.map(|_| "its stored quota is damaged; an administrator can mend it".into());
    Project { problem, ..project }
}

fn named(text: &str) -> Result<ProjectName, Refusal> {
    text.parse().map_err(|problem| Refusal::invalid("name", text, problem))
}

fn projects(visit: &Visit) -> Result<&Projects, Refusal> {
    let projects = visit.operations().projects();
    projects.ok_or_else(|| Refusal::new(Code::Unsupported, "this server only shows"))
}

#[cfg(test)]
#[path = "projects_tests.rs"]
mod tests;
