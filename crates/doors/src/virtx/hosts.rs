//! Hosts, of which there is this one: what it is, what it has, and what is left of it.

use super::{
    State,
    answer::{Answer, Any, NoHost, json},
    body::Body,
    definition::clamped,
    kernel::{self, Description, TICKS, Use},
    numbers::Cstate,
    subject::{host_id, is_this_host},
    wire::{
        Cpuarch, Cpudef, Host, HostList, HostListFields, HostListItem, HostListOptions, Hostdef,
        Hostresource, Hostresources, items,
    },
};
use axum::extract;
use http::StatusCode;
use innkeeper_model::{Refusal, Timestamp, Vm};
use innkeeper_view::Snapshot;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How much of a CPU is promised with a virtual one, in percent: virtx's own default.
const VCPU_LOAD: u64 = 25;

/// List hosts
#[utoipa::path(
    get,
    path = "/hosts",
    operation_id = "host_list",
    tag = "hosts",
    request_body = HostListOptions,
    responses((status = 200, description = "The hosts that fit", body = HostList), Any),
)]
pub(super) async fn list(
    state: State,
    Body(HostListOptions { filter }): Body<HostListOptions>,
) -> Answer {
    let Host { uuid, def, cstate, resources, ts, .. } = this_host(&state).await;
    let Hostdef { name, cpuarch, cpudef, osid, osv, .. } = def;
    let memoryavailable = resources.memory.availablevms;
    let hpavailable = resources.hp.availablevms;
    let fields = HostListFields {
        name,
        cpuarch,
        cpudef,
        cstate,
        memoryavailable,
        hpavailable,
        osid,
        osv,
        ts,
    };
    let fitting = fits(&fields, &filter).then_some(HostListItem { uuid, fields });
    Ok(json(StatusCode::OK, &HostList { items: items(fitting.into_iter().collect()) }))
}

/// Show a host
#[utoipa::path(
    get,
    path = "/hosts/{uuid}",
    operation_id = "host_get",
    tag = "hosts",
    params(("uuid" = String, Path, description = "The host's id")),
    responses((status = 200, description = "The host", body = Host), Any, NoHost),
)]
pub(super) async fn get(state: State, extract::Path(uuid): extract::Path<String>) -> Answer {
    if !is_this_host(&uuid, state.visit.seen().whole()) {
        return Err(Refusal::not_found("host", uuid).into());
    }
    Ok(json(StatusCode::OK, &this_host(&state).await))
}

/// Whether everything that is set fits.
fn fits(fields: &HostListFields, filter: &HostListFields) -> bool {
    let is_part = |asked: &str, has: &str| asked.is_empty() || asked == has;
    let HostListFields {
        name,
        cpuarch: Cpuarch { arch, vendor },
        cpudef: Cpudef { model, nodes, sockets, cores, threads },
        cstate,
        memoryavailable,
        hpavailable,
        osid,
        osv,
        ts,
    } = filter;
    let has = &fields.cpudef;
    fields.name.contains(name.as_str())
        && is_part(arch, &fields.cpuarch.arch)
        && is_part(vendor, &fields.cpuarch.vendor)
        && is_part(model, &has.model)
        && [(nodes, has.nodes), (sockets, has.sockets), (cores, has.cores), (threads, has.threads)]
            .into_iter()
            .all(|(least, has)| *least <= has)
        && (*cstate == Cstate::default() || *cstate == fields.cstate)
        && (*memoryavailable <= 0 || *memoryavailable <= fields.memoryavailable)
        && (*hpavailable <= 0 || *hpavailable <= fields.hpavailable)
        && is_part(osid, &fields.osid)
        && is_part(osv, &fields.osv)
        && (*ts <= 0 || fields.ts <= *ts)
}

/// This host, as it is now.
async fn this_host(state: &State) -> Host {
    let seen = state.visit.seen();
    // Of all VMs: whoever may read the host sees them.
    let now = seen.whole();
    let running: Vec<&Vm> =
        now.vms.values().map(|vm| &**vm.value()).filter(|vm| vm.is_on()).collect();
    let pids: Vec<u32> = running.iter().filter_map(|vm| pid(vm)).collect();
    let promised = Promised::of(&running);
    // A thousand machines are two thousand small files.
    let used = tokio::task::spawn_blocking(move || Use::read(&pids)).await.unwrap_or_default();
    let described = &state.shared.host;
    let rates = state.shared.host_looks.look(Instant::now(), &used);
    Host {
        uuid: host_id(now),
        def: definition(now, described),
        // It answers.
        cstate: Cstate::Active,
        lockid: 0,
        resources: resources(described, &used, &promised, rates),
        ts: Timestamp::now().as_millisecond(),
    }
}

