use super::*;
use crate::accept::request::ImageFrom;
use innkeeper_driver::Crash;
use innkeeper_model::{ByteSize, IncarnationId, Secret, Timestamp};
use serde_json::{Value, json};

fn vm() -> VmId {
    "01234567-89ab-7def-8123-456789abcdef".parse().unwrap()
}

fn spec() -> Arc<Spec> {
    let spec = serde_json::from_value(json!({
        "id": vm(), "revision": 3, "created": "2026-01-01T00:00:00Z",
        "updated": "2026-01-02T00:00:00Z", "want": "running",
        "config": { "name": "web", "disks": [{ "name": "root", "size": "1GiB" }] },
        "assigned": { "machine": "m", "cpu_model": "c", "devices": {}, "ports": 0 },
    }));
    Arc::new(spec.unwrap())
}

fn incarnation() -> Arc<Incarnation> {
    let incarnation = serde_json::from_value(json!({
        "schema": 1, "id": IncarnationId::from_uuid(vm().as_uuid()), "vm": vm(), "spec_revision": 1,
        "boot_id": "b", "created": "2026-01-01T00:00:00Z", "driver": "sim",
        "hypervisor_version": "1", "machine": "m", "cpu_model": "c", "accelerator": "none",
        "cpus": 1, "memory": "64MiB", "run_folder": "/run", "argv": [], "block_nodes": {},
    }));
    Arc::new(incarnation.unwrap())
}

fn image() -> Arc<MemoryImage> {
    Arc::new(MemoryImage {
        schema: 1,
        incarnation: Incarnation::clone(&incarnation()),
        size: ByteSize(7),
        checksum: "crc64nvme:0".into(),
        created: Timestamp::UNIX_EPOCH,
    })
}

fn documents() -> CloudInit {
    CloudInit {
        user_data: Some(Secret::new("password: hunter2")),
        meta_data: Some(Secret::new("instance-id: hunter3")),
        network_config: Some(Secret::new("wifi: hunter4")),
    }
}

/// One of each.
fn all() -> Vec<OwnStep> {
    let vm = vm();
    let disk = || serde_json::from_value(json!({ "name": "root", "size": "1GiB" })).unwrap();
    let image_file = AddImage {
        name: "base".parse().unwrap(),
        kind: innkeeper_model::ImageKind::Disk,
        from: ImageFrom::Url {
            url: Secret::new("https://example.org/"),
            checksum: Some("0".into()),
        },
        format: None,
        initrd: None,
    };
    let project: ProjectName = "default".parse().unwrap();
    vec![
        OwnStep::Reserve {
            vm,
            project: project.clone(),
            share: Share { cpus: 2, memory: Mebibytes(64) },
        },
        OwnStep::Release { vm },
        OwnStep::ReserveDisk { vm, project, size: ByteSize(9), before: Some(ByteSize(8)) },
        OwnStep::ClaimVolumes { vm },
        OwnStep::FinishVolumes { vm },
        OwnStep::CreateVolume { vm, disk: disk() },
        OwnStep::RemoveVolume { vm, disk: "root".parse().unwrap() },
        OwnStep::RemoveVolumes { vm },
        OwnStep::CloneVolumes { from: vm, to: vm },
        OwnStep::BringVolumes { vm, from: ".arrival-1".into() },
        OwnStep::CreateNvram { vm, template: "/vars".into() },
        OwnStep::WriteSeed {
            vm,
            hostname: "web".parse().unwrap(),
            documents: Box::new(documents().sealed()),
            inherit: Some(vm),
        },
        OwnStep::RemoveSeed { vm },
        OwnStep::CreateMemory { vm },
        OwnStep::SealMemory { vm, incarnation: incarnation() },
        OwnStep::CheckMemory { vm },
        OwnStep::VerifyMemory { vm, image: image() },
        OwnStep::SpendMemory { vm, image: image() },
        OwnStep::RemoveMemory { vm },
        OwnStep::CheckDisks { vm },
        OwnStep::NoteDump { vm },
        OwnStep::CreateDump { vm },
        OwnStep::SaveSpec { spec: spec(), before: Some(spec()) },
        OwnStep::RemoveSpec { vm, damaged: true },
        OwnStep::SetWant { vm, want: Want::Running, before: Want::Stopped },
        OwnStep::NoteWant { vm, want: Want::Suspended, before: Want::Paused },
        OwnStep::GuardLoopback,
        OwnStep::Forget { vm },
        OwnStep::Hook { vm, event: HookEvent::PreStart, reason: "start".into() },
        OwnStep::ImportImage(Box::new(image_file)),
        OwnStep::RemoveImage { name: "base".parse().unwrap() },
    ]
}

fn written(step: &PlanStep) -> String {
    serde_json::to_string(step).unwrap()
}

