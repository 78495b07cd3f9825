//! What people and programs are shown: data on the standard output, talk on the standard error.
//!
//! The only place that writes to either. Colour and progress appear only on a terminal, and colour
//! not where `NO_COLOR` is set. Text that a guest or another caller may have written is made harmless
//! before it reaches a terminal ([`plain`]).

mod bytes;
mod live;
mod progress;
mod table;

pub(crate) use bytes::Bytes;
pub(crate) use live::Live;
pub(crate) use progress::Progress;
pub(crate) use table::{Cell, Table};

use crate::failure::{self, Exit, Failure};
use clap::ValueEnum;
use serde::Serialize;
use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, IsTerminal, Write},
};

/// How data is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs, whole.
    Json,
    /// For people and programs, whole.
    Yaml,
    /// Names only, one a line.
    Name,
}

/// A colour that says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tint {
    Plain,
    Good,
    Busy,
    Bad,
    Faint,
}

impl Tint {
    /// The text in this colour.
    fn paint(self, text: &str) -> Cow<'_, str> {
        let code = match self {
            Self::Plain => return text.into(),
            Self::Good => "32",
            Self::Busy => "33",
            Self::Bad => "31",
            Self::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m").into()
    }
}

/// Where and how a command shows what it has to show.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) format: Format,
    quiet: bool,
    draws: bool,
    colour_out: bool,
    colour_err: bool,
}

impl Output {
    /// The process's own standard output and error.
    pub(crate) fn new(format: Format, quiet: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let steers = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let colour = !set("NO_COLOR") && steers;
        Self {
            format,
            quiet,
            draws: steers && io::stdout().is_terminal(),
            colour_out: colour && io::stdout().is_terminal(),
            colour_err: colour && io::stderr().is_terminal(),
        }
    }

    /// Whether a person watches the talk, so that progress may be shown.
    pub(crate) fn watched(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Whether a person watches the data, so that it may be drawn over.
    pub(crate) fn draws(&self) -> bool {
        self.draws
    }

    /// Writes data.
    ///
    /// # Errors
    /// The reader has gone (the process then ends quietly), or the system's.
    pub(crate) fn data(&self, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(bytes.as_ref())
            .and_then(|()| stdout.flush())
            .map_err(|error| failure::of_writing(&error))
    }

    /// Writes one line of data.
    pub(crate) fn line(&self, text: impl Display) -> Result<(), Failure> {
        self.data(format!("{text}\n"))
    }

    /// Writes a table.
    pub(crate) fn table(&self, table: &Table) -> Result<(), Failure> {
        self.data(self.render(table))
    }

    /// A table as [`Self::table`] would write it.
    pub(crate) fn render(&self, table: &Table) -> String {
        table.render(self.colour_out)
    }

    /// Writes a thing whole, as JSON or YAML.
    pub(crate) fn document(&self, thing: &impl Serialize) -> Result<(), Failure> {
        let text = if self.format == Format::Yaml {
            // By way of JSON, since YAML would show an enum as a tag (`!kernel`) otherwise.
            let value = serde_json::to_value(thing).map_err(|error| unwritable(&error))?;
            serde_yaml_ng::to_string(&value).map_err(|error| unwritable(&error))?
        } else {
            serde_json::to_string_pretty(thing).map_err(|error| unwritable(&error))? + "\n"
        };
        self.data(text)
    }

    /// Tells the person at the terminal, unless they asked for quiet.
    pub(crate) fn talk(&self, text: impl Display) {
        if !self.quiet {
            say(&format!("{text}\n"));
        }
    }

    /// Asks the person at the terminal; not even `--quiet` keeps a question back.
    pub(crate) fn ask(&self, question: impl Display) {
        say(&question.to_string());
    }

    /// Warns the person at the terminal.
    pub(crate) fn warn(&self, text: impl Display) {
        let word = if self.colour_err { Tint::Busy.paint("warning:") } else { "warning:".into() };
        self.talk(format_args!("{word} {}", plain(&text.to_string())));
    }

    /// Says what went wrong; not even `--quiet` keeps it back.
    pub(crate) fn fail(&self, failure: &Failure) {
        if failure.message.is_empty() {
            return;
        }
        let word = if self.colour_err { Tint::Bad.paint("error:") } else { "error:".into() };
        say(&format!("{word} {}\n", plain(&failure.to_string())));
    }
}

fn unwritable(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failed, "cannot write the answer in this format").because(error)
}

fn say(text: &str) {
    // Nobody is left to be told that nobody can be told.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// The text without what would steer a terminal: control characters but line feed and tab are shown
/// as their code.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(steers) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_would_steer_the_terminal_is_shown_as_its_code() {
        assert_eq!(plain("a\tb\nc"), "a\tb\nc");
        assert_eq!(plain("\x1b]0;owned\x07"), "\\u{1b}]0;owned\\u{7}");
        assert_eq!(plain("\u{9b}2J"), "\\u{9b}2J");
    }
}
