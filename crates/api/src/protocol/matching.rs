//! What filters of lists have in common: names with a `*` at their end, and labels.

use crate::protocol::params::Params;
use innkeeper_model::{Refusal, SmallMap};

/// `name=`: exactly this, or with `*` at its end, whatever begins so.
#[derive(Debug)]
pub(crate) enum Name {
    Exactly(String),
    Beginning(String),
}

impl Name {
    /// The filter, where there is one.
    ///
    /// # Errors
    /// It is there twice.
    pub(crate) fn parse(params: &mut Params) -> Result<Option<Self>, Refusal> {
        let name = params.one("name")?;
        Ok(name.map(|name| match name.strip_suffix('*') {
            Some(beginning) => Self::Beginning(beginning.to_owned()),
            None => Self::Exactly(name),
        }))
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exactly(wanted) => name == wanted,
            Self::Beginning(wanted) => name.starts_with(wanted),
        }
    }
}

/// `label.KEY=`: these values of these labels.
#[derive(Debug, Default)]
pub(crate) struct Labels(Vec<(String, String)>);

impl Labels {
    pub(crate) fn parse(params: &mut Params) -> Self {
        Self(params.beginning("label."))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, labels: &SmallMap<String>) -> bool {
        self.0.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}
