use super::*;
use crate::ReadOnly;
use futures_util::FutureExt;
use innkeeper_engine::{Origin, PowerVerb};
use innkeeper_model::{Code, Revision, Timestamp};
use innkeeper_store::audit::{AuditOptions, AuditQuery, read};
use innkeeper_view::{Update, ViewOptions};
use std::net::SocketAddr;
use tokio::sync::{Mutex, Notify};
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(30);

/// Accepts everything, and ends it when it is told to, as it was told to.
struct Fake {
    task: Task,
    ends: Arc<Notify>,
    refusal: Option<Refusal>,
    /// Whoever holds it has everything wait.
    slow: Arc<Mutex<()>>,
}

#[async_trait]
impl Sessions for Fake {
    async fn send_keys(&self, _: &Caller, _: VmId, _: &[Stroke]) -> Result<(), Refusal> {
        drop(self.slow.lock().await);
        Err(Refusal::new(Code::WrongState, "it does not run"))
    }
}

#[async_trait]
impl Operations for Fake {
    async fn submit(&self, _: &Caller, _: Request) -> Result<Accepted, Refusal> {
        drop(self.slow.lock().await);
        match &self.refusal {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(Accepted {
                task: self.task.id,
                vm: self.task.vm,
                network: None,
                revision: Revision(1),
            }),
        }
    }

    async fn dry_run(&self, _: &Caller, request: Request) -> Result<PlannedOperation, Refusal> {
        let (operation, after_crash) = (request.name().into(), "forward".into());
        let planned = PlannedOperation { operation, after_crash, steps: Vec::new() };
        self.refusal.clone().map_or(Ok(planned), Err)
    }

    async fn task(&self, _: TaskId) -> Option<Task> {
        Some(self.task.clone())
    }

    async fn wait(&self, _: TaskId, _: Duration) -> Option<Task> {
        unreachable!("nobody waits")
    }

    fn at_end(&self, _: TaskId, call: AtEnd) {
        let (ends, task) = (Arc::clone(&self.ends), self.task.clone());
        tokio::spawn(async move {
            ends.notified().await;
            call(&task);
        });
    }

    async fn cancel(&self, _: &Caller, _: TaskId) -> Result<(), Refusal> {
        drop(self.slow.lock().await);
        Ok(())
    }

    async fn resolve(&self, _: &Caller, _: TaskId, _: Resolution) -> Result<(), Refusal> {
        drop(self.slow.lock().await);
        Ok(())
    }

    async fn serial_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        ReadOnly.serial_log(vm).await
    }

    async fn hypervisor_log(&self, vm: VmId) -> Result<Vec<u8>, Refusal> {
        ReadOnly.hypervisor_log(vm).await
    }

    async fn statistics(&self, vm: VmId) -> Result<Statistics, Refusal> {
        ReadOnly.statistics(vm).await
    }
}

impl Diagnostics for Fake {
    fn diagnose(&self) -> Diagnosis {
        unreachable!("nobody asks")
    }

    fn configuration(&self) -> Value {
        Value::Null
    }

    fn log(&self) -> Vec<u8> {
        Vec::new()
    }

    fn reconcile(&self, _: &Caller, _: VmId) {}

    fn pause_queue(&self, _: &Caller, _: VmId, _: bool) {}

    fn set_log_level(&self, _: &Caller, level: &str) -> Result<String, Refusal> {
        match level {
            "loud" => Err(Refusal::invalid("level", level, "is not a level")),
            _ => Ok("info".into()),
        }
    }
}

fn task(state: TaskState, vm: Option<VmId>) -> Task {
    let document = serde_json::json!({
        "id": TaskId::new(), "operation": "start", "vm": vm, "subject": "web", "caller": "uid:3",
        "request_id": "old", "state": state, "cancellable": false, "created": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T00:00:09Z", "steps": [],
    });
    serde_json::from_value(document).unwrap()
}

struct Bench {
    _folder: tempfile::TempDir,
    view: View,
    audit: AuditLog,
    ends: Arc<Notify>,
    slow: Arc<Mutex<()>>,
    audited: Audited<Fake>,
}

fn bench(task: Task, refusal: Option<Refusal>) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let options =
        AuditOptions { folder: folder.path().join("audit"), file_size: 1 << 20, files: 2 };
    let (view, audit) =
        (View::start(ViewOptions::new(Uuid::now_v7())), AuditLog::start(options).unwrap());
    let (ends, slow) = (Arc::new(Notify::new()), Arc::default());
    let fake = Fake { task, ends: Arc::clone(&ends), refusal, slow: Arc::clone(&slow) };
    let audited = Audited::new(fake, view.clone(), audit.clone());
    Bench { _folder: folder, view, audit, ends, slow, audited }
}

