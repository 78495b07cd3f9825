use super::*;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::timeout,
};

const LONG: Duration = Duration::from_secs(20);

fn line() -> (DuplexStream, Hub) {
    let (guest, line) = duplex(4096);
    (guest, Hub::start(line, b""))
}

fn join(hub: &Hub, role: Role) -> Viewer {
    hub.join("uid:1", role).unwrap().viewer
}

async fn sees(viewer: &mut Viewer, wanted: &str) -> String {
    let mut seen = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&seen).contains(wanted) {
            let length = viewer.read_buf(&mut seen).await.unwrap();
            assert_ne!(length, 0, "the line ended after {:?}", String::from_utf8_lossy(&seen));
        }
    };
    let read = timeout(LONG, reading).await;
    let seen = String::from_utf8_lossy(&seen).into_owned();
    read.unwrap_or_else(|_| panic!("saw only {seen:?}"));
    seen
}

async fn hears(guest: &mut DuplexStream, length: usize) -> String {
    let mut heard = vec![0; length];
    timeout(LONG, guest.read_exact(&mut heard)).await.unwrap().unwrap();
    String::from_utf8(heard).unwrap()
}

#[tokio::test]
async fn all_see_the_same_and_one_who_comes_later_sees_what_was_before() {
    let (mut guest, hub) = line();
    let mut first = join(&hub, Role::Write);
    guest.write_all(b"login: ").await.unwrap();
    assert_eq!(sees(&mut first, "login: ").await, "login: ");
    let mut second = join(&hub, Role::ReadOnly);
    assert_eq!(sees(&mut second, "login: ").await, "login: ");
    first.write_all(b"root\n").await.unwrap();
    assert_eq!(hears(&mut guest, 5).await, "root\n");
    guest.write_all(b"Welcome").await.unwrap();
    sees(&mut first, "Welcome").await;
    sees(&mut second, "Welcome").await;
    assert_eq!(hub.viewers(), 2);
}

#[tokio::test]
async fn history_that_comes_again_is_shown_once() {
    let (mut guest, line) = duplex(4096);
    guest.write_all(b"Password: ").await.unwrap();
    let hub = Hub::start(line, b"login: root\r\nPassword: ");
    let mut viewer = join(&hub, Role::Write);
    sees(&mut viewer, "Password: ").await;
    guest.write_all(b"\r\nWelcome").await.unwrap();
    assert_eq!(sees(&mut viewer, "Welcome").await, "\r\nWelcome");
}

#[tokio::test]
async fn one_types_and_the_others_are_not_heard_until_they_take_it() {
    let (mut guest, hub) = line();
    let mut first = join(&hub, Role::Write);
    let joined = hub.join("uid:2", Role::Write).unwrap();
    assert!(!joined.may_type);
    assert_eq!(joined.typist.as_deref(), Some("uid:1"));
    let mut second = joined.viewer;
    second.write_all(b"lost").await.unwrap();
    first.write_all(b"first").await.unwrap();
    assert_eq!(hears(&mut guest, 5).await, "first");
    let mut third = hub.join("uid:3", Role::Take).unwrap().viewer;
    sees(&mut first, "[… uid:3 took the keyboard; you see only …]").await;
    first.write_all(b"lost").await.unwrap();
    third.write_all(b"third").await.unwrap();
    assert_eq!(hears(&mut guest, 5).await, "third");
    drop(third);
    sees(&mut first, "[… you may type now …]").await;
    first.write_all(b"again").await.unwrap();
    assert_eq!(hears(&mut guest, 5).await, "again");
    assert!(!second.may_type());
}

