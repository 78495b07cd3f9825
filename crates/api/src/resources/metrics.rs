//! `/metrics`: figures for Prometheus.
//!
//! What is counted here is counted as it happens; all else is looked up when somebody asks.

use crate::{
    protocol::{answer, params::Params, problem::Answer},
    router::ReadProblems,
    state::ApiState,
};
use axum::extract::State;
use http::StatusCode;
use innkeeper_model::{Code, Refusal, TaskState, VmState};
use innkeeper_surface::Handshakes;
use innkeeper_view::View;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};
use std::{
    fmt, fs,
    sync::{Arc, OnceLock},
};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What kind of request it was; the routes by their first word, so that no caller can make new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    Vms,
    Tasks,
    Images,
    Host,
    Events,
    Foreign,
    Diagnostics,
    Metrics,
    Health,
    Other,
}

impl Route {
    const fn name(self) -> &'static str {
        match self {
            Self::Vms => "vms",
            Self::Tasks => "tasks",
            Self::Images => "images",
            Self::Host => "host",
            Self::Events => "events",
            Self::Foreign => "foreign",
            Self::Diagnostics => "diagnostics",
            Self::Metrics => "metrics",
            Self::Health => "health",
            Self::Other => "other",
        }
    }

    /// Of this path.
    pub(crate) fn of(path: &str) -> Self {
        let Some(resource) = path.strip_prefix("/v1/") else {
            return match path {
                "/healthz" => Self::Health,
                "/metrics" => Self::Metrics,
                _ => Self::Other,
            };
        };
        match resource.split('/').next() {
            Some("vms" | "imports") => Self::Vms,
            Some("tasks") => Self::Tasks,
            Some("images") => Self::Images,
            Some("host") => Self::Host,
            Some("events") => Self::Events,
            Some("foreign") => Self::Foreign,
            Some("diagnostics") => Self::Diagnostics,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    status: u16,
}

/// The figures.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    handshakes: Arc<OnceLock<Arc<Handshakes>>>,
}

impl Metrics {
    pub(crate) fn new(view: View) -> Self {
        let mut registry = Registry::default();
        let requests = Family::<Answered, Counter>::default();
        let help = "Requests that were answered, by route and status";
        registry.register("innkeeper_http_requests", help, requests.clone());
        let handshakes = Arc::new(OnceLock::new());
        let looked = Looked { view, handshakes: Arc::clone(&handshakes) };
        registry.register_collector(Box::new(looked));
        Self { registry, requests, handshakes }
    }

    /// Counts what comes of these handshakes; of the first ones that it is told of.
    pub(crate) fn count_handshakes(&self, handshakes: &Arc<Handshakes>) {
        let _told_before = self.handshakes.set(Arc::clone(handshakes));
    }

    pub(crate) fn count(&self, route: Route, status: StatusCode) {
        let answered = Answered { route: route.name(), status: status.as_u16() };
        self.requests.get_or_create(&answered).inc();
    }

    fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// What is looked up when somebody asks.
#[derive(Debug)]
struct Looked {
    view: View,
    handshakes: Arc<OnceLock<Arc<Handshakes>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfHandshake {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTask {
    operation: String,
    state: &'static str,
}

impl Collector for Looked {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let snapshot = self.view.snapshot();
        let vms = Family::<OfState, Gauge>::default();
        for vm in snapshot.vms.values() {
            vms.get_or_create(&OfState { state: VmState::as_str(vm.state) }).inc();
        }
        put(&mut encoder, "innkeeper_vms", "VMs, by state", &vms)?;

        let tasks = Family::<OfTask, Gauge>::default();
        for task in snapshot.tasks.values() {
            let labels =
                OfTask { operation: task.operation.clone(), state: task_state(task.state) };
            tasks.get_or_create(&labels).inc();
        }
        let help = "Tasks that are remembered, by operation and state";
        put(&mut encoder, "innkeeper_tasks", help, &tasks)?;

        if let Some(handshakes) = self.handshakes.get() {
            let counted = Family::<OfHandshake, Counter>::default();
            for (outcome, count) in [("done", handshakes.done()), ("failed", handshakes.failed())] {
                counted.get_or_create(&OfHandshake { outcome }).inc_by(count);
            }
            put(&mut encoder, "innkeeper_tls_handshakes", "TLS handshakes, by outcome", &counted)?;
        }

        let figures = self.view.figures();
        let mut gauge =
            |name, help, value: u64| put(&mut encoder, name, help, &ConstGauge::new(value));
        gauge("innkeeper_images", "Images", snapshot.images.len() as u64)?;
        gauge("innkeeper_feed_revision", "Changes since the daemon started", figures.revision.0)?;
        let help = "Changes that the feed remembers";
        gauge("innkeeper_feed_changes", help, figures.changes as u64)?;
        let help = "Bytes that the feed takes; an estimate";
        gauge("innkeeper_feed_bytes", help, figures.change_bytes as u64)?;
        let help = "Readers of the feed";
        gauge("innkeeper_feed_subscribers", help, figures.subscriptions as u64)?;
        if let Some(resident) = resident_bytes() {
            let help = "Resident memory of the daemon, in bytes";
            gauge("process_resident_memory_bytes", help, resident)?;
        }
        Ok(())
    }
}

fn put(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

const fn task_state(state: TaskState) -> &'static str {
    match state {
        TaskState::Queued => "queued",
        TaskState::Running => "running",
        TaskState::Done => "done",
        TaskState::Failed => "failed",
        TaskState::Cancelled => "cancelled",
        TaskState::Interrupted => "interrupted",
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes << 10)
}

/// Read the figures
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "host",
    operation_id = "getMetrics",
    responses(
        (status = 200, description = "Figures for Prometheus", body = String, content_type = "application/openmetrics-text"),
        ReadProblems,
    ),
)]
pub(crate) async fn read(State(state): State<ApiState>, params: Params) -> Answer {
    params.nothing_else()?;
    let text = state.metrics().encode().map_err(|error| {
        Refusal::new(Code::Internal, "the figures cannot be written").caused_by(&error)
    })?;
    Ok(answer::of_type(CONTENT_TYPE, state.revision(), text))
}
