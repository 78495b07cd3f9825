//! Another program in the place of `nft`.

use crate::{
    namespace::{enter_own_mounts, run},
    yard::Yard,
};
use std::{fs, os::unix::fs::PermissionsExt};

/// An `nft` that does something else first; in place of the calling thread's.
pub(crate) struct OtherNft(String);

impl OtherNft {
    /// One that does this first, in the shell's words. There `$real` is the program in whose place it is.
    pub(crate) fn of(yard: &Yard, first: &str) -> Self {
        let nft = run("busybox which nft").trim().to_owned();
        let [real, other] = ["real-nft", "other-nft"].map(|name| yard.folder.path().join(name));
        fs::copy(&nft, &real).unwrap();
        let text = format!("#!/bin/sh\nreal={}\n{first}\nexec $real \"$@\"\n", real.display());
        fs::write(&other, text).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
        enter_own_mounts();
        run(&format!("mount --bind {} {nft}", other.display()));
        Self(nft)
    }

    /// Has the real one in its place again.
    pub(crate) fn end(self) {
        run(&format!("umount {}", self.0));
    }
}
