//! QEMU's option syntax, `key=value,key=value`, in which a comma in a value would begin another
//! option.
//!
//! Most options take JSON and are given JSON. These few do not (QEMU 10: `-chardev -machine -m -smp
//! -name -cpu -rtc -mon -add-fd -action -sandbox -vnc`), and every value in them passes through here.

use std::fmt::{Display, Write};

/// One option's value, being built.
#[derive(Debug, Default)]
pub(crate) struct QemuOption(String);

impl QemuOption {
    /// An option that begins with a word without a key, such as a machine's type.
    pub(crate) fn word(word: impl Display) -> Self {
        Self::default().push(None, word)
    }

    /// The option with one more `key=value`.
    #[must_use]
    pub(crate) fn with(self, key: &'static str, value: impl Display) -> Self {
        self.push(Some(key), value)
    }

    fn push(mut self, key: Option<&'static str>, value: impl Display) -> Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        if let Some(key) = key {
            write!(self.0, "{key}=").expect("writing to a String cannot fail");
        }
        // QEMU reads a doubled comma as one that belongs to the value.
        self.0.push_str(&value.to_string().replace(',', ",,"));
        self
    }
}

impl From<QemuOption> for String {
    fn from(option: QemuOption) -> Self {
        option.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes an option apart as QEMU does.
    fn parse(option: &str) -> Vec<String> {
        let marked = option.replace(",,", "\u{0}");
        marked.split(',').map(|part| part.replace('\u{0}', ",")).collect()
    }

    proptest! {
        #[test]
        fn no_value_becomes_syntax(value in "[^\u{0}]*", other in "[a-z]*") {
            // A value that ends or begins with a comma next to a separator is where splitting could go
            // wrong; QEMU reads from the left, pairing commas as they come.
            prop_assume!(!value.starts_with(',') && !value.ends_with(','));
            let option: String =
                QemuOption::word("type").with("a", &value).with("b", &other).into();
            prop_assert_eq!(
                parse(&option),
                vec!["type".to_owned(), format!("a={value}"), format!("b={other}")]
            );
        }
    }
}
