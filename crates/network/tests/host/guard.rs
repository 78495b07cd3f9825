//! The rule that keeps guests on user-mode networks from their host: there while somebody needs it.

use crate::{namespace::run, yard::on_a_host};
use innkeeper_network::{LoopbackGuard, UidRange};
use std::{
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

/// Users of this test's own.
const FIRST: u32 = 1_999_000_000;

fn guard() -> LoopbackGuard {
    LoopbackGuard::new(UidRange::new(FIRST, FIRST + 9).unwrap(), true)
}

#[test]
fn the_rule_goes_when_nobody_needs_it_any_more_and_nothing_is_left() {
    on_a_host(async |_yard| {
        run("nft add table inet others");
        let before = run("nft list ruleset");
        let own = guard();
        own.ensure().await.unwrap();
        assert!(run("nft list tables").contains(&format!("inet innkeeper_guests_{FIRST}")));
        assert!(own.safeguard().active);
        assert!(!own.lift(|| true).await.unwrap());

        // Nor while a process of one of them lives, whatever the daemon knows.
        let mut guest = Command::new("sleep");
        let mut guest = guest.arg("100").uid(FIRST + 3).stdin(Stdio::null()).spawn().unwrap();
        assert!(!own.lift(|| false).await.unwrap());
        assert!(run("nft list tables").contains("innkeeper_guests"));
        guest.kill().unwrap();
        guest.wait().unwrap();
        assert!(own.lift(|| false).await.unwrap());
        assert_eq!(run("nft list ruleset"), before);
        assert!(!own.safeguard().active);
        assert!(!own.lift(|| false).await.unwrap(), "it is gone already");

        // And one that an earlier daemon set.
        own.ensure().await.unwrap();
        assert!(guard().lift(|| false).await.unwrap());
        assert_eq!(run("nft list ruleset"), before);
    });
}