#[tokio::test]
async fn the_line_is_let_go_of_when_the_last_viewer_leaves() {
    let (mut guest, hub) = line();
    let (one, other) = (join(&hub, Role::Write), join(&hub, Role::Write));
    drop(one);
    assert!(!hub.is_over());
    drop(other);
    assert!(hub.join("late", Role::Write).is_none());
    timeout(LONG, hub.over()).await.unwrap();
    assert_eq!(guest.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn all_are_shown_the_rest_when_the_line_ends() {
    let (mut guest, hub) = line();
    let mut viewers = [join(&hub, Role::Write), join(&hub, Role::ReadOnly)];
    guest.write_all(b"reboot: Power down").await.unwrap();
    drop(guest);
    timeout(LONG, hub.over()).await.unwrap();
    for viewer in &mut viewers {
        viewer.write_all(b"nobody hears this").await.unwrap();
        let mut all = String::new();
        viewer.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "reboot: Power down");
    }
    assert!(hub.join("late", Role::Write).is_none());
}

#[tokio::test]
async fn one_who_does_not_read_holds_nobody_up_and_is_told_what_it_missed() {
    let (mut guest, hub) = line();
    let mut slow = join(&hub, Role::Write);
    let mut quick = join(&hub, Role::ReadOnly);
    let total = 8 * LAG;
    let writing = tokio::spawn(async move {
        for number in 0..total / 16 {
            guest.write_all(format!("line {number:>10}\n").as_bytes()).await.unwrap();
        }
        guest
    });
    let mut seen = 0;
    let mut buffer = vec![0; 32 << 10];
    while seen < total {
        let length = timeout(LONG, quick.read(&mut buffer)).await.unwrap().unwrap();
        seen += length;
    }
    assert_eq!((seen, quick.skipped()), (total, 0));
    drop(timeout(LONG, writing).await.unwrap().unwrap());
    let mut rest = String::new();
    timeout(LONG, slow.read_to_string(&mut rest)).await.unwrap().unwrap();
    let skipped = slow.skipped();
    let beginning = format!("\r\n[… {skipped} bytes skipped …]\r\nline ");
    assert!(rest.starts_with(&beginning), "{:?}", &rest[..80]);
    assert_eq!(skipped as usize + rest.len() - beginning.len() + 5, total);
}

#[tokio::test]
async fn one_who_does_not_read_is_told_no_more_than_can_be_kept() {
    let (_guest, hub) = line();
    let mut idle = join(&hub, Role::Write);
    for _ in 0..1_000 {
        drop(join(&hub, Role::Take));
    }
    let mut told = vec![0; 1 << 20];
    let length = timeout(LONG, idle.read(&mut told)).await.unwrap().unwrap();
    assert!(length < 8 << 10, "{length} bytes were kept");
    let told = String::from_utf8_lossy(&told[..length]);
    assert!(told.trim_end().ends_with("[… you may type now …]"), "{told}");
}

#[tokio::test]
async fn a_line_that_takes_no_input_is_read_all_the_same() {
    let (mut guest, hub) = line();
    let mut viewer = join(&hub, Role::Write);
    // More than the line, the queue and the viewer have room for.
    let typing = async {
        loop {
            viewer.write_all(&[b'x'; 4096]).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_millis(100), typing).await.is_err());
    guest.write_all(b"still here").await.unwrap();
    sees(&mut viewer, "still here").await;
}

#[tokio::test]
async fn an_echo_comes_at_once() {
    let (mut guest, hub) = line();
    let mut viewer = join(&hub, Role::Write);
    tokio::spawn(async move {
        let mut key = [0];
        while guest.read_exact(&mut key).await.is_ok() && guest.write_all(&key).await.is_ok() {}
    });
    let mut worst = Duration::ZERO;
    for _ in 0..200 {
        let begun = Instant::now();
        viewer.write_all(b"k").await.unwrap();
        viewer.read_exact(&mut [0]).await.unwrap();
        worst = worst.max(begun.elapsed());
    }
    // A loaded test machine needs some; a wait for a timer would show in every one.
    assert!(worst < Duration::from_millis(500), "{worst:?}");
}

#[tokio::test]
async fn what_comes_byte_by_byte_is_shown_in_larger_pieces() {
    let (mut guest, hub) = line();
    let mut viewer = join(&hub, Role::ReadOnly);
    guest.write_all(b".").await.unwrap();
    sees(&mut viewer, ".").await;
    let began = Instant::now();
    let writing = async {
        for _ in 0..1000 {
            guest.write_all(b"x").await.unwrap();
            tokio::task::yield_now().await;
        }
        guest.write_all(b"!").await.unwrap();
    };
    // A task of its own, which nothing but the line wakes.
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        let mut reads = 0;
        while !seen.ends_with(b"!") {
            viewer.read_buf(&mut seen).await.unwrap();
            reads += 1;
        }
        reads
    });
    writing.await;
    let reads = timeout(LONG, reading).await.unwrap().unwrap();
    // A viewer that is woken may find more while it reads.
    let most = 2 * (2 + began.elapsed().as_millis() / 4);
    assert!(reads <= most, "{reads} reads in {:?}", began.elapsed());
}
