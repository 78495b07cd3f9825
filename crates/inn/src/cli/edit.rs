//! `inn edit`: a VM's description in the caller's editor, as YAML. What the daemon refuses is opened
//! again, with the reason above it, until it is accepted or given up; no text is lost.

use super::{Context, VmArg};
use crate::{
    client::{Answer, Call, Target, decode},
    difference::{differences, show},
    document::{Document, Syntax},
    failure::{Exit, Failure},
    mutation::{Waiting, carry_out},
};
use clap::Args;
use innkeeper_model::{Code, Vm, VmConfig};
use serde_json::Value;
use std::{
    fs, io,
    io::Write,
    process::{Command, ExitStatus},
};
use tempfile::NamedTempFile;

#[derive(Debug, Args)]
pub(super) struct Edit {
    #[command(flatten)]
    vm: VmArg,
    #[command(flatten)]
    waiting: Waiting,
}

/// What the VM was when it was last read.
struct Read {
    vm: Vm,
    config: VmConfig,
    answer: Answer,
}

pub(super) async fn run(context: &Context, edit: Edit) -> Result<(), Failure> {
    let mut read = read(context, context.vm(&edit.vm.vm)).await?;
    let name = read.config.name.to_string();
    let mut body = to_yaml(&read.config)?;
    let mut reasons = Vec::new();
    // What the text is if nothing was changed in it; nothing, if to save it again means something.
    let mut baseline = Some(body.clone());
    loop {
        let draft = Draft::with(&format!("{}{body}", comment(&name, &reasons)))?;
        let refused = !reasons.is_empty();
        let text = without_comments(&draft.edit(refused)?);
        if text.trim().is_empty() || baseline.is_some_and(|baseline| text == baseline) {
            return abandon(context, &name, refused, &draft);
        }
        let failure = match attempt(context, &edit, &read, &text).await {
            Ok(()) => return Ok(()),
            Err(failure) if matches!(failure.exit, Exit::Refused | Exit::Usage) => failure,
            Err(failure) => return Err(draft.keep(failure)),
        };
        reasons = failure.to_string().lines().map(Into::into).collect();
        baseline = Some(text.clone());
        if failure.code == Some(Code::RevisionConflict) {
            let before = read.config;
            let target = Target::vm(read.vm.id);
            read = self::read(context, target).await.map_err(|failure| draft.keep(failure))?;
            reasons.extend(meanwhile(&before, &read.config));
            baseline = None;
        }
        context.output.fail(&failure);
        body = text;
    }
}

async fn read(context: &Context, target: Target) -> Result<Read, Failure> {
    let answer = context.client.get(target).await?;
    let vm: Vm = decode(answer.body.clone())?;
    let Some(spec) = &vm.spec else {
        let problem = vm.problem.clone().unwrap_or_default();
        return Err(Failure::new(Exit::Refused, format!("{} cannot be read: {problem}", vm.name))
            .with_hint("inn doctor"));
    };
    let config = spec.config.clone();
    Ok(Read { vm, config, answer })
}

async fn attempt(context: &Context, edit: &Edit, read: &Read, text: &str) -> Result<(), Failure> {
    let document = Document::parse(text, Syntax::Yaml)?;
    document.check()?;
    let call = Call::put(Target::vm(read.vm.id))
        .if_match(read.answer.etag.clone())
        .with_body(document.into_value());
    let job = context.job(read.config.name.as_str(), call, "changed");
    carry_out(context, edit.waiting, vec![job]).await
}

fn abandon(context: &Context, name: &str, refused: bool, file: &Draft) -> Result<(), Failure> {
    if refused {
        return Err(file.keep(Failure::new(Exit::Refused, format!("{name} was not changed"))));
    }
    context.output.talk(format_args!("{name}: unchanged"));
    Ok(())
}

/// What somebody else changed between the two.
fn meanwhile(before: &VmConfig, after: &VmConfig) -> Vec<String> {
    let as_json = |config| serde_json::to_value(config).unwrap_or(Value::Null);
    let changes = differences(&as_json(before), &as_json(after));
    let mut lines = vec!["What was changed meanwhile; save this again to overwrite it:".to_owned()];
    lines.extend(changes.iter().map(|change| format!("  {}", show(change))));
    lines
}

