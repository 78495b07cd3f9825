//! What a surface asks of what is in a machine, and files that go in and out. None of it is a task, and none of it queues.

use async_trait::async_trait;
use innkeeper_driver::ByteStream;
use innkeeper_engine::{
    Caller, Engine, OpenedAgent, OpenedArrival, OpenedConsole, OpenedDisk, OpenedExport,
    OpenedImage, OpenedUpload,
};
use innkeeper_model::{Code, ImageName, ProjectName, Refusal, VmId, keyboard::Stroke};
use innkeeper_session::Role;

/// Sessions, behind whichever surface. What a stand-in does not have is refused.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// Opens a VM's serial console; dropping the stream leaves it to others.
    ///
    /// # Errors
    /// The machine does not run.
    async fn open_console(
        &self,
        caller: &Caller,
        vm: VmId,
        role: Role,
    ) -> Result<OpenedConsole, Refusal> {
        let _ = (caller, vm, role);
        nothing()
    }

    /// Opens a VM's screen: a connection that speaks RFB. Dropping it closes it.
    ///
    /// # Errors
    /// The machine does not run, or has no screen.
    async fn open_vnc(&self, caller: &Caller, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        let _ = (caller, vm);
        nothing()
    }

    /// What a VM's screen shows, as PNG.
    ///
    /// # Errors
    /// The machine does not run, or has no screen.
    async fn screenshot(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        let _ = vm;
        nothing()
    }

    /// Presses keys of a VM's keyboard. Dropping the future leaves out those that have not begun.
    ///
    /// # Errors
    /// The machine does not run.
    async fn send_keys(
        &self,
        caller: &Caller,
        vm: VmId,
        strokes: &[Stroke],
    ) -> Result<(), Refusal> {
        let _ = (caller, vm, strokes);
        nothing()
    }

    /// The agent in a VM's guest, for a session of this kind. Nothing is asked of it by this.
    ///
    /// # Errors
    /// There is no such VM.
    fn agent(&self, caller: &Caller, vm: VmId, kind: &'static str) -> Result<OpenedAgent, Refusal> {
        let _ = (caller, vm, kind);
        nothing()
    }

    /// Opens a disk of a stopped VM to be read. Nothing waits for it.
    ///
    /// # Errors
    /// There is no such VM or disk, the VM is not stopped, or the disk cannot be read.
    async fn disk_file(
        &self,
        caller: &Caller,
        vm: VmId,
        disk: &str,
    ) -> Result<OpenedDisk, Refusal> {
        let _ = (caller, vm, disk);
        nothing()
    }

    /// Opens an image's bytes.
    ///
    /// # Errors
    /// There is no such image, or it cannot be used.
    async fn image_file(&self, caller: &Caller, name: &ImageName) -> Result<OpenedImage, Refusal> {
        let _ = (caller, name);
        nothing()
    }

    /// Begins or goes on with a file that is to become an image. `more` is how many bytes will come.
    ///
    /// # Errors
    /// The name is taken; other than `from` bytes have arrived; somebody else sends the same; it is too
    /// large, or the pool is full.
    async fn upload_image(
        &self,
        caller: &Caller,
        name: &ImageName,
        sha256: &str,
        from: u64,
        more: Option<u64>,
    ) -> Result<OpenedUpload, Refusal> {
        let _ = (caller, name, sha256, from, more);
        nothing()
    }

    /// How many bytes of such a file have arrived.
    ///
    /// # Errors
    /// The name is taken; the checksum is none.
    async fn uploaded(&self, name: &ImageName, sha256: &str) -> Result<u64, Refusal> {
        let _ = (name, sha256);
        nothing()
    }

    /// Opens a stopped VM to be read as one file. Nothing waits for it.
    ///
    /// # Errors
    /// There is no such VM, it is not stopped, or something of it cannot be read.
    async fn export_vm(&self, caller: &Caller, vm: VmId) -> Result<OpenedExport, Refusal> {
        let _ = (caller, vm);
        nothing()
    }

    /// Begins to receive a file that is to become a VM. `length` is how long it is, where that is known, and `project`
    /// whose the VM will be, where the file does not say so.
    ///
    /// # Errors
    /// It is too large, the pool is full, or the project has no room for another VM.
    async fn receive_vm(
        &self,
        caller: &Caller,
        length: Option<u64>,
        project: Option<ProjectName>,
    ) -> Result<OpenedArrival, Refusal> {
        let _ = (caller, length, project);
        nothing()
    }
}

fn nothing<T>() -> Result<T, Refusal> {
    Err(Refusal::new(Code::Unsupported, "this server only shows"))
}

#[async_trait]
impl Sessions for Engine {
    async fn open_console(
        &self,
        caller: &Caller,
        vm: VmId,
        role: Role,
    ) -> Result<OpenedConsole, Refusal> {
        Engine::open_console(self, caller, vm, role).await
    }

    async fn open_vnc(&self, caller: &Caller, vm: VmId) -> Result<Box<dyn ByteStream>, Refusal> {
        Engine::open_vnc(self, caller, vm).await
    }

    async fn screenshot(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        Engine::screenshot(self, vm).await
    }

    async fn send_keys(
        &self,
        caller: &Caller,
        vm: VmId,
        strokes: &[Stroke],
    ) -> Result<(), Refusal> {
        Engine::send_keys(self, caller, vm, strokes).await
    }

    fn agent(&self, caller: &Caller, vm: VmId, kind: &'static str) -> Result<OpenedAgent, Refusal> {
        Engine::agent(self, caller, vm, kind)
    }

    async fn disk_file(
        &self,
        caller: &Caller,
        vm: VmId,
        disk: &str,
    ) -> Result<OpenedDisk, Refusal> {
        Engine::disk_file(self, caller, vm, disk).await
    }

    async fn image_file(&self, caller: &Caller, name: &ImageName) -> Result<OpenedImage, Refusal> {
        Engine::image_file(self, caller, name).await
    }

    async fn upload_image(
        &self,
        caller: &Caller,
        name: &ImageName,
        sha256: &str,
        from: u64,
        more: Option<u64>,
    ) -> Result<OpenedUpload, Refusal> {
        Engine::upload_image(self, caller, name, sha256, from, more).await
    }

    async fn uploaded(&self, name: &ImageName, sha256: &str) -> Result<u64, Refusal> {
        Engine::uploaded(self, name, sha256).await
    }

    async fn export_vm(&self, caller: &Caller, vm: VmId) -> Result<OpenedExport, Refusal> {
        Engine::export_vm(self, caller, vm).await
    }

    async fn receive_vm(
        &self,
        caller: &Caller,
        length: Option<u64>,
        project: Option<ProjectName>,
    ) -> Result<OpenedArrival, Refusal> {
        Engine::receive_vm(self, caller, length, project).await
    }
}
