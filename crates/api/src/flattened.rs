//! Objects that have another's fields among their own: one object in the document, too.
//!
//! Derived, such an object is "all of" its parts; and where a part allows no other fields than its own,
//! nothing can be all of them.

use std::collections::BTreeMap;
use utoipa::openapi::{OpenApi, RefOr, Schema, schema::Object};

/// Makes one object of what is all of several.
pub(crate) fn flatten(document: &mut OpenApi) {
    let Some(components) = document.components.as_mut() else { return };
    let schemas = &mut components.schemas;
    let whole: BTreeMap<_, _> = schemas
        .iter()
        .filter_map(|(name, schema)| Some((name.clone(), merged(schema, schemas)?)))
        .collect();
    for (name, object) in whole {
        schemas.insert(name, RefOr::T(Schema::Object(object)));
    }
}

/// What is all of several objects, as one; `None` for what is something else.
fn merged(schema: &RefOr<Schema>, schemas: &BTreeMap<String, RefOr<Schema>>) -> Option<Object> {
    let RefOr::T(Schema::AllOf(all)) = schema else { return None };
    let mut whole = Object::new();
    whole.description.clone_from(&all.description);
    for part in &all.items {
        let part = match part {
            RefOr::Ref(reference) => schemas.get(reference.ref_location.rsplit('/').next()?)?,
            part @ RefOr::T(_) => part,
        };
        let RefOr::T(Schema::Object(part)) = part else { return None };
        whole.properties.extend(part.properties.clone());
        whole.required.extend(part.required.iter().cloned());
        whole.additional_properties =
            whole.additional_properties.or_else(|| part.additional_properties.clone());
    }
    Some(whole)
}
