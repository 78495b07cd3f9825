//! The audit around the engine: begun before anybody is served, ended when nobody is any more.

use super::{DaemonOptions, diagnostics::Inside};
use anyhow::Context as _;
use innkeeper_engine::Engine;
use innkeeper_store::audit::{AuditLog, AuditOptions};
use innkeeper_surface::{Audited, Diagnostics, Operations};
use std::{sync::Arc, time::Duration};
use tokio::task::spawn_blocking;
use tracing::warn;

/// How long the daemon's end waits for the last lines.
const ENDS_WITHIN: Duration = Duration::from_millis(200);

/// What surfaces ask.
pub(super) struct Asked {
    pub(super) operations: Arc<dyn Operations>,
    pub(super) diagnostics: Arc<dyn Diagnostics>,
    audit: Option<AuditLog>,
}

impl Asked {
    /// The engine and the daemon, with an audit around them where one is kept. Called on a runtime, once the
    /// engine has taken up what an earlier daemon had not ended.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn of(
        engine: &Engine,
        inside: Inside,
        options: &DaemonOptions,
    ) -> anyhow::Result<Self> {
        if !options.audit.enabled {
            warn!("no audit is kept: the configuration says so");
            let operations = Arc::new(engine.clone());
            return Ok(Self { operations, diagnostics: Arc::new(inside), audit: None });
        }
        let audit = AuditLog::start(AuditOptions {
            folder: options.audit_dir(),
            file_size: options.audit.file_size.0,
            files: options.audit.files,
        })
        .context("cannot begin the audit")?;
        let view = engine.view().clone();
        let operations = Audited::new(engine.clone(), view.clone(), audit.clone());
        operations.await_unfinished();
        let diagnostics = Audited::new(inside, view, audit.clone());
        let (operations, diagnostics) = (Arc::new(operations), Arc::new(diagnostics));
        Ok(Self { operations, diagnostics, audit: Some(audit) })
    }

    /// Has the last lines written; a disk that hangs keeps nobody from ending.
    pub(super) async fn end(self) {
        if let Some(audit) = self.audit {
            // It waits for the disk, and so not on a thread that others need.
            let _ = spawn_blocking(move || audit.end(ENDS_WITHIN)).await;
        }
    }
}
