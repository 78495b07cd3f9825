//! What a door answers before a request reaches its route is in its document, too.

use super::*;
use innkeeper_model::{Code, Refusal};

/// Why the gate of any door turns a request away.
const OF_ALL: [Code; 3] = [Code::BadRequest, Code::Forbidden, Code::TooManyRequests];
/// The same, where it has to know who calls.
const OF_CALLERS: [Code; 2] = [Code::Unauthenticated, Code::TooLarge];

struct EachAnswer;

impl Check for EachAnswer {
    async fn check<P: Protocol>(&self, _: &House, name: Door, open: impl Fn() -> P) {
        let (routes, document) = routes(name);
        let protocol = open();
        for (method, path, role) in routes {
            let responses = &document["paths"][path][method.to_lowercase()]["responses"];
            let of_callers = OF_CALLERS.iter().filter(|_| role.is_some());
            for code in OF_ALL.iter().chain(of_callers) {
                let status = protocol.refuse(&Refusal::new(*code, "no")).status();
                let is_documented = responses.get(status.as_str()).is_some();
                assert!(is_documented, "{name}: {method} {path}: {status} of {code:?}");
            }
        }
    }
}

#[tokio::test]
async fn whatever_the_gate_can_answer_is_in_the_document_of_each_operation() {
    of_each_door(EachAnswer).await;
}
