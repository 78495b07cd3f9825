//! Endpoints that the service plans and this host cannot serve yet: each says what is missing.

use super::{answer::Refused, state::Shared};
use axum::{Router, extract::Request, routing};
use innkeeper_model::{Code, Refusal};
use utoipa::openapi::{
    ContentBuilder, HttpMethod, OpenApi, PathItem, Ref, ResponseBuilder,
    path::{Operation, OperationBuilder},
};

/// Their paths, and what each waits for.
const PLANNED: &[(&str, &str)] = &[
    ("/vm/snapshot", "snapshots of a VM with its memory"),
    ("/vm/coredump", "a dump of a running guest's memory on demand"),
    ("/vm/restore", "snapshots of a VM with its memory"),
    ("/vm/resize/vcpu", "virtual CPUs that are plugged into a running machine"),
    ("/vm/resize/memory", "memory that is plugged into a running machine"),
    ("/vm/disk/add", "disks that are plugged into a running machine"),
    ("/vm/fs/add", "file systems that a guest shares with its host"),
    ("/vm/migrate/to", "migration to another host"),
    ("/vm/migrate/from", "migration from another host"),
];

async fn refuse(request: Request) -> Refused {
    let path = request.uri().path();
    let missing = PLANNED.iter().find(|(planned, _)| *planned == path);
    let missing = missing.map_or("it", |(_, missing)| missing);
    Refusal::new(Code::Unsupported, format!("{path} is not possible yet: {missing} is missing"))
        .into()
}

pub(super) fn served(router: Router<Shared>) -> Router<Shared> {
    PLANNED.iter().fold(router, |router, (path, _)| router.route(path, routing::post(refuse)))
}

pub(super) fn described(mut document: OpenApi) -> OpenApi {
    for (path, missing) in PLANNED {
        document
            .paths
            .paths
            .insert((*path).to_owned(), PathItem::new(HttpMethod::Post, operation(missing)));
    }
    document
}

fn operation(missing: &str) -> Operation {
    let failure = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Failure"))).build();
    let answer = |description: &str| {
        let answer = ResponseBuilder::new().description(description);
        answer.content("application/json", failure()).build()
    };
    OperationBuilder::new()
        .summary(Some(format!("Not possible yet: {missing} is missing")))
        .response("400", answer("The request is not one of HTTP"))
        .response("401", answer("The token is missing, or another"))
        .response("403", answer("The request came from another site's page, or for another host"))
        .response("413", answer("The body is too large"))
        .response(
            "429",
            answer("There were too many requests; Retry-After says when to come again"),
        )
        .response("501", answer("It is not possible yet"))
        .build()
}
