//! Steps: a driver's part of a plan, as data that only the driver reads.

use innkeeper_model::{ByteSize, Code, Refusal};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fmt, sync::Arc};
use tokio_util::sync::CancellationToken;

/// What can be known about a step after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crash {
    /// It can be asked whether it happened.
    Probe,
    /// It may be done again.
    Repeat,
    /// It must not be done again, and nothing tells whether it happened.
    Once,
}

/// One step of a driver's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it does, such as `qemu/launch`.
    pub name: String,
    /// Which of several like it: the name of a disk or NIC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The version of the shape of `arguments`.
    pub schema: u32,
    /// What can be known about it after a crash.
    pub crash: Crash,
    /// What it is done with; the driver's own.
    pub arguments: Value,
}

impl Step {
    /// A step of this name with these arguments.
    pub fn new(name: &str, schema: u32, crash: Crash, arguments: &impl Serialize) -> Self {
        let arguments = serde_json::to_value(arguments)
            .expect("a step's arguments are plain data with text keys, which JSON can hold");
        Self { name: name.into(), about: None, schema, crash, arguments }
    }

    /// Whether it loads a machine's memory, by its name: `DRIVER/load-memory`.
    pub fn loads_memory(&self) -> bool {
        self.name.ends_with("/load-memory")
    }

    /// The same step, told apart from others like it.
    #[must_use]
    pub fn about(mut self, which: impl Into<String>) -> Self {
        self.about = Some(which.into());
        self
    }

    /// The arguments as the driver's own type.
    ///
    /// # Errors
    /// The step was written by another version of the driver.
    pub fn arguments<T: DeserializeOwned>(&self) -> Result<T, StepError> {
        T::deserialize(&self.arguments).map_err(|error| {
            let message = format!("step {} version {} is not known here", self.name, self.schema);
            StepError::Failed(Box::new(Refusal::new(Code::Internal, message).caused_by(&error)))
        })
    }
}

/// Whether a step happened, as far as can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// All of it did.
    Happened,
    /// It did not, or not all of it; it can be done, or undone.
    DidNot,
}

/// What a step is performed under.
#[derive(Debug, Clone, Default)]
pub struct StepContext {
    /// Cancelled when the step should stop.
    pub cancelled: CancellationToken,
    /// Told how far it is, by a step that takes long and knows.
    pub progress: StepProgress,
}

/// Who is told how far a step is; nobody, unless somebody listens.
#[derive(Clone, Default)]
pub struct StepProgress(Option<Arc<dyn Fn(ByteSize, ByteSize) + Send + Sync>>);

impl StepProgress {
    /// Has `listener` called with what is done and with the whole. It must return at once.
    pub fn to(listener: impl Fn(ByteSize, ByteSize) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Tells that so much of the whole is done. May be told often, and what is done may become less, since
    /// a hypervisor may find that there is more to do.
    pub fn tell(&self, done: ByteSize, whole: ByteSize) {
        if let Some(listener) = &self.0 {
            listener(done, whole);
        }
    }
}

impl fmt::Debug for StepProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listens = self.0.is_some();
        f.debug_struct("StepProgress").field("listens", &listens).finish()
    }
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// It failed.
    #[error(transparent)]
    Failed(Box<Refusal>),
}

impl From<Refusal> for StepError {
    fn from(refusal: Refusal) -> Self {
        Self::Failed(Box::new(refusal))
    }
}
