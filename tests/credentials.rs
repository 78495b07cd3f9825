//! Every credential that is wrong in one way, on every endpoint of every surface, and every role on each: one table
//! (`tests/credentials/table.txt`), which the daemon is held to. The endpoints are those of the OpenAPI documents,
//! which the contracts' tests hold it to as well.
//!
//! `UPDATE_GOLDEN=1` writes the table anew; whoever does so reads what has changed.

mod endpoints;
mod shown;
pub(crate) mod wallet;

use crate::harness::{Daemon, Reply, Request, exchange, try_exchange};
use endpoints::{Endpoint, SURFACES, Surface, endpoints};
use serde_json::{Value, json};
use shown::{Shown, wrong};
use std::{collections::BTreeMap, env, fmt::Write, fs, net::TcpStream, path::Path, thread};
use uuid::Uuid;
use wallet::Wallet;

/// The column of an account that was let in, which signed a token itself.
const WALLET: &str = "a wallet's own token";

/// That of a browser whose session is an administrator's.
const COOKIE: &str = "an admin's cookie with its CSRF value";

/// An endpoint, and what each column comes to there.
type Row = (String, Vec<String>);

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/credentials/table.txt");

/// A daemon of simulated machines that serves all surfaces, with a VM that is somebody's.
struct House {
    daemon: Daemon,
    addresses: BTreeMap<&'static str, String>,
    /// The VM's id, and one that no VM has.
    vm: String,
    nothing: String,
}

impl House {
    fn open(owner: &Wallet) -> Self {
        let native = endpoints::free_address();
        let config =
            format!("[wallets]\nowners = [\"{}\"]\nsite = \"http://{native}\"\n", owner.address());
        let mut flags = vec!["--driver", "sim", "--listen", &native];
        for door in ["vminfod", "chypervisord", "virtx"] {
            flags.extend(["--door", endpoints::with_viewers(door)]);
        }
        flags.extend(["--door", "vmm=127.0.0.1:0"]);
        let mut daemon = Daemon::prepared(&config).with_flags(&flags);
        daemon.launch();
        daemon.inn_ok(&["create", "secret-name", "--memory", "64MiB", "--project", "theirs"]);
        let vm: Value =
            serde_json::from_str(&daemon.inn_ok(&["get", "secret-name", "-o", "json"])).unwrap();
        let log = daemon.log();
        let address = |surface: &Surface| match surface.name {
            "native" => native.clone(),
            door => crate::contracts::address(&log, door),
        };
        let addresses = SURFACES.iter().map(|surface| (surface.name, address(surface))).collect();
        let vm = vm["id"].as_str().unwrap().to_owned();
        Self { daemon, addresses, vm, nothing: Uuid::now_v7().to_string() }
    }

    fn token(&self, name: &str, role: &str, project: Option<&str>) -> String {
        let mut command = vec!["token", "create", name, "--role", role];
        command.extend(project.into_iter().flat_map(|project| ["--project", project]));
        self.daemon.inn_ok(&command).trim().to_owned()
    }

    /// A browser's cookie that stands for what is shown, and the value that changes need beside it.
    fn browser_session(&self, shown: &Shown) -> (String, String) {
        let begun = self.ask(&Endpoint::native("POST", "/v1/browser-session"), "", shown).ok();
        let cookie = begun.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        (cookie, begun.json()["csrf"].as_str().unwrap().to_owned())
    }

    /// The answer to a request at an endpoint about this VM that shows this.
    fn ask(&self, endpoint: &Endpoint, vm: &str, shown: &Shown) -> Reply {
        let stream = TcpStream::connect(&self.addresses[endpoint.surface]).unwrap();
        exchange(stream, &shown.with(endpoint.request(vm)))
    }

    /// Its status alone, of somebody who is not refused for how often they ask.
    fn answers(&self, endpoint: &Endpoint, vm: &str, shown: &Shown) -> u16 {
        let status = self.status(endpoint, vm, shown);
        let is_an_answer = status != 429 && (status < 500 || status == 501);
        assert!(is_an_answer, "{endpoint}, {}: {status}", shown.name);
        status
    }

    /// Its status alone: some answers have no end.
    fn status(&self, endpoint: &Endpoint, vm: &str, shown: &Shown) -> u16 {
        let mut stream = TcpStream::connect(&self.addresses[endpoint.surface]).unwrap();
        shown.with(endpoint.request(vm)).send(&mut stream).unwrap();
        crate::harness::read_head(&mut std::io::BufReader::new(stream)).unwrap().status
    }
}

