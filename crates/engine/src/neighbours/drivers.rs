//! Which driver is whose: the daemon's own, and one a neighbour, by name.

use innkeeper_driver::{Driver, Neighbour, Step};
use innkeeper_model::{
    Code, Refusal, Spec, Timestamp, Vm, VmId,
    diagnosis::{DriverDiagnosis, DriverError},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The drivers.
#[derive(Clone)]
pub(crate) struct Drivers {
    own: Arc<dyn Driver>,
    neighbours: BTreeMap<&'static str, Arc<dyn Driver>>,
    /// What each could not do last.
    errors: Arc<Mutex<BTreeMap<&'static str, DriverError>>>,
}

impl Drivers {
    pub(crate) fn new(own: Arc<dyn Driver>, neighbours: &[Arc<dyn Neighbour>]) -> Self {
        let named = |neighbour: &Arc<dyn Neighbour>| (neighbour.name(), neighbour.driver());
        let neighbours = neighbours.iter().map(named).collect();
        Self { own, neighbours, errors: Arc::default() }
    }

    /// The daemon's own, which makes new machines.
    pub(crate) const fn own(&self) -> &Arc<dyn Driver> {
        &self.own
    }

    /// All, its own first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        std::iter::once(&self.own).chain(self.neighbours.values())
    }

    /// Notes what a driver could not do.
    pub(crate) fn note(&self, step: &Step, vm: VmId, refusal: &Refusal) {
        let error = DriverError {
            at: Timestamp::now(),
            vm: Some(vm),
            error: format!("{}: {refusal}", step.name),
        };
        self.errors().insert(self.of_step(step).name(), error);
    }

    /// What each has to do with, and what went wrong last. Takes short locks only.
    pub(crate) fn diagnose(&self) -> Vec<DriverDiagnosis> {
        let errors = self.errors().clone();
        let diagnose = |driver: &Arc<dyn Driver>| {
            let diagnosis = driver.diagnosis();
            let noted = errors.get(driver.name()).cloned();
            let last_error = diagnosis.last_error.into_iter().chain(noted);
            DriverDiagnosis { last_error: last_error.max_by_key(|error| error.at), ..diagnosis }
        };
        self.all().map(diagnose).collect()
    }

    fn errors(&self) -> MutexGuard<'_, BTreeMap<&'static str, DriverError>> {
        // Only map operations happen under the lock.
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose step it is, which its name begins with. One that nobody has is for the own driver to refuse.
    pub(crate) fn of_step(&self, step: &Step) -> &Arc<dyn Driver> {
        let name = step.name.split_once('/').map(|(driver, _)| driver);
        name.and_then(|name| self.neighbours.get(name)).unwrap_or(&self.own)
    }

    /// What drives the machine of a spec.
    ///
    /// # Errors
    /// It was adopted from a manager that this daemon was not told of.
    pub(crate) fn of_spec(&self, spec: &Spec) -> Result<&Arc<dyn Driver>, Refusal> {
        self.by_name(spec.driver.as_deref())
    }

    /// What drives, or would drive, the machine of a VM.
    ///
    /// # Errors
    /// As [`Self::of_spec`].
    pub(crate) fn of(&self, vm: &Vm) -> Result<&Arc<dyn Driver>, Refusal> {
        self.by_name(vm.manager())
    }

    fn by_name(&self, name: Option<&str>) -> Result<&Arc<dyn Driver>, Refusal> {
        let Some(name) = name else { return Ok(&self.own) };
        self.neighbours.get(name).ok_or_else(|| {
            let message = format!("there is no driver {name} here");
            let hint = format!("name its socket in the configuration: [{name}] socket = …");
            Refusal::new(Code::Unsupported, message).with_hint(hint)
        })
    }
}

impl fmt::Debug for Drivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all().map(|driver| driver.name())).finish()
    }
}
