//! The order of steps: one after the other, and some at the same time.

use serde::{Deserialize, Serialize};

/// A part of a plan. A list of these is done in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow<S> {
    /// One step.
    Step(S),
    /// Steps whose order does not matter, done at the same time. The group is done when all of them
    /// are; when one fails, the others are cancelled.
    Together {
        /// What they are, such as `plug-disks`: part of their paths.
        name: String,
        /// The steps.
        steps: Vec<S>,
    },
}

impl<S> Flow<S> {
    /// Its steps, in the order in which they are written.
    pub fn steps(&self) -> &[S] {
        match self {
            Self::Step(step) => std::slice::from_ref(step),
            Self::Together { steps, .. } => steps,
        }
    }

    /// Its steps, as [`Self::steps`].
    pub fn into_steps(self) -> Vec<S> {
        match self {
            Self::Step(step) => vec![step],
            Self::Together { steps, .. } => steps,
        }
    }

    /// The same order, of other steps.
    pub fn map<T>(self, into: impl FnMut(S) -> T) -> Flow<T> {
        let mut into = into;
        match self {
            Self::Step(step) => Flow::Step(into(step)),
            Self::Together { name, steps } => {
                Flow::Together { name, steps: steps.into_iter().map(into).collect() }
            }
        }
    }
}
