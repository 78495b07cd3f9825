//! The command line: what can be said, and who does it. A file a command.

mod addresses;
mod adopt;
mod agent;
mod apply;
mod audit;
mod auth;
mod certificate;
mod chypervisord;
mod clone;
mod completion;
mod console;
mod cp;
mod create;
mod delete;
mod diagnose;
mod disk;
mod doctor;
mod dry_run;
mod edit;
mod editing;
mod elsewhere;
mod events;
mod exec;
mod expiry;
mod export;
mod get;
mod host;
mod image;
mod import;
mod ip;
mod list;
mod logs;
mod lookup;
mod man;
mod network;
mod nic;
mod project;
mod rename;
mod room;
mod screenshot;
mod send_key;
mod serve;
mod ssh;
mod start;
mod stats;
mod stop;
mod subnet;
mod task;
mod tasks;
mod token;
mod verb;
mod version;
mod vmadm;
mod vminfo;
mod vnc;
mod wait;

use crate::{
    client::{Client, Target, decode},
    failure::{Exit, Failure},
    folders::Surroundings,
    mutation::{Job, Shows},
    output::{Format, Output},
};
use clap::{Args, CommandFactory, Parser, Subcommand, builder::NonEmptyStringValueParser};
use clap_complete::{CompleteEnv, engine::ArgValueCompleter};
use innkeeper_model::{Vm, VmId};
use std::{path::PathBuf, process::ExitCode};

/// What follows the options in `inn --help` and the manual.
const AFTER_HELP: &str = "\
VMs are named by their name, their id, or the beginning of either, if no other VM's begins so.

Exit codes:
  0    it was done
  1    it was tried and failed
  2    the command line, or a file that it names, makes no sense
  3    there is no such VM, image, network, subnet or task
  4    the daemon refused it, and nothing was changed: a value that is not allowed, a state in which
       it is not possible, a name that is taken, something that was changed meanwhile, no permission
  5    the daemon cannot be reached
  6    it did not happen in time
  130  Ctrl-C while waiting; the task that was waited for goes on
`inn exec` exits as the program in the guest did.

Environment:
  INN_STATE_DIR, INN_SOCKET  what --state-dir and --socket say, unless either is given
  INN_URL, INN_CA, INN_CERTIFICATE, INN_KEY
                             what --url, --ca, --certificate and --key say, unless --url is given
  INN_TOKEN                  the token to show to a daemon that is reached by --url or INN_URL
  NO_COLOR                   no colours
  VISUAL, EDITOR             what `inn edit` opens

Files:
  /etc/innkeeper/config.toml  the daemon's configuration
  /run/innkeeper/inn.sock     its socket; diagnose.sock beside it answers when it is stuck
  /var/lib/innkeeper          what it keeps
For users other than root: ~/.config, $XDG_RUNTIME_DIR and ~/.local/state, with innkeeper/ in them.";

