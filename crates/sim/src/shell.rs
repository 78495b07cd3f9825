//! What a simulated guest answers on its serial console. Pure.
//!
//! There is no login: who types here can do to the guest what its owner could. What is typed is
//! echoed as a terminal would; a line is at most 256 characters.

use crate::{guest::Happening, memory::Memory};

/// The longest line, in bytes.
const LONGEST_LINE: usize = 256;

const HELP: &str = "\
This guest is simulated. It knows:\r
  poweroff          power itself off\r
  reboot            reboot\r
  panic             let its kernel panic\r
  hang              do nothing any more, until it is reset\r
  remember TEXT     keep a text in its memory\r
  recall            show it\r
  echo TEXT         show a text\r
  uptime            say how often it has booted\r
  help              show this\r
";

/// What a line comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Nothing, but perhaps an answer.
    Answered,
    /// The guest keeps a text in its memory.
    Remember(Box<str>),
    /// The guest does something.
    Do(Happening),
}

/// A line that is being typed.
#[derive(Debug, Default)]
pub(crate) struct Line {
    typed: String,
    /// The last character was a carriage return, whose line feed may follow.
    returned: bool,
}

/// What a guest writes when it has booted.
pub(crate) fn greeting(name: &str, boots: u32) -> String {
    format!("\r\n{name}: a simulated guest, boot {boots}. Type help.\r\n{}", prompt(name))
}

pub(crate) fn prompt(name: &str) -> String {
    format!("{name}# ")
}

impl Line {
    /// Takes in what was typed up to the end of a line, and returns the rest, what to echo, and the
    /// line where it is complete.
    pub(crate) fn take<'a>(&mut self, typed: &'a str) -> (&'a str, String, Option<String>) {
        let mut echo = String::new();
        for (index, character) in typed.char_indices() {
            let after_return = std::mem::take(&mut self.returned);
            match character {
                '\n' if after_return => {}
                '\r' | '\n' => {
                    self.returned = character == '\r';
                    echo.push_str("\r\n");
                    let rest = &typed[index + character.len_utf8()..];
                    return (rest, echo, Some(std::mem::take(&mut self.typed)));
                }
                // Backspace and delete.
                '\u{8}' | '\u{7f}' => {
                    if self.typed.pop().is_some() {
                        echo.push_str("\u{8} \u{8}");
                    }
                }
                // Ctrl-C and Ctrl-U give the line up.
                '\u{3}' | '\u{15}' => {
                    self.typed.clear();
                    echo.push_str("^C\r\n");
                    return (&typed[index + 1..], echo, Some(String::new()));
                }
                _ if character.is_control() => {}
                _ if self.typed.len() + character.len_utf8() > LONGEST_LINE => {}
                _ => {
                    self.typed.push(character);
                    echo.push(character);
                }
            }
        }
        ("", echo, None)
    }
}

/// What a line comes to, and what the guest answers.
pub(crate) fn run(line: &str, memory: &Memory) -> (Command, String) {
    let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let mut command = Command::Answered;
    let answer = match (word, rest.trim()) {
        ("", _) => String::new(),
        ("help", _) => HELP.into(),
        ("echo", text) => format!("{text}\r\n"),
        ("uptime", _) => format!("booted {} times\r\n", memory.boots),
        ("recall", _) => format!("{}\r\n", memory.note),
        ("remember", text) => {
            command = Command::Remember(text.into());
            String::new()
        }
        (word, _) => match happening(word) {
            Some(happening) => {
                command = Command::Do(happening);
                format!("{word}: as you wish\r\n")
            }
            None => format!("{word}: not found; type help\r\n"),
        },
    };
    (command, answer)
}

fn happening(word: &str) -> Option<Happening> {
    Some(match word {
        "poweroff" => Happening::PowersOff,
        "reboot" => Happening::Reboots,
        "panic" => Happening::Panics,
        "hang" => Happening::Hangs,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::IncarnationId;

    fn lines(line: &mut Line, typed: &str) -> (String, Vec<String>) {
        let (mut rest, mut echoed, mut lines) = (typed, String::new(), Vec::new());
        loop {
            let (after, echo, complete) = line.take(rest);
            echoed.push_str(&echo);
            match complete {
                Some(complete) => lines.push(complete),
                None => return (echoed, lines),
            }
            rest = after;
        }
    }

    #[test]
    fn a_line_is_edited_and_ends_once_however_its_end_is_typed() {
        let mut line = Line::default();
        assert_eq!(lines(&mut line, "ec\u{7f}\u{7f}\u{7f}help\r").1, ["help"]);
        assert_eq!(lines(&mut line, "\na\nb\r\nc\r").1, ["a", "b", "c"]);
        assert_eq!(lines(&mut line, "\nhalf").1, [""; 0]);
        assert_eq!(lines(&mut line, " of it\n").1, ["half of it"]);
        assert_eq!(lines(&mut line, "poweroff\u{3}").1, [""]);
        assert_eq!(lines(&mut line, "\u{1b}é\n"), ("é\r\n".into(), vec!["é".into()]));
        assert_eq!(lines(&mut line, &("x".repeat(1000) + "\n")).1, ["x".repeat(LONGEST_LINE)]);
    }

    #[test]
    fn words_are_understood_and_others_are_said_not_to_be() {
        let memory = Memory::blank(IncarnationId::new());
        assert_eq!(run(" poweroff ", &memory).0, Command::Do(Happening::PowersOff));
        assert_eq!(run("remember  a b ", &memory).0, Command::Remember("a b".into()));
        for word in ["poweroff", "reboot", "panic", "hang", "remember", "recall", "uptime"] {
            assert!(run("help", &memory).1.contains(word));
        }
        let (command, answer) = run("rm -rf /", &memory);
        assert_eq!(command, Command::Answered);
        assert!(answer.contains("rm: not found"));
    }
}
