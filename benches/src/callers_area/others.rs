//! Whether the time of a refusal tells an owner what others have: a VM of another project's, beside one that there is
//! not, in turns, on one connection. Asked for at the native API and at the VMM service's door, and to change it: each
//! looks for it in its own way.

use super::start;
use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, spread},
    report,
    rig::{
        daemon::{Daemon, State, free_port},
        http::{Address, Connection},
    },
};
use anyhow::{Context, bail};
use innkeeper_model::VmId;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// So much longer or shorter is in the noise of the middle of so many.
const SAME: f64 = 1.1;

/// How an owner comes upon a VM that is not there for them: answered with 404.
struct Question {
    name: &'static str,
    /// By the VMM service's door, or by the native API.
    at_the_door: bool,
    /// The method and path, of this VM where it is in the path, and the body.
    request: fn(&str) -> (&'static str, String, String),
}

const QUESTIONS: [Question; 3] = [
    Question {
        name: "a VM of another project's asked for by an owner, beside one that there is not",
        at_the_door: false,
        request: |vm| ("GET", format!("/v1/vms/{vm}"), String::new()),
    },
    Question {
        name: "info of another project's VM at the VMM service's door, beside one that there is not",
        at_the_door: true,
        request: |vm| ("POST", "/vm/info".into(), json!({ "build_id": vm }).to_string()),
    },
    Question {
        name: "a start of another project's VM by an owner, beside one that there is not",
        at_the_door: false,
        request: |vm| ("POST", format!("/v1/vms/{vm}/start"), String::new()),
    },
];

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (state, door) = (State::new(bench)?, free_port()?);
    state.configure(&format!("[door.vmm]\nlisten = \"{door}\"\n"))?;
    let (daemon, path) = start(&state)?;
    let theirs = path.strip_prefix("/v1/vms/").context("the path of a VM ends with its id")?;
    let (native, token) = owner(&daemon)?;
    let mut figures = Vec::new();
    for question in &QUESTIONS {
        let server = if question.at_the_door { door } else { native };
        let connection = Connection::open(&Address::Tcp(server, Some(token.clone())))?;
        figures.extend(question.measure(bench, connection, theirs)?);
    }
    Ok(figures)
}

/// Where the native API is, and the token of an owner who has nothing.
fn owner(daemon: &Daemon) -> anyhow::Result<(SocketAddr, String)> {
    let owner = json!({ "name": "owner", "role": "owner", "project": "mine" }).to_string();
    let made: Value = serde_json::from_slice(&daemon.api()?.ask("POST", "/v1/tokens", &owner)?)?;
    let token = made["text"].as_str().context("a token is shown when it is made")?;
    let Address::Tcp(address, _) = daemon.tcp()? else { bail!("TCP has a port") };
    Ok((address, token.to_owned()))
}

impl Question {
    fn measure(
        &self,
        bench: &Bench,
        mut connection: Connection,
        theirs: &str,
    ) -> anyhow::Result<[Figure; 2]> {
        let [theirs, nobodys] = [theirs, &VmId::new().to_string()].map(|vm| {
            let (method, path, body) = (self.request)(vm);
            connection.compose(method, &path, "Content-Type: application/json\r\n", &body)
        });
        let (mut of_others, mut of_nobody) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds(10_000, 50) {
            of_others.push(connection.time_of(404, &theirs)?.whole);
            of_nobody.push(connection.time_of(404, &nobodys)?.whole);
        }
        report::progress(format_args!(
            "  {} beside {}",
            spread(&mut of_others),
            spread(&mut of_nobody)
        ));
        let [one, other] =
            [of_others, of_nobody].map(|mut times| median(&mut times).as_secs_f64() * 1e6);
        Ok([
            Measured::new(self.name, one, "us").beside(other).at_most_times(SAME),
            Measured::new(format!("{}: no quicker", self.name), one, "us")
                .beside(other)
                .at_least_times(1.0 / SAME),
        ])
    }
}
