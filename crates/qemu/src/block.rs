//! QEMU's block nodes: each open names its driver and its children, so that nothing is probed.

use crate::descriptors::Descriptors;
use innkeeper_model::{DiskFormat, DiskLayers, Layer};
use serde_json::{Value, json};
use std::path::Path;

/// The node of a disk, ready for `-blockdev`, with its files added to `descriptors`.
///
/// Only the top layer is ever writable, and only where `writable` says so.
pub(crate) fn disk_node(
    node: &str,
    disk: &DiskLayers,
    writable: bool,
    descriptors: &mut Descriptors,
) -> Value {
    let mut below = Value::Null;
    for (depth, layer) in disk.layers.iter().enumerate().rev() {
        below = layer_node(layer, writable && depth == 0, below, descriptors);
    }
    below["node-name"] = node.into();
    below
}

fn layer_node(
    layer: &Layer,
    writable: bool,
    backing: Value,
    descriptors: &mut Descriptors,
) -> Value {
    let filename = descriptors.add_layer(layer, writable);
    let mut node = json!({
        "driver": layer.format.as_str(),
        "read-only": !writable,
        // What a guest frees is freed on the host.
        "discard": "unmap",
        "file": {
            "driver": "file",
            "filename": filename,
            "read-only": !writable,
            "discard": "unmap",
        },
    });
    if layer.format == DiskFormat::Qcow2 {
        // Said even where there is none, so that a header is never believed.
        node["backing"] = backing;
    }
    node
}

/// The node of a firmware's code, which no machine can write to.
pub(crate) fn firmware_code_node(node: &str, path: &Path, descriptors: &mut Descriptors) -> Value {
    firmware_node(node, &descriptors.add_firmware(path), true)
}

/// The node of a machine's own firmware variables.
pub(crate) fn firmware_variables_node(
    node: &str,
    path: &Path,
    descriptors: &mut Descriptors,
) -> Value {
    firmware_node(node, &descriptors.add_variables(path), false)
}

fn firmware_node(node: &str, filename: &str, read_only: bool) -> Value {
    json!({
        "driver": "raw",
        "node-name": node,
        "read-only": read_only,
        "file": { "driver": "file", "filename": filename, "read-only": read_only },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::Open;

    #[test]
    fn only_the_top_of_a_disk_is_writable_and_every_child_is_named() {
        let layer = |path: &str, format| Layer { path: path.into(), format };
        let disk = DiskLayers {
            layers: vec![layer("/v/top", DiskFormat::Qcow2), layer("/i/base", DiskFormat::Raw)],
        };
        let mut descriptors = Descriptors::default();
        let node = disk_node("disk-root", &disk, true, &mut descriptors);
        let (opens, _) = descriptors.finish();
        assert_eq!(node["read-only"], false);
        assert_eq!(node["backing"]["driver"], "raw");
        assert_eq!(node["backing"]["read-only"], true);
        let writes = opens.iter().filter(|open| matches!(open, Open::LayerWrite(_))).count();
        assert_eq!((opens.len(), writes), (3, 1));
    }

    #[test]
    fn a_qcow2_without_a_base_says_so() {
        let disk =
            DiskLayers { layers: vec![Layer { path: "/v/top".into(), format: DiskFormat::Qcow2 }] };
        let node = disk_node("disk-root", &disk, true, &mut Descriptors::default());
        assert!(node.as_object().unwrap().contains_key("backing"));
        assert!(node["backing"].is_null());
    }
}
