//! `inn console`: the terminal becomes the guest's serial line, until Ctrl-] or the guest's end.

mod raw;

use super::{Context, VmArg};
use crate::{
    client::Call,
    failure::{self, Exit, Failure},
    figures::parse_duration,
};
use clap::Args;
use http::{HeaderValue, header};
use hyper_util::rt::TokioIo;
use raw::RawTerminal;
use std::{
    io::{self, Read, Write},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::sleep,
};

/// Ctrl-], which telnet leaves with too.
const LEAVE: u8 = 0x1d;
/// What is read at once.
const PIECE: usize = 16 << 10;
/// How many pieces of input may wait for a guest that does not read.
const WAITING_PIECES: usize = 16;

type Stream = TokioIo<hyper::upgrade::Upgraded>;

#[derive(Debug, Args)]
#[command(
    after_help = "Any number may look, and see what the guest wrote last before; one types at a time. \
    Where the input is no terminal, all of it is sent and the output is shown until \
    the guest closes the line or --timeout is over; either is a success."
)]
pub(super) struct Console {
    #[command(flatten)]
    vm: VmArg,
    /// Only look
    #[arg(long, group = "role")]
    read_only: bool,
    /// Type together with others who share
    #[arg(long, group = "role")]
    shared: bool,
    /// Take the keyboard from whoever types
    #[arg(long, group = "role")]
    take: bool,
    /// Leave after this time, such as 10s
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

impl Console {
    const fn role(&self) -> Option<&'static str> {
        match self {
            Self { read_only: true, .. } => Some("read-only"),
            Self { shared: true, .. } => Some("shared"),
            Self { take: true, .. } => Some("take"),
            Self { .. } => None,
        }
    }
}

/// Why the line was left.
enum Left {
    Key,
    Guest,
    Timeout,
    Signal,
}

pub(super) async fn run(context: &Context, console: Console) -> Result<(), Failure> {
    let call = Call::get(context.of_vm(&console.vm.vm, "console").with_any("role", console.role()))
        .with_header(header::CONNECTION, HeaderValue::from_static("Upgrade"))
        .with_header(header::UPGRADE, HeaderValue::from_static("innkeeper-stream"));
    let response = context.client.open(call).await?;
    let keyboard =
        response.headers().get("innkeeper-keyboard").and_then(|value| value.to_str().ok());
    let only_looks = keyboard.and_then(|value| value.strip_prefix("read-only")).map(str::to_owned);
    let upgraded = hyper::upgrade::on(response).await.map_err(|error| {
        Failure::new(Exit::Failed, "the daemon did not open the console").because(&error)
    })?;
    let terminal = RawTerminal::enter_if_there_is_one()?;
    if terminal.is_some() {
        let vm = &console.vm.vm;
        let who = match only_looks.as_deref().map(|typist| typist.trim_start_matches("; ")) {
            None => String::new(),
            Some("") => " to look".to_owned(),
            Some(typist) => format!(" to look: {typist} types, and --take takes the keyboard"),
        };
        context.output.talk(format_args!("connected to {vm}{who}; Ctrl-] leaves\r"));
    } else if only_looks.is_some() && !console.read_only {
        // What is in the pipe would be lost without a word.
        return Err(Failure::new(Exit::Refused, "somebody else types at this console")
            .with_hint("--take takes the keyboard, and --read-only only looks"));
    }
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    let left = converse(reader, writer, terminal.is_some(), console.timeout).await;
    let was_terminal = terminal.is_some();
    drop(terminal);
    if was_terminal {
        context.output.talk(match &left {
            Ok(Left::Guest) => "\nthe console was closed",
            _ => "\nleft the console",
        });
    }
    match left? {
        Left::Signal => Err(Failure::silent(Exit::Interrupted)),
        Left::Key | Left::Guest | Left::Timeout => Ok(()),
    }
}

async fn converse(
    mut reader: ReadHalf<Stream>,
    mut writer: WriteHalf<Stream>,
    leaves_by_key: bool,
    timeout: Option<Duration>,
) -> Result<Left, Failure> {
    let sending = async {
        let mut input = read_input();
        while let Some(piece) = input.recv().await {
            let end = piece.iter().position(|byte| leaves_by_key && *byte == LEAVE);
            let sent = writer.write_all(&piece[..end.unwrap_or(piece.len())]).await;
            // A line that takes nothing any more is noticed by the reader too, and better explained.
            if sent.is_err() {
                break;
            }
            if end.is_some() {
                return Left::Key;
            }
        }
        // No more input; what the guest still says is wanted all the same.
        std::future::pending().await
    };
    let timing_out = async {
        match timeout {
            Some(timeout) => sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        shown = show_output(&mut reader) => shown.map(|()| Left::Guest),
        left = sending => Ok(left),
        () = timing_out => Ok(Left::Timeout),
        signalled = told_to_end() => signalled.map(|()| Left::Signal),
    }
}

/// Shows what the guest says until it says no more.
async fn show_output(reader: &mut ReadHalf<Stream>) -> Result<(), Failure> {
    let mut piece = vec![0; PIECE];
    loop {
        // A connection that breaks is a daemon that ended: no more will come either way.
        let length = reader.read(&mut piece).await.unwrap_or(0);
        if length == 0 {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(&piece[..length])
            .and_then(|()| stdout.flush())
            .map_err(|error| failure::of_writing(&error))?;
    }
}

/// The standard input, piece by piece. It is read by a thread that nobody waits for: a read from a
/// terminal cannot be taken back, and must not keep the process from ending.
fn read_input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(WAITING_PIECES);
    std::thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        loop {
            match io::stdin().lock().read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return,
                Ok(length) => {
                    if sender.blocking_send(piece[..length].to_vec()).is_err() {
                        return;
                    }
                }
            }
        }
    });
    receiver
}

/// Returns when the process is told to end, so that the terminal can be put back before it does.
async fn told_to_end() -> Result<(), Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| {
            Failure::new(Exit::Failed, "cannot listen for signals").because(&error)
        })
    };
    let mut hangup = listen(SignalKind::hangup())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::select! {
        _ = hangup.recv() => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
