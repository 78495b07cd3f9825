//! From where a request may come: pages of other sites, and names that were made to point here.

use super::*;
use axum::body::Body;
use http::Request;

struct ForeignPages;

impl Check for ForeignPages {
    async fn check<P: Protocol>(&self, house: &House, name: Door, open: impl Fn() -> P) {
        let door = house.door(open(), Role::Admin);
        for route in routes(name).0 {
            for (headers, status) in [
                (&[("host", "evil.example")][..], 403),
                (&[("host", "127.0.0.1.evil.example")], 403),
                (&[("host", "localhost@evil.example")], 403),
                (&[("host", "169.254.169.254")], 403),
                (&[], 400),
                (&[("host", "localhost:9"), ("origin", "http://evil.example")], 403),
                (&[("host", "localhost:9"), ("origin", "null")], 403),
                (&[("host", "localhost:9"), ("origin", "http://localhost:8")], 403),
            ] {
                let (method, path) = request_of(route);
                let mut request = Request::builder().method(method).uri(path);
                for (header, value) in headers {
                    request = request.header(*header, *value);
                }
                let answered = door.answer(request.body(Body::from("{}")).unwrap()).await;
                assert_eq!(answered.status, status, "{name}: {route:?}: {headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_page_of_another_site_or_another_hosts_name_is_refused_on_every_route() {
    of_each_door(ForeignPages).await;
}