fn comment(name: &str, reasons: &[String]) -> String {
    let mut text = format!(
        "# The VM {name}. Lines that begin with # are left out; a file that is empty or was not\n\
         # changed changes nothing. Secrets are shown as digests, and are kept if those are.\n"
    );
    if !reasons.is_empty() {
        text.push_str("#\n# This was not accepted:\n");
        text.extend(reasons.iter().map(|line| format!("#   {line}\n")));
    }
    text
}

/// The text without our own comments: lines in a block of text keep their `#`, being indented.
fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

fn to_yaml(config: &VmConfig) -> Result<String, Failure> {
    // By way of JSON, since YAML would show an enum as a tag (`!kernel`) otherwise.
    serde_json::to_value(config)
        .map_err(|error| error.to_string())
        .and_then(|value| serde_yaml_ng::to_string(&value).map_err(|error| error.to_string()))
        .map_err(|problem| Failure::new(Exit::Failed, format!("cannot write YAML: {problem}")))
}

/// The file that is edited: readable by its owner only, and gone afterwards unless it is kept.
struct Draft {
    file: NamedTempFile,
}

impl Draft {
    fn with(text: &str) -> Result<Self, Failure> {
        let write = || {
            let mut file = tempfile::Builder::new().prefix("inn-").suffix(".yaml").tempfile()?;
            file.write_all(text.as_bytes())?;
            Ok(Self { file })
        };
        write().map_err(|error: io::Error| {
            Failure::new(Exit::Failed, "cannot write a file to edit").because(&error)
        })
    }

    /// Opens the editor and waits for it to be closed; returns what was written. `precious` says that
    /// the text is somebody's work already.
    fn edit(&self, precious: bool) -> Result<String, Failure> {
        let editor = ["VISUAL", "EDITOR"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty()));
        let editor = editor.unwrap_or_else(|| "vi".into());
        // As git does: the variable may hold a command with arguments.
        let status = Command::new("sh")
            .args(["-c", &format!("{editor} \"$1\""), "sh"])
            .arg(self.file.path())
            .status();
        match status.as_ref().map(ExitStatus::success) {
            Ok(true) => fs::read_to_string(self.file.path()).map_err(|error| {
                self.keep(
                    Failure::new(Exit::Failed, "cannot read what was written").because(&error),
                )
            }),
            _ => {
                let how =
                    status.map_or_else(|error| error.to_string(), |status| status.to_string());
                let failure =
                    Failure::new(Exit::Failed, format!("the editor {editor:?} failed: {how}"))
                        .with_hint("set VISUAL or EDITOR to one that works");
                Err(if precious { self.keep(failure) } else { failure })
            }
        }
    }

    /// Leaves the file where it is, and says where.
    fn keep(&self, failure: Failure) -> Failure {
        // A copy, since a temporary file can be kept only by whoever owns it.
        let kept = tempfile::Builder::new()
            .prefix("inn-kept-")
            .suffix(".yaml")
            .tempfile()
            .and_then(|file| fs::copy(self.file.path(), file.path()).map(|_| file))
            .and_then(|file| file.keep().map_err(|error| error.error));
        match kept {
            Ok((_, path)) => failure.with_hint(format!("your text is kept in {}", path.display())),
            Err(_) => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_comments_are_left_out() {
        let text = "# ours\nname: web\ncloud_init:\n  user_data: |\n    #cloud-config\n";
        assert_eq!(without_comments(text), text.strip_prefix("# ours\n").unwrap());
    }

    #[test]
    fn a_kernel_is_written_as_it_is_read() {
        let text = "name: web\nboot: {kernel: {image: tiny}}\n";
        let config = Document::parse(text, Syntax::Yaml).unwrap().check().unwrap();
        let yaml = to_yaml(&config).unwrap();
        assert!(!yaml.contains('!'), "{yaml}");
        assert_eq!(Document::parse(&yaml, Syntax::Yaml).unwrap().check().unwrap(), config);
    }
}
