//! `inn certificate create`, `list`, `renew`, `revoke`, `authority`. A key is made here, and stays here.

use super::{
    Context, completion, expiry,
    token::{COLUMNS, cells},
};
use crate::{
    client::{Call, Target, decode},
    failure::{Exit, Failure},
    output::{Format, Table},
};
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use clap_complete::engine::ArgValueCompleter;
use innkeeper_auth::{
    Role,
    certificate::{KeyAndRequest, ShownCertificate, common_name},
};
use innkeeper_model::{Refusal, Secret, Timestamp, TokenName};
use innkeeper_store::write_atomically;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

#[derive(Debug, Subcommand)]
pub(super) enum CertificateCommand {
    /// Make a key, and have a certificate for it signed: NAME.key, NAME.crt, and NAME.ca.crt to trust
    Create(Create),
    /// Make a certificate known that an authority of client_authorities has signed
    Accept(Accept),
    /// List the certificates that were issued, and when each was used
    #[command(visible_alias = "ls")]
    List,
    /// Replace a certificate by one that lasts as long again, shown to the daemon at --url
    Renew(Renew),
    /// Have certificates refused from now on
    #[command(visible_alias = "rm")]
    Revoke(Revoke),
    /// Print what callers are to trust: the certificates of the daemon's authority
    Authority,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Whoever shows the certificate is known as cert:NAME in tasks and logs. With --project \
    nothing of other projects is there for them; an owner needs one. The key never leaves this host."
)]
pub(super) struct Create {
    /// Its name
    name: TokenName,
    #[command(flatten)]
    rights: Rights,
    /// The folder to write the files to, which is made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Accept {
    /// Its name
    name: TokenName,
    /// The certificate, in PEM
    #[arg(value_name = "CERTIFICATE")]
    file: PathBuf,
    #[command(flatten)]
    rights: Rights,
}

/// What a certificate stands for.
#[derive(Debug, Args)]
struct Rights {
    /// What its bearers may do; inn auth table shows it
    #[arg(long, value_parser = PossibleValuesParser::new(Role::ALL.map(Role::as_str)))]
    role: String,
    /// From when on it is refused: a span such as 90d or 12h, a date, or a time such as
    /// 2027-01-31T12:00:00Z; if nothing is said, after 90 days, or at the end of one that is accepted
    #[arg(long, value_name = "WHEN", value_parser = expiry::parse)]
    expires: Option<Timestamp>,
    /// It has a privileged caller's room in the limits of requests
    #[arg(long)]
    privileged: bool,
}

impl Rights {
    /// As the daemon is asked for them.
    fn of(&self, context: &Context, name: &TokenName) -> Value {
        let Self { role, expires, privileged } = self;
        let mut body = json!({ "name": name, "role": role, "privileged": privileged });
        if let Some(project) = &context.project {
            body["project"] = project.as_str().into();
        }
        if let Some(expires) = expires {
            body["expires"] = expires.to_string().into();
        }
        body
    }
}

#[derive(Debug, Args)]
pub(super) struct Renew {
    /// The certificate, which is replaced
    #[arg(value_name = "CERTIFICATE")]
    file: PathBuf,
    /// Its key, which is kept
    #[arg(value_name = "KEY")]
    key_file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The certificates' names
    #[arg(
        value_name = "NAME",
        required = true,
        add = ArgValueCompleter::new(completion::certificate_names),
    )]
    names: Vec<TokenName>,
}

pub(super) async fn run(context: &Context, command: CertificateCommand) -> Result<(), Failure> {
    match command {
        CertificateCommand::Create(create) => self::create(context, create).await,
        CertificateCommand::Accept(accept) => self::accept(context, accept).await,
        CertificateCommand::List => list(context).await,
        CertificateCommand::Renew(renew) => self::renew(context, renew).await,
        CertificateCommand::Revoke(certificates) => revoke(context, certificates).await,
        CertificateCommand::Authority => authority(context).await,
    }
}

/// What the daemon answers to who has a certificate signed.
#[derive(Deserialize)]
struct Signed {
    pem: String,
    authority: String,
}

async fn create(context: &Context, create: Create) -> Result<(), Failure> {
    let Create { name, rights, out } = create;
    let file = |end: &str| out.join(format!("{name}{end}"));
    let (key_file, certificate, ca) = (file(".key"), file(".crt"), file(".ca.crt"));
    for taken in [&certificate, &ca] {
        if taken.exists() {
            return Err(exists(taken));
        }
    }
    let made = KeyAndRequest::generate(name.as_str())
        .map_err(|error| Failure::new(Exit::Failed, "cannot make a key").because(&error))?;
    let mut body = rights.of(context, &name);
    body["request"] = made.request.into();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&out).map_err(|error| {
        let message = format!("cannot make the folder {}", out.display());
        Failure::new(Exit::Failed, message).because(&error)
    })?;
    // Before anything is signed: a certificate without its key is of no use to anybody.
    write_key(&key_file, &made.key)?;
    let call = Call::post(Target::new("/v1/certificates")).with_body(body);
    let answer = context.client.call(call).await.map(|answer| answer.body);
    let signed = answer.and_then(|answer| Ok((decode::<Signed>(answer.clone())?, answer)));
    let (signed, answer) = match signed {
        Ok(signed) => signed,
        Err(failure) if failure.in_doubt => {
            let key = key_file.display();
            return Err(failure.with_hint(format!(
                "{name} may have been issued, and its key is {key}: see inn certificate list. One without its \
                 certificate is of no use: inn certificate revoke {name}, remove {key}, and create it again"
            )));
        }
        Err(failure) => {
            let _it_was_just_made = fs::remove_file(&key_file);
            return Err(failure);
        }
    };
    let written = write(&certificate, &signed.pem).and_then(|()| write(&ca, &signed.authority));
    let output = &context.output;
    if let Err(failure) = written {
        // The daemon does not say it twice.
        match output.format {
            Format::Json | Format::Yaml => output.document(&answer)?,
            Format::Table | Format::Name => output.line(signed.pem.trim_end())?,
        }
        let (certificate, key) = (certificate.display(), key_file.display());
        let hint = format!("save what is printed as {certificate}; its key is {key}");
        return Err(failure.with_hint(hint));
    }
    match output.format {
        Format::Json | Format::Yaml => return output.document(&answer),
        Format::Name => return output.line(&name),
        Format::Table => {}
    }
    for written in [&key_file, &certificate, &ca] {
        output.line(written.display())?;
    }
    let [key_file, certificate, ca] = [&key_file, &certificate, &ca].map(|file| file.display());
    output.talk(format_args!(
        "inn --url https://HOST:PORT --ca {ca} --certificate {certificate} --key {key_file} list"
    ));
    Ok(())
}

