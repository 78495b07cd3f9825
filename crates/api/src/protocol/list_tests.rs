use super::*;
use crate::test_support::Api;
use http_body_util::BodyExt;
use innkeeper_model::{Vm, VmId};
use serde_json::Value;

fn page(query: &str) -> Page<VmId> {
    Page::parse(&mut Params::parse(query)).unwrap()
}

async fn read(response: Response) -> (usize, Value) {
    let mut body = response.into_body();
    let (mut frames, mut bytes) = (0, Vec::new());
    while let Some(frame) = body.frame().await {
        bytes.extend_from_slice(frame.unwrap().data_ref().unwrap());
        frames += 1;
    }
    (frames, serde_json::from_slice(&bytes).unwrap())
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|vm| vm["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_short_list_is_whole_and_a_long_one_comes_in_chunks() {
    let (api, _) = Api::with(&["one"]).await;
    let snapshot = api.view.snapshot();
    let (frames, list) = read(answer(
        snapshot.revision,
        Rows::new(&snapshot.vms, page(""), &Sight::of_everything()),
    ))
    .await;
    assert_eq!((frames, names(&list)), (1, vec!["one"]));
    assert_eq!(list["revision"], snapshot.revision.0);
    assert_eq!(list.get("next"), None);

    let many: Vec<_> = (0..300).map(|n| format!("vm-{n}")).collect();
    let (api, _) = Api::with(&many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let snapshot = api.view.snapshot();
    let (frames, list) = read(answer(
        snapshot.revision,
        Rows::new(&snapshot.vms, page(""), &Sight::of_everything()),
    ))
    .await;
    assert!(frames > 1);
    assert_eq!(names(&list), many);
}

#[tokio::test]
async fn an_empty_list_is_one() {
    let api = Api::new();
    let snapshot = api.view.snapshot();
    let (_, list) = read(answer(
        snapshot.revision,
        Rows::new(&snapshot.vms, page("limit=1"), &Sight::of_everything()),
    ))
    .await;
    assert_eq!(list, serde_json::json!({ "items": [], "revision": 0 }));
}

async fn pages(api: &Api, order: Order, between: impl AsyncFn(usize)) -> Vec<Vec<String>> {
    let (mut pages, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let snapshot = api.view.snapshot();
        let rows = Rows::new(&snapshot.vms, page(&query), &Sight::of_everything()).ordered(order);
        let (_, list) = read(answer(snapshot.revision, rows)).await;
        pages.push(names(&list).into_iter().map(str::to_owned).collect());
        let Some(next) = list.get("next") else {
            return pages;
        };
        query = format!("limit=2&after={}", next.as_str().unwrap());
        between(pages.len()).await;
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_hole_or_repetition() {
    let (api, _) = Api::with(&["a", "b", "c", "d"]).await;
    let none = async |_| {};
    assert_eq!(pages(&api, Order::Ascending, none).await, [["a", "b"], ["c", "d"]]);
    assert_eq!(pages(&api, Order::Descending, none).await, [["d", "c"], ["b", "a"]]);
}

#[tokio::test]
async fn what_comes_and_goes_between_pages_moves_nothing_else() {
    let (api, ids) = Api::with(&["a", "b", "c", "d", "e"]).await;
    let pages = pages(&api, Order::Ascending, async |page| {
        if page == 1 {
            // The very VM that the cursor names, and one of the next page.
            let gone = [ids[1], ids[2]].map(innkeeper_view::Update::VmRemoved);
            api.post(gone.into()).await;
        }
    });
    assert_eq!(pages.await, [["a", "b"], ["d", "e"]]);
}

#[tokio::test]
async fn a_filtered_page_is_as_full_as_it_can_be() {
    let (api, _) = Api::with(&["a", "x", "b", "y", "c"]).await;
    let snapshot = api.view.snapshot();
    let early = |vm: &Vm| vm.name.as_str() < "d";
    let rows = Rows::new(&snapshot.vms, page("limit=2"), &Sight::of_everything()).only(early);
    let (_, list) = read(answer(snapshot.revision, rows)).await;
    assert_eq!(names(&list), ["a", "b"]);
    let query = format!("limit=2&after={}", list["next"].as_str().unwrap());
    let (_, list) = read(answer(
        snapshot.revision,
        Rows::new(&snapshot.vms, page(&query), &Sight::of_everything()).only(early),
    ))
    .await;
    assert_eq!((names(&list), list.get("next")), (vec!["c"], None));
}

#[test]
fn what_is_no_limit_or_cursor_is_refused() {
    for query in ["limit=0", "limit=-1", "limit=1000000", "limit=x", "after=x", "after=%21"] {
        let refusal = Page::<VmId>::parse(&mut Params::parse(query)).unwrap_err();
        assert_eq!(refusal.code, innkeeper_model::Code::InvalidField, "{query}");
    }
}