/// What an answer says, but for what differs from each request to the next.
fn said(reply: &Reply, vm: &str) -> (u16, BTreeMap<String, String>, String) {
    let mut headers = reply.headers().clone();
    for name in ["date", "x-request-id"] {
        headers.remove(name);
    }
    let id = reply.header("x-request-id").unwrap_or_default();
    (reply.status, headers, reply.text().replace(vm, "VM").replace(id, "ID"))
}

#[test]
fn each_credential_comes_to_what_the_table_says_on_each_endpoint() {
    let (alice, mallory) = (Wallet::alice(), Wallet::nobody());
    let house = House::open(&alice);
    let revoked = house.token("revoked", "admin", None);
    house.daemon.inn_ok(&["token", "revoke", "revoked"]);
    let signed_out = alice.token("gone");
    let native = Endpoint::native("DELETE", "/v1/sign-in");
    let gone = house.ask(&native, "", &Shown::bearer("", &signed_out));
    assert_eq!(gone.status, 204, "{}", gone.text());

    let mut columns = wrong(&alice, &mallory);
    columns.push(Shown::bearer("revoked token", &revoked));
    columns.push(Shown::bearer("revoked wallet's", &signed_out));
    let roles = ["viewer", "operator", "admin"].map(|role| {
        let token = house.token(role, role, None);
        Shown::bearer(role, &token)
    });
    let session = house.browser_session(&roles[2]);
    let (cookie, _) = &session;
    columns.push(Shown::cookie("unknown cookie", &format!("{cookie}x"), None));
    columns.push(Shown::cookie("an admin's cookie without its CSRF value", cookie, None));
    columns.push(Shown::cookie("an admin's cookie with another CSRF value", cookie, Some("x")));
    let owner = Shown::bearer("owner", &house.token("owner", "owner", Some("mine")));

    let all = endpoints();
    assert!(all.len() > 120, "{} endpoints", all.len());
    let rows: Vec<Row> = thread::scope(|scope| {
        let row = |endpoint: &Endpoint| {
            let mut cells = Vec::new();
            for shown in &columns {
                cells.push(turned_away(&house, endpoint, shown));
            }
            // A row's own: one of them signs it out.
            let of_wallet = Shown::bearer(WALLET, &alice.token(&endpoint.to_string()));
            // One of them ends it; and a caller has not many.
            let (cookie, csrf) = match endpoint.is_of_browser_sessions() {
                true => house.browser_session(&roles[2]),
                false => session.clone(),
            };
            let of_browser = Shown::cookie(COOKIE, &cookie, Some(&csrf));
            for shown in roles.iter().chain([&owner, &of_wallet, &of_browser]) {
                // Nothing is there that it could change.
                cells.push(house.answers(endpoint, &house.nothing, shown).to_string());
            }
            for shown in [&owner, &of_wallet] {
                tells_nothing_of_others(&house, endpoint, shown);
            }
            (endpoint.to_string(), cells)
        };
        let parts: Vec<_> = all
            .chunks(all.len().div_ceil(4))
            .map(|part| scope.spawn(move || part.iter().map(row).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    let names: Vec<String> = columns
        .iter()
        .chain(&roles)
        .chain([&owner])
        .map(|shown| shown.name.clone())
        .chain([WALLET.to_owned(), COOKIE.to_owned()])
        .collect();
    check(&table(&names, &rows));
}

/// How an endpoint answers what is wrong; where that does not let its caller in, it says no more of a VM that there is
/// than of one that there is not, and nothing of what is in it.
fn turned_away(house: &House, endpoint: &Endpoint, shown: &Shown) -> String {
    let status = house.answers(endpoint, &house.vm, shown);
    if !matches!(status, 401 | 403) {
        // Anybody may ask, or reading needs no credential.
        return status.to_string();
    }
    let there = house.ask(endpoint, &house.vm, shown);
    let not_there = house.ask(endpoint, &house.nothing, shown);
    let what = format!("{endpoint}, {}", shown.name);
    assert_eq!(said(&there, &house.vm), said(&not_there, &house.nothing), "{what}");
    for secret in ["secret-name", "theirs"] {
        assert!(!there.text().contains(secret), "{what}: {}", there.text());
    }
    status.to_string()
}

/// A VM of another's is to an owner as one that there is not, at each endpoint that takes one.
fn tells_nothing_of_others(house: &House, endpoint: &Endpoint, shown: &Shown) {
    if !endpoint.is_of_a_vm() {
        return;
    }
    let there = house.ask(endpoint, &house.vm, shown);
    let not_there = house.ask(endpoint, &house.nothing, shown);
    let what = format!("{endpoint}, {}", shown.name);
    // Whoever may have it done is not refused for anything else than that; or it is not to be had here at all.
    assert!(matches!(there.status, 403 | 404 | 424 | 501), "{what}: {}", there.text());
    assert_eq!(said(&there, &house.vm), said(&not_there, &house.nothing), "{what}");
    assert!(!there.text().contains("secret-name"), "{what}: {}", there.text());
}

fn line(width: usize, name: &str, cells: &[String]) -> String {
    let mut line = format!("{name:<width$}");
    for cell in cells {
        let _ = write!(line, " {cell:>3}");
    }
    line.trim_end().to_owned()
}

fn table(columns: &[String], rows: &[Row]) -> String {
    let mut text = String::from(
        "The status with which each endpoint answers whoever shows this. 401 and 403 turn them away; all others are\n\
         what comes of a request with next to nothing in it, of those that are let in about a VM that there is not.\n\n",
    );
    for (number, name) in columns.iter().enumerate() {
        let _ = writeln!(text, "{:>3}  {name}", number + 1);
    }
    let numbers: Vec<String> = (1..=columns.len()).map(|number| number.to_string()).collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let _ = write!(text, "\n{}\n", line(width, "", &numbers));
    for (name, cells) in rows {
        let _ = writeln!(text, "{}", line(width, name, cells));
    }
    text
}

fn check(found: &str) {
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(TABLE, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(Path::new(TABLE)).unwrap_or_default();
    for (expected, found) in expected.lines().zip(found.lines()) {
        assert_eq!(expected, found);
    }
    assert_eq!(expected, found);
}

#[test]
fn a_nonce_signs_in_once_and_for_its_own_site() {
    let alice = Wallet::alice();
    let house = House::open(&alice);
    let site = house.addresses["native"].clone();
    let ask = |method: &str, path: &str, body: Value| {
        let stream = TcpStream::connect(&site).unwrap();
        try_exchange(stream, &Request::new(method, path).header("Host", &site).json(&body)).unwrap()
    };
    let challenge = || {
        let challenge = ask("POST", "/v1/sign-in/challenges", json!({})).ok().json();
        challenge["nonce"].as_str().unwrap().to_owned()
    };
    let sign_in = |message: &str, signature: String| {
        ask("POST", "/v1/sign-in", json!({ "message": message, "signature": signature }))
    };
    let message = alice.sign_in_message(&site, &challenge());
    let session = sign_in(&message, alice.personal_sign(&message)).ok().json();
    let again = sign_in(&message, alice.personal_sign(&message));
    let elsewhere = alice.sign_in_message("elsewhere.example", &challenge());
    let elsewhere = sign_in(&elsewhere, alice.personal_sign(&elsewhere));
    let unknown = alice.sign_in_message(&site, "abcdefgh12345678");
    let unknown = sign_in(&unknown, alice.personal_sign(&unknown));
    let by_another = alice.sign_in_message(&site, &challenge());
    let by_another = sign_in(&by_another, Wallet::nobody().personal_sign(&by_another));
    for refused in [again, elsewhere, unknown, by_another] {
        assert_eq!(refused.status, 401, "{}", refused.text());
        assert!(!refused.text().contains("token\":"), "{}", refused.text());
    }
    let token = Shown::bearer("", session["token"].as_str().unwrap());
    assert_eq!(house.status(&Endpoint::native("GET", "/v1/networks"), "", &token), 200);
}

#[test]
fn what_a_wallet_signs_for_a_door_counts_there_alone() {
    let alice = Wallet::alice();
    let config = format!(
        "[wallets]\nowners = [\"{}\"]\n[door.virtx]\naudience = \"virtx\"\n",
        alice.address()
    );
    let mut daemon = Daemon::prepared(&config).with_flags(&[
        "--driver",
        "sim",
        "--door",
        endpoints::with_viewers("virtx"),
        "--door",
        endpoints::with_viewers("vminfod"),
    ]);
    daemon.launch();
    let log = daemon.log();
    let answers = |door: &str, audience: &str| {
        let mut claims = alice.claims(&format!("{door} {audience}"));
        claims["aud"] = json!(audience);
        let shown = Shown::bearer("", &alice.sign("ES256K", &claims));
        let stream = TcpStream::connect(crate::contracts::address(&log, door)).unwrap();
        exchange(stream, &shown.with(Request::new("GET", "/vms").json(&json!({})))).status
    };
    assert_eq!((answers("virtx", "virtx"), answers("virtx", "innkeeper")), (200, 401));
    assert_eq!((answers("vminfod", "virtx"), answers("vminfod", "innkeeper")), (401, 200));
}
