use super::*;
use crate::router::ROUTES;
use innkeeper_auth::{Grant, Role};

type Route = (&'static str, &'static str);

const VIEWER: Option<Role> = Some(Role::Viewer);
const OPERATOR: Option<Role> = Some(Role::Operator);
const ADMIN: Option<Role> = Some(Role::Admin);

/// Each route of the API, and the least of viewer, operator and admin who may use it; none where it needs
/// no caller.
pub(crate) const LEAST: &[(Route, Option<Role>)] = &[
    (("get", "/v1/vms"), VIEWER),
    (("post", "/v1/vms"), ADMIN),
    (("get", "/v1/vms/{vm}"), VIEWER),
    (("put", "/v1/vms/{vm}"), ADMIN),
    (("patch", "/v1/vms/{vm}"), ADMIN),
    (("delete", "/v1/vms/{vm}"), ADMIN),
    (("post", "/v1/vms/{vm}/clone"), ADMIN),
    (("post", "/v1/vms/{vm}/start"), OPERATOR),
    (("post", "/v1/vms/{vm}/stop"), OPERATOR),
    (("post", "/v1/vms/{vm}/kill"), OPERATOR),
    (("post", "/v1/vms/{vm}/reboot"), OPERATOR),
    (("post", "/v1/vms/{vm}/reset"), OPERATOR),
    (("post", "/v1/vms/{vm}/pause"), OPERATOR),
    (("post", "/v1/vms/{vm}/resume"), OPERATOR),
    (("post", "/v1/vms/{vm}/suspend"), OPERATOR),
    (("post", "/v1/vms/{vm}/nics"), ADMIN),
    (("put", "/v1/vms/{vm}/nics/{nic}"), ADMIN),
    (("patch", "/v1/vms/{vm}/nics/{nic}"), ADMIN),
    (("delete", "/v1/vms/{vm}/nics/{nic}"), ADMIN),
    (("get", "/v1/vms/{vm}/logs"), VIEWER),
    (("get", "/v1/vms/{vm}/statistics"), VIEWER),
    (("get", "/v1/vms/{vm}/console"), ADMIN),
    (("get", "/v1/vms/{vm}/vnc"), ADMIN),
    (("get", "/v1/vms/{vm}/screenshot"), ADMIN),
    (("post", "/v1/vms/{vm}/keys"), ADMIN),
    (("post", "/v1/vms/{vm}/tickets"), ADMIN),
    (("get", "/v1/vms/{vm}/agent"), VIEWER),
    (("post", "/v1/vms/{vm}/agent/ping"), VIEWER),
    (("post", "/v1/vms/{vm}/agent/freeze"), OPERATOR),
    (("post", "/v1/vms/{vm}/agent/thaw"), OPERATOR),
    (("post", "/v1/vms/{vm}/agent/set-time"), OPERATOR),
    (("post", "/v1/vms/{vm}/exec"), ADMIN),
    (("get", "/v1/vms/{vm}/files"), ADMIN),
    (("put", "/v1/vms/{vm}/files"), ADMIN),
    (("get", "/v1/vms/{vm}/disks/{disk}/file"), ADMIN),
    (("get", "/v1/vms/{vm}/export"), ADMIN),
    (("post", "/v1/imports"), ADMIN),
    (("get", "/v1/tasks"), VIEWER),
    (("get", "/v1/tasks/{id}"), VIEWER),
    (("get", "/v1/tasks/{id}/events"), VIEWER),
    (("post", "/v1/tasks/{id}/cancel"), OPERATOR),
    (("post", "/v1/tasks/{id}/resume"), ADMIN),
    (("post", "/v1/tasks/{id}/undo"), ADMIN),
    (("get", "/v1/images"), VIEWER),
    (("post", "/v1/images"), ADMIN),
    (("get", "/v1/images/{name}"), VIEWER),
    (("delete", "/v1/images/{name}"), ADMIN),
    (("get", "/v1/images/{name}/file"), VIEWER),
    (("head", "/v1/images/{name}/file"), VIEWER),
    (("put", "/v1/images/{name}/file"), ADMIN),
    (("get", "/v1/networks"), VIEWER),
    (("post", "/v1/networks"), ADMIN),
    (("get", "/v1/networks/{network}"), VIEWER),
    (("put", "/v1/networks/{network}"), ADMIN),
    (("patch", "/v1/networks/{network}"), ADMIN),
    (("delete", "/v1/networks/{network}"), ADMIN),
    (("get", "/v1/subnets"), VIEWER),
    (("post", "/v1/subnets"), ADMIN),
    (("get", "/v1/subnets/{subnet}"), VIEWER),
    (("delete", "/v1/subnets/{subnet}"), ADMIN),
    (("get", "/v1/subnets/{subnet}/reservations"), VIEWER),
    (("post", "/v1/subnets/{subnet}/reservations"), ADMIN),
    (("delete", "/v1/subnets/{subnet}/reservations"), ADMIN),
    (("get", "/v1/events"), VIEWER),
    (("get", "/v1/host"), VIEWER),
    (("post", "/v1/foreign/{pid}/adopt"), ADMIN),
    (("post", "/v1/vms/{vm}/adopt"), ADMIN),
    (("post", "/v1/sign-in/challenges"), None),
    (("post", "/v1/sign-in"), None),
    (("delete", "/v1/sign-in"), VIEWER),
    (("delete", "/v1/sign-in/{account}"), ADMIN),
    (("get", "/v1/projects"), VIEWER),
    (("get", "/v1/projects/{name}"), VIEWER),
    (("put", "/v1/projects/{name}"), ADMIN),
    (("patch", "/v1/projects/{name}"), ADMIN),
    (("delete", "/v1/projects/{name}"), ADMIN),
    (("get", "/v1/browser-session"), VIEWER),
    (("post", "/v1/browser-session"), VIEWER),
    (("delete", "/v1/browser-session"), VIEWER),
    (("post", "/v1/tickets"), VIEWER),
    (("get", "/v1/tokens"), ADMIN),
    (("post", "/v1/tokens"), ADMIN),
    (("delete", "/v1/tokens/{name}"), ADMIN),
    (("get", "/v1/certificates"), ADMIN),
    (("post", "/v1/certificates"), ADMIN),
    (("delete", "/v1/certificates/{name}"), ADMIN),
    (("post", "/v1/certificates/{name}/renew"), VIEWER),
    (("get", "/v1/authority"), VIEWER),
    (("get", "/v1/audit"), ADMIN),
    (("get", "/v1/diagnostics"), VIEWER),
    (("get", "/v1/diagnostics/configuration"), VIEWER),
    (("post", "/v1/diagnostics/reconcile"), ADMIN),
    (("post", "/v1/diagnostics/queue"), ADMIN),
    (("get", "/v1/diagnostics/log"), ADMIN),
    (("post", "/v1/diagnostics/log"), ADMIN),
    (("get", "/metrics"), VIEWER),
    (("get", "/healthz"), None),
    (("get", "/v1/openapi.json"), VIEWER),
];

