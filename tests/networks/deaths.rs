//! The daemon and every dnsmasq of its killed at each step of what is done to networks and to the NICs on them. All
//! that happens to addresses is recorded, and the record is checked at the end: none is given twice, none is lost.
//!
//! What dnsmasq gave is read from its own files, and from guests that asked for it; what was promised, from what the
//! daemon answered.

use super::{
    history::{Event, Holder, Tally, check, is_for_guests, nth},
    *,
};
use crate::harness::try_exchange;
use innkeeper_model::config::MacAddress;
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::net::UnixStream,
};

/// The networks that stay, and their ranges: one of a /24, and one of more, with IPv6.
const LAN: (&str, [&str; 2]) = ("lan", ["10.87.0.0/23", "fd00:87::/64"]);
const SMALL: (&str, [&str; 1]) = ("small", ["10.88.0.0/24"]);
/// The one that comes and goes.
const PASSING: (&str, [&str; 2]) = ("passing", ["10.89.0.0/24", "fd00:89::/64"]);
/// A guest that runs all the time.
const KEEPER: &str = "keeper";
/// A machine that comes and goes.
const FATED: &str = "fated";
/// What is kept at the end.
const KEPT: &str = "kept";

/// What is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    MakeNetwork,
    RemoveNetwork,
    Create,
    Start,
    Stop,
    Delete,
    PlugIn,
    TakeOut,
}

const DEEDS: [Deed; 8] = [
    Deed::MakeNetwork,
    Deed::RemoveNetwork,
    Deed::Create,
    Deed::Start,
    Deed::Stop,
    Deed::Delete,
    Deed::PlugIn,
    Deed::TakeOut,
];

#[test]
fn no_address_is_given_twice_and_none_is_lost_wherever_all_are_killed() {
    if skip_without_root("leases of guests whose daemon and dnsmasq are killed") {
        return;
    }
    let _turn = GuestSlots::one();
    let network = Arc::new(PrivateNetwork::new());
    let mut watch = Watch::begin(&network);
    for deed in DEEDS {
        watch.prepare(deed);
        watch.note_asked(deed);
        let steps = watch.daemon.done(deed.request())["task"]["steps"].as_array().unwrap().len();
        watch.look();
        let cut = (0..steps).filter(|step| watch.cut(deed, *step)).count();
        // A step may be over before it is told that it has begun, but not most of them.
        assert!(cut * 2 > steps, "{deed:?}: killed in {cut} of {steps} steps");
    }
    let reclaimed = watch.reclaim();
    let tally = watch.check();
    // Of the ranges of IPv4 all but a few.
    assert!(reclaimed > 750, "{reclaimed}");
    assert!(tally.killed >= DEEDS.len() && tally.seen > tally.killed, "{tally:?}");
    assert!(tally.given > tally.killed && tally.promised > 0 && tally.returned > 0, "{tally:?}");
}

impl Deed {
    fn request(self) -> Request {
        let nics = format!("/v1/vms/{KEEPER}/nics");
        match self {
            Self::MakeNetwork => make_network(PASSING.0, &PASSING.1),
            Self::RemoveNetwork => Request::new("DELETE", &format!("/v1/networks/{}", PASSING.0)),
            Self::Create => {
                let nics = json!([{ "name": "net0", "network": LAN.0 }, { "name": "net1", "network": SMALL.0 }]);
                Request::new("POST", "/v1/vms").json(&json!({
                    "name": FATED, "memory": "32MiB", "display": "none", "nics": nics,
                }))
            }
            Self::Start => Request::new("POST", &format!("/v1/vms/{FATED}/start")),
            Self::Stop => Request::new("POST", &format!("/v1/vms/{FATED}/kill")),
            Self::Delete => Request::new("DELETE", &format!("/v1/vms/{FATED}?force=true")),
            Self::PlugIn => {
                let nic = json!({ "name": "extra", "network": SMALL.0 });
                Request::new("POST", &nics).json(&nic)
            }
            Self::TakeOut => Request::new("DELETE", &format!("{nics}/extra")),
        }
    }

    /// Whose addresses it gives or takes away.
    fn holders(self) -> Vec<Holder> {
        match self {
            Self::Create | Self::Delete => ["net0", "net1"].map(|nic| holder(FATED, nic)).into(),
            Self::PlugIn | Self::TakeOut => vec![holder(KEEPER, "extra")],
            Self::MakeNetwork | Self::RemoveNetwork | Self::Start | Self::Stop => Vec::new(),
        }
    }
}

fn make_network(name: &str, ranges: &[&str]) -> Request {
    let subnets: Vec<Value> = ranges.iter().map(|range| json!({ "range": range })).collect();
    Request::new("POST", "/v1/networks").json(&json!({ "name": name, "subnets": subnets }))
}

fn holder(vm: &str, nic: &str) -> Holder {
    format!("{vm}/{nic}")
}

