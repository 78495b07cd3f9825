//! Making a VM.

use super::{
    Defaults, PATIENCE, State,
    answer::{Answer, Body, Failures},
    boot_args,
    outcome::outcome,
    wire::{Create, Created, Machine},
};
use axum::{Extension, Json};
use innkeeper_engine::{Caller, Request};
use innkeeper_model::{
    ByteSize, Code, ImageKind, ImageName, Mebibytes, NetworkName, Refusal, VmConfig,
    config::{Attachment, Boot, Disk, Display, KernelBoot, Nic},
};
use innkeeper_surface::{Done, Performed};
use innkeeper_view::Snapshot;

/// The network that a VM is on, where there is one of this name.
const NETWORK: &str = "default";

/// Make a VM
#[utoipa::path(
    post,
    path = "/vm/create",
    operation_id = "create",
    request_body = Create,
    responses((status = 200, description = "It is made", body = Created), Failures),
)]
pub(super) async fn create(
    state: State,
    Extension(caller): Extension<Caller>,
    Body(create): Body<Create>,
) -> Answer<Created> {
    let seen = state.seen();
    let project = state.owner(create.owner.as_deref()).map_err(as_created)?;
    let (mut config, changes) =
        config(create, state.defaults(), seen.whole()).map_err(as_created)?;
    config.project = project.unwrap_or(config.project);
    drop(seen);
    let request = Request::Create { config: Box::new(config), id: None };
    let performed = state.begin(&caller, request, PATIENCE).await.map_err(as_created)?;
    let (said, task_id) = outcome(&performed, "VM created successfully", "VM creation initiated");
    let message = [said].into_iter().chain(changes).collect::<Vec<_>>().join("; ");
    let (Performed::Done(Done { accepted, .. }) | Performed::GoesOn { accepted, .. }) = performed;
    let vm_id = accepted.vm.map(|vm| vm.to_string()).unwrap_or_default();
    Ok(Json(Created { success: true, vm_id, message, task_id }))
}

/// A refusal as the service words it.
fn as_created(mut refusal: Refusal) -> Refusal {
    refusal.message = format!("Error creating VM: {}", refusal.message);
    refusal
}

/// The VM that a request describes, and what was changed of what it says.
pub(super) fn config(
    create: Create,
    defaults: &Defaults,
    snapshot: &Snapshot,
) -> Result<(VmConfig, Vec<String>), Refusal> {
    let Create { name, owner: _, vm_config } = create;
    let Machine { vcpu_count, mem_size_mib, disk_size, boot_args, kernel, rootfs } = vm_config;
    let parsed = name.parse().map_err(|problem| Refusal::invalid("name", &name, problem))?;
    let mut config = VmConfig::new(parsed);
    config.cpus = vcpu_count.unwrap_or(config.cpus);
    config.memory = mem_size_mib.map_or(config.memory, Mebibytes);
    // A tenant of this service has a console and no screen.
    config.display = Display::None;
    let kernel = image(snapshot, "kernel", kernel, &defaults.kernel, ImageKind::Kernel)?;
    let rootfs = image(snapshot, "rootfs", rootfs, &defaults.rootfs, ImageKind::Disk)?;
    let mut changes = Vec::new();
    match kernel {
        Some(kernel) => {
            let given = boot_args.unwrap_or_else(|| defaults.boot_args.clone());
            let (cmdline, changed) = boot_args::fitted(&given);
            changes = changed;
            config.boot =
                Boot::Kernel(KernelBoot { image: Some(kernel), cmdline, ..KernelBoot::default() });
        }
        None if rootfs.is_none() => {
            let hint = "name an image of kind kernel (see `inn image list`), or set `kernel` in \
                        [door.vmm]";
            return Err(Refusal::new(Code::InvalidField, "there is nothing to boot")
                .at("vm_config.kernel")
                .with_hint(hint));
        }
        None => {}
    }
    let size = disk_size.map(gibibytes).transpose()?;
    if rootfs.is_some() || size.is_some() {
        config.disks.push(root_disk(rootfs, size));
    }
    config.nics.push(nic(snapshot));
    Ok((config, changes))
}

fn gibibytes(size: u64) -> Result<ByteSize, Refusal> {
    const MAX_GIBIBYTES: u64 = u64::MAX >> 30;
    if size == 0 || size > MAX_GIBIBYTES {
        let problem = "is not a size of a disk, in GiB";
        return Err(Refusal::invalid("vm_config.disk_size", size, problem));
    }
    Ok(ByteSize::from_gibibytes(size))
}

/// The image that is named, or the default.
fn image(
    snapshot: &Snapshot,
    field: &str,
    named: Option<String>,
    default: &Option<ImageName>,
    kind: ImageKind,
) -> Result<Option<ImageName>, Refusal> {
    let field = format!("vm_config.{field}");
    let name = match named {
        Some(text) => {
            let hint = "it is the name of an image (see `inn image list`), and not a path";
            text.parse()
                .map_err(|problem| Refusal::invalid(&field, &text, problem).with_hint(hint))?
        }
        None => match default {
            Some(name) => name.clone(),
            None => return Ok(None),
        },
    };
    let Some(image) = snapshot.images.get(&name) else {
        return Err(Refusal::not_found("image", &name).at(field));
    };
    if image.kind != kind {
        let problem = match kind {
            ImageKind::Kernel => "is not an image of a kernel",
            _ => "is not an image of a disk",
        };
        return Err(Refusal::invalid(field, name, problem));
    }
    Ok(Some(name))
}

fn root_disk(image: Option<ImageName>, size: Option<ByteSize>) -> Disk {
    Disk {
        name: "root".parse().expect("a word is a name"),
        image,
        path: None,
        format: None,
        size,
        kind: Default::default(),
        bus: None,
        read_only: false,
        serial: None,
    }
}

fn nic(snapshot: &Snapshot) -> Nic {
    let name = "nic0".parse().expect("a word is a name");
    Nic { network: usual_network(snapshot), ..Nic::new(name) }
}

/// What a NIC is on where nobody says.
pub(super) fn usual_network(snapshot: &Snapshot) -> Attachment {
    let network: NetworkName = NETWORK.parse().expect("a word is a name");
    match snapshot.network_named(&network) {
        Some(_) => Attachment::Network(network),
        None => Attachment::User,
    }
}
