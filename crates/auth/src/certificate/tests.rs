use super::*;
use crate::{Doorkeeper, Role, Scope, issued::NotIssued};
use innkeeper_model::{Code, Secret, Timestamp};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use x509::{DAY, after};

fn now() -> Timestamp {
    "2026-07-01T12:00:00Z".parse().unwrap()
}

fn in_days(days: i64) -> Timestamp {
    after(now(), days * DAY)
}

fn unix(time: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(time.as_second().try_into().unwrap()))
}

struct Fixture {
    folder: TempDir,
    certificates: Certificates,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = open(&folder, now());
        Self { folder, certificates }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn authority(&self) -> &Authority {
        self.certificates.authority()
    }

    fn issue(&self, name: &str, role: Role) -> CertificateDer<'static> {
        let (_, pem) = self.certificates.create(wanted(name, role), "uid:0", now()).unwrap();
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }
}

fn open(folder: &TempDir, now: Timestamp) -> Certificates {
    let authority = Authority::open(&folder.path().join("tls"), now).unwrap();
    Certificates::open(&folder.path().join("certificates.json"), Arc::new(authority)).unwrap()
}

fn wanted(name: &str, role: Role) -> NewCertificate {
    let project = (role == Role::Owner).then(|| "web".parse().unwrap());
    let request = Some(KeyAndRequest::generate(name).unwrap().request);
    NewCertificate {
        name: name.parse().unwrap(),
        role,
        project,
        expires: None,
        privileged: false,
        request,
        certificate: None,
    }
}

/// Whether those who trust these would take this from a client.
fn is_trusted(
    shown: &CertificateDer<'_>,
    roots: Vec<CertificateDer<'static>>,
    at: Timestamp,
) -> bool {
    let verifier = WebPkiClientVerifier::builder_with_provider(
        Arc::new(store(roots)),
        Arc::new(default_provider()),
    );
    verifier.build().unwrap().verify_client_cert(shown, &[], unix(at)).is_ok()
}

/// Whether they would take this from a server of this name.
fn is_server(
    server: &ServerCertificate,
    name: &str,
    roots: Vec<CertificateDer<'static>>,
    at: Timestamp,
) -> bool {
    let verifier = WebPkiServerVerifier::builder_with_provider(
        Arc::new(store(roots)),
        Arc::new(default_provider()),
    );
    let (own, rest) = server.chain.split_first().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.build().unwrap().verify_server_cert(own, rest, &name, &[], unix(at)).is_ok()
}

fn store(roots: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root).unwrap();
    }
    store
}

#[test]
fn the_first_start_makes_an_authority_and_the_next_one_finds_it() {
    let fixture = Fixture::new();
    let mode = |name: &str| fixture.path(name).metadata().unwrap().mode() & 0o777;
    assert_eq!((mode("tls"), mode("tls/ca.key")), (0o700, 0o600));
    let again = open(&fixture.folder, in_days(7));
    assert_eq!(again.authority().roots(now()), fixture.authority().roots(now()));
    let copy = fs::read_to_string(fixture.path("tls/ca.crt")).unwrap();
    assert_eq!(copy, fixture.authority().pem(now()));
    assert!(!copy.contains("PRIVATE"));
    assert_eq!(fs::read_dir(fixture.path("tls")).unwrap().count(), 2, "something is left there");
}

