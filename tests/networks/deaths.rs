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
/// A range that comes and goes on the first network.
const MORE: &str = "10.90.0.0/24";
/// The address that a NIC gets in place of the one that was chosen for it.
const OTHER: &str = "10.88.0.200";
/// What an address is kept for, now and then.
const HELD: &str = "held";
/// What is kept at the end.
const KEPT: &str = "kept";
/// How often something is asked for until all are killed in one of its steps: it may be over before it is told
/// that it has begun.
const TRIES: usize = 12;

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
    Readdress,
    Move,
    TakeOut,
    MakeSubnet,
    RemoveSubnet,
    Reserve,
    Release,
}

const DEEDS: [Deed; 14] = [
    Deed::MakeNetwork,
    Deed::RemoveNetwork,
    Deed::Create,
    Deed::Start,
    Deed::Stop,
    Deed::Delete,
    Deed::PlugIn,
    Deed::Readdress,
    Deed::Move,
    Deed::TakeOut,
    Deed::MakeSubnet,
    Deed::RemoveSubnet,
    Deed::Reserve,
    Deed::Release,
];

#[test]
fn no_address_is_given_twice_and_none_is_lost_wherever_all_are_killed() {
    if skip_without_root("leases of guests whose daemon and dnsmasq are killed") {
        return;
    }
    let _turn = GuestSlots::one();
    let network = Arc::new(PrivateNetwork::new());
    let mut watch = Watch::begin(&network);
    let mut all_steps = 0;
    for deed in DEEDS {
        watch.prepare(deed);
        watch.note_asked(deed);
        let done = watch.daemon.done(deed.request(&watch.daemon));
        watch.look();
        let steps = done["task"]["steps"].as_array().unwrap();
        for (step, what) in steps.iter().enumerate() {
            let cut = (0..TRIES).any(|_| watch.cut(deed, step));
            assert!(cut, "{deed:?}: never killed in step {step}, {}", what["name"]);
        }
        all_steps += steps.len();
    }
    let reclaimed = watch.reclaim();
    let tally = watch.check();
    // Of the ranges of IPv4 all but a few.
    assert!(reclaimed > 750, "{reclaimed}");
    assert!(tally.killed >= all_steps && tally.seen > tally.killed, "{tally:?}");
    assert!(tally.given > tally.killed && tally.promised > 0 && tally.returned > 0, "{tally:?}");
}

impl Deed {
    fn request(self, daemon: &Daemon) -> Request {
        let nics = format!("/v1/vms/{KEEPER}/nics");
        let change_nic = |change: &Value| {
            Request::new("PATCH", &format!("{nics}/extra"))
                .json(change)
                .header("Content-Type", "application/merge-patch+json")
        };
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
            Self::Readdress => change_nic(&json!({ "addresses": [OTHER] })),
            Self::Move => change_nic(&json!({ "network": LAN.0 })),
            Self::TakeOut => Request::new("DELETE", &format!("{nics}/extra")),
            Self::MakeSubnet => Request::new("POST", "/v1/subnets")
                .json(&json!({ "network": LAN.0, "range": MORE })),
            Self::RemoveSubnet => Request::new("DELETE", &subnet(MORE)),
            Self::Reserve => {
                Request::new("POST", &reservations(SMALL.1[0])).json(&json!([{ "name": HELD }]))
            }
            Self::Release => {
                let address = held(daemon).expect("an address is kept");
                let path = format!("{}?address={address}", reservations(SMALL.1[0]));
                Request::new("DELETE", &path)
            }
        }
    }

    /// Whose addresses it gives or takes away.
    fn holders(self) -> Vec<Holder> {
        match self {
            Self::Create | Self::Delete => ["net0", "net1"].map(|nic| holder(FATED, nic)).into(),
            Self::PlugIn | Self::Readdress | Self::Move | Self::TakeOut => {
                vec![holder(KEEPER, "extra")]
            }
            Self::Reserve | Self::Release => vec![HELD.into()],
            Self::MakeNetwork | Self::RemoveNetwork | Self::Start | Self::Stop => Vec::new(),
            Self::MakeSubnet | Self::RemoveSubnet => Vec::new(),
        }
    }
}

fn subnet(range: &str) -> String {
    format!("/v1/subnets/{}", range.replace('/', "%2F"))
}

fn reservations(range: &str) -> String {
    format!("{}/reservations", subnet(range))
}

