//! Rules that are gone and cannot be set again: it is said of each network for as long as it is so.

use crate::{
    namespace::{enter_own_mounts, run},
    yard::{Yard, named, on_a_host},
};
use innkeeper_network::HostNetworks;
use std::{fs, os::unix::fs::PermissionsExt};

/// An `nft` that lists what there is, and sets nothing; in place of the calling thread's.
struct NothingIsSet(String);

impl NothingIsSet {
    fn of(yard: &Yard) -> Self {
        let nft = run("busybox which nft").trim().to_owned();
        let [real, other] = ["real-nft", "other-nft"].map(|name| yard.folder.path().join(name));
        fs::copy(&nft, &real).unwrap();
        let real = real.display();
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = -f ] && echo broken >&2 && exit 1\nexec {real} \"$@\"\n"
        );
        fs::write(&other, text).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
        enter_own_mounts();
        run(&format!("mount --bind {} {nft}", other.display()));
        Self(nft)
    }

    fn end(self) {
        run(&format!("umount {}", self.0));
    }
}

#[test]
fn what_cannot_be_set_again_is_not_called_mended() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
        yard.add_nic(network, 1, &["10.87.0.2"]);
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        assert_eq!(daemon.survey().await.unwrap(), []);
        let broken = NothingIsSet::of(&yard);
        run("nft flush ruleset");
        let mut told = daemon.changes();
        for round in 0..3 {
            let found = daemon.survey().await;
            assert!(found.is_err(), "round {round}: {found:?}");
            let problem = daemon.facts(network).problem.unwrap_or_default();
            assert!(problem.contains("nft refused"), "round {round}: {problem:?}");
            assert_eq!(told.has_changed().unwrap(), round == 0, "it is told once");
            told.mark_unchanged();
            // As whoever surveys does before.
            daemon.apply(yard.desired.clone().into()).await.unwrap_err();
        }
        broken.end();
        let found = daemon.survey().await.unwrap();
        let is_mended = |of| found.iter().any(|one| one.mended && one.network == of);
        assert!(is_mended(None) && is_mended(Some(network)), "{found:?}");
        assert_eq!(daemon.facts(network).problem, None);
        assert!(run("nft list tables").contains("innkeeper_networks"));
        assert_eq!(daemon.survey().await.unwrap(), []);
    });
}