/// Innkeeper keeps the guests of a Linux host
#[derive(Debug, Parser)]
#[command(name = "inn", version, after_long_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    /// The folder that the daemon keeps everything in: specs, run folder, socket and token
    /// [env: INN_STATE_DIR]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    state_dir: Option<PathBuf>,
    /// The daemon's socket [env: INN_SOCKET]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global options")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    elsewhere: elsewhere::Elsewhere,
    /// The project that VMs are looked for in; needed where projects share names
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    project: Option<String>,
    /// How to show data
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = true,
        help = "How to show data: table, json, yaml or name",
        help_heading = "Global options"
    )]
    output: Format,
    /// Say nothing but data and errors
    #[arg(short, long, global = true, help_heading = "Global options")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve(serve::Serve),
    /// Run the daemon with the door of chypervisord and no other
    Chypervisord(chypervisord::Chypervisord),
    /// List VMs
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Find VMs by what they have
    Lookup(lookup::Lookup),
    /// Show one VM
    Get(VmArg),
    /// Create a VM
    Create(Box<create::Create>),
    /// Create a VM from a file, or change it to be as the file says
    Apply(apply::Apply),
    /// Change a VM in an editor
    Edit(edit::Edit),
    /// Make a copy of a stopped VM
    Clone(clone::Clone),
    /// Write a stopped VM into one file
    Export(export::Export),
    /// Make a VM of a file that `inn export` has written
    Import(import::Import),
    /// Give a VM another name
    Rename(rename::Rename),
    /// Start VMs
    Start(start::Start),
    /// Ask VMs to shut down
    Stop(stop::Stop),
    /// End VMs at once, as if their plug were pulled
    Kill(verb::Vms),
    /// Ask VMs to restart
    Reboot(stop::Stop),
    /// Restart VMs at once, as if their reset button were pressed
    Reset(verb::Vms),
    /// Hold VMs' CPUs
    Pause(verb::Vms),
    /// Write VMs' memory to files, and end their machines
    Suspend(verb::Vms),
    /// Let paused VMs go on, and suspended ones from their memory
    Resume(verb::Vms),
    /// Delete VMs and their disks
    #[command(visible_alias = "rm")]
    Delete(delete::Delete),
    /// Connect the terminal to a VM's serial console; Ctrl-] leaves
    Console(console::Console),
    /// Show a VM's screen in a viewer
    Vnc(vnc::Vnc),
    /// Write a picture of a VM's screen
    Screenshot(screenshot::Screenshot),
    /// Press keys of a VM's keyboard
    SendKey(send_key::SendKey),
    /// Run a program in a guest
    Exec(exec::Exec),
    /// Copy a file into a guest or out of it
    Cp(cp::Cp),
    /// Ask the agent in a guest, have its file systems held still, or its clock set
    Agent(agent::Agent),
    /// Show where a VM's guest is reached
    Ip(ip::Ip),
    /// Log in to a VM's guest, or run something there, with ssh
    Ssh(ssh::Ssh),
    /// Show what a VM has written to its serial console
    Logs(logs::Logs),
    /// Show what a running VM has used of the host
    Stats(VmArg),
    /// Show what happens, as it happens
    Events(events::Events),
    /// List what is being done
    Tasks(tasks::Tasks),
    /// Show, follow or stop something that is being done, or see it through
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Add, show and delete images
    #[command(subcommand, visible_alias = "images")]
    Image(image::ImageCommand),
    /// Fetch VMs' disks
    #[command(subcommand, visible_alias = "disks")]
    Disk(disk::DiskCommand),
    /// Create, show, change and delete networks
    #[command(subcommand, visible_alias = "networks")]
    Network(network::NetworkCommand),
    /// Show, add, take out and change a VM's NICs, while it runs as well
    #[command(subcommand, visible_alias = "nics")]
    Nic(nic::NicCommand),
    /// Create, show and delete ranges of addresses on networks, and keep addresses of them
    #[command(subcommand, visible_alias = "subnets")]
    Subnet(subnet::SubnetCommand),
    /// Bound what projects may take of this host, and show what they have
    #[command(subcommand, visible_alias = "projects")]
    Project(project::ProjectCommand),
    /// Issue, list and revoke the tokens of callers over TCP
    #[command(subcommand, visible_alias = "tokens")]
    Token(token::TokenCommand),
    /// Issue, list, renew and revoke the certificates of callers over TLS; print whom they are to trust
    #[command(subcommand, visible_alias = "certificates")]
    Certificate(certificate::CertificateCommand),
    /// Show what each role of a caller may
    #[command(subcommand)]
    Auth(auth::AuthCommand),
    /// Show the host, its hypervisor, and what stands between it and its guests
    Host,
    /// Take over a machine on this host that somebody else made
    Adopt(adopt::Adopt),
    /// Wait until a VM is in a state, or its guest has an address
    Wait(wait::Wait),
    /// Show who had what done, and what was refused to whom
    Audit(audit::Audit),
    /// Show what is missing here, and the commands that mend it
    ///
    /// Exits with 1 if something is missing without which no VM runs, and with 0 if something is
    /// lacking without which VMs are slower, weaker or not asked for yet. It needs no daemon, and
    /// changes nothing.
    Doctor,
    /// Show what the daemon does and what is wrong, even if it is stuck
    Diagnose(diagnose::Diagnose),
    /// Print what makes a shell complete inn's commands and names
    Completion(completion::Completion),
    /// Print the manual page, or write all of them to a folder
    Man(man::Man),
    /// Manage VMs with the words of SmartOS: list, lookup, get, create, start, stop, reboot, update, delete,
    /// events
    Vmadm(vminfo::Words),
    /// Ask vminfod's door: ping, status, vms, vm, events
    Vminfo(vminfo::Words),
    /// Show the versions of this program and of the daemon
    Version,
}

