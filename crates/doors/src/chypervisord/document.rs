//! The description of this door.

use super::{
    change::{Sent, SentAmounts},
    config,
    failure::{EitherDocument, LongDocument, ShortDocument},
    guests, hypervisors,
    shown::{Amounts, Hypervisor},
    subnets,
};
use utoipa::{
    Modify, OpenApi,
    openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "chypervisord, as Innkeeper speaks it",
        description = "The registry of hosts: what each has, was told and reaches, and which VMs are \
            assigned to it. It has no credential: the daemon's operator says what local callers may do.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    paths(
        hypervisors::list,
        hypervisors::create,
        hypervisors::read,
        hypervisors::change,
        hypervisors::remove,
        config::read,
        config::change,
        subnets::read,
        subnets::change,
        subnets::remove,
        guests::list,
    ),
    components(schemas(
        Hypervisor<'static>, Amounts, Sent, SentAmounts, ShortDocument, LongDocument,
        EitherDocument
    )),
    modifiers(&Gate),
    tags(
        (name = "hypervisors", description = "The hosts themselves."),
        (name = "config", description = "What each was told."),
        (name = "subnets", description = "Which subnets each reaches."),
        (name = "guests", description = "Which VMs are assigned to each."),
    ),
)]
struct Description;

/// What may be answered before a request reaches its route.
struct Gate;

impl Modify for Gate {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            let operations =
                [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter();
            for operation in operations.flatten() {
                let responses = &mut operation.responses.responses;
                let no_credential = "The credential that was shown does not hold";
                responses.insert("401".into(), refused(no_credential));
                responses.insert("403".into(), refused("The caller may not do this"));
                responses.insert("429".into(), refused(TOO_OFTEN));
                responses
                    .entry("413".into())
                    .or_insert_with(|| refused("The request has a body larger than 1 MiB"));
                responses
                    .entry("400".into())
                    .or_insert_with(|| refused("The header Host is missing"));
            }
        }
    }
}

const TOO_OFTEN: &str = "There were too many requests; Retry-After says when to come again";

fn refused(description: &str) -> RefOr<Response> {
    let shape = Ref::from_schema_name("FailureWithCode");
    let content = ContentBuilder::new().schema(Some(shape)).build();
    let response = ResponseBuilder::new().description(description);
    response.content("application/json", content).build().into()
}

/// The OpenAPI 3.1 document of this door, as JSON.
pub fn document() -> String {
    let mut json = Description::openapi()
        .to_pretty_json()
        .expect("the document is made here, with text keys only");
    json.push('\n');
    json
}
