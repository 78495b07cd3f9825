use super::*;
use crate::{
    principal::{Class, Scope},
    role::Role,
};
use innkeeper_model::ProjectName;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
};
use tempfile::TempDir;

fn now() -> Timestamp {
    "2026-07-01T12:00:00Z".parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() + seconds).unwrap()
}

fn wanted(name: &str, role: Role) -> NewToken {
    let project = (role == Role::Owner).then(|| "web".parse::<ProjectName>().unwrap());
    NewToken { name: name.parse().unwrap(), role, project, expires: None, privileged: false }
}

struct Fixture {
    folder: TempDir,
    tokens: IssuedTokens,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokens = IssuedTokens::open(&folder.path().join("tokens.json")).unwrap();
        Self { folder, tokens }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tokens.json")
    }

    fn create(&self, wanted: NewToken) -> String {
        let (_, text) = self.tokens.create(wanted, "uid:0", now()).unwrap();
        text.expose().unwrap().to_owned()
    }

    /// What the next daemon finds.
    fn again(&self) -> IssuedTokens {
        IssuedTokens::open(&self.file()).unwrap()
    }

    /// Nothing can be written from here on.
    fn break_disk(&self) {
        fs::remove_file(self.file()).unwrap();
        // A file cannot be renamed over a folder that is not empty.
        fs::create_dir_all(self.file().join("inside")).unwrap();
    }
}

#[test]
fn a_token_is_found_by_its_text_and_nothing_else() {
    let fixture = Fixture::new();
    let text = fixture.create(wanted("ci", Role::Operator));
    assert_eq!((text.len(), &text[..4]), (47, "inn_"));
    for tokens in [&fixture.tokens, &fixture.again()] {
        let principal = tokens.find(&text, now()).unwrap();
        assert_eq!(principal.identity.to_string(), "token:ci");
        assert_eq!((principal.role, principal.scope), (Role::Operator, Scope::Everything));
        for wrong in ["inn_", &text[..46], &format!("{text}x"), &text.replace("inn_", "inn-")] {
            assert_eq!(tokens.find(wrong, now()), Err(NotIssued::Unknown), "{wrong}");
        }
        assert_eq!(tokens.find(&format!("inn_{}", "A".repeat(43)), now()), Err(NotIssued::Unknown));
    }
}

#[test]
fn the_file_is_private_and_has_no_text_in_it() {
    let fixture = Fixture::new();
    let text = fixture.create(wanted("ci", Role::Viewer));
    let written = fs::read_to_string(fixture.file()).unwrap();
    assert!(!written.contains(&text[4..]), "{written}");
    assert_eq!(fixture.file().metadata().unwrap().mode() & 0o777, 0o600);
    assert!(!format!("{:?}", fixture.tokens).contains(&text[4..]));
    let shown = serde_json::to_string(&fixture.tokens.all(now())).unwrap();
    assert!(shown.contains("\"ci\"") && !shown.contains(&text[4..]));
}

#[test]
fn what_a_token_stands_for_is_its_principal() {
    let fixture = Fixture::new();
    let owner = fixture.create(NewToken { privileged: true, ..wanted("a", Role::Owner) });
    let owner = fixture.tokens.find(&owner, now()).unwrap();
    assert_eq!(owner.scope, Scope::Project("web".parse().unwrap()));
    assert_eq!(owner.class, Class::Privileged);
    let class = |text: String| fixture.tokens.find(&text, now()).unwrap().class;
    assert_eq!(class(fixture.create(wanted("b", Role::Viewer))), Class::Standard);
    assert_eq!(class(fixture.create(wanted("c", Role::Admin))), Class::Privileged);
}

#[test]
fn a_revoked_token_is_refused_at_once_and_gone_from_the_disk() {
    let fixture = Fixture::new();
    let (text, kept) =
        (fixture.create(wanted("ci", Role::Admin)), fixture.create(wanted("kept", Role::Viewer)));
    let name = "ci".parse().unwrap();
    assert_eq!(fixture.tokens.revoke(&name, now()).unwrap().state, CredentialState::Revoked);
    for tokens in [&fixture.tokens, &fixture.again()] {
        assert_eq!(tokens.find(&text, now()), Err(NotIssued::Unknown));
        assert!(tokens.find(&kept, now()).is_ok());
    }
    let refusal = fixture.tokens.revoke(&name, now()).unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
    // Its name is free again, and its text still opens nothing.
    fixture.create(wanted("ci", Role::Viewer));
    assert_eq!(fixture.tokens.find(&text, now()), Err(NotIssued::Unknown));
}

