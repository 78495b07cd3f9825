//! What is read, and how much memory that may take.

use crate::{guest_agent, memory::peak};
use innkeeper_storage::{Storage, StorageOptions};

/// Something that reads what strangers send.
#[derive(Debug)]
pub struct Target {
    /// Its name, which its folder in the corpus has too.
    pub name: &'static str,
    /// Reads these bytes.
    run: fn(&[u8]),
    /// What it may hold whatever it reads, in bytes: buffers and tables of a fixed size.
    fixed: usize,
    /// What it may hold for each byte that it reads, in bytes.
    per_byte: usize,
}

const fn target(name: &'static str, run: fn(&[u8]), fixed: usize, per_byte: usize) -> Target {
    Target { name, run, fixed, per_byte }
}

/// Enough for messages of errors, and for lists that begin with room for a few.
const LITTLE: usize = 16 << 10;
/// A JSON value of two bytes (`0,`) takes 72 in a list, and three times that while the list grows.
const JSON: usize = 256;

/// All that there are.
pub static TARGETS: &[Target] = &[
    target("jwt", innkeeper_auth::wallet::fuzz::token, LITTLE, 16),
    target("jwt_parts", innkeeper_auth::wallet::fuzz::token_parts, LITTLE, 16),
    target("oidc_parts", innkeeper_auth::oidc::fuzz::token_parts, LITTLE, JSON),
    target("oidc_keys", innkeeper_auth::oidc::fuzz::keys, LITTLE, JSON),
    target("certificate", innkeeper_auth::certificate::fuzz::request, LITTLE, 64),
    target("siwe", innkeeper_auth::wallet::fuzz::sign_in, LITTLE, 16),
    target("address", innkeeper_auth::wallet::fuzz::address, LITTLE, 16),
    // 65,536 reservations can be asked for by their number alone.
    target("native_body", innkeeper_api::fuzz::body, 16 << 20, JSON),
    target("native_query", innkeeper_api::fuzz::query, LITTLE, 64),
    target("vmm_body", innkeeper_doors::vmm::fuzz::body, LITTLE, JSON),
    target("virtx_body", innkeeper_doors::virtx::fuzz::body, LITTLE, JSON),
    target("chypervisord_body", innkeeper_doors::chypervisord::fuzz::body, LITTLE, JSON),
    target("vminfod_payload", innkeeper_doors::vminfod::fuzz::payload, LITTLE, JSON),
    // Expressions that are compiled. With the longest head, 32 KiB, it is the largest body: 1 MiB.
    target("vminfod_query", innkeeper_doors::vminfod::fuzz::query, 512 << 10, 16),
    target("qmp", innkeeper_qemu::fuzz::qmp, 64 << 10, JSON),
    target("qemu_command_line", innkeeper_qemu::fuzz::command_line, LITTLE, JSON),
    // Three connections, each with its buffers.
    target("guest_agent", guest_agent::says, 1 << 20, JSON),
    target("libvirt_messages", innkeeper_libvirt::fuzz::messages, 256 << 10, 64),
    target("libvirt_xml", innkeeper_libvirt::fuzz::xml, LITTLE, JSON),
    // The head, and a table of the largest clusters.
    target("disk", innkeeper_storage::fuzz::disk, 6 << 20, 16),
    target("kernel", innkeeper_storage::fuzz::kernel, 256 << 10, 16),
    target("seed", innkeeper_storage::fuzz::seed, 64 << 10, 16),
    target("archive", archive, 256 << 10, JSON),
];

impl Target {
    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Makes what is made once, so that it does not count.
    pub fn warm_up(&self) {
        (self.run)(&[]);
    }

    /// Reads these bytes. Returns the most memory that it took, in bytes.
    ///
    /// # Panics
    /// Reading them panicked, or took more memory than it may.
    pub fn read(&self, bytes: &[u8]) -> usize {
        let most = self.fixed + self.per_byte * bytes.len();
        let taken = peak(|| (self.run)(bytes));
        assert!(
            taken <= most,
            "{} bytes took {taken} bytes of memory, and may take {most}",
            bytes.len()
        );
        taken
    }
}

thread_local! {
    /// A pool for what arrives; it goes with its thread.
    static POOL: (Storage, tempfile::TempDir) = {
        let folder = tempfile::tempdir().expect("there is a folder for what is temporary");
        let storage = Storage::open(StorageOptions::new(folder.path().join("pool")));
        (storage.expect("a new pool can be opened"), folder)
    };
}

/// A VM's file, arriving in a pool that is made for it.
fn archive(bytes: &[u8]) {
    POOL.with(|(storage, _)| innkeeper_storage::fuzz::archive(storage, bytes));
}