/// A daemon, and all that is known to have happened.
struct Watch {
    daemon: Daemon,
    history: Vec<Event>,
    /// The subnets that there are, as far as is known.
    subnets: BTreeSet<IpNet>,
    /// All addresses of IPv6 that were ever somebody's, of which there are too many to ask for each.
    met: BTreeSet<IpAddr>,
}

impl Watch {
    /// With two networks, and a guest on one of them that has its addresses.
    fn begin(network: &Arc<PrivateNetwork>) -> Self {
        let mut daemon = Daemon::prepared(TCG).in_network(network);
        daemon.launch();
        daemon.import_tiny();
        let mut watch =
            Self { daemon, history: Vec::new(), subnets: BTreeSet::new(), met: BTreeSet::new() };
        watch.daemon.done(make_network(LAN.0, &LAN.1));
        watch.daemon.done(make_network(SMALL.0, &SMALL.1));
        watch.look();
        on_networks(&watch.daemon, KEEPER, &[json!({ "name": "net0", "network": LAN.0 })]);
        watch.promised(KEEPER, "net0");
        watch.daemon.inn_ok(&["start", KEEPER]);
        for address in ["10.87.0.2", "fd00:87::2"] {
            watch.daemon.wait_for_log(KEEPER, &format!("INNKEEPER-GUEST-IP {address}"));
            watch.given(&holder(KEEPER, "net0"), address.parse().unwrap());
        }
        drop(online(&watch.daemon, KEEPER, "10.87.0.2"));
        watch.look();
        watch
    }

    /// Asks for something, and kills all when it has come to this step, or is over; whether it was not. Looks
    /// then at what there is.
    fn cut(&mut self, deed: Deed, step: usize) -> bool {
        self.prepare(deed);
        let mut feed = self.daemon.feed();
        self.note_asked(deed);
        // The answer may never come.
        let _answer = UnixStream::connect(self.daemon.socket())
            .and_then(|socket| try_exchange(socket, &deed.request()));
        let mut is_over = false;
        feed.expect(&format!("step {step} of {deed:?}, or its end"), BOOT, |change| {
            is_over = change["kind"] == "task"
                && new_value(change, "ended").is_some_and(Value::is_string);
            is_over || change["kind"] == "task" && has_begun(change, step)
        });
        let servers = servers_in(self.daemon.state());
        self.daemon.kill9();
        servers.iter().for_each(|server| server.kill9());
        self.history.push(Event::Killed);
        self.daemon.launch();
        self.look();
        !is_over
    }

    /// Brings about what a deed begins with, and notes what the daemon says to it.
    fn prepare(&mut self, deed: Deed) {
        match deed {
            Deed::MakeNetwork => self.has_network(false),
            Deed::RemoveNetwork => self.has_network(true),
            Deed::Create => self.has_vm(false),
            Deed::Start => self.runs(false),
            Deed::Stop | Deed::Delete => self.runs(true),
            Deed::PlugIn => self.has_nic(false),
            Deed::TakeOut => self.has_nic(true),
        }
    }

    fn has_network(&mut self, wanted: bool) {
        let there = self.daemon.send(&Request::new("GET", &format!("/v1/networks/{}", PASSING.0)));
        if (there.status == 200) != wanted {
            let deed = if wanted { Deed::MakeNetwork } else { Deed::RemoveNetwork };
            self.daemon.done(deed.request());
            self.look();
        }
    }

    fn has_vm(&mut self, wanted: bool) {
        let there = self.daemon.send(&Request::new("GET", &format!("/v1/vms/{FATED}")));
        match (there.status == 200, wanted) {
            (false, true) => {
                self.daemon.done(Deed::Create.request());
                self.promised(FATED, "net0");
                self.promised(FATED, "net1");
            }
            (true, false) => {
                self.daemon.done(Deed::Delete.request());
                let gone = Deed::Delete.holders().into_iter();
                self.history.extend(gone.map(Event::Returned));
            }
            _ => {}
        }
    }

    fn runs(&mut self, wanted: bool) {
        self.has_vm(true);
        let deed = if wanted { Deed::Start } else { Deed::Stop };
        if (self.daemon.vm(FATED)["state"] == "running") != wanted {
            self.daemon.done(deed.request());
        }
    }

    /// A NIC more for the guest that runs, which asks for its address where it has one.
    fn has_nic(&mut self, wanted: bool) {
        let nics = self.daemon.vm(KEEPER)["spec"]["config"]["nics"].clone();
        if nics.as_array().unwrap().len() == 1 {
            if !wanted {
                return;
            }
            self.daemon.done(Deed::PlugIn.request());
            self.promised(KEEPER, "extra");
        }
        let mut console = self.daemon.console(KEEPER);
        // What was written before is shown first.
        console.run("true");
        until("the guest sees its NIC", SHORT, || seen(&mut console, "eth1"));
        let address = lease(&mut console, "eth1").parse().unwrap();
        self.given(&holder(KEEPER, "extra"), address);
        if !wanted {
            self.daemon.done(Deed::TakeOut.request());
            self.history.push(Event::Returned(holder(KEEPER, "extra")));
        }
    }

