//! How much projects may take: what an administrator said of one, else what the configuration says of it,
//! else what it says of all others. Pure.
//!
//! A quota that was stored and cannot be read is not taken for none: nothing more is given to its project
//! until a person mends it or gives it up.

use innkeeper_model::{
    Code, Project, ProjectName, Quota, QuotaSource, Refusal, Revision, StoredQuota, Usage,
};
use std::collections::BTreeMap;

/// How much projects may take.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    own: BTreeMap<ProjectName, Own>,
    /// The newest revision that any of those has had, or can have had before.
    newest: Revision,
    configured: BTreeMap<ProjectName, Quota>,
    default: Quota,
}

/// What is stored of one project.
#[derive(Debug)]
enum Own {
    Whole(StoredQuota),
    /// It cannot be read, for this reason.
    Damaged(String),
}

impl Bounds {
    /// What the configuration says.
    pub(crate) fn configured(configured: BTreeMap<ProjectName, Quota>, default: Quota) -> Self {
        Self { configured, default, ..Self::default() }
    }

    /// Has all revisions be newer than this one.
    pub(crate) fn go_on_from(&mut self, revision: Revision) {
        self.newest = self.newest.max(revision);
    }

    /// Notes what is stored of a project.
    pub(crate) fn keep(&mut self, quota: StoredQuota) {
        self.go_on_from(quota.revision);
        self.own.insert(quota.project.clone(), Own::Whole(quota));
    }

    /// Notes that what is stored of a project cannot be read.
    pub(crate) fn keep_damaged(&mut self, project: ProjectName, reason: String) {
        self.own.insert(project, Own::Damaged(reason));
    }

    /// Forgets what was stored of a project.
    pub(crate) fn forget(&mut self, project: &ProjectName) {
        self.own.remove(project);
    }

    /// A revision that none has had.
    pub(crate) const fn next_revision(&self) -> Revision {
        self.newest.next()
    }

    /// What a project has of its own.
    ///
    /// # Errors
    /// It is damaged.
    pub(crate) fn own(&self, project: &ProjectName) -> Result<Option<StoredQuota>, Refusal> {
        match self.own.get(project) {
            Some(Own::Whole(quota)) => Ok(Some(quota.clone())),
            Some(Own::Damaged(_)) => Err(damaged(project)),
            None => Ok(None),
        }
    }

    /// What a project may take.
    ///
    /// # Errors
    /// That is damaged.
    pub(crate) fn of(&self, project: &ProjectName) -> Result<&Quota, Refusal> {
        match self.own.get(project) {
            Some(Own::Whole(own)) => Ok(&own.quota),
            Some(Own::Damaged(_)) => Err(damaged(project)),
            None => Ok(self.configured.get(project).unwrap_or(&self.default)),
        }
    }

    /// Whether anything is said of this project by name.
    pub(crate) fn names(&self, project: &ProjectName) -> bool {
        self.own.contains_key(project) || self.configured.contains_key(project)
    }

    /// The projects of which anything is said by name; those of which two things are, twice.
    pub(crate) fn named(&self) -> impl Iterator<Item = &ProjectName> {
        self.own.keys().chain(self.configured.keys())
    }

    /// A project that has taken this.
    pub(crate) fn shown(&self, name: &ProjectName, used: Usage) -> Project {
        let configured = self.configured.get(name);
        let (quota, quota_from) = match (self.own.get(name), configured) {
            (Some(Own::Whole(own)), _) => (own.quota, QuotaSource::Own),
            (Some(Own::Damaged(_)), _) => (Quota::default(), QuotaSource::Own),
            (None, Some(quota)) => (*quota, QuotaSource::Configuration),
            (None, None) => (self.default, QuotaSource::Default),
        };
        let over = quota.exceeded_by(&used).into_iter().map(|counted| counted.name().to_owned());
        let mut shown = Project {
            name: name.clone(),
            revision: Revision::default(),
            updated: None,
            quota_from,
            quota,
            used,
            over: over.collect(),
            problem: None,
        };
        match self.own.get(name) {
            Some(Own::Whole(own)) => {
                (shown.revision, shown.updated) = (own.revision, Some(own.updated));
            }
            Some(Own::Damaged(reason)) => shown.problem = Some(reason.clone()),
            None => {}
        }
        shown
    }
}

/// Said to whoever asks for something, and so without where this host keeps what.
fn damaged(project: &ProjectName) -> Refusal {
    let message =
        format!("what project {project} may take is not known: its stored quota is damaged");
    Refusal::new(Code::Quarantined, message).with_hint(format!(
        "an administrator sees which file it is with `inn project get {project}`, and mends it; or gives \
         it up with `inn project delete {project} --force`, and sets the quota again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::Timestamp;

    fn quota(vms: u64) -> Quota {
        Quota { vms: Some(vms), ..Quota::default() }
    }

    #[test]
    fn what_was_said_of_a_project_outranks_what_was_said_of_all() {
        let name = |name: &str| name.parse::<ProjectName>().unwrap();
        let web = name("web");
        let mut bounds = Bounds::configured([(web.clone(), quota(2))].into(), quota(1));
        let of = |bounds: &Bounds, name: &ProjectName| {
            let shown = bounds.shown(name, Usage { vms: 3, ..Usage::default() });
            assert_eq!(shown.over, ["vms"]);
            (bounds.of(name).unwrap().vms.unwrap(), shown.quota_from, shown.revision.0)
        };
        assert_eq!(of(&bounds, &name("other")), (1, QuotaSource::Default, 0));
        assert_eq!(of(&bounds, &web), (2, QuotaSource::Configuration, 0));
        let revision = bounds.next_revision();
        let (updated, project) = (Timestamp::UNIX_EPOCH, web.clone());
        bounds.keep(StoredQuota { project, revision, updated, quota: quota(0) });
        assert_eq!(of(&bounds, &web), (0, QuotaSource::Own, 1));
        bounds.forget(&web);
        assert_eq!(of(&bounds, &web), (2, QuotaSource::Configuration, 0));
        assert_eq!(bounds.next_revision().0, 2, "an entity tag means one thing only");
        bounds.go_on_from(Revision(7));
        bounds.go_on_from(Revision(3));
        assert_eq!(bounds.next_revision().0, 8);
    }

    #[test]
    fn a_damaged_quota_is_not_taken_for_none() {
        let web: ProjectName = "web".parse().unwrap();
        let mut bounds = Bounds::default();
        bounds.keep_damaged(web.clone(), "web.json is damaged: why".into());
        let refused = bounds.of(&web).unwrap_err();
        assert_eq!((refused.code, bounds.own(&web).unwrap_err()), (Code::Quarantined, refused));
        let shown = bounds.shown(&web, Usage::default());
        assert_eq!(shown.problem.as_deref(), Some("web.json is damaged: why"));
        assert!(bounds.names(&web));
    }
}