/// One VM.
#[derive(Debug, Args)]
struct VmArg {
    /// The VM: its name, its id, or the beginning of either
    #[arg(
        value_name = "VM",
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completion::vm_names),
    )]
    vm: String,
}

/// One VM or several.
#[derive(Debug, Args)]
struct VmsArg {
    /// The VMs: their names, their ids, or the beginnings of either
    #[arg(
        value_name = "VM",
        required = true,
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completion::vm_names),
    )]
    vms: Vec<String>,
}

/// What a command needs to talk to the daemon and to its caller.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) output: Output,
    project: Option<String>,
}

impl Context {
    /// The VM that the caller means.
    fn vm(&self, name: &str) -> Target {
        Target::vm(name).with_any("project", self.project.as_deref())
    }

    /// The id of the VM that the caller means. An id is taken as it is: what was done to a VM is
    /// remembered when it is gone.
    async fn vm_id(&self, name: &str) -> Result<VmId, Failure> {
        match name.parse() {
            Ok(id) => Ok(id),
            Err(_) => Ok(decode::<Vm>(self.client.get(self.vm(name)).await?.body)?.id),
        }
    }

    /// Something of the VM that the caller means.
    fn of_vm(&self, name: &str, part: &str) -> Target {
        Target::vm(name).segment(part).with_any("project", self.project.as_deref())
    }

    /// The bytes of a disk of the VM that the caller means.
    fn disk_file(&self, vm: &str, disk: &str) -> Target {
        let disk = Target::vm(vm).segment("disks").segment(disk);
        disk.segment("file").with_any("project", self.project.as_deref())
    }

    /// A change of the VM that leaves a VM.
    fn job(&self, vm: &str, call: crate::client::Call, done: &'static str) -> Job {
        Job { subject: vm.into(), call, done, shows: Shows::Vm }
    }
}

/// Reads the command line, does what it says, and says how that went.
pub fn main() -> ExitCode {
    CompleteEnv::with_factory(Cli::command).var(completion::VARIABLE).complete();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // To print help to a reader who has gone is no failure either.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    let output = Output::new(cli.global.output, cli.global.quiet);
    match run(cli, &output) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            output.fail(&failure);
            failure.exit.into()
        }
    }
}

fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    let Global { state_dir, socket, elsewhere, project, .. } = cli.global;
    let surroundings = Surroundings::of_process(state_dir.as_deref(), socket.as_deref());
    match cli.command {
        Command::Serve(serve) => return serve::run(serve, &surroundings),
        Command::Chypervisord(asked) => return chypervisord::run(asked, &surroundings),
        Command::Completion(completion) => return completion::run(&completion, output),
        Command::Man(man) => return man::run(&man, output),
        Command::Auth(auth) => return auth::run(auth, output),
        _ => {}
    }
    let client = match elsewhere.remote(&surroundings)? {
        Some(remote) => Client::elsewhere(remote),
        None => Client::new(surroundings.socket()?),
    };
    let context = Context { client, output: output.clone(), project };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "cannot start").because(&error))?;
    runtime.block_on(Box::pin(ask(&context, &surroundings, cli.command)))
}

