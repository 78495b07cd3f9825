//! The steps as version 0.1 wrote them: they did not say which machine they were for.

use crate::{descriptors::Open, steps};
use innkeeper_model::Incarnation;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QemuStep {
    Prepare { uid: Option<u32> },
    Launch(Box<Launch>),
    Continue,
    Pause,
    PowerDown { timeout_ms: u64 },
    Reset,
    Quit,
    Kill,
    PutAway,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Launch {
    incarnation: Incarnation,
    opens: Vec<Open>,
}

impl From<QemuStep> for steps::QemuStep {
    fn from(step: QemuStep) -> Self {
        let of = None;
        match step {
            QemuStep::Prepare { uid } => Self::Prepare { of, uid, goes_on: false },
            QemuStep::Launch(launch) => {
                let Launch { mut incarnation, opens } = *launch;
                incarnation.opens = Open::list_to_value(&opens);
                Self::Launch(Box::new(incarnation))
            }
            QemuStep::Continue => Self::Continue { of, from_memory: false },
            // A pause was not undone.
            QemuStep::Pause => Self::Pause { of, ran: false },
            QemuStep::PowerDown { timeout_ms } => Self::PowerDown { of, timeout_ms },
            QemuStep::Reset => Self::Reset { of },
            QemuStep::Quit => Self::Quit { of },
            QemuStep::Kill => Self::Kill { of },
            QemuStep::PutAway => Self::PutAway { of },
        }
    }
}
