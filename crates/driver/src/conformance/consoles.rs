//! That a console has one place, which is free again when it was left, and ends with its machine.

use super::{DEADLINE, Fixture, bench::Bench};
use crate::{ByteStream, Operation};
use innkeeper_model::{Code, Refusal};
use std::time::Duration;
use tokio::{
    io::AsyncReadExt,
    time::{sleep, timeout},
};

/// How often something is tried again.
const TRY_EVERY: Duration = Duration::from_millis(5);

impl Bench {
    async fn console(&self) -> Result<Box<dyn ByteStream>, Refusal> {
        self.driver.open_console(self.spec.id).await
    }
}

pub(super) async fn a_console_has_one_place(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    assert_eq!(bench.console().await.err().map(|refusal| refusal.code), Some(Code::WrongState));
    bench.run(Operation::Start).await;
    let Ok(console) = bench.console().await else { panic!("a machine that runs has a console") };
    assert_eq!(bench.console().await.err().map(|refusal| refusal.code), Some(Code::InUse));
    drop(console);
    let free = async {
        loop {
            match bench.console().await {
                Ok(console) => break console,
                Err(refusal) => assert_eq!(refusal.code, Code::InUse),
            }
            sleep(TRY_EVERY).await;
        }
    };
    let mut console = timeout(DEADLINE, free).await.expect("a place that was left is free");
    bench.run(Operation::Kill).await;
    let mut rest = Vec::new();
    let ended = timeout(DEADLINE, console.read_to_end(&mut rest)).await;
    // How a line breaks off is the hypervisor's matter.
    drop(ended.expect("a console ends with its machine"));
    assert_eq!(bench.console().await.err().map(|refusal| refusal.code), Some(Code::WrongState));
    bench.assert_nothing_is_left("a kill while somebody looks");
}

/// What a driver does not have it refuses as that, and what it has needs a machine.
pub(super) async fn what_is_not_there_is_refused(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    let (driver, vm) = (&bench.driver, bench.spec.id);
    for refused in [
        driver.open_vnc(vm).await.err(),
        driver.open_agent(vm).await.err(),
        driver.screenshot(vm).await.err(),
        driver.send_keys(vm, &[]).await.err(),
    ] {
        let code = refused.map(|refusal| refusal.code);
        let is_known = matches!(code, Some(Code::WrongState | Code::Unsupported));
        assert!(is_known, "of a VM without a machine: {code:?}");
    }
}