async fn ask(
    context: &Context,
    surroundings: &Surroundings,
    command: Command,
) -> Result<(), Failure> {
    match command {
        Command::List(list) => list::run(context, list).await,
        Command::Lookup(lookup) => lookup::run(context, lookup).await,
        Command::Get(vm) => get::run(context, &vm.vm).await,
        Command::Create(create) => create::run(context, surroundings, *create).await,
        Command::Apply(apply) => apply::run(context, apply).await,
        Command::Edit(edit) => edit::run(context, edit).await,
        Command::Clone(clone) => clone::run(context, clone).await,
        Command::Export(export) => export::run(context, export).await,
        Command::Import(import) => import::run(context, import).await,
        Command::Rename(rename) => rename::run(context, rename).await,
        Command::Start(start) => start::run(context, start).await,
        Command::Stop(stop) => stop::run(context, stop, "stop", "stopped").await,
        Command::Kill(vms) => verb::run(context, vms, "kill", "killed").await,
        Command::Reboot(stop) => stop::run(context, stop, "reboot", "rebooted").await,
        Command::Reset(vms) => verb::run(context, vms, "reset", "reset").await,
        Command::Pause(vms) => verb::run(context, vms, "pause", "paused").await,
        Command::Suspend(vms) => verb::run(context, vms, "suspend", "suspended").await,
        Command::Resume(vms) => verb::run(context, vms, "resume", "resumed").await,
        Command::Delete(delete) => delete::run(context, delete).await,
        Command::Console(console) => console::run(context, console).await,
        Command::Vnc(vnc) => vnc::run(context, vnc).await,
        Command::Screenshot(screenshot) => screenshot::run(context, screenshot).await,
        Command::SendKey(send) => send_key::run(context, send).await,
        Command::Exec(exec) => exec::run(context, exec).await,
        Command::Cp(cp) => cp::run(context, cp).await,
        Command::Agent(agent) => agent::run(context, agent).await,
        Command::Ip(ip) => ip::run(context, ip).await,
        Command::Ssh(ssh) => ssh::run(context, ssh).await,
        Command::Logs(logs) => logs::run(context, logs).await,
        Command::Stats(vm) => stats::run(context, &vm.vm).await,
        Command::Events(events) => events::run(context, events).await,
        Command::Tasks(tasks) => tasks::run(context, tasks).await,
        Command::Task(task) => task::run(context, task).await,
        Command::Image(image) => image::run(context, surroundings, image).await,
        Command::Disk(disk) => disk::run(context, disk).await,
        Command::Network(network) => network::run(context, network).await,
        Command::Nic(nic) => nic::run(context, nic).await,
        Command::Subnet(subnet) => subnet::run(context, subnet).await,
        Command::Project(project) => project::run(context, project).await,
        Command::Token(token) => token::run(context, token).await,
        Command::Certificate(certificate) => certificate::run(context, certificate).await,
        Command::Host => host::run(context).await,
        Command::Adopt(adopt) => adopt::run(context, adopt).await,
        Command::Wait(wait) => wait::run(context, wait).await,
        Command::Audit(audit) => audit::run(context, audit).await,
        Command::Diagnose(diagnose) => diagnose::run(context, surroundings, diagnose).await,
        Command::Doctor => doctor::run(context, surroundings).await,
        Command::Vmadm(words) => vmadm::run(context, words).await,
        Command::Vminfo(words) => vminfo::run(&context.output, words).await,
        Command::Version => version::run(context).await,
        Command::Serve(_)
        | Command::Chypervisord(_)
        | Command::Completion(_)
        | Command::Man(_)
        | Command::Auth(_) => {
            unreachable!("these ask no daemon, and were done before")
        }
    }
}

#[cfg(test)]
#[path = "cli/examples_tests.rs"]
mod examples;
