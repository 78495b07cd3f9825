//! How well a machine's QEMU is reached, for those who ask.

use super::Machine;
use crate::{keeper::LOOKED_AT_WITHIN, qmp::QmpError};
use innkeeper_model::{Code, Refusal, Timestamp, diagnosis::DriverError};
use std::sync::{MutexGuard, PoisonError};
use tokio::sync::oneshot;

impl Machine {
    /// Whether there is a connection to QEMU now.
    pub(crate) fn is_connected(&self) -> bool {
        self.connection.borrow().is_some()
    }

    /// Notes that QEMU could not be reached.
    pub(crate) fn is_in_trouble(&self, error: &QmpError) {
        let (at, vm, error) = (Timestamp::now(), Some(self.vm), error.to_string());
        *self.last_trouble() = Some(DriverError { at, vm, error });
    }

    pub(crate) fn trouble(&self) -> Option<DriverError> {
        self.last_trouble().clone()
    }

    fn last_trouble(&self) -> MutexGuard<'_, Option<DriverError>> {
        // Only an assignment happens under the lock.
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has QEMU asked how it is, and the observer told. One whose process has ended was told of.
    ///
    /// # Errors
    /// It does not answer in time; that is told, too.
    pub(crate) async fn look(&self) -> Result<(), Refusal> {
        let (answered, answer) = oneshot::channel();
        let _ = self.looks.send(answered);
        // It may have to be reached again first.
        let waited = tokio::time::timeout(LOOKED_AT_WITHIN * 2, answer).await;
        match waited {
            Err(_) => Err(Refusal::new(Code::Timeout, "QEMU does not answer")),
            // The keeper ends with the process.
            Ok(_) => Ok(()),
        }
    }
}
