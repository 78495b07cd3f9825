//! What rates of a NIC come to, measured by what one guest gets from another.

use super::*;

/// A slow rate in kbit/s.
const SLOW: f64 = 2000.0;
/// How much more than it may be measured: what is let through at once, when a guest was silent for a moment.
const OVER: f64 = 1.3;
/// How many times the slow rate is certainly another one: what two guests get through without a limit is a hundred
/// times as much, and on a host that is busy with others still ten times.
const TIMES: f64 = 2.5;

#[test]
fn a_rate_holds_either_way_and_is_raised_while_data_flows() {
    if skip_without_root("rates between guests on a network") {
        return;
    }
    let _turn = GuestSlots::all();
    let (_, daemon) = host_with_guests();
    daemon.inn_ok(&["network", "create", "lan", "--subnet", "10.87.3.0/24"]);
    let slow = json!({ "out_kbit": SLOW as u32 });
    for (name, address, rate) in [("from", "10.87.3.10", slow), ("to", "10.87.3.20", json!({}))] {
        let nic = json!({ "name": "net0", "network": "lan", "addresses": [address], "rate": rate });
        on_networks(&daemon, name, &[nic]);
    }
    daemon.inn_ok(&["start", "from", "to"]);
    let mut to = online(&daemon, "to", "10.87.3.20");
    let mut from = online(&daemon, "from", "10.87.3.10");
    to.run("sh -c 'while :; do nc -l -p 5001 </dev/null >/dev/null; done' >/dev/null 2>&1 & true");
    from.run("sh -c 'while :; do nc 10.87.3.20 5001 </dev/zero; done' >/dev/null 2>&1 & true");
    let set =
        |vm: &str, rate: [&str; 2]| daemon.inn_ok(&["nic", "set", vm, "net0", rate[0], rate[1]]);
    let slow = format!("{SLOW}");

    // What the sender may send.
    comes_to(&mut to, "the sender's rate", |rate| rate > SLOW / 10.0);
    let first = [(); 2].map(|()| rate_at(&mut to));
    assert!(first.iter().all(|rate| *rate < SLOW * OVER), "{first:?} kbit/s");
    set("from", ["--out-kbit", "100000"]);
    comes_to(&mut to, "the rate that was raised", |rate| rate > SLOW * TIMES);

    // What the receiver may get.
    set("to", ["--in-kbit", &slow]);
    comes_to(&mut to, "the receiver's rate", |rate| rate < SLOW * OVER);
    let then = [(); 2].map(|()| rate_at(&mut to));
    assert!(then.iter().all(|rate| *rate < SLOW * OVER), "{then:?} kbit/s");
    set("to", ["--in-kbit", "none"]);
    comes_to(&mut to, "no rate of the receiver's", |rate| rate > SLOW * TIMES);

    // Of the sender again, while it goes fast.
    set("from", ["--out-kbit", &slow]);
    comes_to(&mut to, "the sender's rate again", |rate| rate < SLOW * OVER && rate > SLOW / 10.0);
    set("from", ["--out-kbit", "none"]);
    comes_to(&mut to, "no rate at all", |rate| rate > SLOW * TIMES);
}

/// Measures until the rate is such.
#[track_caller]
fn comes_to(console: &mut Console, what: &str, is_such: impl Fn(f64) -> bool) {
    until(what, BOOT, || {
        let rate = rate_at(console);
        if is_such(rate) { Ok(()) } else { Err(format!("{rate:.0} kbit/s")) }
    });
}

/// How much comes to the guest in kbit/s, over three seconds by its own clock.
fn rate_at(console: &mut Console) -> f64 {
    let at = "echo $(cat /sys/class/net/eth0/statistics/rx_bytes) $(cut -d' ' -f1 /proc/uptime)";
    let said = console.output_of(&format!("{at}; sleep 3; {at}"));
    let numbers: Vec<f64> = said.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let [bytes, seconds, more_bytes, more_seconds] = numbers[..] else { panic!("{said}") };
    (more_bytes - bytes) * 8.0 / 1000.0 / (more_seconds - seconds)
}
