use super::*;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const DAY: i64 = 24 * 60 * 60;

fn in_days(days: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + days * DAY).unwrap()
}

/// TLS on one address, as it is shown now.
fn own(folder: &TempDir) -> Tls {
    let (certificates, now) = (certificates(folder), Timestamp::now());
    let (names, listen) = (names(&["inn".into()]), vec!["127.0.0.1:7101".parse().unwrap()]);
    let made = Made::of(&listen, now).unwrap();
    Tls::showing(Shown::Own { names, listen, made }, None, certificates, now).unwrap()
}

fn certificates(folder: &TempDir) -> Arc<Certificates> {
    let authority = Authority::open(&folder.path().join("tls"), Timestamp::now()).unwrap();
    let list = folder.path().join("certificates.json");
    Arc::new(Certificates::open(&list, Arc::new(authority)).unwrap())
}

#[test]
fn a_certificate_is_renewed_when_two_thirds_of_its_time_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut tls = own(&folder);
    for (day, is_due) in [(0, false), (59, false), (61, true), (62, false), (122, true)] {
        assert_eq!(tls.look(in_days(day)).unwrap(), is_due, "day {day}");
    }
}

#[test]
fn a_certificate_follows_its_authority_and_the_addresses_of_its_host() {
    let folder = tempfile::tempdir().unwrap();
    let mut tls = own(&folder);
    let Shown::Own { listen, .. } = &mut tls.shown else { panic!() };
    listen.push("127.0.0.2:7101".parse().unwrap());
    assert!(tls.look(in_days(0)).unwrap());
    assert!(!tls.look(in_days(0)).unwrap());
    // The next authority, and the end of the former one.
    for (day, roots) in [(3650 - 300, 2), (3651, 1)] {
        assert!(tls.look(in_days(day)).unwrap(), "day {day}");
        assert_eq!(tls.trusted.len(), roots, "day {day}");
    }
}

#[test]
fn what_could_not_be_shown_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut tls = own(&folder);
    let further = folder.path().join("further.crt");
    fs::write(&further, "nonsense").unwrap();
    tls.further = Some(further.clone());
    tls.look(in_days(61)).unwrap_err();
    tls.look(in_days(61)).unwrap_err();
    fs::copy(folder.path().join("tls/ca.crt"), further).unwrap();
    assert!(tls.look(in_days(61)).unwrap());
    assert!(!tls.look(in_days(62)).unwrap());
}

#[test]
fn the_operators_files_are_read_again_when_they_change_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let certificates = certificates(&folder);
    // A file's time is no finer than the kernel's clock: each version has its own.
    let version = std::cell::Cell::new(1);
    let write = || {
        let made = certificates.authority().for_server(&["inn".into()], &[], Timestamp::now());
        let made = made.unwrap();
        let pem = |what: &str, der: &[u8]| {
            use base64::{Engine, engine::general_purpose::STANDARD};
            format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", STANDARD.encode(der))
        };
        fs::write(path("server.crt"), pem("CERTIFICATE", &made.chain[0])).unwrap();
        fs::write(path("server.key"), pem("PRIVATE KEY", made.key.secret_der())).unwrap();
        fs::set_permissions(path("server.key"), fs::Permissions::from_mode(0o640)).unwrap();
        let time = std::time::UNIX_EPOCH + Duration::from_secs(version.get());
        File::options().write(true).open(path("server.crt")).unwrap().set_modified(time).unwrap();
        version.set(version.get() + 1);
    };
    write();
    let shown = Shown::Files { certificate: path("server.crt"), key: path("server.key") };
    let further = Some(path("further.crt"));
    fs::copy(path("tls/ca.crt"), path("further.crt")).unwrap();
    let mut tls =
        Tls::showing(shown, further, Arc::clone(&certificates), Timestamp::now()).unwrap();
    assert!(!tls.look(Timestamp::now()).unwrap());
    write();
    assert!(tls.look(Timestamp::now()).unwrap());

    let foreign = tempfile::tempdir().unwrap();
    self::certificates(&foreign);
    fs::rename(foreign.path().join("tls/ca.crt"), path("further.crt")).unwrap();
    assert!(tls.look(Timestamp::now()).unwrap());
    assert!(!tls.look(Timestamp::now()).unwrap());

    // What cannot be used is told once, and what there was goes on.
    fs::write(path("server.crt"), "nonsense").unwrap();
    tls.look(Timestamp::now()).unwrap_err();
    assert!(!tls.look(Timestamp::now()).unwrap());
    write();
    fs::set_permissions(path("server.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let problem = tls.look(Timestamp::now()).unwrap_err().to_string();
    assert!(problem.contains("everybody can read the key"), "{problem}");

    // Callers' certificates are of the own authority, whatever is shown: who follows it is trusted, once it can be.
    write();
    let (late, over) = (in_days(3650 - 300), in_days(3651));
    assert!(tls.look(late).unwrap());
    assert_eq!(tls.trusted, certificates.authority().roots(late));
    assert!(!tls.look(late).unwrap());
    fs::write(path("server.crt"), "nonsense").unwrap();
    tls.look(over).unwrap_err();
    tls.look(over).unwrap_err();
    assert_eq!(tls.trusted.len(), 2);
    write();
    assert!(tls.look(over).unwrap());
    assert_eq!(tls.trusted, certificates.authority().roots(over));
}
