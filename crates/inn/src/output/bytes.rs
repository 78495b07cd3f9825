//! A line that shows how much has been copied while somebody watches it.

use super::Output;
use indicatif::{ProgressBar, ProgressStyle};

/// The line; gone without trace when dropped. Nothing at all where nobody watches.
#[derive(Debug)]
pub(crate) struct Bytes {
    bar: Option<ProgressBar>,
}

impl Bytes {
    /// Starts to show how much there is, of this many bytes if that is known.
    pub(crate) fn start(output: &Output, of: Option<u64>) -> Self {
        let bar = output.watched().then(|| match of {
            Some(length) => ProgressBar::new(length).with_style(style(
                "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            )),
            None => {
                ProgressBar::no_length().with_style(style("{spinner} {bytes}, {bytes_per_sec}"))
            }
        });
        Self { bar }
    }

    /// Shows that it is so many bytes by now.
    pub(crate) fn show(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants that parse")
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