#[test]
fn a_revoked_token_is_refused_even_if_the_disk_fails() {
    let fixture = Fixture::new();
    let text = fixture.create(wanted("ci", Role::Admin));
    fixture.break_disk();
    let name = "ci".parse().unwrap();
    for _ in 0..2 {
        let refusal = fixture.tokens.revoke(&name, now()).unwrap_err();
        assert!(refusal.hint.as_deref().unwrap().contains("again"), "{refusal:?}");
        assert_eq!(fixture.tokens.find(&text, now()), Err(NotIssued::Unknown));
        assert_eq!(fixture.tokens.all(now())[0].state, CredentialState::Revoked);
    }
}

#[test]
fn whoever_got_the_name_of_a_revoked_token_keeps_it() {
    let fixture = Fixture::new();
    let (old, name) = (fixture.create(wanted("ci", Role::Viewer)), "ci".parse().unwrap());
    // Two revoke it at once, and one of them waits for the file until the name is another's.
    let late = fixture.tokens.0.refuse_from_now(&name).unwrap();
    fixture.tokens.revoke(&name, now()).unwrap();
    let new = fixture.create(wanted("ci", Role::Admin));
    let refusal = fixture.tokens.0.take_off(&name, &late, now()).unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
    for tokens in [&fixture.tokens, &fixture.again()] {
        assert_eq!(tokens.find(&old, now()), Err(NotIssued::Unknown));
        assert_eq!(tokens.find(&new, now()).unwrap().role, Role::Admin);
        assert_eq!(tokens.all(now()).len(), 1, "it cannot be revoked");
    }
}

/// A certificate as it is stored, shown by this.
fn certificate(name: &str, shown: &str) -> Stored {
    Stored {
        name: name.parse().unwrap(),
        digest: Digest::of(shown),
        role: Role::Viewer,
        project: None,
        privileged: false,
        created: now(),
        created_by: "uid:0".into(),
        expires: Some(later(60)),
        last_used: None,
        certificate: Some(StoredCertificate {
            serial: "01".into(),
            lifetime_s: Some(60),
            former: None,
        }),
    }
}

#[test]
fn what_is_revoked_while_it_is_renewed_is_off_the_list_by_both_that_it_was_shown_by() {
    let fixture = Fixture::new();
    let list = IssuedList::open(Kind::Certificates, &fixture.file()).unwrap();
    list.add(certificate("ci", "first")).unwrap();
    let (name, mut refused) = ("ci".parse().unwrap(), None);
    let renewed = |before: &Stored| {
        refused = list.refuse_from_now(&name).ok();
        Stored { digest: Digest::of("second"), ..before.clone() }
    };
    list.replace(&name, || true, renewed).unwrap();
    list.take_off(&name, &refused.unwrap(), now()).unwrap();
    for shown in ["first", "second"] {
        list.add(certificate(shown, shown)).unwrap();
        assert!(list.find(&Digest::of(shown), now()).is_ok());
    }
}

#[test]
fn what_is_shown_stands_for_one_of_them() {
    let fixture = Fixture::new();
    let list = IssuedList::open(Kind::Certificates, &fixture.file()).unwrap();
    list.add(certificate("one", "the same")).unwrap();
    let refusal = list.add(certificate("two", "the same")).unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_deref()), (Code::NameTaken, Some("certificate")));
    let twice = |all: &mut Vec<Stored>| all.push(certificate("two", "the same"));
    list.write(&list.writing(), twice).unwrap();
    let problem = IssuedList::open(Kind::Certificates, &fixture.file()).unwrap_err().to_string();
    assert!(problem.contains("two is shown as one is"), "{problem}");
}

#[test]
fn a_token_that_could_not_be_written_is_none() {
    let fixture = Fixture::new();
    fixture.create(wanted("one", Role::Viewer));
    fixture.break_disk();
    assert!(fixture.tokens.create(wanted("ci", Role::Admin), "uid:0", now()).is_err());
    assert_eq!(fixture.tokens.all(now()).len(), 1);
}

#[test]
fn a_token_is_refused_from_the_moment_it_expires_and_shown_so() {
    let fixture = Fixture::new();
    let expires = Some(later(60));
    let text = fixture.create(NewToken { expires, ..wanted("ci", Role::Viewer) });
    let principal = fixture.tokens.find(&text, later(59)).unwrap();
    assert!(principal.standing.holds(later(59)));
    assert!(!principal.standing.holds(later(60)));
    assert_eq!(fixture.tokens.find(&text, later(60)), Err(NotIssued::Expired));
    assert_eq!(fixture.tokens.all(later(59))[0].state, CredentialState::Valid);
    assert_eq!(fixture.tokens.all(later(60))[0].state, CredentialState::Expired);
}

