//! `inn image add`, `commit`, `upload`, `download`, `list`, `get`, `delete`.

mod commit;
mod download;
mod upload;

use super::{
    Context, completion,
    dry_run::{self, DryRun},
};
use crate::{
    client::{Call, Target, decode},
    failure::Failure,
    figures::{about, age},
    folders::Surroundings,
    mutation::{Job, Shows, Waiting},
    output::{Cell, Format, Table, Tint},
};
use clap::{Args, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use clap_complete::engine::ArgValueCompleter;
use innkeeper_model::{DiskFormat, Image, ImageKind, ImageName, Timestamp};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum ImageCommand {
    /// Import an image from a file or a URL
    Add(Add),
    /// Make an image of a stopped VM's disk
    Commit(commit::Commit),
    /// Send a file to the daemon, and import it as an image
    Upload(upload::Upload),
    /// Fetch an image's bytes from the daemon into a file
    Download(download::Download),
    /// List images
    #[command(visible_alias = "ls")]
    List,
    /// Show one image
    Get(ImageArg),
    /// Delete images
    #[command(visible_alias = "rm")]
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The file, which the daemon must be able to read, or an http or https URL
    #[arg(value_name = "FILE|URL")]
    source: String,
    /// The image's name
    #[arg(long)]
    name: ImageName,
    /// What it is for
    #[arg(long, value_enum)]
    kind: Kind,
    /// The disk's format; told by its header if it is not said
    #[arg(long)]
    format: Option<DiskFormat>,
    /// The initrd that goes with a kernel
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// What it must be: sha256:DIGEST
    #[arg(long, value_name = "DIGEST")]
    checksum: Option<String>,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A disk to make copies of
    Disk,
    /// A Linux kernel
    Kernel,
    /// A CD-ROM
    Iso,
}

impl From<Kind> for ImageKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Disk => Self::Disk,
            Kind::Kernel => Self::Kernel,
            Kind::Iso => Self::Iso,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ImageArg {
    #[arg(
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completion::image_names),
    )]
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    #[arg(
        required = true,
        value_name = "NAME",
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completion::image_names),
    )]
    names: Vec<String>,
    #[command(flatten)]
    planning: DryRun,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(
    context: &Context,
    surroundings: &Surroundings,
    command: ImageCommand,
) -> Result<(), Failure> {
    match command {
        ImageCommand::Add(image) => add(context, surroundings, image).await,
        ImageCommand::Commit(commit) => commit::run(context, commit).await,
        ImageCommand::Upload(upload) => upload::run(context, upload).await,
        ImageCommand::Download(download) => download::run(context, download).await,
        ImageCommand::List => list(context).await,
        ImageCommand::Get(image) => get(context, &image.name).await,
        ImageCommand::Delete(images) => delete(context, images).await,
    }
}

fn target(name: &str) -> Target {
    Target::new("/v1/images").segment(name)
}

async fn add(context: &Context, surroundings: &Surroundings, image: Add) -> Result<(), Failure> {
    let call = Call::post(Target::new("/v1/images")).with_body(request(&image, surroundings));
    let subject = image.name.to_string();
    let job = Job { subject, call, done: "added", shows: Shows::Image };
    dry_run::carry_out(context, image.planning, image.waiting, vec![job]).await
}

fn request(image: &Add, surroundings: &Surroundings) -> Value {
    let mut body = json!({"name": image.name, "kind": ImageKind::from(image.kind)});
    if image.source.starts_with("http://") || image.source.starts_with("https://") {
        body["url"] = image.source.as_str().into();
    } else {
        body["path"] = json!(surroundings.absolute(Path::new(&image.source)));
    }
    if let Some(format) = image.format {
        body["format"] = json!(format);
    }
    if let Some(initrd) = &image.initrd {
        body["initrd"] = json!(surroundings.absolute(initrd));
    }
    if let Some(checksum) = &image.checksum {
        body["checksum"] = checksum.as_str().into();
    }
    body
}

async fn list(context: &Context) -> Result<(), Failure> {
    let output = &context.output;
    let items = context.client.list(Target::new("/v1/images")).await?;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&items);
    }
    let images: Vec<Image> = items.into_iter().map(decode).collect::<Result<_, _>>()?;
    if output.format == Format::Name {
        return images.iter().try_for_each(|image| output.line(&image.name));
    }
    if images.is_empty() {
        output.talk("there are no images; import one with inn image add");
        return Ok(());
    }
    let now = Timestamp::now();
    let headings = ["NAME", "STATE", "KIND", "FORMAT", "SIZE", "DISK", "AGE", "SOURCE"];
    let mut table = Table::new(headings);
    for image in images {
        let is_disk = image.kind == ImageKind::Disk && image.problem.is_none();
        let disk = if is_disk { about(image.virtual_size) } else { String::new() };
        table.row([
            image.name.as_str().into(),
            state(&image),
            kind(image.kind).into(),
            image.format.as_str().into(),
            about(image.size).into(),
            disk.into(),
            age(image.created, now).into(),
            image.problem.unwrap_or(image.source).into(),
        ]);
    }
    output.table(&table)
}

async fn get(context: &Context, name: &str) -> Result<(), Failure> {
    let output = &context.output;
    let body = context.client.get(target(name)).await?.body;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&body);
    }
    let image: Image = decode(body)?;
    if output.format == Format::Name {
        return output.line(image.name);
    }
    let mut table = Table::of_fields();
    table.field("name", image.name.as_str());
    table.field("state", state(&image));
    if let Some(problem) = image.problem {
        table.field("problem", problem);
        table.field("made", format!("{:.0}", image.created));
        return output.table(&table);
    }
    table.field("kind", kind(image.kind));
    table.field("format", image.format.as_str());
    table.field("size", about(image.size));
    if image.kind == ImageKind::Disk {
        table.field("disk", about(image.virtual_size));
    }
    if image.kind == ImageKind::Kernel {
        table.field("initrd", if image.initrd { "yes" } else { "no" });
    }
    table.field("digest", image.digest);
    table.field("source", image.source);
    if let Some(lineage) = &image.lineage {
        commit::show(&mut table, lineage);
    }
    table.field("created", format!("{:.0}", image.created));
    output.table(&table)
}

/// Whether it can be used.
fn state(image: &Image) -> Cell {
    match image.problem {
        None => Cell::tinted("ready", Tint::Good),
        Some(_) => Cell::tinted("damaged", Tint::Bad),
    }
}

const fn kind(kind: ImageKind) -> &'static str {
    match kind {
        ImageKind::Disk => "disk",
        ImageKind::Kernel => "kernel",
        ImageKind::Iso => "iso",
    }
}

async fn delete(context: &Context, images: Delete) -> Result<(), Failure> {
    let job = |name: String| {
        let call = Call::delete(target(&name));
        Job { subject: name, call, done: "deleted", shows: Shows::Task }
    };
    let jobs = images.names.into_iter().map(job).collect();
    dry_run::carry_out(context, images.planning, images.waiting, jobs).await
}
