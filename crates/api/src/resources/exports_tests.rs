use super::*;
use crate::{
    gate::Entrance,
    test_support::{Api, Read},
};
use http::StatusCode;
use innkeeper_auth::{Identity, Principal, Role, Scope};
use innkeeper_engine::Caller;
use innkeeper_model::{AuditEntry, AuditOutcome};
use innkeeper_storage::{Storage, StorageOptions};
use innkeeper_store::audit::{AuditLog, AuditOptions, AuditQuery, read};
use serde_json::json;
use std::{convert::Infallible, pin::pin};
use tokio::{sync::oneshot, time::timeout};

/// How long anything may take that is waited for.
const LONG: Duration = Duration::from_secs(20);

/// What an export of a VM without disks is.
async fn file() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(StorageOptions::new(folder.path())).unwrap();
    let spec = crate::test_support::spec("web");
    let mut export = storage.export(&Arc::new(spec)).await.unwrap();
    let mut file = Vec::new();
    while let Some((piece, next)) = export.read().await.unwrap() {
        file.extend(piece);
        export = next;
    }
    file
}

async fn post(api: &Api, target: &str, body: impl Into<Body>) -> Read {
    Read::of(api.call(http::Request::post(target), body).await).await
}

#[tokio::test]
async fn what_has_arrived_whole_is_imported_as_was_asked() {
    let api = Api::new();
    let target = "/v1/imports?name=copy&project=shop&keep_identity=true";
    let done = post(&api, target, file().await).await;
    assert_eq!(done.status, StatusCode::ACCEPTED, "{}", done.text);
    let asked = api.engine.asked();
    let [Request::Import(import)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(import.staged.manifest().config.name.as_str(), "web");
    assert_eq!(import.name.as_ref().map(VmName::as_str), Some("copy"));
    assert_eq!(import.project.as_ref().map(ProjectName::as_str), Some("shop"));
    assert!(import.keep_identity);
    let request = http::Request::post("/v1/imports").header("prefer", "wait=5");
    let made = Read::of(api.call(request, file().await).await).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert!(made.header("location").starts_with("/v1/vms/"));
}

#[tokio::test]
async fn what_has_arrived_is_planned_and_thrown_away_where_that_is_asked() {
    let api = Api::new();
    let planned = post(&api, "/v1/imports?name=copy&dry_run=true", file().await).await;
    assert_eq!(planned.status, StatusCode::OK, "{}", planned.text);
    assert_eq!(planned.json()["operation"], "import");
    post(&api, "/v1/imports?dry_run=true", "no tar".repeat(200)).await.problem("bad-request");
    assert_eq!(api.engine.asked(), []);
    is_cleared(&api).await;
}

#[tokio::test]
async fn what_somebody_of_a_project_imports_is_that_ones() {
    let api = Api::new();
    let post = async |target: &str| {
        let identity = Identity::Issued { name: "ci".into() };
        let scope = Scope::Project("us".parse().unwrap());
        let principal = Principal { scope, ..Principal::anonymous(identity, Role::Owner) };
        let request = http::Request::post(target).body(Body::from(file().await)).unwrap();
        Read::of(api.call_through(Entrance::Unix(principal), request).await).await
    };
    // The file says that it is of another.
    for target in ["/v1/imports", "/v1/imports?project=us"] {
        let done = post(target).await;
        assert_eq!(done.status, StatusCode::ACCEPTED, "{}", done.text);
        let asked = api.engine.asked();
        let [Request::Import(import)] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!(import.project.as_ref().map(ProjectName::as_str), Some("us"));
    }
    post("/v1/imports?project=rivals").await.problem("forbidden");
    assert_eq!(api.engine.asked(), []);
}

#[tokio::test]
async fn a_vm_for_which_a_project_has_no_room_is_refused_when_it_is_known_which() {
    let api = Api::new();
    let file = file().await;
    // What follows is never sent: it is refused before.
    let head = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(file))]);
    let endless = Body::from_stream(head.chain(futures_util::stream::pending()));
    let refused = post(&api, "/v1/imports?project=full", endless).await.problem("out-of-capacity");
    assert_eq!(refused["detail"], "no room for web");
    assert!(api.engine.asked().is_empty() && api.sessions().await.is_empty());
    // Whoever is bound to a project is asked for that one's room.
    let identity = Identity::Issued { name: "ci".into() };
    let scope = Scope::Project("full".parse().unwrap());
    let principal = Principal { scope, ..Principal::anonymous(identity, Role::Owner) };
    let request = http::Request::post("/v1/imports").body(Body::from(self::file().await)).unwrap();
    let refused = Read::of(api.call_through(Entrance::Unix(principal), request).await).await;
    refused.problem("out-of-capacity");
}