async fn accept(context: &Context, accept: Accept) -> Result<(), Failure> {
    let Accept { name, file, rights } = accept;
    let mut body = rights.of(context, &name);
    body["certificate"] = String::from_utf8_lossy(&read(&file)?).into();
    let call = Call::post(Target::new("/v1/certificates")).with_body(body);
    let answer = context.client.call(call).await?.body;
    match context.output.format {
        Format::Json | Format::Yaml => context.output.document(&answer),
        Format::Name => context.output.line(&name),
        Format::Table => {
            context.output.talk(format_args!("whoever shows it is cert:{name}"));
            Ok(())
        }
    }
}

async fn renew(context: &Context, renew: Renew) -> Result<(), Failure> {
    let Renew { file, key_file } = renew;
    let unusable = || Failure::usage(format!("{} has no certificate in PEM", file.display()));
    let der = CertificateDer::from_pem_slice(&read(&file)?).map_err(|_| unusable())?;
    let name = common_name(&der).map_err(|_| unusable())?;
    let key = Secret::new(String::from_utf8_lossy(&read(&key_file)?));
    let asked = KeyAndRequest::again(&key, &name).map_err(|error| {
        Failure::usage(format!("{} cannot be used", key_file.display())).because(&error)
    })?;
    let target = Target::new("/v1/certificates").segment(&name).segment("renew");
    let call = Call::post(target).with_body(json!({ "request": asked.request }));
    let answer = context.client.call(call).await?.body;
    let signed: Signed = decode(answer.clone())?;
    write(&file, &signed.pem)?;
    let output = &context.output;
    match output.format {
        Format::Json | Format::Yaml => output.document(&answer),
        Format::Name => output.line(&name),
        Format::Table => {
            output.talk(format_args!("{} is renewed", file.display()));
            Ok(())
        }
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let output = &context.output;
    let items = context.client.list(Target::new("/v1/certificates")).await?;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&items);
    }
    let all: Vec<ShownCertificate> = items.into_iter().map(decode).collect::<Result<_, _>>()?;
    if output.format == Format::Name {
        return all.iter().try_for_each(|certificate| output.line(&certificate.credential.name));
    }
    if all.is_empty() {
        output.talk("no certificates were issued; make one with inn certificate create");
        return Ok(());
    }
    output.table(&table(&all, Timestamp::now()))
}

fn table(all: &[ShownCertificate], now: Timestamp) -> Table {
    let [name, state, role, project, expires, used, age, by] = COLUMNS;
    let mut table = Table::new([name, state, role, project, expires, used, age, by, "SERIAL"]);
    for ShownCertificate { credential, serial, .. } in all {
        let [name, state, role, project, expires, used, age, by] = cells(credential, now);
        let serial = serial.as_str().into();
        table.row([name, state, role, project, expires, used, age, by, serial]);
    }
    table
}

async fn revoke(context: &Context, revoke: Revoke) -> Result<(), Failure> {
    let mut answers = Vec::new();
    for name in &revoke.names {
        let call = Call::delete(Target::new("/v1/certificates").segment(name));
        answers.push(context.client.call(call).await?.body);
        context.output.talk(format_args!("{name} is refused from now on"));
    }
    match context.output.format {
        Format::Json | Format::Yaml => context.output.document(&answers),
        Format::Table | Format::Name => Ok(()),
    }
}

/// What the daemon says of its authority.
#[derive(Deserialize)]
struct Authority {
    pem: String,
}

async fn authority(context: &Context) -> Result<(), Failure> {
    let answer = context.client.get(Target::new("/v1/authority")).await?.body;
    match context.output.format {
        Format::Json | Format::Yaml => context.output.document(&answer),
        Format::Table | Format::Name => {
            let Authority { pem } = decode(answer)?;
            context.output.line(pem.trim_end())
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path)
        .map_err(|error| Failure::usage(format!("cannot read {}", path.display())).because(&error))
}

/// Writes a new key, for its owner alone.
fn write_key(path: &Path, key: &Secret) -> Result<(), Failure> {
    let write = || {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(key.expose().unwrap_or_default().as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::new(Exit::Failed, format!("cannot write {}", path.display())).because(&error),
    })
}

fn write(path: &Path, pem: &str) -> Result<(), Failure> {
    Ok(write_atomically(path, pem.as_bytes(), 0o644).map_err(Refusal::from)?)
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!("{} is there already", path.display()))
        .with_hint("choose another name or folder (--out DIR), or move it away")
}
