//! Entrances for fuzzers: queries of this door, and payloads in its words.

use super::{
    create,
    query::{Honours, Query},
};
use serde_json::{Value, json};

/// Reads a query as each kind of route does, and asks its filter about a VM.
pub fn query(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for honours in [Honours::FieldsAndFilters, Honours::Fields, Honours::SinceAndFilters] {
        if let Ok(query) = Query::parse(Some(text), honours) {
            let vm = vm();
            query
                .filter
                .matches_encoded(innkeeper_model::VmId::from_uuid(uuid::Uuid::nil()), || {
                    vm.to_string()
                });
        }
    }
}

/// Reads the description of a VM.
pub fn payload(bytes: &[u8]) {
    if let Ok(payload) = serde_json::from_slice::<Value>(bytes) {
        let _ = create(&payload);
    }
}

fn vm() -> Value {
    json!({
        "uuid": "01234567-89ab-7def-8123-456789abcdef", "alias": "web-1", "state": "running",
        "ram": 512, "vcpus": 2, "autoboot": true, "tags": { "role": "web", "a": ["b", 7, null] },
        "nics": [{ "mac": "52:54:00:00:00:01", "ip": "10.0.0.1" }], "disks": [{ "size": 10240 }],
    })
}