/// The address that is kept now and then, while it is.
fn held(daemon: &Daemon) -> Option<IpAddr> {
    let kept = daemon.get(&format!("{}?name={HELD}", reservations(SMALL.1[0])));
    kept["items"].as_array().unwrap().first().map(address_in)
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
    /// What a NIC had on the network where it was to have another address. Its lease of that stands in dnsmasq's file
    /// until it asks again, or somebody else gets it.
    former: BTreeSet<(IpAddr, Holder)>,
}

impl Watch {
    /// With two networks, and a guest on one of them that has its addresses.
    fn begin(network: &Arc<PrivateNetwork>) -> Self {
        let daemon = daemon_with_guests(network);
        let mut watch = Self {
            daemon,
            history: Vec::new(),
            subnets: BTreeSet::new(),
            met: BTreeSet::new(),
            former: BTreeSet::new(),
        };
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

    /// Asks for something, and kills all when it has come to this step, or further; whether it was at this very
    /// step, as far as was told. Looks then at what there is.
    fn cut(&mut self, deed: Deed, step: usize) -> bool {
        self.prepare(deed);
        let request = deed.request(&self.daemon);
        let mut feed = self.daemon.feed();
        self.note_asked(deed);
        // The answer may never come.
        let _answer = UnixStream::connect(self.daemon.socket())
            .and_then(|socket| try_exchange(socket, &request));
        let (mut is_over, mut at) = (false, None);
        feed.expect(&format!("step {step} of {deed:?}, or its end"), BOOT, |change| {
            let is_of_task = change["kind"] == "task";
            is_over = is_of_task && new_value(change, "ended").is_some_and(Value::is_string);
            at = at.max(last_begun(change).filter(|_| is_of_task));
            is_over || at >= Some(step)
        });
        let servers = servers_in(self.daemon.state());
        self.daemon.kill9();
        servers.iter().for_each(|server| server.kill9());
        self.history.push(Event::Killed);
        self.daemon.launch();
        self.look();
        !is_over && at == Some(step)
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
            Deed::Readdress | Deed::Move => {
                let nics = self.daemon.vm(KEEPER)["spec"]["config"]["nics"].clone();
                let is_moved = nics[1]["network"] == LAN.0;
                if is_moved || nics[1]["addresses"] == json!([OTHER]) {
                    self.has_nic(false);
                }
                self.has_nic(true);
            }
            Deed::TakeOut => self.has_nic(true),
            Deed::MakeSubnet => self.has_subnet(false),
            Deed::RemoveSubnet => self.has_subnet(true),
            Deed::Reserve => self.has_reservation(false),
            Deed::Release => self.has_reservation(true),
        }
    }

    fn has_subnet(&mut self, wanted: bool) {
        let there = self.daemon.send(&Request::new("GET", &subnet(MORE)));
        if (there.status == 200) != wanted {
            let deed = if wanted { Deed::MakeSubnet } else { Deed::RemoveSubnet };
            self.daemon.done(deed.request(&self.daemon));
            self.look();
        }
    }

    fn has_reservation(&mut self, wanted: bool) {
        match (held(&self.daemon), wanted) {
            (None, true) => {
                self.daemon.done(Deed::Reserve.request(&self.daemon));
                let kept = held(&self.daemon).expect("it is kept");
                self.history.push(Event::Promised(HELD.into(), [kept].into()));
            }
            (Some(_), false) => {
                self.daemon.done(Deed::Release.request(&self.daemon));
                self.history.push(Event::Returned(HELD.into()));
            }
            _ => {}
        }
    }

    fn has_network(&mut self, wanted: bool) {
        let there = self.daemon.send(&Request::new("GET", &format!("/v1/networks/{}", PASSING.0)));
        if (there.status == 200) != wanted {
            let deed = if wanted { Deed::MakeNetwork } else { Deed::RemoveNetwork };
            self.daemon.done(deed.request(&self.daemon));
            self.look();
        }
    }