    fn note_asked(&mut self, deed: Deed) {
        self.history.push(Event::Asked(deed.holders()));
    }

    /// Notes what the daemon has said that a new NIC has.
    fn promised(&mut self, vm: &str, nic: &str) {
        let assigned = self.daemon.vm(vm)["spec"]["assigned"]["addresses"][nic].clone();
        let addresses = serde_json::from_value(assigned).unwrap();
        self.history.push(Event::Promised(holder(vm, nic), addresses));
    }

    fn given(&mut self, to: &str, address: IpAddr) {
        self.history.push(Event::Given(to.into(), address));
    }

    /// Waits until nothing is done, and notes all that there is.
    fn look(&mut self) {
        // What a guest was slow to let go of is taken back by and by.
        until("nothing is done any more, nor owed", BOOT, || {
            let diagnosis = self.daemon.diagnosis();
            let left = ["tasks", "owed"].map(|what| diagnosis[what].clone());
            let is_none = |what: &Value| what.as_array().is_none_or(Vec::is_empty);
            if left.iter().all(is_none) { Ok(()) } else { Err(Value::from(left.to_vec())) }
        });
        let networks = self.items("/v1/networks");
        until("each network is answered again", BOOT, || {
            let servers = servers_in(self.daemon.state()).len();
            if servers == networks.len() { Ok(()) } else { Err(servers) }
        });
        self.note_subnets(&networks);
        let vms = until("VMs are shown with what their specs have", BOOT, || {
            let vms = self.items("/v1/vms");
            let differs = vms.iter().find(|vm| shown_of(vm) != chosen_of(vm)).cloned();
            differs.map_or(Ok(vms), Err)
        });
        self.note_leases(&networks, &vms);
        let mut all: Vec<(IpAddr, Holder)> = vms.iter().flat_map(shown_of).collect();
        for subnet in &self.subnets {
            let path =
                format!("/v1/subnets/{}/reservations", subnet.to_string().replace('/', "%2F"));
            let kept = self.items(&path).into_iter();
            all.extend(kept.map(|kept| (address_in(&kept), KEPT.into())));
        }
        self.met.extend(all.iter().map(|(address, _)| *address).filter(IpAddr::is_ipv6));
        self.history.push(Event::Seen(all));
    }

    fn note_subnets(&mut self, networks: &[Value]) {
        let subnets = networks.iter().flat_map(|network| network["subnets"].as_array().unwrap());
        let range = |subnet: &Value| subnet["config"]["range"].as_str().unwrap().parse().unwrap();
        let now: BTreeSet<IpNet> = subnets.map(range).collect();
        for range in LAN.1.iter().chain(&SMALL.1) {
            assert!(now.contains(&range.parse().unwrap()), "{range} is gone: {now:?}");
        }
        self.history.extend(now.difference(&self.subnets).copied().map(Event::Made));
        self.history.extend(self.subnets.difference(&now).copied().map(Event::Unmade));
        self.subnets = now;
    }

    /// Notes what dnsmasq has given to NICs that there are, by its own files. What it gave to others is theirs no more.
    fn note_leases(&mut self, networks: &[Value], vms: &[Value]) {
        let nics: BTreeMap<MacAddress, Holder> = vms.iter().flat_map(macs_of).collect();
        for network in networks {
            let file = self.daemon.state().join("leases").join(network["id"].as_str().unwrap());
            let leases = fs::read_to_string(file).unwrap_or_default();
            for (mac, address) in leases.lines().filter_map(lease_in) {
                if let Some(holder) = nics.get(&mac).cloned() {
                    self.given(&holder, address);
                }
            }
        }
    }

    /// Asks for every address that there is, so that one which came back to nobody shows; how many there were.
    fn reclaim(&mut self) -> usize {
        let Some(Event::Seen(seen)) = self.history.last().cloned() else {
            panic!("nothing was seen")
        };
        let held: BTreeSet<IpAddr> = seen.into_iter().map(|(address, _)| address).collect();
        let mut kept = BTreeSet::new();
        for subnet in self.subnets.clone() {
            let all: BTreeSet<IpAddr> = if subnet.addr().is_ipv6() {
                self.met.iter().copied().filter(|address| subnet.contains(address)).collect()
            } else {
                let size = 1 << (32 - subnet.prefix_len());
                (0..size)
                    .map(|number| nth(&subnet, number))
                    .filter(|a| is_for_guests(&subnet, *a))
                    .collect()
            };
            let (taken, free): (Vec<IpAddr>, Vec<IpAddr>) =
                all.into_iter().partition(|address| held.contains(address));
            for asked in taken.into_iter().map(|address| vec![address]).chain([free]) {
                match self.reserve(&subnet, &asked) {
                    Ok(()) => kept.extend(asked),
                    Err(refused) => self.history.push(Event::Refused(refused)),
                }
            }
        }
        let count = kept.len();
        self.history.push(Event::Promised(KEPT.into(), kept));
        self.look();
        count
    }

