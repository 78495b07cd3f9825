//! The daemon's log: how much of it there is, at the start and by an operator's word while it runs, and the
//! last of it.
//!
//! What is removed or signalled (`innkeeper::harm`) is in it at every level, so that nobody can first turn
//! the log off. What operators do by hand is in the audit.

mod line;
mod tail;

use innkeeper_model::Refusal;
use line::Lines;
use std::{
    io::{IsTerminal, stderr},
    panic,
    sync::{Mutex, PoisonError},
};
use tail::Tail;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, reload};

const ALWAYS: [&str; 1] = ["innkeeper::harm=info"];

type Reload = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// How much is logged, and the last of it.
pub(super) struct Log {
    level: Mutex<String>,
    reload: Reload,
    tail: Tail,
}

impl Log {
    /// Begins to log to the standard error, and to keep the last of it.
    ///
    /// # Errors
    /// It is no level.
    pub(super) fn start(level: &str) -> Result<Self, Refusal> {
        let filter = filter(level).map_err(|refusal| refusal.at("log_level"))?;
        let tail = Tail::default();
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(Lines { tail: tail.clone(), to: stderr })
            .with_ansi(stderr().is_terminal())
            .with_filter_reloading();
        let handle = log.reload_handle();
        log.init();
        keep_panics(tail.clone());
        Ok(Self { tail, ..Self::new(level, Box::new(move |filter| handle.reload(filter))) })
    }

    fn new(level: &str, reload: Reload) -> Self {
        Self { level: Mutex::new(level.to_owned()), reload, tail: Tail::default() }
    }

    /// The last of what was logged, at most 1 MiB: whole lines, oldest first.
    pub(super) fn last(&self) -> Vec<u8> {
        self.tail.read()
    }

    /// Logs this much from now on, and returns how much it was.
    ///
    /// # Errors
    /// It is no level.
    pub(super) fn set(&self, level: &str) -> Result<String, Refusal> {
        let filter = filter(level)?;
        // Held until it is so, or of two at a time the wrong one would be told as the last.
        let mut known = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        (self.reload)(filter).map_err(|error| {
            Refusal::new(innkeeper_model::Code::Internal, "the log cannot be changed")
                .caused_by(&error)
        })?;
        Ok(std::mem::replace(&mut known, level.to_owned()))
    }
}

/// Has panics kept as well: they are told past the log, and what is looked for first.
fn keep_panics(tail: Tail) {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        tail.keep_told(panic);
        before(panic);
    }));
}

/// Reads a level, or directives with a level for each part of the program.
fn filter(level: &str) -> Result<EnvFilter, Refusal> {
    let refused = |problem: String| {
        Refusal::invalid("level", level, problem).with_limit(
            "error, warn, info, debug, trace or off, and PART=LEVEL for parts of the program, with \
             commas between",
        )
    };
    for directive in level.split(',').map(str::trim) {
        // A word alone would be a part of the program, of which then everything is logged, and
        // nothing of all others; what is meant is a level.
        let known = directive.contains('=') || directive.parse::<LevelFilter>().is_ok();
        if directive.is_empty() || !known {
            return Err(refused(format!("has {directive:?} in it, which is not a level")));
        }
    }
    let filter = EnvFilter::try_new(level).map_err(|error| refused(error.to_string()))?;
    let always = ALWAYS.map(|text| text.parse().expect("the directives are constants that parse"));
    Ok(always.into_iter().fold(filter, EnvFilter::add_directive))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;

    /// A log that only remembers what it was set to.
    pub(in crate::daemon) fn unheard() -> Log {
        Log::new("info", Box::new(|_| Ok(())))
    }

    #[test]
    fn a_level_is_set_and_the_one_before_it_told() {
        let set = Arc::new(Mutex::new(Vec::new()));
        let into = set.clone();
        let reload = move |filter: EnvFilter| {
            into.lock().unwrap().push(filter.to_string());
            Ok(())
        };
        let log = Log::new("info", Box::new(reload));
        assert_eq!(log.set("info,innkeeper_qemu=debug").unwrap(), "info");
        assert_eq!(log.set("off").unwrap(), "info,innkeeper_qemu=debug");
        let filters = set.lock().unwrap().clone();
        for always in ALWAYS {
            assert!(filters.iter().all(|filter| filter.contains(always)), "{filters:?}");
        }
        assert!(filters[0].contains("innkeeper_qemu=debug"), "{filters:?}");
    }

    /// What a log with this filter gets to hear.
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Heard {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_removed_is_on_record_with_the_log_off() {
        let folder = tempfile::tempdir().unwrap();
        for level in ["off", "warn", "innkeeper::harm=off", "off,innkeeper=error"] {
            let heard = Heard::default();
            let into = heard.clone();
            let log = tracing_subscriber::fmt()
                .with_env_filter(filter(level).unwrap())
                .with_writer(move || into.clone())
                .finish();
            let file = folder.path().join("file");
            std::fs::write(&file, "").unwrap();
            tracing::subscriber::with_default(log, || {
                innkeeper_store::harm::remove_file(&file).unwrap();
                tracing::info!("nobody hears this");
            });
            let heard = String::from_utf8(heard.0.lock().unwrap().clone()).unwrap();
            assert!(heard.contains(file.to_str().unwrap()), "{level}: {heard:?}");
            assert!(!heard.contains("nobody hears this"), "{level}: {heard:?}");
        }
    }

    #[test]
    fn what_is_no_level_is_refused_and_changes_nothing() {
        let log = unheard();
        for level in ["loud", "", "info,", "innkeeper_qemu", "info,x=loud", "dbug"] {
            let refusal = log.set(level).unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some("level"), "{level}");
            assert!(refusal.limit.unwrap().contains("debug"));
        }
        assert_eq!(log.set("warn").unwrap(), "info");
    }
}
