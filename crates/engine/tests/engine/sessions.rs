//! What is opened to something in a machine: by many, while all else goes on.

use crate::support::{Bench, LONG, START, STOP, caller};
use innkeeper_driver::ByteStream;
use innkeeper_engine::{Caller, OpenedConsole, PowerVerb};
use innkeeper_model::{Code, Vm, VmId, keyboard::Stroke, network::AddressSource};
use innkeeper_session::Role;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

fn other() -> Caller {
    Caller { name: "other".into(), ..Caller::default() }
}

async fn open(bench: &Bench, vm: VmId, role: Role) -> OpenedConsole {
    bench.engine.open_console(&caller(), vm, role).await.unwrap()
}

/// Reads until it has read this.
async fn sees(console: &mut Box<dyn ByteStream>, wanted: &str) -> String {
    let mut seen = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&seen).contains(wanted) {
            assert_ne!(console.read_buf(&mut seen).await.unwrap(), 0, "the console ended");
        }
    };
    let read = timeout(LONG, reading).await;
    let seen = String::from_utf8_lossy(&seen).into_owned();
    read.unwrap_or_else(|_| panic!("saw only {seen:?}"));
    seen
}

#[tokio::test]
async fn many_look_at_one_console_and_one_types() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let first = open(&bench, vm, Role::Write).await;
    let second = bench.engine.open_console(&other(), vm, Role::Write).await.unwrap();
    assert!(first.may_type && !second.may_type);
    assert_eq!(second.typist.as_deref(), Some("test"));
    let (mut first, mut second) = (first.stream, second.stream);
    // What the guest wrote before anybody looked is there.
    sees(&mut first, "boot 1. Type help.\r\nweb# ").await;
    sees(&mut second, "boot 1. Type help.\r\nweb# ").await;
    second.write_all(b"poweroff\n").await.unwrap();
    first.write_all(b"echo hello\n").await.unwrap();
    for console in [&mut first, &mut second] {
        assert!(!sees(console, "\r\nhello\r\n").await.contains("poweroff"));
    }
    let sessions = bench.engine.diagnose().sessions;
    let listed: Vec<_> =
        sessions.iter().map(|s| (s.kind.as_str(), s.caller.as_str(), s.viewers)).collect();
    assert_eq!(listed, [("console", "test", 2), ("console", "other", 2)]);
    assert!(sessions[0].shown > 20 && sessions[0].typed == 11, "{sessions:?}");
    // Who types leaves, and the next one may.
    drop(first);
    sees(&mut second, "you may type now").await;
    second.write_all(b"echo mine\n").await.unwrap();
    sees(&mut second, "\r\nmine\r\n").await;
    drop(second);
    assert!(bench.engine.diagnose().sessions.is_empty());
}

#[tokio::test]
async fn a_console_that_was_left_can_be_opened_at_once_again_and_again() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    for round in 0..20 {
        let mut console = open(&bench, vm, Role::Write).await.stream;
        sees(&mut console, "web# ").await;
        console.write_all(format!("echo round-{round}\n").as_bytes()).await.unwrap();
        sees(&mut console, &format!("\r\nround-{round}\r\n")).await;
    }
}

#[tokio::test]
async fn many_who_open_at_the_same_time_open_one_line() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let opening = (0..50).map(|_| open(&bench, vm, Role::Shared));
    let opened = futures_util::future::join_all(opening).await;
    assert!(opened.iter().all(|opened| opened.may_type));
    assert_eq!(bench.engine.diagnose().sessions[0].viewers, 50);
}

#[tokio::test]
async fn a_console_holds_up_nothing_and_ends_with_its_machine() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let mut console = open(&bench, vm, Role::Write).await.stream;
    bench.powers(vm, &[PowerVerb::Pause, PowerVerb::Resume, STOP]).await;
    let mut rest = Vec::new();
    timeout(LONG, console.read_to_end(&mut rest)).await.unwrap().unwrap();
    let refused = bench.engine.open_console(&caller(), vm, Role::Write).await.err().unwrap();
    assert_eq!(refused.code, Code::WrongState);
    assert!(refused.message.contains("web has no console"), "{refused:?}");
    let nobody = bench.engine.open_console(&caller(), VmId::new(), Role::Write).await;
    assert_eq!(nobody.err().unwrap().code, Code::NotFound);
}

#[tokio::test]
async fn what_a_simulated_machine_does_not_have_is_refused() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let screen = bench.engine.open_vnc(&caller(), vm).await.err().unwrap();
    assert_eq!(screen.code, Code::Unsupported);
    assert_eq!(bench.engine.screenshot(vm).await.unwrap_err().code, Code::Unsupported);
    let strokes: Vec<Stroke> = vec!["ret".parse().unwrap()];
    let pressed = bench.engine.send_keys(&caller(), vm, &strokes).await;
    assert_eq!(pressed.unwrap_err().code, Code::Unsupported);
    let opened = bench.engine.agent(&caller(), vm, "exec").unwrap();
    let refusal = innkeeper_model::Refusal::from(opened.agent.ping().await.unwrap_err());
    assert_eq!(refusal.code, Code::Unsupported);
    assert_eq!(bench.engine.diagnose().sessions.len(), 1, "listed while it is asked");
    drop(opened);
    assert!(bench.engine.diagnose().sessions.is_empty());
}

