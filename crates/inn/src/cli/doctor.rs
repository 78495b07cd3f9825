//! `inn doctor`: what is missing here, and the command that mends it. Needs no daemon, and changes
//! nothing.

mod access;
mod programs;
mod state;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    folders::Surroundings,
    output::{Cell, Format, Table, Tint},
};
use serde::Serialize;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// It is as it should be.
    Good,
    /// VMs run, but something is slower, weaker or not possible.
    Lacking,
    /// VMs do not run.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    what: String,
    verdict: Verdict,
    /// What was found.
    detail: String,
    /// The command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(what, Verdict::Good, detail, None)
    }

    fn lacking(
        what: impl Into<String>,
        detail: impl Into<String>,
        mend: impl Into<Option<String>>,
    ) -> Self {
        Self::new(what, Verdict::Lacking, detail, mend.into())
    }

    fn missing(
        what: impl Into<String>,
        detail: impl Into<String>,
        mend: impl Into<Option<String>>,
    ) -> Self {
        Self::new(what, Verdict::Missing, detail, mend.into())
    }

    fn new(
        what: impl Into<String>,
        verdict: Verdict,
        detail: impl Into<String>,
        mend: Option<String>,
    ) -> Self {
        Self { what: what.into(), verdict, detail: detail.into(), mend }
    }
}

pub(super) async fn run(context: &Context, surroundings: &Surroundings) -> Result<(), Failure> {
    let (config, options) = state::configuration(surroundings);
    let options = options.as_ref();
    let mut findings = programs::examine(surroundings, options);
    findings.push(access::kvm(surroundings, options));
    findings.extend(access::group(surroundings));
    findings.extend(config);
    findings.extend(state::folders(options));
    findings.extend(state::hooks(options));
    findings.extend(state::journal(options));
    let (daemon, told) = state::daemon(context, surroundings).await;
    findings.push(daemon);
    findings.extend(told.unwrap_or_else(|| state::specs(options, surroundings)));
    show(context, &findings)?;
    match worst(&findings) {
        Verdict::Missing => Err(Failure::silent(Exit::Failed)),
        Verdict::Good | Verdict::Lacking => Ok(()),
    }
}

fn worst(findings: &[Finding]) -> Verdict {
    findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Good)
}

fn show(context: &Context, findings: &[Finding]) -> Result<(), Failure> {
    let output = &context.output;
    match output.format {
        Format::Json | Format::Yaml => return output.document(&findings),
        Format::Name => {
            let mut bad = findings.iter().filter(|finding| finding.verdict != Verdict::Good);
            return bad.try_for_each(|finding| output.line(&finding.what));
        }
        Format::Table => {}
    }
    let mut table = Table::new(["CHECK", "VERDICT", "FOUND"]);
    for finding in findings {
        let verdict = match finding.verdict {
            Verdict::Good => Cell::tinted("good", Tint::Good),
            Verdict::Lacking => Cell::tinted("lacking", Tint::Busy),
            Verdict::Missing => Cell::tinted("missing", Tint::Bad),
        };
        table.row([finding.what.as_str().into(), verdict, finding.detail.as_str().into()]);
    }
    output.table(&table)?;
    match worst(findings) {
        Verdict::Good => {}
        Verdict::Lacking => output.line("\nVMs can run here, without what is lacking.")?,
        Verdict::Missing => {
            output.line("\nVMs cannot run here until what is missing is mended.")?
        }
    }
    let mends: Vec<_> = findings.iter().filter_map(|finding| finding.mend.as_ref()).collect();
    if mends.is_empty() {
        return Ok(());
    }
    output.line("\nto mend it:")?;
    let mut told = Vec::new();
    for mend in mends {
        if !told.contains(&mend) {
            output.line(format_args!("  {mend}"))?;
            told.push(mend);
        }
    }
    Ok(())
}