#[tokio::test]
async fn what_does_not_arrive_whole_is_not_imported_and_not_kept() {
    let api = Api::new();
    let file = file().await;
    let broken = Body::from_stream(futures_util::stream::iter([
        Ok(Bytes::from(file[..700].to_vec())),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]));
    post(&api, "/v1/imports", broken).await.problem("bad-request");
    post(&api, "/v1/imports", file[..700].to_vec()).await.problem("bad-request");
    post(&api, "/v1/imports", "no tar".repeat(200)).await.problem("bad-request");
    let text = json!({ "name": "web" }).to_string();
    post(&api, "/v1/imports", text).await.problem("bad-request");
    for parameter in ["name=a%20b", "keep_identity=yes", "start=true"] {
        let target = format!("/v1/imports?{parameter}");
        post(&api, &target, file.clone()).await.problem("invalid-field");
    }
    assert!(api.engine.asked().is_empty());
    is_cleared(&api).await;
}

#[tokio::test]
async fn a_file_has_so_long_to_say_which_vm_it_is_of_and_then_as_long_as_it_goes_on() {
    let (api, file, caller) = (Api::new(), file().await, Caller::default());
    let begin = || api.state.operations().receive_vm(&caller, None, None);
    let of = |bytes: &[u8]| futures_util::stream::iter([Ok::<_, Infallible>(bytes.to_vec())]);
    // It has had its time already.
    let (known_by, opened) = (Instant::now(), begin().await.unwrap());
    let silent = of(&file[..600]).chain(futures_util::stream::pending());
    let mut pieces = Pieces::of(Body::from_stream(silent));
    let taken = timeout(LONG, take(opened, &mut pieces, known_by)).await;
    let refused = taken.expect("it is waited for").unwrap_err();
    assert_eq!(refused.code, Code::BadRequest);
    assert!(refused.message.contains("within 30 s which VM it is of"), "{refused}");
    is_cleared(&api).await;

    let (head, rest) = (of(&file[..file.len() - 512]), of(&file[file.len() - 512..]));
    let (wanted, is_wanted) = oneshot::channel();
    let (go_on, goes_on) = oneshot::channel::<()>();
    let rest = futures_util::stream::once(async move {
        wanted.send(()).unwrap();
        goes_on.await.unwrap();
        rest
    });
    let mut pieces = Pieces::of(Body::from_stream(head.chain(rest.flatten())));
    let mut taking = pin!(take(begin().await.unwrap(), &mut pieces, known_by));
    tokio::select! {
        ended = &mut taking => panic!("{ended:?}"),
        wanted = is_wanted => wanted.unwrap(),
    }
    tokio::select! {
        biased;
        ended = &mut taking => panic!("{ended:?}"),
        // Had it a time for what it waits for now, that were over before this is.
        () = tokio::time::sleep(Duration::from_millis(1)) => {}
    }
    go_on.send(()).unwrap();
    assert_eq!(taking.await.unwrap().manifest().config.name.as_str(), "web");
}

/// Waits until nothing is left of what has arrived.
async fn is_cleared(api: &Api) {
    let uploads = api.engine.pool().join("uploads");
    let deadline = Instant::now() + LONG;
    while std::fs::read_dir(&uploads).unwrap().count() > 0 {
        assert!(Instant::now() < deadline, "something is left");
        // It is removed on another thread.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_import_is_listed_while_it_comes_and_gone_when_it_breaks_off() {
    let (api, scratch) = (Api::new(), tempfile::tempdir().unwrap());
    let folder = scratch.path().join("audit");
    let options = AuditOptions { folder: folder.clone(), file_size: 1 << 20, files: 2 };
    let audit = AuditLog::start(options).unwrap();
    api.engine.audit.set(audit.clone()).unwrap();
    let piece = file().await[..700].to_vec();
    let begun = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(piece))]);
    let endless = Body::from_stream(begun.chain(futures_util::stream::pending()));
    let call = api.call(http::Request::post("/v1/imports"), endless);
    let listed = async {
        while api.sessions().await != ["import - uid:1000 0 700"] {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = call => panic!("it ended"),
        () = listed => {}
    }
    assert!(api.sessions().await.is_empty());
    post(&api, "/v1/imports", file().await).await;
    assert!(api.sessions().await.is_empty());
    // That it was begun is on record; and so is that it did not get to its end, of the first alone.
    audit.end(LONG);
    let lines = read(&folder, &AuditQuery::default(), None, 100).unwrap().lines;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let line: AuditEntry = serde_json::from_str(line).unwrap();
    let said = (&*line.action, line.outcome, line.code);
    assert_eq!(said, ("import-upload", AuditOutcome::Refused, Some(Code::Cancelled)));
}

#[tokio::test]
async fn a_vm_that_there_is_goes_out_as_a_file_and_nothing_else_takes_one() {
    let (api, _) = Api::with(&["web"]).await;
    let sent = api.get("/v1/vms/web/export").await;
    assert_eq!((sent.status, sent.header("content-type")), (StatusCode::OK, TAR));
    assert_eq!(sent.header("content-disposition"), "attachment; filename=\"web.tar\"");
    assert!(sent.text.contains("SHA256SUMS"), "{}", sent.text);
    api.get("/v1/vms/none/export").await.problem("not-found");
    assert!(takes_a_file(&Method::POST, "/v1/imports"));
    assert!(!takes_a_file(&Method::POST, "/v1/imports/x"));
    assert!(!takes_a_file(&Method::POST, "/v1/vms"));
}
