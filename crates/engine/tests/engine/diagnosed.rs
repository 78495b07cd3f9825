//! What a diagnosis says of who reads, and of what drives the machines.

use crate::support::{Bench, START, STOP};
use innkeeper_model::{TaskState, Timestamp};

#[tokio::test]
async fn readers_are_named_with_their_lag_and_the_slowest_comes_first() {
    let bench = Bench::new().await;
    let began = Timestamp::now();
    let view = bench.engine.view().clone();
    let mut quick = view.subscribe(None).of("uid:0: events").of("another name");
    let slow = view.subscribe(None).of("vminfod");
    let before = bench.snapshot().revision;
    bench.create("web").await;
    bench.idle().await;
    let made = bench.snapshot().revision.0 - before.0;
    while quick.position().sequence < bench.snapshot().revision.0 {
        quick.next().await.unwrap();
    }
    let nameless = view.subscribe(None);
    let feed = bench.engine.diagnose().feed;
    let seen: Vec<_> =
        feed.reading.iter().map(|reader| (reader.who.as_deref(), reader.lag)).collect();
    assert_eq!(seen, [(Some("vminfod"), made), (Some("uid:0: events"), 0), (None, 0)]);
    assert!(feed.reading.iter().all(|reader| reader.since >= began));
    assert_eq!((feed.readers, feed.slowest_lag), (3, made));
    drop((slow, nameless));
    let left = bench.engine.diagnose().feed.reading;
    assert_eq!((left.len(), left[0].who.as_deref()), (1, Some("uid:0: events")));
}

#[tokio::test]
async fn a_driver_says_what_it_has_and_what_it_could_not_do_last() {
    let bench = Bench::new().await;
    let (web, other) = (bench.started("web").await, bench.create("other").await);
    let driver = || bench.engine.diagnose().drivers.remove(0);
    let seen = driver();
    assert_eq!((seen.name.as_str(), seen.machines, seen.last_error), ("sim", 1, None));
    assert_eq!(seen.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    let fault = bench.fails("sim/launch");
    assert_eq!(bench.power(other, START).await.state, TaskState::Failed);
    bench.world.take_away(fault);
    let error = driver().last_error.unwrap();
    assert_eq!((error.vm, error.error.as_str()), (Some(other), "sim/launch: as it was told to"));
    // It stays until something else goes wrong.
    bench.powers(other, &[START]).await;
    bench.powers(web, &[STOP]).await;
    let seen = driver();
    assert_eq!((seen.machines, seen.last_error), (1, Some(error)));
    bench.is_sound().await;
}