#[test]
fn every_step_is_read_back_as_it_was_written() {
    let mut names = std::collections::BTreeSet::new();
    for own in all() {
        let step = PlanStep::Own(own);
        let read: PlanStep = serde_json::from_str(&written(&step)).unwrap();
        assert_eq!(read, step);
        assert_eq!((read.name(), read.crash()), (step.name(), step.crash()));
        let step: Step = step.into();
        assert_eq!(step.schema, SCHEMA);
        assert!(!step.name.contains(OF_DRIVER), "{} would be taken for a driver's", step.name);
        names.insert(step.name);
    }
    assert_eq!(names.len(), all().len(), "each kind once");
}

#[test]
fn an_image_of_a_disk_is_read_back_as_it_was_written() {
    let image = AddImage {
        name: "golden".parse().unwrap(),
        kind: innkeeper_model::ImageKind::Disk,
        from: ImageFrom::Disk { vm: vm(), disk: Some("root".parse().unwrap()) },
        format: None,
        initrd: None,
    };
    let step = PlanStep::Own(OwnStep::ImportImage(Box::new(image)));
    assert_eq!(serde_json::from_str::<PlanStep>(&written(&step)).unwrap(), step);
}

/// What is in journals stays readable: whoever changes this raises the schema, and reads both.
#[test]
fn the_written_form_of_version_1_does_not_change() {
    let lines: Vec<String> = all().into_iter().map(|own| written(&PlanStep::Own(own))).collect();
    insta::assert_snapshot!("written", lines.join("\n"));
}

#[test]
fn a_step_that_is_not_known_is_kept_as_it_was_written() {
    let known: Step = PlanStep::Own(OwnStep::ClaimVolumes { vm: vm() }).into();
    let other_arguments = |arguments: Value| Step { arguments, ..known.clone() };
    for unknown in [
        Step { schema: SCHEMA + 1, ..known.clone() },
        Step { name: "polish-volumes".into(), ..known.clone() },
        Step {
            name: "polish-volumes".into(),
            about: Some("root".into()),
            schema: 9,
            crash: Crash::Once,
            arguments: json!({ "deep": [{ "er": null, "number": 1.5 }], "a": "ü\u{0}" }),
        },
        // A field that is not known here may mean something.
        other_arguments(json!({ "claim-volumes": { "vm": vm(), "quota": 1 } })),
        other_arguments(json!({ "claim-volumes": {} })),
        other_arguments(json!("claim-volumes")),
        other_arguments(Value::Null),
        // The name is what people are shown, and must be what is done.
        other_arguments(json!({ "remove-volumes": { "vm": vm() } })),
    ] {
        let text = serde_json::to_string(&unknown).unwrap();
        let read: PlanStep = serde_json::from_str(&text).unwrap();
        assert_eq!(read, PlanStep::Unknown(unknown.clone()));
        assert_eq!(written(&read), text);
        assert_eq!(read.crash(), unknown.crash);
    }
}

#[test]
fn a_drivers_step_is_the_drivers_whatever_it_says() {
    let step = Step::new("sim/launch", 77, Crash::Probe, &json!({ "whatever": 1 })).about("x");
    let text = serde_json::to_string(&step).unwrap();
    let read: PlanStep = serde_json::from_str(&text).unwrap();
    assert_eq!(read, PlanStep::Driver(step));
    assert_eq!((read.name(), written(&read)), ("sim/launch:x".into(), text));
}

#[test]
fn the_secrets_of_a_seed_are_not_written_down() {
    let write_seed = |documents| {
        PlanStep::Own(OwnStep::WriteSeed {
            vm: vm(),
            hostname: "web".parse().unwrap(),
            documents: Box::new(documents),
            inherit: None,
        })
    };
    let step = write_seed(documents());
    let text = written(&step);
    let shown = format!("{text} {:?} {:?}", step, Step::from(step.clone()));
    for secret in ["hunter2", "hunter3", "hunter4", "password", "instance-id", "wifi"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    // Nor with a plan, or what a plan is written down in.
    let read: PlanStep = serde_json::from_str(&text).unwrap();
    assert_eq!(read, write_seed(documents().sealed()));
    let PlanStep::Own(OwnStep::WriteSeed { documents, .. }) = read else { panic!("{read:?}") };
    assert!(documents.documents().all(|(_, secret)| secret.expose().is_none()));
}

#[test]
fn a_spec_with_a_seed_is_written_down_without_its_secrets() {
    let mut spec = Spec::clone(&spec());
    spec.config.cloud_init = Some(documents());
    let step = PlanStep::Own(OwnStep::SaveSpec { spec: Arc::new(spec), before: None });
    assert!(!written(&step).contains("hunter"), "{}", written(&step));
}

#[test]
fn what_only_counts_and_what_changes_nothing_does_not_wait() {
    let steps = all();
    let at_once = steps.iter().filter(|step| !step.waits()).map(OwnStep::name);
    assert_eq!(at_once.collect::<Vec<_>>(), ["reserve", "release", "reserve-disk"]);
    let (vm, want) = (vm(), Want::Running);
    assert!(!OwnStep::ReserveAddresses { vm, claims: Vec::new() }.waits());
    assert!(!OwnStep::SetWant { vm, want, before: want }.waits());
    assert!(!OwnStep::NoteWant { vm, want, before: want }.waits());
}