#[test]
fn the_last_use_is_known_at_once_and_written_when_somebody_says_so() {
    let fixture = Fixture::new();
    let text = fixture.create(wanted("ci", Role::Viewer));
    assert_eq!(fixture.tokens.all(now())[0].last_used, None);
    fixture.tokens.find(&text, later(5)).unwrap();
    let used = |tokens: &IssuedTokens| tokens.all(now())[0].last_used;
    assert_eq!((used(&fixture.tokens), used(&fixture.again())), (Some(later(5)), None));
    fixture.tokens.save_uses().unwrap();
    assert_eq!(used(&fixture.again()), Some(later(5)));
    // Without a use nothing is written.
    fs::remove_file(fixture.file()).unwrap();
    fixture.tokens.save_uses().unwrap();
    assert!(!fixture.file().exists());
    // What could not be written is, the next time.
    fixture.tokens.find(&text, later(9)).unwrap();
    fs::create_dir_all(fixture.file().join("inside")).unwrap();
    fixture.tokens.save_uses().unwrap_err();
    fs::remove_dir_all(fixture.file()).unwrap();
    fixture.tokens.save_uses().unwrap();
    assert_eq!(used(&fixture.again()), Some(later(9)));
    // Nor is one lost that comes while the list is written.
    let (list, meanwhile) = (&fixture.tokens.0, later(12));
    list.write(&list.writing(), |_| drop(fixture.tokens.find(&text, meanwhile))).unwrap();
    fixture.tokens.save_uses().unwrap();
    assert_eq!(used(&fixture.again()), Some(meanwhile));
}

#[test]
fn what_no_token_can_be_is_refused_by_its_field() {
    let fixture = Fixture::new();
    fixture.create(wanted("taken", Role::Viewer));
    let web = Some("web".parse().unwrap());
    let cases = [
        (NewToken { project: None, ..wanted("a", Role::Owner) }, "project"),
        (NewToken { project: web, ..wanted("a", Role::Admin) }, "project"),
        (NewToken { expires: Some(now()), ..wanted("a", Role::Viewer) }, "expires"),
        (wanted("taken", Role::Viewer), "name"),
    ];
    for (wanted, field) in cases {
        let refusal = fixture.tokens.create(wanted, "uid:0", now()).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some(field), "{refusal}");
    }
}

#[test]
fn there_are_only_so_many() {
    let fixture = Fixture::new();
    fixture.create(wanted("first", Role::Viewer));
    let like = fixture.tokens.0.get(&"first".parse().unwrap()).unwrap();
    fixture.tokens.0.fill(&like);
    let refusal = fixture.tokens.create(wanted("more", Role::Viewer), "uid:0", now()).unwrap_err();
    assert_eq!(refusal.code, Code::OutOfCapacity);
}

#[test]
fn a_damaged_list_is_refused_with_what_to_do() {
    let fixture = Fixture::new();
    fixture.create(wanted("ci", Role::Viewer));
    let whole = fs::read_to_string(fixture.file()).unwrap();
    let damaged = [
        String::new(),
        whole[..whole.len() - 2].to_owned(),
        whole.replace("viewer", "admin"),
        whole.replace("\"schema\": 1", "\"schema\": 2"),
        format!("{whole} "),
    ];
    for (index, text) in damaged.iter().enumerate() {
        fs::write(fixture.file(), text).unwrap();
        let opened = IssuedTokens::open(&fixture.file());
        // White space after the end is no harm.
        if index == 4 {
            opened.unwrap();
            continue;
        }
        let problem = opened.unwrap_err().to_string();
        assert!(problem.contains("move it away"), "{problem}");
        assert_eq!(&fs::read_to_string(fixture.file()).unwrap(), text);
    }
}

#[test]
fn a_list_of_something_else_is_refused() {
    let fixture = Fixture::new();
    fixture.create(wanted("ci", Role::Viewer));
    let whole = fs::read_to_string(fixture.file()).unwrap();
    fs::write(fixture.file(), whole.replace("\"tokens\"", "\"certificates\"")).unwrap();
    let problem = IssuedTokens::open(&fixture.file()).unwrap_err().to_string();
    assert!(problem.contains("no list of tokens"), "{problem}");
    let opened = IssuedList::open(Kind::Certificates, &fixture.file());
    let problem = opened.unwrap_err().to_string();
    assert!(problem.contains("ci is no certificate"), "{problem}");
}

#[test]
fn a_list_that_others_can_write_to_is_refused() {
    let fixture = Fixture::new();
    fixture.create(wanted("ci", Role::Viewer));
    fs::set_permissions(fixture.file(), fs::Permissions::from_mode(0o620)).unwrap();
    let opened = IssuedTokens::open(&fixture.file());
    assert!(matches!(opened, Err(ListError::Exposed { mode: 0o620, .. })), "{opened:?}");
}
