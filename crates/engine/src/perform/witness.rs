//! The points at which a plan can be cut short, as a test sees them.
//!
//! A daemon has no witness. The sweep has one that cancels, fails or ends what is done at a point of
//! its choice; that every point is reached is what it proves with.

use async_trait::async_trait;
use innkeeper_model::{Refusal, TaskId, VmId};
use std::fmt;

/// Where in the doing of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// Nothing of it has been written down.
    BeforeJournal,
    /// It is written down, and not begun.
    AfterJournal,
    /// It has begun, and waits for something.
    InWait,
    /// It is done, and that is not written down.
    AfterAct,
}

impl Site {
    /// All of them, in their order.
    pub const ALL: [Self; 4] =
        [Self::BeforeJournal, Self::AfterJournal, Self::InWait, Self::AfterAct];

    /// The site's name in a point.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeJournal => "before-journal",
            Self::AfterJournal => "after-journal",
            Self::InWait => "in-wait",
            Self::AfterAct => "after-act",
        }
    }
}

/// A place in the doing of an operation. Its text, `operation/step path/site`, does not depend on the
/// order in which steps of a group happen to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The operation.
    pub operation: String,
    /// The step's path.
    pub path: String,
    /// Where in the step.
    pub site: Site,
    /// The task.
    pub task: TaskId,
    /// The VM that it is done to.
    pub vm: Option<VmId>,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.operation, self.path, self.site.name())
    }
}

/// Who is told of every point that is passed, and may have things go wrong there.
#[async_trait]
pub trait Witness: Send + Sync + 'static {
    /// A point is passed.
    ///
    /// # Errors
    /// What the step shall fail with.
    async fn passes(&self, point: &Point) -> Result<(), Refusal>;

    /// A step is about to be undone; the point's site is not meant.
    ///
    /// # Errors
    /// What its undo shall fail with.
    async fn undoes(&self, point: &Point) -> Result<(), Refusal>;
}
