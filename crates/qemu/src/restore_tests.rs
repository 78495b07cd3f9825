use super::*;
use crate::command_line::tests as building;
use innkeeper_driver::Launch;
use innkeeper_model::{ByteSize, Facts, IncarnationId, MachineFiles, Policy, Timestamp, VmConfig};
use std::path::Path;

fn config() -> VmConfig {
    let text = r#"{"name": "web", "display": "none", "spare_ports": 1,
                   "disks": [{"name": "root", "image": "base"}]}"#;
    serde_json::from_str(text).unwrap()
}

fn image() -> MemoryImage {
    let (incarnation, _) = building::built(config());
    MemoryImage {
        schema: 1,
        incarnation,
        size: ByteSize(1 << 20),
        checksum: "crc64nvme:0".into(),
        created: Timestamp::UNIX_EPOCH,
    }
}

fn rebuilt(
    image: &MemoryImage,
    config: VmConfig,
    here: &Hypervisor,
) -> Result<Incarnation, Refusal> {
    let spec = building::spec(config);
    let launch = Launch { incarnation: IncarnationId::new(), now: Timestamp::UNIX_EPOCH };
    let context = PlanContext {
        spec: &spec,
        incarnation: None,
        facts: &Facts::default(),
        files: &MachineFiles::default(),
        plugs: &[],
        hypervisor: here,
        launch: &launch,
        managed: None,
    };
    let place = Place { run_folder: Path::new("/run/new"), cgroup: None, boot_id: "later" };
    rebuild(image, &context, place)
}

#[test]
fn the_machine_is_the_saved_one_whatever_its_spec_says_now() {
    let image = image();
    let mut edited = config();
    (edited.cpus, edited.disks) = (4, Vec::new());
    edited.on.reboot = Policy::Stop;
    let here = Hypervisor { program: "/opt/qemu".into(), ..building::hypervisor() };
    let incarnation = rebuilt(&image, edited, &here).unwrap();

    let saved = &image.incarnation;
    assert_eq!(incarnation.opens, saved.opens);
    assert_eq!(incarnation.argv[0], "/opt/qemu");
    assert_eq!(guest_visible(&incarnation.argv), guest_visible(&saved.argv));
    assert!(guest_end::ends_on_reboot(&incarnation.argv), "its policies are those of its spec");
    assert!(takes_over_memory(&incarnation.argv) && !takes_over_memory(&saved.argv));
    assert_ne!(incarnation.id, saved.id);
    assert_eq!((incarnation.boot_id.as_str(), incarnation.cpus), ("later", saved.cpus));
}

#[test]
fn a_machine_can_be_suspended_and_resumed_again_and_again() {
    let mut image = image();
    let first = rebuilt(&image, config(), &building::hypervisor()).unwrap();
    image.incarnation = first.clone();
    let second = rebuilt(&image, config(), &building::hypervisor()).unwrap();
    assert_eq!(second.argv, first.argv);
}

fn refused(change: impl FnOnce(&mut MemoryImage, &mut Hypervisor)) -> Refusal {
    let (mut image, mut here) = (image(), building::hypervisor());
    change(&mut image, &mut here);
    rebuilt(&image, config(), &here).unwrap_err()
}

#[test]
fn what_cannot_take_over_an_image_is_refused_by_name() {
    type Change = fn(&mut MemoryImage, &mut Hypervisor);
    let changes: [(&str, Change); 9] = [
        ("the hypervisor is older", |_, here| here.version = "9.2.4".into()),
        ("the accelerator is another", |_, here| here.accelerator = "kvm".into()),
        ("machine type is not known", |image, _| image.incarnation.machine = "pc-q35-11.0".into()),
        ("CPU model", |image, here| {
            image.incarnation.cpu_model = "max".into();
            here.version = "10.1.0".into();
        }),
        ("another VM", |image, _| image.incarnation.vm = VmId::new()),
        ("another hypervisor's", |image, _| image.incarnation.driver = "sim".into()),
        ("a newer Innkeeper", |image, _| image.incarnation.schema += 1),
        ("what its machine was made of", |image, _| {
            image.incarnation.opens = serde_json::Value::Null;
        }),
        ("version is not understood", |image, _| {
            image.incarnation.hypervisor_version = "unknown".into();
        }),
    ];
    for (problem, change) in changes {
        let refusal = refused(change);
        assert_eq!(refusal.code, Code::IncompatibleMemory);
        assert!(refusal.message.contains(problem), "{problem}: {refusal}");
        for named in ["qemu", "machine", "CPU", "accelerator"] {
            assert!(refusal.message.contains(named), "{named}: {refusal}");
        }
        assert!(refusal.hint.unwrap().contains("--discard-memory"));
    }
}

#[test]
fn a_newer_hypervisor_takes_over_what_an_older_one_saved() {
    let image = image();
    for version in ["10.0.2", "10.0.10", "10.1.0 (some distribution's)", "11.0.0"] {
        let here = Hypervisor { version: version.into(), ..building::hypervisor() };
        rebuilt(&image, config(), &here).unwrap();
    }
}

/// Types that QEMU means to drop are not in the list of those that new machines get.
#[test]
fn a_machine_type_that_is_about_to_go_is_let_through() {
    let mut image = image();
    image.incarnation.machine = "pc-q35-4.0.1".into();
    rebuilt(&image, config(), &building::hypervisor()).unwrap();
}