/// An agent that has these addresses on an interface that is no NIC, and says that it is this.
fn tells(addresses: &'static [&'static str]) -> impl Fn(&str, &Value) -> Option<Value> {
    let addresses: Vec<_> = addresses
        .iter()
        .map(|address| json!({ "ip-address": address, "ip-address-type": "any", "prefix": 24 }))
        .collect();
    move |command, _| match command {
        "guest-network-get-interfaces" => Some(json!([{
            "name": "eth0", "hardware-address": "52:54:00:00:00:01", "ip-addresses": addresses,
        }])),
        "guest-get-host-name" => Some(json!({ "host-name": "told" })),
        "guest-get-osinfo" => Some(json!({ "pretty-name": "x".repeat(1000), "id": "debian" })),
        _ => Some(json!({})),
    }
}

fn told(vm: &Vm) -> Vec<String> {
    let told = vm.addresses.iter().filter(|known| known.source == AddressSource::Agent);
    told.map(|known| known.address.to_string()).collect()
}

#[tokio::test]
async fn what_an_agent_tells_is_in_the_view_until_its_machine_is_gone() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let addresses =
        &["fe80::1", "127.0.0.1", "::1", "10.0.0.9", "10.0.0.9", "169.254.1.1", "no", "fd00::9"];
    bench.world.put_agent(vm, tells(addresses));
    bench.powers(vm, &[START]).await;
    bench.until("told", |snapshot| snapshot.vms[&vm].guest.is_some()).await;
    let seen = bench.vm(vm);
    assert_eq!(told(&seen), ["10.0.0.9", "fd00::9"]);
    let guest = seen.guest.unwrap();
    assert_eq!(guest.hostname.as_deref(), Some("told"));
    assert_eq!(guest.os.as_deref().map(str::len), Some(255));
    bench.powers(vm, &[PowerVerb::Kill]).await;
    let seen = bench.vm(vm);
    assert!(told(&seen).is_empty() && seen.guest.is_none(), "{seen:?}");
    assert!(bench.engine.diagnose().sessions.is_empty());
}

#[tokio::test]
async fn what_an_agent_told_is_shown_by_the_next_daemon_which_asks_anew() {
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    bench.world.put_agent(vm, tells(&["10.0.0.9"]));
    bench.powers(vm, &[START]).await;
    bench.until("told", |snapshot| snapshot.vms[&vm].guest.is_some()).await;
    let before = bench.vm(vm);
    let ended = bench.end().await;
    ended.world.put_agent(vm, tells(&["10.0.0.10"]));
    let bench = ended.open_only(None).await;
    assert_eq!((told(&bench.vm(vm)), bench.vm(vm).guest), (told(&before), before.guest));
    bench.engine.recover().await;
    bench.until("asked anew", |snapshot| told(&snapshot.vms[&vm]) == ["10.0.0.10"]).await;
    // Of a machine that ended with its host, nobody knows anything.
    let mut ended = bench.end().await;
    ended.reboot_host();
    let bench = ended.open_only(None).await;
    assert!(told(&bench.vm(vm)).is_empty() && bench.vm(vm).guest.is_none());
}

#[tokio::test]
async fn agents_that_say_nothing_or_too_much_hold_up_nobody_and_tell_nothing() {
    let bench = Bench::new().await;
    let vms = [bench.create("silent").await, bench.create("flood").await];
    bench.world.put_agent(vms[0], |_, _| None);
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = asked.clone();
    bench.world.put_agent(vms[1], move |_, _| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(json!([{ "name": "x".repeat(2 << 20) }]))
    });
    let web = bench.create("web").await;
    bench.world.put_agent(web, tells(&["10.0.0.9"]));
    for vm in [vms[0], vms[1], web] {
        bench.powers(vm, &[START]).await;
    }
    bench.until("told", |snapshot| snapshot.vms[&web].guest.is_some()).await;
    bench.until_so("asked", || asked.load(std::sync::atomic::Ordering::Relaxed) > 0).await;
    for vm in vms {
        bench.powers(vm, &[PowerVerb::Pause, PowerVerb::Resume, STOP]).await;
        assert!(bench.vm(vm).guest.is_none());
    }
}

#[tokio::test]
async fn a_guest_is_held_still_until_its_holder_goes() {
    use std::sync::{Arc, Mutex};
    let bench = Bench::new().await;
    let vm = bench.create("web").await;
    let frozen = Arc::new(Mutex::new(false));
    let state = frozen.clone();
    bench.world.put_agent(vm, move |command, _| {
        match command {
            "guest-fsfreeze-freeze" => *state.lock().unwrap() = true,
            "guest-fsfreeze-thaw" => *state.lock().unwrap() = false,
            _ => return Some(json!({})),
        }
        Some(json!(2))
    });
    bench.powers(vm, &[START]).await;
    let is_frozen = || *frozen.lock().unwrap();
    // For so long, or until the holder goes, or until somebody thaws it.
    let opened = bench.engine.agent(&caller(), vm, "freeze").unwrap();
    let held = opened.agent.hold(Duration::from_millis(50)).await.unwrap();
    assert!(is_frozen() && held.file_systems == 2);
    timeout(LONG, held.thawed()).await.unwrap().unwrap();
    assert!(!is_frozen());
    let held = opened.agent.hold(LONG * 10).await.unwrap();
    assert!(is_frozen());
    drop(held);
    bench.until_so("thawed", || !is_frozen()).await;
    let held = opened.agent.hold(LONG * 10).await.unwrap();
    opened.agent.thaw().await.unwrap();
    timeout(LONG, held.thawed()).await.unwrap().unwrap();
    assert!(!is_frozen());
}
