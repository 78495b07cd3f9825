//! Driving domains that were adopted: starting, shutting down, destroying, pausing and resuming them.
//!
//! A domain stays libvirt's. Every step asks libvirt how it is before, and tells how it is afterwards;
//! steps that end a run name it, so that they end no later one.

mod act;
mod perform;

use crate::{domain::capabilities, link::Link, neighbour::NAME};
use act::Act;
use async_trait::async_trait;
use innkeeper_driver::{
    ByteStream, Driver, Flow, Found, Operation, PlanContext, Probed, Step, StepContext, StepError,
};
use innkeeper_model::{
    Assigned, Code, Refusal, VmConfig, VmId,
    diagnosis::{DriverDiagnosis, DriverError},
    host::{Hypervisor, ManagerLost, Safeguard},
};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The driver of libvirt's domains.
#[derive(Debug)]
pub(crate) struct LibvirtDriver {
    link: Arc<Link>,
    hypervisor: OnceCell<Arc<Hypervisor>>,
}

impl LibvirtDriver {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link, hypervisor: OnceCell::new() }
    }

    async fn ask_what_it_is(&self) -> Result<Hypervisor, Refusal> {
        let client = self.client().await?;
        let (version, uri, host, capabilities) = tokio::try_join!(
            client.version(),
            client.uri(),
            client.hostname(),
            client.capabilities()
        )?;
        let (major, minor, release) =
            (version / 1_000_000, version / 1_000 % 1_000, version % 1_000);
        let accelerator = capabilities::accelerator(&capabilities);
        Ok(Hypervisor {
            driver: NAME.into(),
            version: format!("{major}.{minor}.{release}"),
            program: uri,
            accelerator: accelerator.into(),
            accelerator_reason: format!("libvirt's capabilities of host {host} name it"),
            ..Hypervisor::default()
        })
    }
}

fn without(what: &str) -> Refusal {
    Refusal::new(Code::Unsupported, format!("driver {NAME} {what}"))
}

#[async_trait]
impl Driver for LibvirtDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn hypervisor(&self) -> Result<Arc<Hypervisor>, Refusal> {
        let asked =
            self.hypervisor.get_or_try_init(|| async { self.ask_what_it_is().await.map(Arc::new) });
        asked.await.cloned()
    }

    fn diagnosis(&self) -> DriverDiagnosis {
        let as_error =
            |loss: ManagerLost| DriverError { at: loss.at, vm: None, error: loss.in_words() };
        DriverDiagnosis {
            name: NAME.into(),
            version: self.hypervisor.get().map(|hypervisor| hypervisor.version.clone()),
            machines: self.link.count(),
            connections: usize::from(self.link.client_now().is_some()),
            last_error: self.link.lost().map(as_error),
        }
    }

    fn safeguards(&self) -> Vec<Safeguard> {
        Vec::new()
    }

    /// libvirt has given the devices their places.
    fn assign(
        &self,
        _config: &VmConfig,
        before: Option<&Assigned>,
        _hypervisor: &Hypervisor,
    ) -> Result<Assigned, Refusal> {
        Ok(before.cloned().unwrap_or_default())
    }

    fn plan(
        &self,
        operation: &Operation,
        context: &PlanContext<'_>,
    ) -> Result<Vec<Flow<Step>>, Refusal> {
        let acts = act::plan(operation, context)?;
        Ok(acts.into_iter().map(|act| Flow::Step(act.to_step())).collect())
    }

    async fn perform(&self, vm: VmId, step: &Step, context: &StepContext) -> Result<(), StepError> {
        self.act(vm.as_uuid(), Act::from_step(step)?, &context.cancelled).await
    }

    async fn undo(&self, vm: VmId, step: &Step) -> Result<(), StepError> {
        Ok(self.take_back(vm.as_uuid(), Act::from_step(step)?).await?)
    }

    /// All steps can be repeated, so that none is asked after.
    async fn probe(&self, _vm: VmId, step: &Step) -> Result<Probed, StepError> {
        Act::from_step(step).map(|_| Probed::DidNot)
    }

    /// The neighbour tells of domains, adopted or not.
    async fn recover(&self) -> Vec<Found> {
        Vec::new()
    }

    async fn open_console(&self, _vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Err(without("opens no consoles"))
    }

    async fn serial_log(&self, _vm: VmId) -> Result<Vec<u8>, Refusal> {
        Err(without("keeps no logs of serial consoles"))
    }

    async fn hypervisor_log(&self, _vm: VmId) -> Result<Vec<u8>, Refusal> {
        Err(without("keeps no logs of hypervisors"))
    }

    async fn forget(&self, _vm: VmId) -> Result<(), Refusal> {
        Ok(())
    }
}
