//! Real libvirts that ask their callers who they are: by what the kernel and polkit know of them, or for a name
//! and a password, which a daemon does not have.

mod support;

use innkeeper_driver::Neighbour;
use support::{Daemon, skip_without_libvirt, telling::Watched};

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_a_password_is_said_to_once_and_found_when_it_wants_none() {
    if skip_without_libvirt("a libvirt that wants a password") {
        return;
    }
    let mut daemon = Daemon::start();
    daemon.kill();
    daemon.run_asking("sasl");
    let watched = Watched::at(daemon.socket(), None);
    let told = watched.ear.until("it wants a password", |told| told.lost.is_some()).await;
    let loss = told.lost.unwrap();
    assert_eq!(loss.reason, "libvirt asks for SASL authentication, which Innkeeper does not have");
    assert!(loss.hint.as_ref().unwrap().contains("auth_unix_rw"), "{loss:?}");
    let refused = watched.libvirt.survey().await.unwrap_err();
    assert_eq!(refused.hint, loss.hint, "whoever asks is told the same");
    let diagnosis = watched.libvirt.driver().diagnosis();
    assert_eq!((diagnosis.machines, diagnosis.connections), (0, 0));
    assert_eq!(diagnosis.last_error.unwrap().error, loss.in_words());

    daemon.kill();
    daemon.run_asking("none");
    let back = watched.ear.until("it is there", |told| told.surveys == 1).await;
    assert!(back.lost.is_none());
    // That it asks, and perhaps that nobody listened between the two: each told once, however often it was tried.
    assert!(back.losses <= 3, "{back:#?}");
    assert_eq!(watched.libvirt.driver().diagnosis().connections, 1);
}

/// Of root's processes libvirt asks polkit nothing; of others it does, and whether there is one that says yes is
/// the machine's to say.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_polkit_lets_root_in() {
    if skip_without_libvirt("a libvirt that asks polkit") {
        return;
    }
    let mut daemon = Daemon::start();
    daemon.kill();
    daemon.run_asking("polkit");
    let watched = Watched::at(daemon.socket(), None);
    let heard = |told: &support::telling::Told| told.surveys > 0 || told.lost.is_some();
    let told = watched.ear.until("it has answered", heard).await;
    match told.lost {
        None => assert_eq!(told.surveys, 1),
        Some(loss) => {
            assert!(!rustix::process::geteuid().is_root(), "{loss:?}");
            assert!(loss.reason.contains("libvirt asks for polkit authentication"), "{loss:?}");
        }
    }
}