    /// Has addresses kept, or says which cannot be.
    fn reserve(&self, subnet: &IpNet, addresses: &[IpAddr]) -> Result<(), IpAddr> {
        let wanted: Vec<Value> =
            addresses.iter().map(|a| json!({ "address": a, "name": KEPT })).collect();
        let path = format!("/v1/subnets/{}/reservations", subnet.to_string().replace('/', "%2F"));
        let request = Request::new("POST", &path).json(&wanted.into()).header("Prefer", "wait=60");
        let reply = self.daemon.send(&request);
        if reply.status < 300 {
            return Ok(());
        }
        let problem = reply.json();
        assert_eq!(reply.status, 409, "{problem}");
        Err(problem["value"].as_str().unwrap_or_else(|| panic!("{problem}")).parse().unwrap())
    }

    fn items(&self, path: &str) -> Vec<Value> {
        self.daemon.get(path)["items"].as_array().unwrap().clone()
    }

    fn check(&self) -> Tally {
        check(&self.history).unwrap_or_else(|(at, fault)| {
            let before = &self.history[at.saturating_sub(8)..=at];
            panic!("{fault:?}, at {at}, after {before:#?}\n{}", self.daemon.log())
        })
    }
}

/// Whether a change of a task is that it has come to this step, or further.
fn has_begun(change: &Value, step: usize) -> bool {
    let is_at = |state: &Value| state.as_str().is_some_and(|state| state != "waiting");
    let whole = |steps: &Value| {
        let steps = steps.as_array().into_iter().flatten();
        steps.skip(step).any(|step| is_at(&step["state"]))
    };
    change["changes"].as_array().into_iter().flatten().any(|field| {
        let path = field["path"].as_array().map(Vec::as_slice).unwrap_or_default();
        let index = |at: &Value| at.as_str().and_then(|at| at.parse::<usize>().ok());
        let is_after = |at: &Value| index(at).is_some_and(|at| at >= step);
        match path {
            [name] if name == "steps" => whole(&field["new"]),
            [name, at] if name == "steps" && is_after(at) => is_at(&field["new"]["state"]),
            [name, at, key] if name == "steps" && key == "state" && is_after(at) => {
                is_at(&field["new"])
            }
            _ => false,
        }
    })
}

/// What a VM has, as its readers see it.
fn shown_of(vm: &Value) -> BTreeSet<(IpAddr, Holder)> {
    let name = vm["name"].as_str().unwrap();
    let known = vm["addresses"].as_array().into_iter().flatten();
    let known = known.filter(|address| address["source"] != "agent");
    known.map(|known| (address_in(known), holder(name, known["nic"].as_str().unwrap()))).collect()
}

/// What was chosen for a VM, by its spec.
fn chosen_of(vm: &Value) -> BTreeSet<(IpAddr, Holder)> {
    let name = vm["name"].as_str().unwrap();
    let chosen = vm["spec"]["assigned"]["addresses"].as_object().into_iter().flatten();
    let of_nic = |(nic, addresses): (&String, &Value)| -> Vec<(IpAddr, Holder)> {
        let addresses: Vec<IpAddr> = serde_json::from_value(addresses.clone()).unwrap();
        addresses.into_iter().map(|address| (address, holder(name, nic))).collect()
    };
    chosen.flat_map(of_nic).collect()
}

fn address_in(of: &Value) -> IpAddr {
    of["address"].as_str().unwrap().parse().unwrap()
}

/// The hardware addresses of a VM's NICs.
fn macs_of(vm: &Value) -> Vec<(MacAddress, Holder)> {
    let macs = vm["spec"]["assigned"]["macs"].as_object().into_iter().flatten();
    let name = vm["name"].as_str().unwrap();
    macs.map(|(nic, mac)| (mac.as_str().unwrap().parse().unwrap(), holder(name, nic))).collect()
}

/// Who has which address by a line of dnsmasq's leases. Of IPv6 it is the end of the client's identifier, where our
/// guests have their hardware address.
fn lease_in(line: &str) -> Option<(MacAddress, IpAddr)> {
    let words: Vec<&str> = line.split(' ').collect();
    let address: IpAddr = words.get(2)?.parse().ok()?;
    let mac = if address.is_ipv4() { words[1] } else { words.last()?.get(12..)? };
    Some((mac.parse().ok()?, address))
}
