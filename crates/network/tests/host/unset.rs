//! Rules that are gone and cannot be set again: it is said of each network for as long as it is so.

use crate::{
    namespace::run,
    other_nft::OtherNft,
    yard::{named, on_a_host},
};
use innkeeper_network::HostNetworks;

/// Lists what there is, and sets nothing.
const SETS_NOTHING: &str = "[ $1 = -f ] && echo broken >&2 && exit 1";

#[test]
fn what_cannot_be_set_again_is_not_called_mended() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
        yard.add_nic(network, 1, &["10.87.0.2"]);
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        assert_eq!(daemon.survey().await.unwrap(), []);
        let broken = OtherNft::of(&yard, SETS_NOTHING);
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

#[test]
fn a_tap_that_cannot_be_mended_hides_nothing_of_what_was() {
    on_a_host(async |mut yard| {
        let network = yard.add_network(named("lan"), &["10.87.0.0/24"]);
        let [bad, good] = [1, 2].map(|number| yard.add_nic(network, number, &[]));
        let daemon = yard.daemon();
        yard.apply(&daemon).await;
        let _guest = yard.guest(&daemon, &good).await;
        // A bridge is plugged into none.
        run(&format!("ip link add {} type bridge", bad.tap));
        run(&format!("ip link set {} nomaster", good.tap));
        run("nft flush ruleset");
        let found = daemon.survey().await.unwrap();
        let is_found = |words: &str, mended| {
            found.iter().any(|one| one.text.contains(words) && one.mended == mended)
        };
        assert!(is_found("by a flush", true), "{found:?}");
        assert!(is_found(good.tap.as_str(), true), "{found:?}");
        assert!(is_found(bad.tap.as_str(), false), "{found:?}");
    });
}
