//! The address of a request: path segments and parameters, whatever characters they have in them.

use http::Uri;
use std::fmt::{Display, Write};

/// A path with its parameters, in the making.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    text: String,
    has_parameters: bool,
}

impl Target {
    /// Starts with a path that needs no escaping.
    pub(crate) fn new(path: &'static str) -> Self {
        Self { text: path.into(), has_parameters: false }
    }

    /// The VM with this name, id or prefix.
    pub(crate) fn vm(name: impl Display) -> Self {
        Self::new("/v1/vms").segment(name)
    }

    /// One more segment, which stays one whatever is in it.
    pub(crate) fn segment(mut self, segment: impl Display) -> Self {
        debug_assert!(!self.has_parameters, "a path ends where its parameters begin");
        self.text.push('/');
        escape(&mut self.text, &segment.to_string());
        self
    }

    /// One more parameter.
    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.text.push(if self.has_parameters { '&' } else { '?' });
        self.has_parameters = true;
        escape(&mut self.text, name);
        self.text.push('=');
        escape(&mut self.text, &value.to_string());
        self
    }

    /// One more parameter, if it has a value.
    pub(crate) fn with_any(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn into_uri(self) -> Uri {
        self.text.try_into().expect("everything that a URI could not hold has been escaped")
    }
}

fn escape(to: &mut String, text: &str) {
    // A server may take these for folders, however a client spells them.
    let is_dots = matches!(text, "." | "..");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.' if !is_dots) {
            to.push(byte.into());
        } else {
            write!(to, "%{byte:02X}").expect("a string takes any text");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_names_stay_readable() {
        let target = Target::vm("db.example-1_x").segment("logs").with("source", "serial");
        assert_eq!(target.text, "/v1/vms/db.example-1_x/logs?source=serial");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_segment_or_parameter(text in ".*") {
            let uri = Target::vm(&text).segment("start").with("project", &text).into_uri();
            prop_assert_eq!(uri.path().split('/').count(), 5);
            prop_assert!(uri.path().ends_with("/start") && !uri.path().contains("/../"));
            prop_assert_eq!(uri.query().map(|query| query.matches(['&', '=']).count()), Some(1));
        }
    }
}
