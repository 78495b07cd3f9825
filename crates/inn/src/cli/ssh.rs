//! `inn ssh`: the system's own ssh, told where the guest is.
//!
//! The guest's host key is remembered under the VM's id, not its address: another VM that gets the
//! address later is no reason for an alarm, and the same VM at another address is no stranger.

use super::{Context, VmArg, addresses::best, ip, wait};
use crate::{
    client::{Target, decode},
    failure::{Exit, Failure},
    figures::parse_duration,
};
use clap::Args;
use innkeeper_model::{GuestAddress, Vm, config::PublishedPort, nic::Protocol};
use std::{
    ffi::OsString,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt,
    process::Command,
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::TcpStream, time::Instant};

/// Where guests listen for ssh.
const PORT: u16 = 22;
/// The label of a VM that says as whom to log in.
const USER_LABEL: &str = "ssh-user";
/// How long one attempt to reach the guest may take, and how long it is until the next.
const ATTEMPT: Duration = Duration::from_secs(2);
const AGAIN_AFTER: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
#[command(
    after_help = "What follows the VM's name is given to ssh as it is: a command, or after -- \
    options as well.\n\nIt goes to an address that is kept for the VM on a network of this host; else \
    to the port of the host that leads to its port 22, if it publishes one. Where the guest says it is \
    counts only on a network that keeps no addresses."
)]
pub(super) struct Ssh {
    #[command(flatten)]
    vm: VmArg,
    /// As whom to log in; else whom the VM's label ssh-user names, else whom ssh's own configuration
    /// says
    #[arg(long, short, value_name = "NAME", value_parser = parse_user)]
    user: Option<String>,
    /// The guest's port
    #[arg(long, short, default_value_t = PORT)]
    port: u16,
    /// Wait until the guest answers, at most so long
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "120s",
        value_parser = parse_duration,
    )]
    wait: Option<Duration>,
    /// What ssh is to run there, or after -- its options
    #[arg(value_name = "ARGS", trailing_var_arg = true)]
    args: Vec<OsString>,
}

/// A name that ssh cannot take for anything else.
fn parse_user(text: &str) -> Result<String, String> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '/');
    if text.is_empty() || text.starts_with('-') || text.contains(odd) {
        return Err("is not a user's name".into());
    }
    Ok(text.into())
}

pub(super) async fn run(context: &Context, ssh: Ssh) -> Result<(), Failure> {
    let mut vm: Vm = decode(context.client.get(context.vm(&ssh.vm.vm)).await?.body)?;
    if let Some(at_most) = ssh.wait {
        vm = until_reachable(context, vm, ssh.port, at_most).await?;
    }
    let Some(at) = destination(&vm, ssh.port) else { return Err(ip::unknown(&vm, None)) };
    let user = ssh.user.or(user_of(&vm)?);
    let mut command = Command::new("ssh");
    command
        .args(["-o", &format!("HostKeyAlias=inn-{}", vm.id), "-p", &at.port().to_string()])
        .args(user.iter().flat_map(|user| ["-l", user]))
        .arg(at.ip().to_string())
        .args(ssh.args);
    let error = command.exec();
    let failure = Failure::new(Exit::Failed, "cannot run ssh").because(&error);
    Err(match error.kind() {
        io::ErrorKind::NotFound => failure.with_hint("install it: the package openssh-client"),
        _ => failure,
    })
}

/// Where this port of the guest is reached, and nobody else: at an address that is kept for it; else at a
/// port of the host that leads there; else where the guest says, if that is all that there is to know.
fn destination(vm: &Vm, port: u16) -> Option<SocketAddr> {
    let believed = best(vm, None).filter(|best| vm.believes(best));
    let at = |known: &GuestAddress| SocketAddr::new(known.address, port);
    let kept = believed.filter(|best| best.source.is_kept());
    kept.map(at).or_else(|| published(vm, port)).or_else(|| believed.map(at))
}

/// The port of the host that leads to this one of the guest.
fn published(vm: &Vm, port: u16) -> Option<SocketAddr> {
    let nics = vm.spec.iter().flat_map(|spec| &spec.config.nics);
    let leads =
        |published: &&PublishedPort| published.guest == port && published.protocol == Protocol::Tcp;
    let published = nics.flat_map(|nic| &nic.publish).find(leads)?;
    let everywhere = |address: &IpAddr| address.is_unspecified();
    let address = published.address.filter(|address| !everywhere(address));
    Some(SocketAddr::new(address.unwrap_or(Ipv4Addr::LOCALHOST.into()), published.host))
}

/// As whom the VM's owner wants people to log in.
fn user_of(vm: &Vm) -> Result<Option<String>, Failure> {
    let label = vm.spec.as_ref().and_then(|spec| spec.config.labels.get(USER_LABEL));
    label.map(|label| parse_user(label)).transpose().map_err(|problem| {
        Failure::usage(format!("the label {USER_LABEL} of {} {problem}", vm.name))
            .with_hint("say --user NAME")
    })
}

/// The VM when an ssh server of its guest answers on this port.
async fn until_reachable(
    context: &Context,
    vm: Vm,
    port: u16,
    at_most: Duration,
) -> Result<Vm, Failure> {
    let deadline = Instant::now() + at_most;
    let reached = async {
        let mut vm = vm.clone();
        loop {
            let Some(at) = destination(&vm, port) else {
                let is_somewhere = |vm: &Vm| destination(vm, port).is_some();
                wait::until_its_addresses_are(context, &vm, is_somewhere).await?;
                vm = decode(context.client.get(Target::vm(vm.id)).await?.body)?;
                continue;
            };
            // The guest says nothing when it begins to listen, so it is asked.
            match tokio::time::timeout(ATTEMPT, greeting(at)).await {
                Ok(Ok(())) => return Ok(vm),
                Ok(Err(_)) => tokio::time::sleep(AGAIN_AFTER).await,
                Err(_) => {}
            }
            vm = decode(context.client.get(Target::vm(vm.id)).await?.body)?;
        }
    };
    match tokio::time::timeout_at(deadline, reached).await {
        Ok(reached) => reached,
        Err(_) => {
            let message = match destination(&vm, port) {
                Some(at) => format!("{} does not answer at {at}", vm.name),
                None => format!("no address of {} is known", vm.name),
            };
            let hint = format!("what its guest does, its console shows: inn console {}", vm.name);
            Err(Failure::new(Exit::Timeout, message).with_hint(hint))
        }
    }
}

/// Waits for an ssh server's first words. A connection alone says little: of a published port, the host
/// takes it before the guest does.
async fn greeting(at: SocketAddr) -> io::Result<()> {
    let mut words = [0; 4];
    TcpStream::connect(at).await?.read_exact(&mut words).await?;
    if words == *b"SSH-" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
