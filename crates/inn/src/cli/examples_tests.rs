//! Every `inn ...` in the project's documents and scripts is one that the command line takes.

use super::Cli;
use clap::Parser;
use std::{fs, path::Path};

/// The commands in a line of shell, each as its words, without the `inn` that it begins with.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = beginning(rest) {
        let (words, end) = words(&rest[at..]);
        found.push(words);
        rest = &rest[at + end..];
    }
    found.retain(|words| !words.is_empty());
    found
}

/// Where what follows the next `inn ` is.
fn beginning(text: &str) -> Option<usize> {
    let is_word = |at: usize| {
        let before = text[..at].chars().next_back();
        let begins = before.is_none_or(|before| before.is_whitespace() || "`(\"".contains(before));
        // Not the package, which cargo is told about.
        begins && !text[..at].ends_with("-p ")
    };
    let mut places = text.match_indices("inn ").map(|(at, _)| at);
    Some(places.find(|at| is_word(*at))? + "inn ".len())
}

/// The words up to the command's end, and where that is: what no shell gives to a program, the end of
/// its quotation, or a gap, after which somebody explains it.
fn words(text: &str) -> (Vec<String>, usize) {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut end = text.len();
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') if text[at + 1..].contains(letter) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '"' | '\'' | '`' | '|' | '&' | ';' | '<' | '>' | '#' | '(' | ')' | '\n') => {
                end = at;
                break;
            }
            (None, ' ') if text[at..].starts_with("  ") => {
                end = at;
                break;
            }
            (None, ' ') => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    // The number in `2>/dev/null` is the shell's.
    let redirects = text[end..].starts_with('>') && word.as_deref() == Some("2");
    words.extend(word.filter(|_| !redirects));
    (words, end)
}

/// The lines of a document that hold commands: its blocks of code, and quotations in its prose.
fn of_document(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            lines.push(line.trim().to_owned());
        } else {
            lines.extend(line.split('`').skip(1).step_by(2).map(Into::into));
        }
    }
    lines.retain(|line| line.starts_with("inn ") || line.contains(" inn "));
    lines
}

/// The lines of a script, with the names of its variables in the place of their values.
fn of_script(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.split("\\\n").map(str::trim).collect();
    lines.join(" ").replace("\"$inn\" ", "inn ").lines().map(|line| line.replace('$', "")).collect()
}

/// How many commands these lines have; those that the command line does not take are added to `wrong`.
fn check(what: &str, lines: impl IntoIterator<Item = String>, wrong: &mut Vec<String>) -> usize {
    let mut count = 0;
    for line in lines {
        for command in commands(&line) {
            let words = ["inn".to_owned()].into_iter().chain(command.into_iter().map(example));
            if let Err(error) = Cli::try_parse_from(words)
                && error.use_stderr()
            {
                wrong.push(format!("{what} says: {line}\n{error}"));
            }
            count += 1;
        }
    }
    count
}

/// A word that a document puts in the place of what its reader has, as something that it could be.
fn example(word: String) -> String {
    match word.as_str() {
        "ID" => "0192a4b0-0000-7000-8000-000000000001".into(),
        "PID" => "4711".into(),
        _ => word,
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn documents(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_examples_are_commands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut wrong = Vec::new();
    let readme = check("README.md", of_document(&read(&root.join("README.md"))), &mut wrong);
    let script = check("scripts/run", of_script(&read(&root.join("scripts/run"))), &mut wrong);
    for document in documents(&root.join("docs")) {
        check(&document.display().to_string(), of_document(&read(&document)), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Else this reads the wrong lines.
    assert!(readme >= 10 && script >= 10, "{readme} in README.md, {script} in scripts/run");
}

#[test]
fn commands_are_found_as_a_shell_would_read_them() {
    let found = |line| commands(line).iter().map(|words| words.join("|")).collect::<Vec<_>>();
    assert_eq!(found("inn serve --state-dir /tmp/inn &"), ["serve|--state-dir|/tmp/inn"]);
    assert_eq!(found("inn get web -o yaml > web.yaml"), ["get|web|-o|yaml"]);
    assert_eq!(
        found("inn stop \"web\" --quiet 2>/dev/null || inn kill 'a b' || true"),
        ["stop|web|--quiet", "kill|a b"]
    );
    assert_eq!(found("say \"  inn stop web        power it off\""), ["stop|web"]);
    assert_eq!(found("say \"inn list\""), ["list"]);
    assert_eq!(of_script("\"$inn\" get \\\n    \"$name\"\n"), ["inn get \"name\""]);
    assert!(
        found("cargo test -p inn config; curl http://inn/v1/vms; cd /tmp/inn ; spinn x").is_empty()
    );
}
