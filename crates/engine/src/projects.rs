//! Projects: what each may take of this host, and what it has taken.
//!
//! Owns what administrators say of single projects: it is stored before it counts, so a daemon that ends at any
//! moment comes back with the one or the other. What is taken is the accountant's to know. That a bound was
//! made narrower stops nothing; what would take more is refused from then on.

use crate::perform::{
    accountant::{Accountant, Capacity},
    hands::blocking,
};
use innkeeper_model::{
    Code, Project, ProjectName, Quota, Refusal, Revision, StoredQuota, Timestamp,
};
use innkeeper_store::{QuotaStore, Stored};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::warn;

/// The projects of one host. Clones are one.
#[derive(Debug, Clone)]
pub struct Projects {
    accountant: Arc<Accountant>,
    store: Arc<QuotaStore>,
    /// Held while what is stored is changed.
    changing: Arc<Mutex<()>>,
}

impl Projects {
    /// Reads what is stored. A quota that is damaged is told with its project, to which nothing more is given.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub async fn open(store: QuotaStore, capacity: Capacity) -> Result<Self, Refusal> {
        let accountant = Arc::new(Accountant::new(capacity));
        let projects = Self { accountant, store: store.into(), changing: Arc::default() };
        let this = projects.clone();
        blocking(move || this.load()).await?;
        Ok(projects)
    }

    /// Who knows what they have taken.
    pub(crate) const fn accountant(&self) -> &Arc<Accountant> {
        &self.accountant
    }

    fn load(&self) -> Result<(), Refusal> {
        // Those of quotas that were taken away are stored nowhere. To store one takes longer than a microsecond, so no
        // earlier daemon has come as far.
        let now = Timestamp::now().as_microsecond();
        let newer = Revision(now.try_into().unwrap_or_default());
        self.accountant.bound(|bounds| bounds.go_on_from(newer));
        for stored in self.store.load()? {
            match stored {
                Stored::Whole(quota) => self.accountant.bound(|bounds| bounds.keep(*quota)),
                Stored::Damaged { id, file, reason } => {
                    let reason = format!("{} is damaged: {reason}", file.display());
                    warn!(project = %id, reason, "nothing more is given to it");
                    self.accountant.bound(|bounds| bounds.keep_damaged(id, reason));
                }
            }
        }
        Ok(())
    }

    /// All projects that have taken something, or of which something is said by name; by name.
    pub fn all(&self) -> Vec<Project> {
        self.accountant.projects()
    }

    /// One of them; `None` where there is nothing of it.
    pub fn get(&self, name: &ProjectName) -> Option<Project> {
        self.accountant.knows(name).then(|| self.shown(name))
    }

    /// What any project would be shown as, whether or not there is anything of it.
    pub fn shown(&self, name: &ProjectName) -> Project {
        self.accountant.project(name)
    }

    /// Has a project have this quota of its own, whatever it has taken. Where the caller names a revision, it
    /// must be the one that there is; 0 is that of none. Dropping the future leaves the change to go on.
    ///
    /// # Errors
    /// It is at another revision, is damaged, or cannot be stored; nothing was changed.
    pub async fn set(
        &self,
        name: ProjectName,
        quota: Quota,
        expected: Option<Revision>,
    ) -> Result<Project, Refusal> {
        let this = self.clone();
        blocking(move || this.set_now(name, quota, expected)).await
    }

    fn set_now(
        &self,
        project: ProjectName,
        quota: Quota,
        expected: Option<Revision>,
    ) -> Result<Project, Refusal> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.accountant.own_quota(&project)?;
        check_revision(&project, before.as_ref(), expected)?;
        let revision = self.accountant.bound(|bounds| bounds.next_revision());
        let stored =
            StoredQuota { project: project.clone(), revision, updated: Timestamp::now(), quota };
        self.store.save(&stored)?;
        self.accountant.bound(|bounds| bounds.keep(stored));
        Ok(self.shown(&project))
    }

    /// Has a project have no quota of its own any more: what the configuration says holds for it then. Where
    /// it has VMs, that is refused unless it is forced: nobody means to take a tenant's bounds away by
    /// clearing up. Dropping the future leaves the change to go on.
    ///
    /// # Errors
    /// It has none of its own, is at another revision, or has VMs and is not forced; or its file cannot be
    /// removed. Nothing was changed.
    pub async fn remove(
        &self,
        name: ProjectName,
        force: bool,
        expected: Option<Revision>,
    ) -> Result<Project, Refusal> {
        let this = self.clone();
        blocking(move || this.remove_now(&name, force, expected)).await
    }

    fn remove_now(
        &self,
        project: &ProjectName,
        force: bool,
        expected: Option<Revision>,
    ) -> Result<Project, Refusal> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.accountant.own_quota(project);
        let shown = self.shown(project);
        if let Ok(own) = &before {
            if own.is_none() {
                return Err(Refusal::not_found("quota of project", project));
            }
            check_revision(project, own.as_ref(), expected)?;
        }
        if shown.used.vms > 0 && !force {
            return Err(has_vms(&shown));
        }
        match before {
            Ok(_) => self.store.remove(project.clone())?,
            // Somebody gave it up by name.
            Err(_damaged) => self.store.discard_damaged(project.clone())?,
        }
        self.accountant.bound(|bounds| bounds.forget(project));
        Ok(self.shown(project))
    }
}

fn check_revision(
    project: &ProjectName,
    own: Option<&StoredQuota>,
    expected: Option<Revision>,
) -> Result<(), Refusal> {
    let current = own.map_or_else(Revision::default, |own| own.revision);
    match expected.filter(|expected| *expected != current) {
        None => Ok(()),
        Some(expected) => {
            let message =
                format!("the quota of project {project} is at revision {current}, not {expected}");
            Err(Refusal::new(Code::RevisionConflict, message)
                .with_limit(current)
                .with_hint("read it again, and repeat the change on what it is now"))
        }
    }
}

fn has_vms(project: &Project) -> Refusal {
    let Project { name, used, .. } = project;
    let message = format!("project {name} has {} VMs, which would lose their bounds", used.vms);
    let mut refusal = Refusal::new(Code::InUse, message).with_hint(format!(
        "delete or move them first; or have what the configuration says hold for them: \
         inn project delete {name} --force"
    ));
    refusal.value = Some(name.to_string());
    refusal
}
