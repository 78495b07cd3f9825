//! Taking what a guest wrote to its serial line out of the ring that QEMU keeps it in.

use super::{Machine, refusal};
use crate::{
    command_line::{SERIAL_RING, SERIAL_RING_ID},
    qmp::{QmpError, commands::RingbufRead},
    serial,
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use innkeeper_model::{Code, Refusal};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

impl Machine {
    /// Takes what the serial ring holds and keeps it in the run folder, however long QEMU takes to hand it
    /// over. Reading empties the ring: so what was asked for is kept when it comes, and dropping this
    /// future only ends the waiting.
    ///
    /// # Errors
    /// `hypervisor-failed`: QEMU refused, or ended before it answered; or the host refused to keep it.
    pub(crate) async fn keep_serial(self: &Arc<Self>) -> Result<(), Refusal> {
        if self.incarnation().adopted {
            // There is no ring.
            return Ok(());
        }
        let taken = self.taken.clone().lock_owned().await;
        let keeping = tokio::spawn(self.clone().take_serial(taken)).await;
        keeping.map_err(|error| Refusal::new(Code::Internal, error.to_string()))?
    }

    /// What was taken out of the ring and could not be written to the file, which comes before it.
    pub(crate) fn unwritten_serial(&self) -> Vec<u8> {
        // Who has it writes it, or waits for QEMU.
        self.taken.try_lock().map(|taken| taken.clone()).unwrap_or_default()
    }

    async fn take_serial(
        self: Arc<Self>,
        mut taken: OwnedMutexGuard<Vec<u8>>,
    ) -> Result<(), Refusal> {
        let read = self.read_ring().await;
        taken.extend(read.iter().flatten());
        // Where the disk is full, what was taken waits here, as much of it as is ever shown.
        let too_many = taken.len().saturating_sub(SERIAL_RING as usize);
        taken.drain(..too_many);
        let (path, bytes) = (self.folder.serial_log(), taken.clone());
        tokio::task::spawn_blocking(move || serial::keep(&path, &bytes))
            .await
            .map_err(|error| Refusal::new(Code::Internal, error.to_string()))??;
        taken.clear();
        read.map(drop)
    }

    /// Empties the ring. Where the connection is lost, QEMU is asked over the next one.
    async fn read_ring(&self) -> Result<Vec<u8>, Refusal> {
        let read = RingbufRead { device: SERIAL_RING_ID, size: SERIAL_RING, format: "base64" };
        let mut connection = self.connection.clone();
        loop {
            self.connected().await?;
            let Some(qmp) = connection.borrow_and_update().clone() else { continue };
            let failed = match qmp.execute_patiently(&read).await {
                Ok(text) => return Ok(BASE64.decode(text).unwrap_or_default()),
                Err(failed) => failed,
            };
            let is_lost = matches!(failed, QmpError::Closed);
            // Whoever keeps the machine sees that in a moment, unless nobody does any more.
            if !is_lost || connection.changed().await.is_err() {
                return Err(refusal(&failed));
            }
        }
    }
}
