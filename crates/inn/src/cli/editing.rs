//! A configuration in the caller's editor, as YAML. What the daemon refuses is opened again, with the
//! reason above it, until it is accepted or given up; no text is lost.

use super::{
    Context,
    dry_run::{self, DryRun},
};
use crate::{
    client::{Call, Target},
    difference::{differences, show},
    failure::{Exit, Failure},
    mutation::{Job, Shows, Waiting},
};
use http::HeaderValue;
use innkeeper_model::Code;
use serde_json::Value;
use std::{
    fs, io,
    io::Write,
    process::{Command, ExitStatus},
};
use tempfile::NamedTempFile;

/// Something that has a configuration.
pub(super) trait Editable {
    /// What people call such a thing.
    const KIND: &'static str;
    /// What to show when it has been changed.
    const SHOWS: Shows;

    /// What of the daemon's answer is edited.
    ///
    /// # Errors
    /// The answer cannot be read, or there is nothing in it to be edited.
    fn read(body: Value) -> Result<Configured, Failure>;

    /// What is sent for this text.
    ///
    /// # Errors
    /// It is not written so, or is seen here already to be no such thing.
    fn parse(text: &str) -> Result<Value, Failure>;
}

/// A thing as it is now.
#[derive(Debug)]
pub(super) struct Configured {
    pub(super) name: String,
    /// Its address, by its id: its name may be another by the time it is saved.
    pub(super) target: Target,
    pub(super) config: Value,
}

/// What it was when it was last read.
struct Read {
    thing: Configured,
    etag: Option<HeaderValue>,
}

/// Has the caller edit the thing at this address, or plan what they would change.
///
/// # Errors
/// It cannot be read or saved; or the caller gave up what was refused.
pub(super) async fn edit<T: Editable>(
    context: &Context,
    planning: DryRun,
    waiting: Waiting,
    target: Target,
) -> Result<(), Failure> {
    let mut read = read::<T>(context, target).await?;
    let name = read.thing.name.clone();
    let mut body = to_yaml(&read.thing.config)?;
    let mut reasons = Vec::new();
    // What the text is if nothing was changed in it; nothing, if to save it again means something.
    let mut baseline = Some(body.clone());
    loop {
        let draft = Draft::with(&format!("{}{body}", comment(T::KIND, &name, &reasons)))?;
        let refused = !reasons.is_empty();
        let text = without_comments(&draft.edit(refused)?);
        if text.trim().is_empty() || baseline.is_some_and(|baseline| text == baseline) {
            return abandon(context, &name, refused, &draft);
        }
        let failure = match attempt::<T>(context, (planning, waiting), &read, &text).await {
            Ok(()) => return Ok(()),
            Err(failure) if matches!(failure.exit, Exit::Refused | Exit::Usage) => failure,
            Err(failure) => return Err(draft.keep(failure)),
        };
        reasons = failure.to_string().lines().map(Into::into).collect();
        baseline = Some(text.clone());
        if failure.code == Some(Code::RevisionConflict) {
            let before = read.thing;
            let again = self::read::<T>(context, before.target).await;
            read = again.map_err(|failure| draft.keep(failure))?;
            reasons.extend(meanwhile(&before.config, &read.thing.config));
            baseline = None;
        }
        context.output.fail(&failure);
        body = text;
    }
}

async fn read<T: Editable>(context: &Context, target: Target) -> Result<Read, Failure> {
    let answer = context.client.get(target).await?;
    Ok(Read { thing: T::read(answer.body)?, etag: answer.etag })
}

async fn attempt<T: Editable>(
    context: &Context,
    (planning, waiting): (DryRun, Waiting),
    read: &Read,
    text: &str,
) -> Result<(), Failure> {
    let body = T::parse(text)?;
    // What it is called from now on.
    let name = body.get("name").and_then(Value::as_str).unwrap_or(&read.thing.name);
    let subject = name.to_owned();
    let call = Call::put(read.thing.target.clone()).if_match(read.etag.clone()).with_body(body);
    let job = Job { subject, call, done: "changed", shows: T::SHOWS };
    dry_run::carry_out(context, planning, waiting, vec![job]).await
}

fn abandon(context: &Context, name: &str, refused: bool, file: &Draft) -> Result<(), Failure> {
    if refused {
        return Err(file.keep(Failure::new(Exit::Refused, format!("{name} was not changed"))));
    }
    context.output.talk(format_args!("{name}: unchanged"));
    Ok(())
}

/// What somebody else changed between the two.
fn meanwhile(before: &Value, after: &Value) -> Vec<String> {
    let changes = differences(before, after);
    let mut lines = vec!["What was changed meanwhile; save this again to overwrite it:".to_owned()];
    lines.extend(changes.iter().map(|change| format!("  {}", show(change))));
    lines
}

fn comment(kind: &str, name: &str, reasons: &[String]) -> String {
    let mut text = format!(
        "# The {kind} {name}. Lines that begin with # are left out; a file that is empty or was not\n\
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

fn to_yaml(config: &Value) -> Result<String, Failure> {
    serde_yaml_ng::to_string(config)
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
}
