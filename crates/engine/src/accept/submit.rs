//! From a request to an accepted task, or to the reason why not.

use crate::{
    accept::{
        legality::{self, MachineVerb, Operation},
        preparing::Prepared,
        request::{Accepted, Caller, PowerVerb, Request, STOP_TIMEOUT},
        reservations::Reservation,
        work::Work,
    },
    engine::{Engine, stopping},
    turn::{
        live::LiveTask,
        queues::{Hold, Resource},
    },
};
use innkeeper_model::{
    ProjectName, Refusal, Revision, Task, TaskId, TaskState, Timestamp, Vm, VmConfig, VmId, VmName,
    VmState,
};
use std::{sync::Arc, time::Duration};

/// How long a kill waits for what is being undone of a VM. What then waits for a machine that does not
/// answer, or for its guest, is tried again when that machine is gone.
const A_KILL_WAITS: Duration = Duration::from_secs(1);

impl Engine {
    pub(crate) async fn ready(&self) -> Result<(), Refusal> {
        if self.shared.stopping.is_cancelled() {
            return Err(stopping());
        }
        self.recovered().await
    }

    /// Waits until it is known what runs: from then on the view says what there is, and requests are
    /// accepted. Takes as long as the hypervisors need to answer, a few seconds at most; the engine must
    /// have been told to [`recover`](Self::recover).
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn recovered(&self) -> Result<(), Refusal> {
        let mut recovered = self.shared.recovered.subscribe();
        recovered.wait_for(|recovered| *recovered).await.map_err(|_| stopping())?;
        Ok(())
    }

