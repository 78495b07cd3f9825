//! A guest's screen in a browser: noVNC as its package has it, let in by a ticket.

use crate::harness::{
    BOOT, Browser, Daemon, GuestSlots, Pages, Request, SHORT, TCG, browser_and_novnc, guest_file,
    until,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use std::net::TcpListener;

#[test]
fn novnc_in_a_browser_shows_the_guests_screen_and_types_into_it() {
    let Some((program, novnc)) = browser_and_novnc() else { return };
    let _slot = GuestSlots::one();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut daemon = Daemon::prepared(TCG).with_flags(&["--listen", &format!("127.0.0.1:{port}")]);
    daemon.launch();
    start_with_agent(&daemon);

    let pages = Pages::of(novnc);
    let mut browser = Browser::start(&program);
    browser.open(&page(&daemon, &pages, port));
    let mut status = || browser.evaluate("document.getElementById('status')?.textContent ?? ''");
    until("noVNC is connected", SHORT, || match status() {
        status if status.as_str().unwrap_or_default().starts_with("Connected") => Ok(()),
        status => Err(status),
    });

    shows_the_screen(&daemon, &mut browser);
    // Whoever is in the guest's text console is in the guest: its own keyboard, and its own login.
    browser.click("#screen canvas");
    until_the_screen_says(&daemon, "login:");
    browser.type_text("root\n");
    until_the_screen_says(&daemon, "Password:");
    browser.type_text("innkeeper\n");
    until_the_screen_says(&daemon, "~#");
    browser.type_text("touch /tmp/typed\n");
    until("what was typed was done", SHORT, || {
        let there = daemon.inn(&["exec", "-n", "web", "--", "test", "-e", "/tmp/typed"]);
        if there.status.success() { Ok(()) } else { Err(screen_text(&daemon)) }
    });
    shows_the_screen(&daemon, &mut browser);
    // The same ticket lets nobody else in.
    browser.evaluate("location.reload()");
    let mut status = || browser.evaluate("document.getElementById('status')?.textContent ?? ''");
    until("noVNC is refused", SHORT, || match status() {
        status if status.as_str().unwrap_or_default().contains("went wrong") => Ok(()),
        status => Err(status),
    });
}

/// A guest with a screen, in which the agent answers.
fn start_with_agent(daemon: &Daemon) {
    let (kernel, initrd) = (guest_file("full/vmlinuz"), guest_file("full/initrd.img"));
    daemon.inn_ok(&[
        "image", "add", "--name", "full", "--kind", "kernel", "--initrd", &initrd, &kernel,
    ]);
    daemon.create(&json!({
        "name": "web",
        "memory": "384MiB",
        "boot": { "kernel": { "image": "full", "cmdline": "console=ttyS0 quiet" } },
    }));
    daemon.act("web", "start");
    until("the agent is there", BOOT, || {
        let tried = daemon.inn(&["exec", "-n", "web", "--", "true"]);
        if tried.status.success() { Ok(()) } else { Err(tried.stderr) }
    });
}

/// noVNC's page, from another origin than the daemon's, with a ticket and nothing else to be let in by.
fn page(daemon: &Daemon, pages: &Pages, port: u16) -> String {
    let asked = Request::new("POST", "/v1/vms/web/tickets").json(&json!({ "kind": "vnc" }));
    let ticket = daemon.send(&asked).ok().json()["ticket"].as_str().unwrap().to_owned();
    let path = format!("v1/vms/web/vnc?ticket={ticket}").replace('?', "%3F").replace('=', "%3D");
    format!("http://{}/vnc_lite.html?host=127.0.0.1&port={port}&path={path}", pages.address)
}

/// The canvas of the page has, pixel for pixel, what a picture of the guest's screen has. Its cursor
/// blinks, so that it may take more than one.
#[track_caller]
fn shows_the_screen(daemon: &Daemon, browser: &mut Browser) {
    let picture = daemon.scratch().join("screen.png");
    until("the browser shows the guest's screen", SHORT, || {
        daemon.inn_ok(&["screenshot", "web", picture.to_str().unwrap()]);
        let picture = BASE64_STANDARD.encode(std::fs::read(&picture).unwrap());
        let compared = browser.evaluate(&COMPARE.replace("@PICTURE@", &picture));
        let same = compared["size"] == compared["shown"] && compared["others"] == 0;
        // Something is written there.
        let written = compared["colours"].as_u64().is_some_and(|colours| colours > 1);
        if same && written { Ok(()) } else { Err(compared) }
    });
}

/// Compares the canvas with a picture, in the browser, which can read both.
const COMPARE: &str = "(async () => {
    const picture = new Image();
    picture.src = 'data:image/png;base64,@PICTURE@';
    await picture.decode();
    const copy = document.createElement('canvas');
    [copy.width, copy.height] = [picture.width, picture.height];
    copy.getContext('2d').drawImage(picture, 0, 0);
    const shown = document.querySelector('#screen canvas');
    const pixels = canvas => new Uint32Array(canvas.getContext('2d')
        .getImageData(0, 0, picture.width, picture.height).data.buffer);
    const [wanted, seen] = [pixels(copy), pixels(shown)];
    return {
        size: `${picture.width}x${picture.height}`,
        shown: `${shown.width}x${shown.height}`,
        others: wanted.filter((pixel, at) => pixel !== seen[at]).length,
        colours: new Set(seen).size,
    };
})()";

/// Waits until this is to be read on the guest's screen, as the guest's kernel has it.
#[track_caller]
fn until_the_screen_says(daemon: &Daemon, words: &str) {
    until(&format!("{words:?} on the screen"), SHORT, || {
        let text = screen_text(daemon);
        if text.contains(words) { Ok(()) } else { Err(text) }
    });
}

fn screen_text(daemon: &Daemon) -> String {
    daemon.inn(&["exec", "-n", "web", "--", "cat", "/dev/vcs1"]).stdout
}