    fn has_vm(&mut self, wanted: bool) {
        let there = self.daemon.send(&Request::new("GET", &format!("/v1/vms/{FATED}")));
        match (there.status == 200, wanted) {
            (false, true) => {
                self.daemon.done(Deed::Create.request(&self.daemon));
                self.promised(FATED, "net0");
                self.promised(FATED, "net1");
            }
            (true, false) => {
                self.daemon.done(Deed::Delete.request(&self.daemon));
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
            self.daemon.done(deed.request(&self.daemon));
        }
    }

    /// A NIC more for the guest that runs, which asks for its address where it has one.
    fn has_nic(&mut self, wanted: bool) {
        let nics = self.daemon.vm(KEEPER)["spec"]["config"]["nics"].clone();
        if nics.as_array().unwrap().len() == 1 {
            if !wanted {
                return;
            }
            self.daemon.done(Deed::PlugIn.request(&self.daemon));
            self.promised(KEEPER, "extra");
        }
        let mut console = self.daemon.console(KEEPER);
        // What was written before is shown first.
        console.run("true");
        until("the guest sees its NIC", SHORT, || seen(&mut console, "eth1"));
        let address = lease(&mut console, "eth1").parse().unwrap();
        self.given(&holder(KEEPER, "extra"), address);
        if !wanted {
            self.daemon.done(Deed::TakeOut.request(&self.daemon));
            self.history.push(Event::Returned(holder(KEEPER, "extra")));
        }
    }

    fn note_asked(&mut self, deed: Deed) {
        if deed == Deed::Readdress {
            let vm = self.daemon.vm(KEEPER);
            let of_nic = |(_, to): &(IpAddr, Holder)| *to == holder(KEEPER, "extra");
            self.former.extend(chosen_of(&vm).into_iter().filter(of_nic));
        }
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
            let kept = self.items(&reservations(&subnet.to_string())).into_iter();
            all.extend(kept.map(|kept| (address_in(&kept), kept["name"].as_str().unwrap().into())));
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
        for network in networks {
            let name = &network["config"]["name"];
            // What one had on a network before it was moved is its no more.
            let nics: BTreeMap<MacAddress, Holder> =
                vms.iter().flat_map(|vm| macs_of(vm, name)).collect();
            let file = self.daemon.state().join("leases").join(network["id"].as_str().unwrap());
            let leases = fs::read_to_string(file).unwrap_or_default();
            for (mac, address) in leases.lines().filter_map(lease_in) {
                let Some(holder) = nics.get(&mac).cloned() else { continue };
                let lease = (address, holder);
                let is_its = vms.iter().any(|vm| chosen_of(vm).contains(&lease));
                if is_its || !self.former.contains(&lease) {
                    self.given(&lease.1, address);
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
        let path = reservations(&subnet.to_string());
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

/// Which step a task has come to by a change of it, if it says so.
fn last_begun(change: &Value) -> Option<usize> {
    let has_begun = |state: &Value| state.as_str().is_some_and(|state| state != "waiting");
    let of_field = |field: &Value| {
        let path = field["path"].as_array()?.iter().map(|part| part.as_str().unwrap_or_default());
        match path.collect::<Vec<_>>()[..] {
            ["steps"] => {
                field["new"].as_array()?.iter().rposition(|step| has_begun(&step["state"]))
            }
            ["steps", at] => at.parse().ok().filter(|_: &usize| has_begun(&field["new"]["state"])),
            ["steps", at, "state"] => at.parse().ok().filter(|_: &usize| has_begun(&field["new"])),
            _ => None,
        }
    };
    change["changes"].as_array().into_iter().flatten().filter_map(of_field).max()
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

/// The hardware addresses of a VM's NICs on a network.
fn macs_of(vm: &Value, network: &Value) -> Vec<(MacAddress, Holder)> {
    let nics = vm["spec"]["config"]["nics"].as_array().into_iter().flatten();
    let macs = &vm["spec"]["assigned"]["macs"];
    let of_nic = |nic: &Value| {
        let name = nic["name"].as_str().unwrap();
        (macs[name].as_str().unwrap().parse().unwrap(), holder(vm["name"].as_str().unwrap(), name))
    };
    nics.filter(|nic| nic["network"] == *network).map(of_nic).collect()
}

/// Who has which address by a line of dnsmasq's leases. Of IPv6 it is the end of the client's identifier, where our
/// guests have their hardware address.
fn lease_in(line: &str) -> Option<(MacAddress, IpAddr)> {
    let words: Vec<&str> = line.split(' ').collect();
    let address: IpAddr = words.get(2)?.parse().ok()?;
    let mac = if address.is_ipv4() { words[1] } else { words.last()?.get(12..)? };
    Some((mac.parse().ok()?, address))
}
