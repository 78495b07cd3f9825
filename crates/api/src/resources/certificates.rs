//! `/v1/certificates`: certificates of callers, which this host's authority signs. Who wants one keeps its key, and
//! sends a request that the key has signed.

use crate::{
    protocol::{
        answer::{self, encode},
        asked::{Admitted, Asked, Segment},
        json,
        on_disk::on_disk,
        params::Params,
        problem::Answer,
    },
    router::{ReadProblems, WriteProblems},
    state::ApiState,
};
use axum::{Extension, body::Body, extract::State};
use http::HeaderMap;
use innkeeper_auth::{
    Certificates, Identity,
    certificate::{NewCertificate, ShownCertificate},
};
use innkeeper_model::{Code, Refusal, Timestamp, TokenName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Certificates, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct CertificateList {
    /// The certificates; at most 1024.
    items: Vec<ShownCertificate>,
}

/// A certificate that was signed.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedCertificate {
    /// What to show, with the key, in PEM.
    pem: String,
    /// The certificates of this host's authority, in PEM: what to trust when calling it.
    authority: String,
    /// What it stands for.
    certificate: ShownCertificate,
}

/// The authority of this host.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuthorityDocument {
    /// Its certificates, in PEM: what to trust when calling it. While one authority is followed by the next, there are
    /// two.
    pem: String,
}

/// A request to renew a certificate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renewal {
    /// The request for it (PKCS #10, in PEM), signed by the key that it is for: the same, or another one.
    request: String,
}

/// List certificates
///
/// Expired ones, too, until they are revoked.
#[utoipa::path(
    get,
    path = "/v1/certificates",
    tag = "tokens",
    operation_id = "listCertificates",
    responses((status = 200, description = "Certificates", body = CertificateList), ReadProblems),
)]
pub(crate) async fn list(State(state): State<ApiState>, params: Params) -> Answer {
    params.nothing_else()?;
    // Where TLS is not spoken there are none.
    let list = state.doorkeeper().certificates();
    let items = list.map(|list| list.all(Timestamp::now())).unwrap_or_default();
    Ok(answer::json(state.revision(), encode(&CertificateList { items })))
}

/// Read the authority
#[utoipa::path(
    get,
    path = "/v1/authority",
    tag = "tokens",
    operation_id = "getAuthority",
    responses((status = 200, description = "The authority", body = AuthorityDocument), ReadProblems),
)]
pub(crate) async fn authority(State(state): State<ApiState>, params: Params) -> Answer {
    params.nothing_else()?;
    let list = state.doorkeeper().certificates();
    let list = list.map_err(|none| Refusal { code: Code::NotFound, ..none })?;
    let pem = list.authority().pem(Timestamp::now());
    Ok(answer::json(state.revision(), encode(&AuthorityDocument { pem })))
}

/// Issue a certificate
///
/// Whoever shows it in TLS, with the key that signed the request, is known as `cert:NAME`, and may what its role may.
/// Of what the request asks for, nothing but the key counts.
#[utoipa::path(
    post,
    path = "/v1/certificates",
    tag = "tokens",
    operation_id = "createCertificate",
    request_body = NewCertificate,
    responses((status = 201, description = "The certificate", body = SignedCertificate), WriteProblems),
)]
pub(crate) async fn create(
    State(state): State<ApiState>,
    params: Params,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    params.nothing_else()?;
    let wanted: NewCertificate = json::required(&headers, body).await?;
    let (by, name) = (asked.caller.name.clone(), wanted.name.clone());
    let work = move |list: &Certificates| list.create(wanted, &by, Timestamp::now());
    let (list, about) = (state.doorkeeper().certificates()?, ("certificate-create", name));
    let signed = on_disk(list, (&state, asked), about, work).await?;
    signed_document(&state, signed)
}

/// Renew a certificate
///
/// For whoever shows it: the next one of the same name, role and project, for as long as it was issued for. The one
/// that is shown counts until the next one is, or until its end.
#[utoipa::path(
    post,
    path = "/v1/certificates/{name}/renew",
    tag = "tokens",
    operation_id = "renewCertificate",
    params(("name" = String, Path, description = "Its name")),
    request_body = Renewal,
    responses((status = 201, description = "The certificate", body = SignedCertificate), WriteProblems),
)]
pub(crate) async fn renew(
    State(state): State<ApiState>,
    Segment(text): Segment,
    params: Params,
    Extension(admitted): Extension<Admitted>,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    params.nothing_else()?;
    let name = own_name(&admitted, &text)?;
    let Renewal { request } = json::required(&headers, body).await?;
    let renewed = name.clone();
    let shown = admitted.principal.standing.clone();
    let work = move |list: &Certificates| list.renew(&renewed, &shown, &request, Timestamp::now());
    let (list, about) = (state.doorkeeper().certificates()?, ("certificate-renew", name));
    let signed = on_disk(list, (&state, asked), about, work).await?;
    signed_document(&state, signed)
}

/// Revoke a certificate
///
/// It is refused from then on, and what its bearers follow or have opened ends within a second.
#[utoipa::path(
    delete,
    path = "/v1/certificates/{name}",
    tag = "tokens",
    operation_id = "revokeCertificate",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "As it was", body = ShownCertificate), WriteProblems),
)]
pub(crate) async fn revoke(
    State(state): State<ApiState>,
    Segment(text): Segment,
    params: Params,
    asked: Asked,
) -> Answer {
    params.nothing_else()?;
    // What is no name is nobody's.
    let name: TokenName = text.parse().map_err(|_| Refusal::not_found("certificate", &text))?;
    let revoked = name.clone();
    let work = move |list: &Certificates| list.revoke(&revoked, Timestamp::now());
    let (list, about) = (state.doorkeeper().certificates()?, ("certificate-revoke", name));
    let certificate = on_disk(list, (&state, asked), about, work).await?;
    Ok(answer::json(state.revision(), encode(&certificate)))
}

/// The name of the caller's certificate, if it is this.
fn own_name(Admitted { principal, .. }: &Admitted, text: &str) -> Result<TokenName, Refusal> {
    let own = match &principal.identity {
        Identity::Certificate { name } if **name == *text => text.parse().ok(),
        _ => None,
    };
    own.ok_or_else(|| {
        Refusal::new(Code::Forbidden, "a certificate is renewed by whoever shows it")
            .with_hint("show the one that is to be renewed; or revoke it, and issue another")
    })
}

fn signed_document(state: &ApiState, (certificate, pem): (ShownCertificate, String)) -> Answer {
    let authority = state.doorkeeper().certificates()?.authority().pem(Timestamp::now());
    let document = SignedCertificate { pem, authority, certificate };
    Ok(answer::created(state.revision(), &document))
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
