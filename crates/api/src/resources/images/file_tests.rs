use super::*;
use crate::test_support::{Api, Read};
use futures_util::StreamExt;
use std::convert::Infallible;

async fn get(api: &Api, headers: &[(&str, &str)]) -> Read {
    let mut request = http::Request::get("/v1/images/base/file");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Read::of(api.call(request, Body::empty()).await).await
}

async fn head(api: &Api, target: &str) -> Read {
    api.send("HEAD", target, "").await
}

fn put(extra: &str) -> String {
    format!("/v1/images/new/file?sha256={}&kind=disk{extra}", "a".repeat(64))
}

fn there() -> String {
    format!("/v1/images/new/file?sha256={}", "a".repeat(64))
}

#[tokio::test]
async fn an_image_goes_out_whole_or_from_where_it_broke_off() {
    let api = Api::new();
    let whole = get(&api, &[]).await;
    assert_eq!((whole.status, whole.text.as_str()), (StatusCode::OK, "0123456789"));
    let tag = format!("\"{}\"", "0f".repeat(32));
    assert_eq!((whole.header("etag"), whole.header("content-length")), (&*tag, "10"));
    let digest = format!("sha-256=:{}:", BASE64_STANDARD.encode([15; 32]));
    assert_eq!((whole.header("repr-digest"), whole.header("accept-ranges")), (&*digest, "bytes"));

    let rest = get(&api, &[("range", "bytes=7-"), ("if-range", &tag)]).await;
    assert_eq!((rest.status.as_u16(), rest.text.as_str()), (206, "789"));
    assert_eq!(
        (rest.header("content-range"), rest.header("content-length")),
        ("bytes 7-9/10", "3")
    );
    let other = get(&api, &[("range", "bytes=7-"), ("if-range", "\"other\"")]).await;
    assert_eq!((other.status.as_u16(), other.text.as_str()), (200, "0123456789"));
    let beyond = get(&api, &[("range", "bytes=10-")]).await;
    assert_eq!((beyond.status.as_u16(), beyond.text.as_str()), (416, ""));
    assert_eq!(beyond.header("content-range"), "bytes */10");

    let head = head(&api, "/v1/images/base/file").await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "10"));
    api.get("/v1/images/none/file").await.problem("not-found");
    api.get("/v1/images/base/file?offset=3").await.problem("invalid-field");
}

#[tokio::test]
async fn an_upload_that_broke_off_is_gone_on_with_and_then_imported() {
    let api = Api::new();
    let broken = Body::from_stream(futures_util::stream::iter([
        Ok(bytes::Bytes::from_static(b"01234")),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]));
    let request = http::Request::put(put(""));
    Read::of(api.call(request, broken).await).await.problem("bad-request");
    assert!(api.engine.asked().is_empty(), "nothing was imported");
    assert_eq!(head(&api, &there()).await.header("upload-offset"), "5");
    let problem = api.send("PUT", &put("&offset=4"), "456789").await.problem("wrong-state");
    assert_eq!((&problem["field"], &problem["limit"]), (&"offset".into(), &"5".into()));
    let done = api.send("PUT", &put("&offset=5&format=raw"), "56789").await;
    assert_eq!(done.status, StatusCode::ACCEPTED, "{}", done.text);
    let expected = AddImage {
        name: "new".parse().unwrap(),
        kind: ImageKind::Disk,
        from: ImageFrom::Upload { sha256: "a".repeat(64) },
        format: Some(DiskFormat::Raw),
        initrd: None,
    };
    assert_eq!(api.engine.asked(), [Request::AddImage(Box::new(expected))]);
    assert_eq!(head(&api, &there()).await.header("upload-offset"), "10");
}

#[tokio::test]
async fn a_dropped_upload_keeps_what_has_arrived() {
    let api = Api::new();
    let piece = async { Ok::<_, Infallible>(bytes::Bytes::from_static(b"01234")) };
    let endless =
        Body::from_stream(futures_util::stream::once(piece).chain(futures_util::stream::pending()));
    let call = api.call(http::Request::put(put("")), endless);
    let arrived = async {
        while head(&api, &there()).await.header("upload-offset") != "5" {
            tokio::task::yield_now().await;
        }
        api.send("PUT", &put(""), "x").await.problem("in-use");
        assert_eq!(api.sessions().await, ["upload new uid:1000 0 5"]);
    };
    tokio::select! {
        _ = call => panic!("it ended"),
        () = arrived => {}
    }
    assert!(api.engine.asked().is_empty());
    // Nobody has it in hand any more.
    assert!(api.sessions().await.is_empty());
    let done = api.send("PUT", &put("&offset=5"), "").await;
    assert_eq!(done.status, StatusCode::ACCEPTED);
    assert!(api.sessions().await.is_empty());
}

#[tokio::test]
async fn a_download_is_listed_until_it_ends_or_nobody_wants_the_rest() {
    let api = Api::new();
    let call = || api.call(http::Request::get("/v1/images/base/file"), Body::empty());
    let mut pieces = call().await.into_body().into_data_stream();
    assert_eq!(api.sessions().await, ["download base uid:1000 0 0"]);
    assert_eq!(pieces.next().await.unwrap().unwrap().len(), 10);
    assert_eq!(api.sessions().await, ["download base uid:1000 10 0"]);
    drop(pieces);
    assert!(api.sessions().await.is_empty());
    let refused = get(&api, &[("range", "bytes=10-")]).await;
    assert_eq!(refused.status, StatusCode::RANGE_NOT_SATISFIABLE);
    get(&api, &[]).await;
    head(&api, "/v1/images/base/file").await;
    assert!(api.sessions().await.is_empty());
}

#[tokio::test]
async fn what_an_upload_needs_is_asked_for_by_name() {
    let api = Api::new();
    for (target, field) in [
        ("/v1/images/new/file?sha256=aa", "kind"),
        ("/v1/images/new/file?kind=disk", "sha256"),
        ("/v1/images/new/file?kind=floppy&sha256=aa", "kind"),
        ("/v1/images/new/file?kind=disk&sha256=aa", "sha256"),
        ("/v1/images/new/file?kind=disk&sha256=aa&offset=-1", "offset"),
        ("/v1/images/New%20one/file?kind=disk&sha256=aa", "name"),
    ] {
        let problem = api.send("PUT", target, "x").await.problem("invalid-field");
        assert_eq!(problem["field"], field, "{target}");
    }
}

#[test]
fn only_a_file_may_be_of_any_length() {
    assert!(takes_a_file(&Method::PUT, "/v1/images/a/file"));
    assert!(!takes_a_file(&Method::POST, "/v1/images/a/file"));
    assert!(!takes_a_file(&Method::PUT, "/v1/images/a/file/x"));
    assert!(!takes_a_file(&Method::PUT, "/v1/vms/a/file"));
}
