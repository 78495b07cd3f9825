//! Keys of a guest's keyboard, by QEMU's names for them, and the strokes that write a text on a US one.

use crate::{Code, Refusal};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The most keys that are held down together.
pub const MAX_TOGETHER: usize = 8;
/// The most strokes that are sent at once.
pub const MAX_STROKES: usize = 256;

/// Keys that are pressed together, in the order in which they are pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stroke(Vec<&'static str>);

/// The names of keys that are no letters or digits.
const NAMED: &str = "shift shift_r alt alt_r ctrl ctrl_r menu esc minus equal backspace tab \
    bracket_left bracket_right ret semicolon apostrophe grave_accent backslash comma dot slash \
    asterisk spc caps_lock f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 num_lock scroll_lock kp_divide \
    kp_multiply kp_subtract kp_add kp_enter kp_decimal sysrq kp_0 kp_1 kp_2 kp_3 kp_4 kp_5 kp_6 \
    kp_7 kp_8 kp_9 less print home pgup pgdn end left up down right insert delete pause meta_l \
    meta_r compose power sleep wake";
/// The keys of letters and digits.
const PLAIN: &str = "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9";
/// Other names that people have for some.
const ALIASES: &[(&str, &str)] = &[
    ("control", "ctrl"),
    ("del", "delete"),
    ("enter", "ret"),
    ("escape", "esc"),
    ("ins", "insert"),
    ("meta", "meta_l"),
    ("pagedown", "pgdn"),
    ("pageup", "pgup"),
    ("return", "ret"),
    ("space", "spc"),
    ("super", "meta_l"),
    ("win", "meta_l"),
];
/// What a US keyboard writes with keys that are no letters or digits: plain, and with shift.
const SYMBOLS: &[(&str, char, char)] = &[
    ("minus", '-', '_'),
    ("equal", '=', '+'),
    ("bracket_left", '[', '{'),
    ("bracket_right", ']', '}'),
    ("semicolon", ';', ':'),
    ("apostrophe", '\'', '"'),
    ("grave_accent", '`', '~'),
    ("backslash", '\\', '|'),
    ("comma", ',', '<'),
    ("dot", '.', '>'),
    ("slash", '/', '?'),
    ("spc", ' ', ' '),
    ("ret", '\n', '\n'),
    ("tab", '\t', '\t'),
];
/// What the digits write with shift, from 0 on.
const SHIFTED_DIGITS: &str = ")!@#$%^&*(";

fn key(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, key)| *key);
    let name = alias.unwrap_or(&name);
    NAMED.split_whitespace().chain(PLAIN.split(' ')).find(|key| *key == name)
}

impl Stroke {
    /// QEMU's names of the keys.
    pub fn keys(&self) -> &[&'static str] {
        &self.0
    }

    /// The strokes that write a text on a US keyboard.
    ///
    /// # Errors
    /// It has a character that such a keyboard has no key for, or is too long.
    pub fn of_text(text: &str) -> Result<Vec<Self>, Refusal> {
        let strokes: Vec<Self> = text
            .chars()
            .map(|character| {
                Self::of_character(character).ok_or_else(|| {
                    Refusal::invalid("text", character, "is on no US keyboard")
                        .with_limit("printable ASCII, newline and tab")
                })
            })
            .collect::<Result<_, _>>()?;
        check_count("text", strokes.len())?;
        Ok(strokes)
    }

    fn of_character(character: char) -> Option<Self> {
        if let Some((name, plain, _)) =
            SYMBOLS.iter().find(|(_, plain, shifted)| [*plain, *shifted].contains(&character))
        {
            let keys = if *plain == character { vec![*name] } else { vec!["shift", *name] };
            return Some(Self(keys));
        }
        if let Some(digit) = SHIFTED_DIGITS.chars().position(|shifted| shifted == character) {
            return Some(Self(vec!["shift", key(&digit.to_string())?]));
        }
        let is_plain = character.is_ascii_lowercase() || character.is_ascii_digit();
        if !is_plain && !character.is_ascii_uppercase() {
            return None;
        }
        let key = key(&character.to_string())?;
        Some(Self(if is_plain { vec![key] } else { vec!["shift", key] }))
    }
}

/// Refuses more strokes than are sent at once.
///
/// # Errors
/// There are more than [`MAX_STROKES`], or none.
pub fn check_count(field: &str, strokes: usize) -> Result<(), Refusal> {
    if (1..=MAX_STROKES).contains(&strokes) {
        return Ok(());
    }
    let limit = format!("1 to {MAX_STROKES} strokes");
    let message = format!("{field} is {strokes} strokes, not {limit}");
    let refusal = Refusal::new(Code::InvalidField, message).at(field).with_limit(limit);
    Err(refusal.with_hint("send a long text in pieces"))
}

/// Keys with hyphens between them: `ctrl-alt-delete`.
impl FromStr for Stroke {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let names: Vec<_> = text.split('-').collect();
        if names.len() > MAX_TOGETHER {
            let problem = format!("has more than {MAX_TOGETHER} keys");
            return Err(Refusal::invalid("keys", text, problem).with_limit(MAX_TOGETHER));
        }
        let keys = names.iter().map(|name| {
            key(name).ok_or_else(|| {
                Refusal::invalid("keys", name, "is no key")
                    .with_limit(format!("a letter, a digit, or one of: {NAMED}"))
                    .with_hint("keys that are pressed together are joined: ctrl-alt-delete")
            })
        });
        keys.collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for Stroke {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        text.parse()
    }
}

impl From<Stroke> for String {
    fn from(stroke: Stroke) -> Self {
        stroke.0.join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_by_their_names_and_by_what_people_call_them() {
        let stroke: Stroke = "Ctrl-Alt-Del".parse().unwrap();
        assert_eq!(stroke.keys(), ["ctrl", "alt", "delete"]);
        assert_eq!("f12".parse::<Stroke>().unwrap().keys(), ["f12"]);
        for wrong in ["", "-", "ctrl-", "ctrl+alt", "no_such_key", "é"] {
            let refusal = wrong.parse::<Stroke>().unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some("keys"), "{wrong}");
        }
        assert!(["a"; MAX_TOGETHER + 1].join("-").parse::<Stroke>().is_err());
    }

    #[test]
    fn every_printable_character_can_be_written() {
        let strokes = Stroke::of_text("Ab9(_ \n").unwrap();
        let written: Vec<String> = strokes.into_iter().map(String::from).collect();
        let expected = ["shift-a", "b", "9", "shift-9", "shift-minus", "spc", "ret"];
        assert_eq!(written, expected);
        for character in ' '..='~' {
            let strokes = Stroke::of_text(&character.to_string()).unwrap();
            let again: Stroke = String::from(strokes[0].clone()).parse().unwrap();
            assert_eq!(again, strokes[0], "{character}");
        }
    }

    #[test]
    fn what_no_keyboard_has_and_what_is_too_long_is_refused() {
        assert_eq!(Stroke::of_text("ü").unwrap_err().value.as_deref(), Some("ü"));
        assert!(Stroke::of_text("").is_err());
        assert!(Stroke::of_text(&"x".repeat(MAX_STROKES)).is_ok());
        assert!(Stroke::of_text(&"x".repeat(MAX_STROKES + 1)).is_err());
    }
}