#[test]
fn every_route_is_in_the_table_and_no_other() {
    let mut known: Vec<_> = LEAST.iter().map(|(route, _)| *route).collect();
    let mut served = ROUTES.to_vec();
    known.sort_unstable();
    served.sort_unstable();
    assert_eq!(known, served);
}

#[test]
fn no_route_was_forgotten() {
    for (method, path) in ROUTES {
        let method = method.to_uppercase().parse().unwrap();
        let is_there = needs(&method, path).is_none() || known(&method, path).is_some();
        assert!(is_there, "{method} {path}");
    }
}

#[test]
fn the_table_of_roles_says_what_the_table_of_routes_does() {
    for ((method, path), least) in LEAST {
        let method = method.to_uppercase().parse().unwrap();
        let granted = |role: &Role| match needs(&method, path) {
            None => true,
            Some((action, resource)) => role.grant(action, resource) == Grant::Everything,
        };
        let [viewer, operator, admin] = [Role::Viewer, Role::Operator, Role::Admin];
        let found = [viewer, operator, admin].into_iter().find(granted);
        let expected = least.or(Some(Role::Viewer));
        assert_eq!(found, expected, "{method} {path}");
    }
}

#[test]
fn what_is_no_route_is_for_administrators() {
    for path in
        ["/", "/v1", "/v1/vms/a/b", "/v2/vms", "vms", "/v1/vms/a/%73tart", "/v1/a/b/c/d/e/f/g"]
    {
        assert_eq!(needs(&Method::GET, path), Some((Action::Administer, Resource::Host)), "{path}");
    }
}