impl Bench {
    /// The lines, once there are so many.
    async fn lines(&self, count: usize) -> Vec<AuditEntry> {
        let looking = async {
            loop {
                let page = read(self.audit.folder(), &AuditQuery::default(), None, 100).unwrap();
                if page.lines.len() >= count {
                    assert_eq!(page.lines.len(), count, "{:?}", page.lines);
                    return page.lines;
                }
                // The thread that writes gathers for some milliseconds.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let lines = tokio::time::timeout(LONG, looking).await.expect("the lines do not come");
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn caller() -> Caller {
    let address: SocketAddr = "127.0.0.1:99".parse().unwrap();
    let origin = Some(Origin { door: "tcp", address: Some(address) });
    Caller { name: "token".into(), request_id: Some("r1".into()), origin }
}

fn start(vm: VmId) -> Request {
    Request::Power { vm, verb: PowerVerb::Start { discard_memory: false } }
}

#[tokio::test]
async fn what_is_accepted_has_a_line_then_and_one_at_its_end() {
    let vm = VmId::new();
    let ended = Task {
        error: Some(Refusal::new(Code::HypervisorFailed, "QEMU ended")),
        ..task(TaskState::Failed, Some(vm))
    };
    let bench = bench(ended.clone(), None);
    bench.audited.submit(&caller(), start(vm)).await.unwrap();
    let accepted = bench.lines(1).await.remove(0);
    let expected = AuditEntry {
        caller: Some("token".into()),
        door: Some("tcp".into()),
        address: Some("127.0.0.1:99".into()),
        request_id: Some("r1".into()),
        vm: Some(vm),
        task: Some(ended.id),
        ..AuditEntry::new(accepted.at, "start", AuditOutcome::Accepted)
    };
    assert_eq!(accepted, expected);
    bench.ends.notify_one();
    let end = bench.lines(2).await.remove(1);
    let expected = AuditEntry {
        at: ended.ended.unwrap(),
        outcome: AuditOutcome::Failed,
        code: Some(Code::HypervisorFailed),
        message: Some("QEMU ended".into()),
        ..expected
    };
    assert_eq!(end, expected);
    assert!(locked(&bench.audited.awaited).is_empty());
}

#[tokio::test]
async fn what_is_refused_has_a_line_with_the_reason() {
    let refusal = Refusal::new(Code::NameTaken, "there is a VM \"web\"");
    let bench = bench(task(TaskState::Done, None), Some(refusal.clone()));
    let config = innkeeper_model::VmConfig::new("web".parse().unwrap());
    let create = Request::Create { config: Box::new(config), id: None };
    assert_eq!(bench.audited.submit(&caller(), create).await.unwrap_err(), refusal);
    let line = bench.lines(1).await.remove(0);
    assert_eq!((line.action.as_str(), line.subject.as_deref()), ("create", Some("web")));
    assert_eq!((line.outcome, line.code), (AuditOutcome::Refused, Some(Code::NameTaken)));
    assert_eq!(line.message.as_deref(), Some("there is a VM \"web\""));
}

#[tokio::test]
async fn a_dry_run_that_is_refused_has_a_line_as_one_and_one_that_is_answered_has_none() {
    let refusal = Refusal::new(Code::InUse, "a program of this host has port 22");
    let refusing = bench(task(TaskState::Done, None), Some(refusal.clone()));
    let vm = VmId::new();
    assert_eq!(refusing.audited.dry_run(&caller(), start(vm)).await.unwrap_err(), refusal);
    let line = refusing.lines(1).await.remove(0);
    let expected = AuditEntry {
        caller: Some("token".into()),
        door: Some("tcp".into()),
        address: Some("127.0.0.1:99".into()),
        request_id: Some("r1".into()),
        vm: Some(vm),
        code: Some(Code::InUse),
        message: Some(refusal.message),
        dry_run: true,
        ..AuditEntry::new(line.at, "start", AuditOutcome::Refused)
    };
    assert_eq!(line, expected);

    let answering = bench(task(TaskState::Done, Some(vm)), None);
    answering.audited.dry_run(&caller(), start(vm)).await.unwrap();
    answering.audited.submit(&caller(), start(vm)).await.unwrap();
    let line = answering.lines(1).await.remove(0);
    assert_eq!((line.outcome, line.dry_run), (AuditOutcome::Accepted, false));
}

#[tokio::test]
async fn the_end_of_what_an_earlier_daemon_accepted_is_on_record_once() {
    let running = task(TaskState::Running, Some(VmId::new()));
    let done = Task { state: TaskState::Done, ..running.clone() };
    let bench = bench(done, None);
    bench.view.barrier(vec![Update::Task(running.clone())]).await.unwrap();
    bench.audited.await_unfinished();
    bench.audited.await_unfinished();
    bench.ends.notify_one();
    let line = bench.lines(1).await.remove(0);
    assert_eq!((line.task, line.outcome), (Some(running.id), AuditOutcome::Done));
    assert_eq!((line.caller.as_deref(), line.request_id.as_deref()), (Some("uid:3"), Some("old")));
    assert_eq!(line.subject.as_deref(), Some("web"));
}

#[tokio::test]
async fn sessions_and_what_is_asked_of_tasks_have_lines() {
    let vm = VmId::new();
    let interrupted = task(TaskState::Interrupted, Some(vm));
    let id = interrupted.id;
    let bench = bench(task(TaskState::Done, Some(vm)), None);
    bench.view.barrier(vec![Update::Task(interrupted)]).await.unwrap();
    let audited = &bench.audited;
    assert!(audited.open_console(&caller(), vm, Role::ReadOnly).await.is_err());
    assert!(audited.open_vnc(&caller(), vm).await.is_err());
    assert!(audited.agent(&caller(), vm, "exec").is_err());
    assert!(audited.agent(&caller(), vm, ASKS).is_err());
    assert!(audited.disk_file(&caller(), vm, "root").await.is_err());
    assert!(audited.export_vm(&caller(), vm).await.is_err());
    assert!(audited.receive_vm(&caller(), None, None).await.is_err());
    let image = "tiny".parse().unwrap();
    assert!(audited.image_file(&caller(), &image).await.is_err());
    assert!(audited.upload_image(&caller(), &image, "", 0, None).await.is_err());
    assert!(audited.send_keys(&caller(), vm, &[]).await.is_err());
    audited.cancel(&caller(), id).await.unwrap();
    audited.resolve(&caller(), id, Resolution::Undo).await.unwrap();
    bench.ends.notify_one();
    let lines = bench.lines(12).await;
    let actions: Vec<_> = lines.iter().map(|line| line.action.as_str()).collect();
    let expected = [
        "console",
        "vnc",
        "exec",
        "disk",
        "export",
        "import-upload",
        "image-download",
        "image-upload",
        "keys",
        "task-cancel",
        "task-undo",
        "start",
    ];
    assert_eq!(actions, expected);
    assert!(lines[..9].iter().all(|line| line.outcome == AuditOutcome::Refused));
    assert!(lines[9..].iter().all(|line| line.outcome == AuditOutcome::Done));
    assert!(lines[9..].iter().all(|line| line.subject.as_deref() == Some("web")));
    assert!(lines.iter().all(|line| line.caller.as_deref() == Some("token")));
}

/// A caller who hangs up has the request dropped at the first wait.
#[tokio::test]
async fn what_goes_on_without_its_caller_has_its_lines() {
    let vm = VmId::new();
    let bench = bench(task(TaskState::Done, Some(vm)), None);
    let (audited, id) = (&bench.audited, TaskId::new());
    let slow = bench.slow.lock().await;
    assert!(audited.submit(&caller(), start(vm)).now_or_never().is_none());
    assert!(audited.cancel(&caller(), id).now_or_never().is_none());
    assert!(audited.resolve(&caller(), id, Resolution::Resume).now_or_never().is_none());
    assert!(audited.send_keys(&caller(), vm, &[]).now_or_never().is_none());
    // Those end with their caller, some of them pressed.
    let keys = bench.lines(1).await.remove(0);
    assert_eq!((keys.action.as_str(), keys.outcome), ("keys", AuditOutcome::Cancelled));
    drop(slow);
    let lines = bench.lines(4).await;
    let mut done: Vec<_> = lines.iter().map(|line| (line.action.as_str(), line.outcome)).collect();
    done.sort_unstable_by_key(|(action, _)| *action);
    let expected = [
        ("keys", AuditOutcome::Cancelled),
        ("start", AuditOutcome::Accepted),
        ("task-cancel", AuditOutcome::Done),
        ("task-resume", AuditOutcome::Done),
    ];
    assert_eq!(done, expected);
    assert!(lines.iter().all(|line| line.caller.as_deref() == Some("token")));
}

#[tokio::test]
async fn what_operators_do_by_hand_has_lines() {
    let bench = bench(task(TaskState::Done, None), None);
    let vm = VmId::new();
    bench.audited.reconcile(&caller(), vm);
    bench.audited.pause_queue(&caller(), vm, true);
    bench.audited.pause_queue(&caller(), vm, false);
    bench.audited.set_log_level(&caller(), "debug").unwrap();
    bench.audited.set_log_level(&caller(), "loud").unwrap_err();
    let lines = bench.lines(5).await;
    let actions: Vec<_> = lines.iter().map(|line| line.action.as_str()).collect();
    assert_eq!(actions, ["reconcile", "queue-pause", "queue-unpause", "log-level", "log-level"]);
    assert_eq!(lines[0].vm, Some(vm));
    assert_eq!(lines[3].message.as_deref(), Some("info -> debug"));
    assert_eq!(lines[4].code, Some(Code::InvalidField));
}

#[tokio::test]
async fn what_a_gate_turns_away_has_a_line_without_the_query() {
    let bench = bench(task(TaskState::Done, None), None);
    let turned_away = crate::TurnedAway {
        origin: caller().origin.unwrap(),
        caller: None,
        request_id: "r2",
        action: (&http::Method::GET, "/v1/vms"),
    };
    let refusal = Refusal::new(Code::Unauthenticated, "this address needs a token");
    turned_away.record(bench.audited.audit(), &refusal);
    turned_away.record(None, &refusal);
    let line = bench.lines(1).await.remove(0);
    assert_eq!((line.action.as_str(), line.outcome), ("GET /v1/vms", AuditOutcome::Refused));
    assert_eq!((line.caller, line.address.as_deref()), (None, Some("127.0.0.1:99")));
    assert!(line.at <= Timestamp::now());
}
