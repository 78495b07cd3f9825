//! `--dry-run`: what a change would come to, printed and not done.

use super::Context;
use crate::{
    client::{Call, decode},
    failure::{Exit, Failure},
    mutation::{self, Job, Waiting},
    output::{Format, Table},
};
use clap::Args;
use innkeeper_model::task::{PlannedOperation, PlannedStep};
use serde_json::Value;

/// The row under which everything is seen through.
const NO_WAY_BACK: &str =
    "-- from here on there is no way back: it is not cancelled, and what fails is tried again";
/// What the words in the third column mean.
const LEGEND: &str = "after a crash: probe = looked up whether it happened; repeat = done again; once = \
                      never done twice, so undone where nothing tells";

/// What every change that can be planned takes.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct DryRun {
    /// Do nothing; show what would be done, in which order, and what a crash would change
    #[arg(long, conflicts_with = "no_wait")]
    pub(super) dry_run: bool,
}

/// Has changes carried out; or planned, where that is asked.
///
/// # Errors
/// The first failure, or, if there were several things to do, its exit code: the failures have then been
/// told one by one.
pub(super) async fn carry_out(
    context: &Context,
    DryRun { dry_run }: DryRun,
    waiting: Waiting,
    jobs: Vec<Job>,
) -> Result<(), Failure> {
    if !dry_run {
        return mutation::carry_out(context, waiting, jobs).await;
    }
    let call = |job: Job| (job.subject, job.call.with_parameter("dry_run", true));
    run(context, jobs.into_iter().map(call).collect()).await
}

/// Shows what each of these calls, which ask for no more than that, would come to.
///
/// # Errors
/// The first refusal, or, if there were several things, its exit code: the refusals have then been told
/// one by one.
async fn run(context: &Context, calls: Vec<(String, Call)>) -> Result<(), Failure> {
    let output = &context.output;
    let several = calls.len() > 1;
    let mut exit = Exit::Done;
    let mut documents: Vec<Value> = Vec::new();
    for (subject, call) in calls {
        let body = match context.client.call(call).await {
            Ok(answer) => answer.body,
            Err(failure) if !several || failure.exit == Exit::Unreachable => return Err(failure),
            Err(failure) => {
                exit = if exit == Exit::Done { failure.exit } else { exit };
                output.fail(&failure.of(&subject));
                continue;
            }
        };
        match output.format {
            Format::Json | Format::Yaml if several => documents.push(body),
            _ => show(context, &subject, body)?,
        }
    }
    if !documents.is_empty() {
        output.document(&documents)?;
    }
    if exit == Exit::Done { Ok(()) } else { Err(Failure::silent(exit)) }
}

/// Shows what something would come to, as the daemon answered.
///
/// # Errors
/// It is no plan, or cannot be written.
pub(super) fn show(context: &Context, subject: &str, body: Value) -> Result<(), Failure> {
    let output = &context.output;
    if matches!(output.format, Format::Json | Format::Yaml) {
        return output.document(&body);
    }
    let plan: PlannedOperation = decode(body)?;
    if output.format == Format::Name {
        return plan.steps.iter().try_for_each(|step| output.line(&step.path));
    }
    output.line(crate::output::plain(&heading(subject, &plan)))?;
    output.table(&table(&plan))?;
    output.line(LEGEND)
}

/// `start of web: 7 steps; after a crash of the daemon it goes forward: it is finished`.
fn heading(subject: &str, plan: &PlannedOperation) -> String {
    let way = match plan.after_crash.as_str() {
        "forward" => "goes forward: it is finished",
        "back" if plan.steps.iter().any(|step| !step.way_back) => {
            "goes back: it is undone, unless it had come as far as the line below"
        }
        "back" => "goes back: it is undone",
        other => other,
    };
    let steps = match plan.steps.len() {
        1 => "1 step".to_owned(),
        count => format!("{count} steps"),
    };
    format!("{} of {subject}: {steps}; after a crash of the daemon it {way}", plan.operation)
}

fn table(plan: &PlannedOperation) -> Table {
    let mut table = Table::new(["#", "TOGETHER", "AFTER A CRASH", "STEP"]);
    let mut has_way_back = true;
    for (index, step) in plan.steps.iter().enumerate() {
        if has_way_back && !step.way_back {
            table.row(["".into(), "".into(), "".into(), NO_WAY_BACK.into()]);
        }
        has_way_back = step.way_back;
        table.row([
            (index + 1).to_string().into(),
            together(&plan.steps, step.part).into(),
            step.crash.as_str().into(),
            step.path.as_str().into(),
        ]);
    }
    table
}

/// The numbers of the steps of a part, if there is more than one: they stand next to each other.
fn together(steps: &[PlannedStep], part: u32) -> String {
    let mut of_part = steps.iter().enumerate().filter(|(_, step)| step.part == part);
    let first = of_part.next().map_or(0, |(index, _)| index + 1);
    of_part.next_back().map(|(last, _)| format!("{first}-{}", last + 1)).unwrap_or_default()
}
