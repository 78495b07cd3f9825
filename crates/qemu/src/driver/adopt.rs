//! Taking over a machine that somebody else made, and letting go of it again.
//!
//! In its VM's run folder are links to its sockets in place of sockets, and a record like any other
//! machine's. The process itself is not touched.

use super::{QemuDriver, blocking};
use crate::{
    adopt::{Adopted, not_adoptable},
    foreign::Seen,
    proc::listener,
    process::Process,
    qmp::{Qmp, QmpError, commands::QueryVersion},
    run_folder::{Logs, QMP_SOCKET, SERIAL_SOCKET},
};
use innkeeper_model::{Code, Facts, Incarnation, MachineState, Refusal};
use std::time::Duration;
use tokio::net::UnixStream;

/// How long a QEMU may take to greet; one that has a client already never does.
const GREETS_WITHIN: Duration = Duration::from_secs(2);

impl QemuDriver {
    /// Takes charge of a process, if it is still the one that was seen and nobody else has its monitor.
    pub(super) async fn adopt(&self, adopted: Adopted) -> Result<(), Refusal> {
        let Incarnation { vm, id, .. } = adopted.incarnation;
        if !self.knows(vm) {
            // A daemon that died in this step may have written the record.
            self.adopt_unknown(vm).await?;
        }
        if self.machine_of(vm, Some(id)).is_none() {
            self.take_over(&adopted).await?;
        }
        let machine = self.machine_for(vm, Some(id))?;
        let connected = tokio::time::timeout(2 * GREETS_WITHIN, machine.connected()).await;
        connected.map_err(|_| busy(&adopted))?
    }

    async fn take_over(&self, adopted: &Adopted) -> Result<(), Refusal> {
        let (process, seen) = find(adopted).await?;
        let version = greet(adopted).await?;
        let record = adopted.record(seen.argv.clone(), version);
        let (folder, to_write) = (self.folder(record.vm), record.clone());
        let (socket, serial) = (adopted.socket.clone(), seen.described().serial);
        blocking(move || {
            folder.prepare(None, Logs::Anew)?;
            folder.link(QMP_SOCKET, &socket)?;
            if let Some(serial) = serial {
                folder.link(SERIAL_SOCKET, &serial)?;
            }
            folder.note_that_it_ran()?;
            folder.write_incarnation(&to_write)
        })
        .await?;
        self.watch(process, record, MachineState::Unresponsive);
        Ok(())
    }

    /// Forgets a machine that was taken over, and leaves it as it is.
    pub(super) async fn unadopt(&self, adopted: &Adopted) -> Result<(), Refusal> {
        let Incarnation { vm, id, .. } = adopted.incarnation;
        if self.machine_of(vm, Some(id)).is_some() {
            self.machines().remove(&vm);
        } else if self.knows(vm) {
            return Ok(());
        }
        let folder = self.folder(vm);
        let forgotten = blocking(move || {
            if folder.read_incarnation()?.is_some_and(|record| record.id != id) {
                return Ok(false);
            }
            folder.put_away()?;
            folder.remove()?;
            Ok(true)
        });
        if forgotten.await? {
            self.observer.facts(vm, Facts::default());
            self.observer.incarnation(vm, None);
        }
        Ok(())
    }
}

/// The process that was seen, if it is still there and still nobody's.
async fn find(adopted: &Adopted) -> Result<(Process, Seen), Refusal> {
    let Some(identity) = adopted.incarnation.process else {
        return Err(Refusal::new(Code::Internal, "a machine without a process cannot be adopted"));
    };
    let gone = || Refusal::new(Code::NotFound, format!("process {} has ended", identity.pid));
    // Looked at before it is held, so that what was seen is of what is held.
    let found = blocking(move || {
        let seen = Seen::look(identity.pid);
        Ok(seen.ok().zip(Process::find(identity)?))
    });
    let (seen, process) = found.await?.ok_or_else(gone)?;
    if seen.process != identity {
        return Err(gone());
    }
    match seen.manager() {
        Some(manager) => Err(not_adoptable(identity.pid, &format!("{manager} manages it"))),
        None => Ok((process, seen)),
    }
}

/// Has QEMU say which it is, and hangs up.
async fn greet(adopted: &Adopted) -> Result<String, Refusal> {
    let pid = adopted.incarnation.process.map_or(0, |process| process.pid);
    let socket = connect(adopted, pid).await?;
    let greeted = tokio::time::timeout(GREETS_WITHIN, Qmp::negotiate(socket)).await;
    let (qmp, _events) =
        greeted.map_err(|_| busy(adopted))?.map_err(|error| failed(pid, &error))?;
    let version = qmp.execute(&QueryVersion {}).await.map_err(|error| failed(pid, &error))?.qemu;
    Ok(format!("{}.{}.{}", version.major, version.minor, version.micro))
}

async fn connect(adopted: &Adopted, pid: u32) -> Result<UnixStream, Refusal> {
    let path = adopted.socket.display();
    let refuse = |why: String| not_adoptable(pid, &why);
    let socket = UnixStream::connect(&adopted.socket).await.map_err(|error| {
        refuse(format!("its QMP socket {path} cannot be reached")).caused_by(&error)
    })?;
    if listener(&socket).ok() != adopted.incarnation.process {
        return Err(refuse(format!("{path} is not its own QMP socket")));
    }
    Ok(socket)
}

fn busy(adopted: &Adopted) -> Refusal {
    let path = adopted.socket.display();
    let message = format!("the QMP socket {path} has a client already");
    Refusal::new(Code::InUse, message).with_hint("end that client, then try again")
}

fn failed(pid: u32, error: &QmpError) -> Refusal {
    not_adoptable(pid, "its QMP socket does not speak QMP").caused_by(error)
}