    /// Accepts a request, or refuses it without having changed anything. What is accepted is done in
    /// its turn, whether anybody waits or not; dropping the future before it is accepted leaves
    /// nothing.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn submit(&self, caller: &Caller, request: Request) -> Result<Accepted, Refusal> {
        self.ready().await?;
        self.check_allowed(&request)?;
        match request {
            Request::Power { vm, verb: PowerVerb::Kill } => {
                self.submit_ahead(caller, vm, MachineVerb::Kill).await
            }
            request => {
                let prepared = self.prepare(request).await?;
                self.accept_prepared(caller, prepared).await
            }
        }
    }

    /// Accepts what a person wrote into a spec's file as an edit. A draft that says that it is one is one
    /// still.
    pub(crate) async fn submit_written(
        &self,
        vm: VmId,
        config: VmConfig,
        is_draft: bool,
    ) -> Result<Accepted, Refusal> {
        self.ready().await?;
        let request = Request::Edit { vm, config: Box::new(config), expected: None };
        self.check_allowed(&request)?;
        let mut prepared = self.prepare(request).await?;
        if let Work::Edit { confirms, .. } = &mut prepared.work {
            *confirms = !is_draft;
        }
        self.accept_prepared(&Caller::by_hand(), prepared).await
    }

    /// Nothing is waited for between what was prepared and the task, whose it is to give back what was taken.
    async fn accept_prepared(
        &self,
        caller: &Caller,
        Prepared { subject, work, reservation }: Prepared,
    ) -> Result<Accepted, Refusal> {
        let (vm, network) = (work.vm(), work.network());
        let accepted = self.accept(caller, subject, work, reservation).await;
        if let (Err(_), Some(vm)) = (&accepted, vm) {
            self.settle_claims(vm);
        }
        Ok(Accepted { network, ..accepted? })
    }

    /// What the engine itself has done to a machine.
    pub(crate) async fn submit_power(
        &self,
        caller: &Caller,
        vm: VmId,
        verb: MachineVerb,
    ) -> Result<Accepted, Refusal> {
        let prepared = self.prepare_machine(vm, verb, STOP_TIMEOUT)?;
        self.accept_prepared(caller, prepared).await
    }

    /// Kill, and the pause of a VM that may not run on, do not wait their turn: what is done to the machine, or waits
    /// to be, is cancelled, and so is whatever else has the VM now. What else waits is wanted all the same, and comes
    /// after. A kill is never cancelled.
    ///
    /// # Errors
    /// There is no machine that it could be done to.
    pub(crate) async fn submit_ahead(
        &self,
        caller: &Caller,
        vm: VmId,
        verb: MachineVerb,
    ) -> Result<Accepted, Refusal> {
        let record = self.vm(vm)?;
        let operation = Operation::Machine(verb);
        let is_cut_short = |task: &Arc<LiveTask>| matches!(task.operation, Some(Operation::Machine(other)) if other != verb && other != MachineVerb::Kill);
        let illegal = legality::after(operation, record.state).is_none() || !record.is_on();
        if illegal && !self.shared.live.of_vm(vm).iter().any(is_cut_short) {
            return Err(legality::refuse(operation, record.state, record.state, &record.name));
        }
        let work = Work::Power { vm, verb, timeout: STOP_TIMEOUT };
        let subject = Subject::of(&record, operation);
        let task = self.new_task(caller, &work, Some(&subject));
        // What is interrupted keeps its place until a person decides, and a kill does not wait for that.
        let place = match record.interrupted {
            Some(_) => self.shared.queues.enter(Vec::new()),
            None => self.shared.queues.enter_ahead((Resource::Vm(vm), Hold::Exclusive)),
        };
        task.takes(&place);
        // From here on nobody comes before it who has not come already.
        for other in self.shared.live.of_vm(vm) {
            let has_it = || other.has_begun(&self.shared.queues);
            if is_cut_short(&other) || other.operation.is_some_and(gives_way_to_kill) && has_it() {
                // One that is past its point of no return ends soon, and this comes next.
                let _ = other.try_cancel();
                if verb == MachineVerb::Kill {
                    self.look_after(async move {
                        // Most of what is to be undone takes less.
                        tokio::time::sleep(A_KILL_WAITS).await;
                        other.put_off.cancel();
                    });
                }
            }
        }
        // Whatever is queued, a kill is legal after it; another's turn asks again.
        self.shared.live.insert(&task);
        self.shared.owing.give_way();
        self.begin_at(task, place, work, None).await
    }

    /// Makes a task of accepted work and lets it take its turn.
    pub(crate) async fn accept(
        &self,
        caller: &Caller,
        subject: Option<Subject>,
        work: Work,
        reservation: Option<Reservation>,
    ) -> Result<Accepted, Refusal> {
        let task = self.new_task(caller, &work, subject.as_ref());
        match &subject {
            Some(subject) => self.shared.live.admit(&task, subject)?,
            None => self.shared.live.insert(&task),
        }
        self.begin(task, work, reservation).await
    }

    fn new_task(&self, caller: &Caller, work: &Work, subject: Option<&Subject>) -> Arc<LiveTask> {
        let task = Task {
            id: TaskId::new(),
            operation: work.name().into(),
            vm: work.vm(),
            project: work
                .project()
                .or(subject.and_then(|subject| subject.project.as_ref()))
                .cloned(),
            subject: work.subject(subject.map(|subject| &subject.name)),
            caller: caller.name.clone(),
            request_id: caller.request_id.clone(),
            state: TaskState::Queued,
            cancellable: true,
            created: Timestamp::now(),
            started: None,
            ended: None,
            steps: Vec::new(),
            percent: None,
            error: None,
            warnings: Vec::new(),
            leftovers: Vec::new(),
            log: Vec::new(),
            resources: work.resources().iter().map(|(resource, _)| resource.to_string()).collect(),
            taken_up: 0,
            settled_at: None,
            revision: Revision::default(),
        };
        let operation = subject.map(|subject| subject.operation);
        LiveTask::new(task, operation, self.view().clone())
    }
}

/// The VM that an operation is about, as far as legality asks.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) name: VmName,
    /// Unknown of one that is being made for an earlier daemon.
    pub(crate) project: Option<ProjectName>,
    pub(crate) state: VmState,
    pub(crate) operation: Operation,
}

impl Subject {
    pub(crate) fn of(record: &Vm, operation: Operation) -> Self {
        let (name, project) = (record.name.clone(), Some(record.project.clone()));
        Self { name, project, state: record.state, operation }
    }
}

/// What is cancelled for the sake of a kill if it has the VM: it may wait for a machine that does not answer.
const fn gives_way_to_kill(operation: Operation) -> bool {
    matches!(operation, Operation::Edit | Operation::ChangeNics)
}
