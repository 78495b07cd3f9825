#![expect(clippy::unwrap_used, reason = "x")]
mod support;
use innkeeper_driver::Operation;
use innkeeper_model::{
    KernelFiles, Mebibytes,
    config::{Boot, KernelBoot},
};
use std::time::Instant;
use support::{Vm, World, guests};
use tokio_util::sync::CancellationToken;
#[tokio::test(flavor = "multi_thread")]
async fn measure() {
    let world = World::new();
    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    let run = world.folder.path().join("run");
    std::fs::remove_dir(&run).unwrap();
    std::os::unix::fs::symlink(shm.path(), &run).unwrap();
    let disks = world.folder.path().join("disks");
    for f in ["vmlinuz", "initrd.img"] {
        std::fs::copy(format!("/work/main/target/guests/tiny/{f}"), disks.join(f)).unwrap();
    }
    let mut vm = Vm::new(&world, &guests::ticks(), |c| {
        c.memory = Mebibytes(256);
        c.boot = Boot::Kernel(KernelBoot {
            path: Some(disks.join("vmlinuz")),
            initrd: Some(disks.join("initrd.img")),
            cmdline: "console=ttyS0 quiet".into(),
            image: None,
        });
    })
    .await;
    vm.files.kernel =
        Some(KernelFiles { kernel: disks.join("vmlinuz"), initrd: Some(disks.join("initrd.img")) });
    vm.run(Operation::Start).await;
    tokio::time::sleep(std::time::Duration::from_secs(7)).await;
    let none = CancellationToken::new();
    for _ in 0..5 {
        let mut line = String::new();
        let all = Instant::now();
        let memory = world.storage.create_memory(vm.id()).await.unwrap();
        line += &format!("create {:.1} ", all.elapsed().as_secs_f64() * 1e3);
        for step in vm.plan(Operation::Suspend { memory }).await.unwrap() {
            let t = Instant::now();
            vm.perform(&step, &none).await.unwrap();
            line += &format!("{} {:.1} ", step.name, t.elapsed().as_secs_f64() * 1e3);
        }
        let t = Instant::now();
        let image = vm.seal().await;
        line += &format!("seal {:.1} ", t.elapsed().as_secs_f64() * 1e3);
        for step in vm.plan(Operation::PutAway).await.unwrap() {
            let t = Instant::now();
            vm.perform(&step, &none).await.unwrap();
            line += &format!("{} {:.1} ", step.name, t.elapsed().as_secs_f64() * 1e3);
        }
        println!("SUSPEND {:.1}: {line}", all.elapsed().as_secs_f64() * 1e3);
        line.clear();
        let all = Instant::now();
        world.storage.check_memory(vm.id()).await.unwrap();
        line += &format!("check {:.1} ", all.elapsed().as_secs_f64() * 1e3);
        let img2 = image.clone(); let verify = true; let plan = vm.plan(vm.restore(image)).await.unwrap();
        if std::env::var_os("ARGV").is_some() {
            if let Some(a) = plan[1].arguments["launch"]["argv"].as_array() {
                std::fs::write("/tmp/q/argv.json", serde_json::to_vec(a).unwrap()).unwrap();
            }
        }
        let t = Instant::now();
        let (a, b) = tokio::join!(
            async {
                vm.perform(&plan[0], &none).await.unwrap();
                vm.perform(&plan[1], &none).await
            },
            async { if verify { world.storage.verify_memory(vm.id(), &img2, &none).await.unwrap(); } Ok::<(), innkeeper_driver::StepError>(()) }
        );
        a.unwrap();
        b.unwrap();
        line += &format!("make {:.1} ", t.elapsed().as_secs_f64() * 1e3);
        for step in &plan[2..] {
            let t = Instant::now();
            vm.perform(step, &none).await.unwrap();
            line += &format!("{} {:.1} ", step.name, t.elapsed().as_secs_f64() * 1e3);
        }
        let resumed = all.elapsed().as_secs_f64() * 1e3;
        let t = Instant::now();
        world.storage.remove_memory(vm.id()).await.unwrap();
        line += &format!("remove {:.1} ", t.elapsed().as_secs_f64() * 1e3);
        println!("RESUME {resumed:.1}: {line}");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    vm.run(Operation::Kill).await;
}
