//! Whoever listens at libvirt's socket and is none: it is told, and a libvirt that comes is found.

mod support;

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    thread,
};
use support::{Daemon, skip_without_libvirt, telling::Watched};

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_libvirt_is_told_and_a_libvirt_that_comes_is_found() {
    if skip_without_libvirt("who is no libvirt") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("libvirt-sock");
    for (says, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "announced a message of"),
        (b"\0\0\0\x1cno header of libvirt's...", "a message that is none"),
        (b"\0\0\0\x1c", "closed the connection"),
        (b"", "closed the connection"),
    ] {
        let listener = UnixListener::bind(&socket).unwrap();
        let answering = thread::spawn(move || {
            let (mut caller, _) = listener.accept().unwrap();
            // Whoever leaves with something unread resets the connection.
            assert!(caller.read(&mut [0; 1_024]).unwrap() > 0, "it is asked something");
            caller.write_all(says).unwrap();
        });
        let watched = Watched::at(socket.clone(), None);
        let told = watched.ear.until("it is no libvirt", |told| told.lost.is_some()).await;
        answering.join().unwrap();
        let reason = told.lost.unwrap().reason;
        assert!(reason.contains(expected), "{says:?}: {reason}");
        assert!(told.machines.is_empty() && told.surveys == 0);
        std::fs::remove_file(&socket).unwrap();
    }

    let watched = Watched::at(socket.clone(), None);
    watched.ear.until("nobody is there", |told| told.lost.is_some()).await;
    let daemon = Daemon::start();
    std::os::unix::fs::symlink(daemon.socket(), &socket).unwrap();
    watched.ear.until("it is there", |told| told.lost.is_none() && told.surveys == 1).await;
}