fn definition(now: &Snapshot, described: &Description) -> Hostdef {
    let Description { cpuarch, cpudef, mhz: _, tscfreq, sysinfo, osid, osv } = described.clone();
    Hostdef { name: now.host.name.clone(), cpuarch, cpudef, tscfreq, sysinfo, osid, osv }
}

/// A machine's process on this host, where it has one.
fn pid(vm: &Vm) -> Option<u32> {
    let own = vm.incarnation.as_ref().and_then(|machine| machine.process.as_ref());
    let others = || vm.managed.as_ref()?.machine.pid;
    own.map(|process| process.pid).or_else(others)
}

/// What VMs that run were promised.
#[derive(Debug, Default)]
struct Promised {
    /// In MiB.
    memory: u64,
    cpus: u64,
}

impl Promised {
    fn of(running: &[&Vm]) -> Self {
        let sizes = running.iter().filter_map(|vm| vm.size());
        sizes.fold(Self::default(), |sum, (cpus, memory)| Self {
            memory: sum.memory.saturating_add(memory.0),
            cpus: sum.cpus + u64::from(cpus),
        })
    }
}

fn resources(
    described: &Description,
    used: &Use,
    promised: &Promised,
    rates: CpuRates,
) -> Hostresources {
    let kernel::Memory { total, available, huge_total, huge_free } = used.memory;
    let resident = used.processes.values().map(|process| process.resident).sum();
    let mhz = |permille: u64| permille.saturating_mul(described.mhz) / 1000;
    let all_mhz = described.cpus() * described.mhz;
    let promised_mhz = promised.cpus.saturating_mul(described.mhz) * VCPU_LOAD / 100;
    Hostresources {
        memory: resource(total, total.saturating_sub(available), promised.memory, resident),
        hp: resource(huge_total, huge_total.saturating_sub(huge_free), 0, 0),
        cpu: resource(all_mhz, mhz(rates.host).min(all_mhz), promised_mhz, mhz(rates.vms)),
    }
}

fn resource(total: u64, used: u64, reserved: u64, of_vms: u64) -> Hostresource {
    let of_system = used.saturating_sub(of_vms);
    Hostresource {
        total: clamped(total),
        used: clamped(used),
        free: clamped(total.saturating_sub(used)),
        usedos: clamped(of_system),
        reservedvms: clamped(reserved),
        usedvms: clamped(of_vms),
        availablevms: clamped(total.saturating_sub(reserved).saturating_sub(of_system)),
    }
}

/// What was seen last of the host's CPUs. Nothing looks by itself.
#[derive(Debug, Default)]
pub(super) struct HostLooks(Mutex<Option<(Instant, Use)>>);

/// How many CPUs work, in thousandths of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct CpuRates {
    host: u64,
    /// For VMs.
    vms: u64,
}

impl HostLooks {
    /// The rates since the last look; zero at the first.
    fn look(&self, at: Instant, now: &Use) -> CpuRates {
        // What was seen is whole after any panic.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace((at, now.clone()));
        before.map(|(since, before)| rates(&before, now, at - since)).unwrap_or_default()
    }
}

fn rates(before: &Use, now: &Use, elapsed: Duration) -> CpuRates {
    let Ok(elapsed @ 1..) = u64::try_from(elapsed.as_millis()) else { return CpuRates::default() };
    let rate = |ticks: u64| ticks.saturating_mul(1_000_000 / TICKS) / elapsed;
    // Of a process that was not there before, nothing is known yet.
    let grown = now.processes.iter().filter_map(|(pid, process)| {
        Some(process.busy.saturating_sub(before.processes.get(pid)?.busy))
    });
    CpuRates { host: rate(now.busy.saturating_sub(before.busy)), vms: rate(grown.sum()) }
}

#[cfg(test)]
mod tests {
    use super::{kernel::Process, *};