#[test]
fn an_authority_that_others_may_know_or_that_is_damaged_is_refused() {
    let fixture = Fixture::new();
    let (folder, key) = (fixture.path("tls"), fixture.path("tls/ca.key"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let opened = Authority::open(&folder, now());
    assert!(matches!(opened, Err(AuthorityError::Exposed { mode: 0o640, .. })), "{opened:?}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    let whole = fs::read_to_string(&key).unwrap();
    let foreign = Fixture::new();
    let foreign = fs::read_to_string(foreign.path("tls/ca.crt")).unwrap();
    let at = whole.find("-----BEGIN CERTIFICATE").unwrap();
    for damaged in
        ["", "nonsense", &whole[..at], &whole[at..], &format!("{}{foreign}", &whole[..at])]
    {
        fs::write(&key, damaged).unwrap();
        let opened = Authority::open(&folder, now());
        assert!(matches!(opened, Err(AuthorityError::Malformed { .. })), "{damaged}: {opened:?}");
        assert_eq!(fs::read_to_string(&key).unwrap(), damaged);
    }
}

#[test]
fn a_listeners_certificate_is_for_its_names_and_addresses_and_lasts_its_time() {
    let fixture = Fixture::new();
    let authority = fixture.authority();
    let names = ["inn.example.org".to_owned(), "localhost".to_owned()];
    let addresses = ["127.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let server = authority.for_server(&names, &addresses, now()).unwrap();
    let is_fine = |name, at| is_server(&server, name, authority.roots(now()), at);
    for name in ["inn.example.org", "localhost", "127.0.0.1", "2001:db8::1"] {
        assert!(is_fine(name, now()) && is_fine(name, in_days(89)), "{name}");
    }
    assert!(!is_fine("evil.example", now()) && !is_fine("127.0.0.2", now()));
    assert!(!is_fine("localhost", in_days(91)));
    assert_eq!(Authority::renews_at(now()), in_days(60));
    // Nobody who has it can pass for a caller with it.
    assert!(!is_trusted(&server.chain[0], authority.roots(now()), now()));
}

#[test]
fn a_certificate_is_who_it_was_issued_for_until_it_is_revoked() {
    let fixture = Fixture::new();
    let (owner, other) = (fixture.issue("a", Role::Owner), fixture.issue("b", Role::Viewer));
    for list in [&fixture.certificates, &open(&fixture.folder, now())] {
        let found = list.find(Fingerprint::of(&owner), now()).unwrap();
        assert_eq!(found.identity.to_string(), "cert:a");
        assert_eq!(found.scope, Scope::Project("web".parse().unwrap()));
    }
    assert!(is_trusted(&owner, fixture.authority().roots(now()), now()));
    let found = fixture.certificates.find(Fingerprint::of(&owner), now()).unwrap();
    fixture.certificates.revoke(&"a".parse().unwrap(), now()).unwrap();
    assert!(!found.standing.holds(now()), "what it opened goes on");
    for list in [&fixture.certificates, &open(&fixture.folder, now())] {
        assert_eq!(list.find(Fingerprint::of(&owner), now()), Err(NotIssued::Unknown));
        assert!(list.find(Fingerprint::of(&other), now()).is_ok());
    }
}

#[test]
fn a_list_of_before_it_had_a_name_of_its_own_is_read_and_written_by_its_own() {
    let fixture = Fixture::new();
    let owner = Fingerprint::of(&fixture.issue("a", Role::Owner));
    let file = fixture.folder.path().join("certificates.json");
    let before = fs::read_to_string(&file).unwrap().replace("\"certificates\"", "\"tokens\"");
    fs::write(&file, &before).unwrap();
    let list = open(&fixture.folder, now());
    assert!(list.find(owner, now()).is_ok());
    list.save_uses().unwrap();
    let after = fs::read_to_string(&file).unwrap();
    assert!(after.contains("\"certificates\": [") && !after.contains("tokens"), "{after}");
    // That they had the same name makes no tokens of them.
    fs::write(&file, &before).unwrap();
    let problem = crate::IssuedTokens::open(&file).unwrap_err().to_string();
    assert!(problem.contains("a is no token"), "{problem}");
}

#[test]
fn a_certificate_expires_for_tls_and_on_the_list() {
    let fixture = Fixture::new();
    let certificate = fixture.issue("ci", Role::Viewer);
    let roots = || fixture.authority().roots(now());
    assert!(is_trusted(&certificate, roots(), in_days(89)));
    assert!(!is_trusted(&certificate, roots(), in_days(91)));
    assert_eq!(expiry(&certificate).unwrap(), in_days(90));
    assert_eq!(common_name(&certificate).unwrap(), "ci");
    let find = |at| fixture.certificates.find(Fingerprint::of(&certificate), at);
    assert!(find(in_days(89)).is_ok());
    assert_eq!(find(in_days(90)), Err(NotIssued::Expired));
    let doorkeeper =
        Doorkeeper::default().with_certificates(Arc::new(open(&fixture.folder, now())));
    let expired = doorkeeper.admit_certificate(Fingerprint::of(&certificate), in_days(90));
    assert!(expired.unwrap_err().message.contains("expired"));
}

#[test]
fn who_shows_a_foreign_certificate_is_nobody_whatever_its_name() {
    let (fixture, foreign) = (Fixture::new(), Fixture::new());
    fixture.issue("ci", Role::Admin);
    let shown = foreign.issue("ci", Role::Admin);
    assert!(!is_trusted(&shown, fixture.authority().roots(now()), now()));
    let found = fixture.certificates.find(Fingerprint::of(&shown), now());
    assert_eq!(found, Err(NotIssued::Unknown));
    let doorkeeper = Doorkeeper::default();
    let refusal = doorkeeper.admit_certificate(Fingerprint::of(&shown), now()).unwrap_err();
    assert_eq!(refusal.code, Code::Unauthenticated);
}

#[test]
fn a_renewed_certificate_counts_beside_the_next_one_until_that_is_shown() {
    let fixture = Fixture::new();
    let (name, first) = ("ci".parse().unwrap(), fixture.issue("ci", Role::Operator));
    let first = Fingerprint::of(&first);
    let renew = |at| {
        let request = KeyAndRequest::generate("ci").unwrap().request;
        let asks = fixture.certificates.find(first, at).unwrap().standing;
        let (shown, pem) = fixture.certificates.renew(&name, &asks, &request, at).unwrap();
        (shown, Fingerprint::of(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()))
    };
    let (shown, lost) = renew(in_days(60));
    let credential = &shown.credential;
    assert_eq!((credential.role, credential.expires), (Role::Operator, Some(in_days(150))));
    // The answer got lost: the first one asks again, and is still known then.
    let (_, second) = renew(in_days(61));
    for list in [&fixture.certificates, &open(&fixture.folder, now())] {
        assert_eq!(list.find(lost, in_days(62)), Err(NotIssued::Unknown));
        assert!(list.find(first, in_days(62)).is_ok());
    }
    let opened = fixture.certificates.find(first, in_days(62)).unwrap();
    assert!(fixture.certificates.find(second, in_days(62)).is_ok());
    assert_eq!(fixture.certificates.find(first, in_days(62)), Err(NotIssued::Unknown));
    fixture.certificates.save_uses().unwrap();
    assert_eq!(open(&fixture.folder, now()).find(first, in_days(62)), Err(NotIssued::Unknown));
    assert!(opened.standing.holds(in_days(62)));
    fixture.certificates.revoke(&name, in_days(63)).unwrap();
    assert!(!opened.standing.holds(in_days(63)), "what the first one opened goes on");
}

#[test]
fn a_revoked_certificate_is_not_renewed_under_the_name_that_another_one_has_by_now() {
    let fixture = Fixture::new();
    let name = "ci".parse().unwrap();
    let stolen = Fingerprint::of(&fixture.issue("ci", Role::Admin));
    let thief = fixture.certificates.find(stolen, now()).unwrap().standing;
    fixture.certificates.revoke(&name, now()).unwrap();
    let next = Fingerprint::of(&fixture.issue("ci", Role::Admin));
    let request = KeyAndRequest::generate("ci").unwrap().request;
    let refused = fixture.certificates.renew(&name, &thief, &request, now()).unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    assert!(fixture.certificates.find(next, now()).is_ok());
}

#[test]
fn a_renewed_certificate_is_over_at_its_own_end() {
    let fixture = Fixture::new();
    let first = Fingerprint::of(&fixture.issue("ci", Role::Viewer));
    let request = KeyAndRequest::generate("ci").unwrap().request;
    let asks = fixture.certificates.find(first, in_days(60)).unwrap().standing;
    fixture.certificates.renew(&"ci".parse().unwrap(), &asks, &request, in_days(60)).unwrap();
    let opened = fixture.certificates.find(first, in_days(89)).unwrap().standing;
    assert_eq!(fixture.certificates.find(first, in_days(90)), Err(NotIssued::Expired));
    assert!(opened.holds(in_days(89)) && !opened.holds(in_days(90)), "it has the next one's time");
}

#[test]
fn the_same_key_can_be_certified_again_and_what_is_no_key_cannot() {
    let made = KeyAndRequest::generate("ci").unwrap();
    let again = KeyAndRequest::again(&made.key, "ci").unwrap();
    assert_eq!(again.key, made.key);
    for wrong in ["nonsense", &made.request] {
        assert!(KeyAndRequest::again(&Secret::new(wrong), "ci").is_err());
    }
    let key = made.key.expose().unwrap();
    assert!(!format!("{made:?}").contains(key.lines().nth(1).unwrap()));
}

#[test]
fn a_request_that_its_key_has_not_signed_is_refused() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let fixture = Fixture::new();
    let mut wanted = wanted("ci", Role::Viewer);
    let request = wanted.request.unwrap();
    let body: String = request.lines().filter(|line| !line.starts_with('-')).collect();
    let mut der = STANDARD.decode(body).unwrap();
    *der.last_mut().unwrap() ^= 1;
    let body = STANDARD.encode(der);
    wanted.request = Some(format!(
        "-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"
    ));
    let refusal = fixture.certificates.create(wanted, "uid:0", now()).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("request"));
}

#[test]
fn an_authority_is_followed_by_another_that_it_vouches_for() {
    let fixture = Fixture::new();
    let client = fixture.issue("ci", Role::Viewer);
    let (authority, before) = (fixture.authority(), fixture.authority().roots(now()));
    assert!(!authority.renew_if_due(in_days(3650 - 366)).unwrap());
    let late = in_days(3650 - 364);
    assert!(authority.renew_if_due(late).unwrap());
    assert!(!authority.renew_if_due(late).unwrap());

    for authority in [authority, open(&fixture.folder, late).authority()] {
        let roots = authority.roots(late);
        assert_eq!((roots.len(), &roots[1]), (2, &before[0]));
        let server = authority.for_server(&["inn".into()], &[], late).unwrap();
        // Whoever trusts the former one, the new one, or both.
        for trusted in [before.clone(), vec![roots[0].clone()], roots.clone()] {
            assert!(is_server(&server, "inn", trusted, late));
        }
        // When the former one has ended, it is trusted no more, and nothing leads to it.
        let over = in_days(3651);
        assert_eq!(authority.roots(over), [roots[0].clone()]);
        let server = authority.for_server(&["inn".into()], &[], over).unwrap();
        assert_eq!(server.chain.len(), 1);
        assert!(is_server(&server, "inn", authority.roots(over), over));
    }
    assert!(is_trusted(&client, authority.roots(late), now()), "the former one's are trusted");
    let copy = fs::read_to_string(fixture.path("tls/ca.crt")).unwrap();
    assert_eq!(copy.matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn a_certificate_of_another_authority_is_taken_for_what_it_is() {
    let (fixture, foreign) = (Fixture::new(), Fixture::new());
    let asked = wanted("theirs", Role::Admin);
    let (signed, pem) = foreign.certificates.create(asked, "uid:0", now()).unwrap();
    let shown = Fingerprint::of(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
    let accept = |certificate: &str, expires| {
        let certificate = Some(certificate.to_owned());
        let wanted = wanted("ours", Role::Viewer);
        let wanted = NewCertificate { request: None, certificate, expires, ..wanted };
        fixture.certificates.create(wanted, "uid:0", now())
    };
    for wrong in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    {
        let refusal = accept(wrong, None).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("certificate"), "{wrong}");
    }
    let (known, _) = accept(&pem, Some(in_days(400))).unwrap();
    assert_eq!((known.serial, known.credential.expires), (signed.serial, Some(in_days(90))));
    let found = fixture.certificates.find(shown, now()).unwrap();
    assert_eq!((found.identity.to_string(), found.role), ("cert:ours".into(), Role::Viewer));
    // It is renewed where it was signed.
    let request = KeyAndRequest::generate("ours").unwrap().request;
    let refused =
        fixture.certificates.renew(&"ours".parse().unwrap(), &found.standing, &request, now());
    assert_eq!(refused.unwrap_err().code, Code::WrongState);
    let both = NewCertificate { certificate: Some(pem.clone()), ..wanted("both", Role::Viewer) };
    assert!(fixture.certificates.create(both, "uid:0", now()).is_err());
    // And it is somebody once.
    let again = wanted("again", Role::Admin);
    let again = NewCertificate { request: None, certificate: Some(pem), ..again };
    let refusal = fixture.certificates.create(again, "uid:0", now()).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("certificate"));
    assert_eq!(fixture.certificates.find(shown, now()).unwrap().role, Role::Viewer);
}
