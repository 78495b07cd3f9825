//! What a request takes from its caller's limits.

use crate::protocol::params::Params;
use http::{Method, Uri};
use innkeeper_auth::limits::Kind;

/// Whether a request reads, changes, or opens what stays open. A route that does not exist is read, or changed.
pub(crate) fn kind(method: &Method, uri: &Uri) -> Kind {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    // As the route reads it: what it refuses does not stay open.
    let follows =
        || uri.query().is_some_and(|query| matches!(Params::parse(query).flag("follow"), Ok(true)));
    match last {
        "events" | "console" | "vnc" | "exec" | "files" | "file" | "export" | "imports" => {
            Kind::Stream
        }
        "logs" if follows() => Kind::Stream,
        _ if matches!(*method, Method::GET | Method::HEAD) => Kind::Read,
        _ => Kind::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_open_is_a_stream_and_the_rest_is_read_or_changed() {
        let kind = |method: &str, uri: &str| kind(&method.parse().unwrap(), &uri.parse().unwrap());
        assert_eq!(kind("GET", "/v1/vms?fields=name"), Kind::Read);
        assert_eq!(kind("HEAD", "/v1/vms/web"), Kind::Read);
        assert_eq!(kind("POST", "/v1/vms/web/stop"), Kind::Write);
        assert_eq!(kind("DELETE", "/v1/vms/web"), Kind::Write);
        for (method, uri) in [
            ("GET", "/v1/events"),
            ("GET", "/v1/vms/web/console?ticket=x"),
            ("POST", "/v1/vms/web/exec"),
            ("PUT", "/v1/images/tiny/file"),
            ("GET", "/v1/vms/web/logs?follow=true"),
            ("GET", "/v1/vms/web/logs?source=serial&follow=%74rue"),
            ("GET", "/v1/vms/web/logs?%66ollow=tru%65"),
        ] {
            assert_eq!(kind(method, uri), Kind::Stream, "{uri}");
        }
        for query in
            ["", "?follow=false", "?notfollow=true", "?x=follow=true", "?follow=true&follow=true"]
        {
            assert_eq!(kind("GET", &format!("/v1/vms/web/logs{query}")), Kind::Read, "{query}");
        }
    }
}
