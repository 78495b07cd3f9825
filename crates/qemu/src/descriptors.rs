//! What a QEMU finds open when it begins, as data: the command line names numbers, never paths.

use crate::process::FIRST_DESCRIPTOR;
use innkeeper_model::{DeviceName, Layer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One thing to open for a QEMU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Open {
    /// A listening unix socket of this name in the run folder.
    Listener(String),
    /// A file of a disk, to read.
    LayerRead(Layer),
    /// A file of a disk, to read and write.
    LayerWrite(Layer),
    /// A file, to read.
    Read(PathBuf),
    /// A file, to read and write.
    Write(PathBuf),
    /// A kernel or initrd, which QEMU opens anew through `/dev/fd`, as its own user.
    Reopened(PathBuf),
    /// The host's end of a NIC's cable.
    Tap(DeviceName),
    /// Nothing: what was there is plugged out, and the numbers after it stay.
    Nothing,
    /// A file of the distribution's, to read: firmware.
    System(PathBuf),
    /// The kernel's KVM, which a VM's own user may often not open.
    Kvm,
}

impl Open {
    /// A list of them, as an incarnation keeps it.
    pub(crate) fn list_to_value(opens: &[Self]) -> Value {
        serde_json::to_value(opens).expect("plain data with text keys can be JSON")
    }

    /// The list that an incarnation keeps.
    ///
    /// # Errors
    /// It is another version's, or there is none.
    pub(crate) fn list_from_value(opens: &Value) -> Result<Vec<Self>, serde_json::Error> {
        Vec::deserialize(opens)
    }
}

/// The descriptors of one QEMU, in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Descriptors {
    opens: Vec<Open>,
    sets: u32,
    arguments: Vec<String>,
}

impl Descriptors {
    /// Adds one, and says its number in the child.
    pub(crate) fn add(&mut self, open: Open) -> i32 {
        self.opens.push(open);
        FIRST_DESCRIPTOR + self.opens.len() as i32 - 1
    }

    /// Adds a file that QEMU's block layer opens, and says the name it opens it by. QEMU asks for a
    /// descriptor of exactly the access it wants, and a writable image is first opened to read.
    pub(crate) fn add_layer(&mut self, layer: &Layer, writable: bool) -> String {
        let write = writable.then(|| Open::LayerWrite(layer.clone()));
        self.add_set([Open::LayerRead(layer.clone())].into_iter().chain(write))
    }

    /// Adds firmware's variables, as [`Descriptors::add_layer`] does.
    pub(crate) fn add_variables(&mut self, path: &Path) -> String {
        self.add_set([Open::Read(path.into()), Open::Write(path.into())])
    }

    /// Adds firmware's code, as [`Descriptors::add_layer`] does.
    pub(crate) fn add_firmware(&mut self, path: &Path) -> String {
        self.add_set([Open::System(path.into())])
    }

    /// Adds the kernel's KVM, as [`Descriptors::add_layer`] does.
    pub(crate) fn add_kvm(&mut self) -> String {
        self.add_set([Open::Kvm])
    }

    fn add_set(&mut self, opens: impl IntoIterator<Item = Open>) -> String {
        self.sets += 1;
        let set = self.sets;
        for open in opens {
            let number = self.add(open);
            let option = crate::option::QemuOption::default().with("fd", number).with("set", set);
            self.arguments.extend(["-add-fd".into(), option.into()]);
        }
        format!("/dev/fdset/{set}")
    }

    /// The descriptors, and the arguments that tell QEMU of the sets.
    pub(crate) fn finish(self) -> (Vec<Open>, Vec<String>) {
        (self.opens, self.arguments)
    }
}
