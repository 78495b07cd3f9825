use super::*;
use crate::Update;
use crate::{
    state::State,
    test_data::{second, spec},
};

const WEB: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0001;
const WEB_2: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0002;
const OTHER_WEB: u128 = 0x0191_0000_0000_7000_8000_0000_0000_0003;
const CAFE: u128 = 0xcafe_0000_0000_7000_8000_0000_0000_0004;

fn snapshot() -> Snapshot {
    let mut state = State::new(Uuid::nil(), 10);
    for (id, name, project) in [
        (WEB, "web", "default"),
        (WEB_2, "web-2", "default"),
        (OTHER_WEB, "web", "shop"),
        (CAFE, "cable", "default"),
    ] {
        let mut spec = spec(id, name);
        spec.config.project = project.parse().unwrap();
        state.apply(Update::VmSpec(Arc::new(spec)), second(0), &mut Vec::new());
    }
    state.snapshot().clone()
}

#[track_caller]
fn check(text: &str, project: Option<&str>, expected: &[u128]) {
    let project = project.map(|project| project.parse().unwrap());
    let found: Vec<_> = match snapshot().find_vm(text, project.as_ref()) {
        Lookup::Found(vm) => vec![vm.id],
        Lookup::None => vec![],
        Lookup::Ambiguous(vms) => {
            assert!(vms.len() > 1);
            vms.iter().map(|vm| vm.id).collect()
        }
    };
    let expected: Vec<_> = expected.iter().map(|n| VmId::from_uuid(Uuid::from_u128(*n))).collect();
    assert_eq!(found, expected, "{text:?} in {project:?}");
}

#[test]
fn an_id_finds_its_vm_written_either_way() {
    check("cafe0000-0000-7000-8000-000000000004", None, &[CAFE]);
    check("CAFE0000000070008000000000000004", None, &[CAFE]);
    check("cafe0000-0000-7000-8000-000000000005", None, &[]);
}

#[test]
fn an_exact_name_wins_over_longer_ones() {
    check("web", Some("default"), &[WEB]);
    check("web", Some("shop"), &[OTHER_WEB]);
    check("web", None, &[WEB, OTHER_WEB]);
    check("web", Some("empty"), &[]);
}

#[test]
fn the_beginning_of_a_name_or_id_finds_a_vm_if_it_is_the_only_one() {
    check("web-", None, &[WEB_2]);
    check("we", Some("shop"), &[OTHER_WEB]);
    check("we", None, &[WEB, WEB_2, OTHER_WEB]);
    check("cafe0000-0", None, &[CAFE]);
    check("cafe00000", None, &[CAFE]);
    check("0190", None, &[WEB, WEB_2]);
    check("0190", Some("shop"), &[]);
    check("ca", None, &[CAFE]);
}

#[test]
fn text_that_is_no_name_and_no_id_finds_nothing() {
    for text in ["", "-", "../", "cafe-", "🦀", &"0".repeat(1000)] {
        check(text, None, &[]);
    }
}

#[test]
fn candidates_are_counted_out_and_removed_vms_are_not_among_them() {
    let mut state = State::new(Uuid::nil(), 10);
    let mut apply = |update| state.apply(update, second(0), &mut Vec::new());
    for n in 1..=100 {
        apply(Update::VmSpec(Arc::new(spec(n, &format!("web-{n}")))));
    }
    apply(Update::VmRemoved(VmId::from_uuid(Uuid::from_u128(1))));
    apply(Update::VmSpec(Arc::new(spec(2, "renamed"))));
    let Lookup::Ambiguous(vms) = state.snapshot().find_vm("web", None) else {
        panic!("not ambiguous");
    };
    assert_eq!(vms.len(), MAX_CANDIDATES);
    assert!(vms.iter().all(|vm| vm.name.as_str().starts_with("web-")));
    assert!(matches!(state.snapshot().find_vm("web-1", None), Lookup::Ambiguous(_)));
    assert!(matches!(state.snapshot().find_vm("web-2", None), Lookup::Ambiguous(_)));
    assert!(matches!(state.snapshot().find_vm("ren", None), Lookup::Found(_)));
}
