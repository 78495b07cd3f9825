//! The OpenAPI documents of all surfaces, as what they offer.

use crate::contracts::root;
use serde_json::Value;
use std::fs;

/// An operation.
#[derive(Debug, Clone)]
pub(crate) struct Offered {
    pub(crate) id: String,
    /// In capital letters.
    pub(crate) method: String,
    /// With its parameters in braces.
    pub(crate) path: String,
}

/// The operations of a document that may change something: those that are no reads by their method, and that can
/// succeed.
pub(crate) fn changes_in(document: &str) -> Vec<Offered> {
    offered_in(document, &["post", "put", "patch", "delete"])
}

/// Those that are reads by their method.
pub(crate) fn reads_in(document: &str) -> Vec<Offered> {
    offered_in(document, &["get"])
}

fn offered_in(document: &str, methods: &[&str]) -> Vec<Offered> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut offered = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_wanted = methods.contains(&method.as_str());
            let responses = || operation["responses"].as_object().unwrap().keys();
            // 101 is what a connection becomes a session with.
            if !is_wanted || !responses().any(|status| status.starts_with('2') || status == "101") {
                continue;
            }
            let id = operation["operationId"].as_str().unwrap().to_owned();
            offered.push(Offered { id, method: method.to_uppercase(), path: path.clone() });
        }
    }
    offered
}