    #[test]
    fn what_is_left_is_what_is_neither_promised_nor_the_systems() {
        let expected = Hostresource {
            total: 1000,
            used: 300,
            free: 700,
            usedos: 200,
            reservedvms: 400,
            usedvms: 100,
            availablevms: 400,
        };
        assert_eq!(resource(1000, 300, 400, 100), expected);
        let more = resource(1000, 300, 4000, 400);
        assert_eq!((more.availablevms, more.usedos), (0, 0), "never less than nothing");
        assert_eq!(resource(u64::MAX, 0, 0, 0).total, i32::MAX);
    }

    #[test]
    fn cpus_that_work_are_ticks_by_the_time_between() {
        let seen = |busy, pids: &[(u32, u64)]| Use {
            busy,
            processes: pids
                .iter()
                .map(|(pid, busy)| (*pid, Process { resident: 0, busy: *busy }))
                .collect(),
            ..Use::default()
        };
        let before = seen(1000, &[(1, 100)]);
        let now = seen(1300, &[(1, 200), (2, 5000)]);
        let expected = CpuRates { host: 1500, vms: 500 };
        assert_eq!(rates(&before, &now, Duration::from_secs(2)), expected);
        assert_eq!(rates(&before, &now, Duration::ZERO), CpuRates::default());
        let looks = HostLooks::default();
        let start = Instant::now();
        assert_eq!(looks.look(start, &before), CpuRates::default(), "the first");
        assert_eq!(looks.look(start + Duration::from_secs(2), &now), expected);
    }

    #[test]
    fn cpu_resources_are_in_megahertz() {
        let described = Description {
            cpudef: Cpudef { nodes: 1, sockets: 1, cores: 4, threads: 2, ..Cpudef::default() },
            mhz: 2000,
            ..Description::default()
        };
        let rates = CpuRates { host: 1500, vms: 500 };
        let promised = Promised { memory: 0, cpus: 4 };
        let cpu = resources(&described, &Use::default(), &promised, rates).cpu;
        let expected = Hostresource {
            total: 16_000,
            used: 3_000,
            free: 13_000,
            usedos: 2_000,
            reservedvms: 2_000,
            usedvms: 1_000,
            availablevms: 12_000,
        };
        assert_eq!(cpu, expected);
    }

    #[test]
    fn each_part_of_a_filter_narrows() {
        let host = HostListFields {
            name: "inn-1".into(),
            cpuarch: Cpuarch { arch: "x86_64".into(), vendor: "AMD".into() },
            cpudef: Cpudef { model: "EPYC".into(), nodes: 1, sockets: 2, cores: 4, threads: 2 },
            cstate: Cstate::Active,
            memoryavailable: 1024,
            hpavailable: 8,
            osid: "debian".into(),
            osv: "12".into(),
            ts: 1000,
        };
        for (filter, fitting) in [
            (r#"{}"#, true),
            (r#"{"name":"nn-"}"#, true),
            (r#"{"name":"x"}"#, false),
            (r#"{"cpuarch":{"arch":"x86_64","vendor":"AMD"}}"#, true),
            (r#"{"cpuarch":{"arch":"x86"}}"#, false),
            (r#"{"cpuarch":{"vendor":"Intel"}}"#, false),
            (r#"{"cpudef":{"model":"EPYC"}}"#, true),
            (r#"{"cpudef":{"model":"EP"}}"#, false),
            (r#"{"cpudef":{"nodes":1,"sockets":1,"cores":4,"threads":2}}"#, true),
            (r#"{"cpudef":{"nodes":2}}"#, false),
            (r#"{"cpudef":{"sockets":3}}"#, false),
            (r#"{"cpudef":{"cores":5}}"#, false),
            (r#"{"cpudef":{"threads":3}}"#, false),
            (r#"{"cstate":1}"#, true),
            (r#"{"cstate":3}"#, false),
            (r#"{"memoryavailable":1024,"hpavailable":8}"#, true),
            (r#"{"memoryavailable":1025}"#, false),
            (r#"{"hpavailable":9}"#, false),
            (r#"{"osid":"debian","osv":"12"}"#, true),
            (r#"{"osid":"deb"}"#, false),
            (r#"{"osv":"1"}"#, false),
            (r#"{"ts":1000}"#, true),
            (r#"{"ts":999}"#, false),
            (r#"{"name":"inn","osv":"11"}"#, false),
        ] {
            let filter = serde_json::from_str(filter).map(|parsed| (fits(&host, &parsed), filter));
            let (fits, filter) = filter.unwrap();
            assert_eq!(fits, fitting, "{filter}");
        }
    }
}
