//! One run of one hook, from its start until nothing of it is left.
//!
//! Three things happen at once: the input is written, the output is read, and the end is waited for.
//! Only the last decides: a hook need not read its input, and whatever it leaves behind that holds its
//! output open is not waited for.

use crate::{
    Script,
    group::Group,
    launch::{Launched, Subject, launch},
    output::Output,
};
use rustix::fd::AsFd;
use std::{
    convert::Infallible, io, os::unix::process::ExitStatusExt, pin::pin, sync::Arc, time::Duration,
};
use tokio::{io::AsyncWriteExt, net::unix::pipe, process::ChildStdin};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How long a hook may take to end by itself once it was asked to, because the task was cancelled. It
/// is short, so that a cancelled task is done within two seconds.
const GRACE: Duration = Duration::from_secs(1);
/// How long a cancelled hook that is just being started may take to be there, to be ended properly.
const LAUNCH_GRACE: Duration = Duration::from_millis(400);
/// The most that is read of what is still in the pipe after a hook has ended, in bytes: more than a
/// pipe holds, so that it is all unless somebody goes on writing.
const MOST_LEFT: usize = 1 << 20;

/// How a hook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With this exit status.
    Exited(i32),
    /// By this signal, which was not ours.
    Signalled(i32),
    /// It was killed after its time.
    Deadline,
    /// It was ended because the task was cancelled.
    Cancelled,
}

/// What a hook is run with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) input: &'a [u8],
    pub(crate) deadline: Duration,
    pub(crate) cancelled: &'a CancellationToken,
}

impl Run<'_> {
    /// Runs the hook until it ends, at most until the deadline. When this returns, or its future is
    /// dropped, the hook is dead, with all that has stayed in its process group.
    ///
    /// # Errors
    /// The kernel would not start it, or not let it be watched; then it is dead as well.
    pub(crate) async fn of(&self, script: Arc<Script>) -> io::Result<(End, Output)> {
        let Launched { group, stdin, output: pipe } = match self.launch(script).await? {
            Ok(launched) => launched,
            Err(end) => return Ok((end, Output::default())),
        };
        let mut output = Output::default();
        let early = tokio::select! {
            biased;
            early = self.watch(&group) => early?,
            never = talk(stdin, self.input, &pipe, &mut output) => match never {},
        };
        let status = group.end("the hook is over").await?;
        read_what_is_left(&pipe, &mut output);
        let end = match (early, status) {
            (Some(early), _) => early,
            (None, Some(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => End::Exited(code),
                (None, signal) => End::Signalled(signal.unwrap_or_default()),
            },
            // It had ended, so it could be reaped at once; if the kernel thinks otherwise, it has not
            // said that all is well.
            (None, None) => End::Deadline,
        };
        Ok((end, output))
    }

    /// Starts the hook on a thread that may block; or why it is not waited for any longer. It is killed
    /// then as soon as it is there.
    async fn launch(&self, script: Arc<Script>) -> io::Result<Result<Launched, End>> {
        let subject = self.subject.clone();
        let launching = tokio::task::spawn_blocking(move || launch(&script, &subject));
        let mut launching = pin!(AbortOnDropHandle::new(launching));
        let launched = tokio::select! {
            biased;
            launched = &mut launching => launched,
            () = tokio::time::sleep(self.deadline) => return Ok(Err(End::Deadline)),
            () = self.cancelled.cancelled() => {
                match tokio::time::timeout(LAUNCH_GRACE, &mut launching).await {
                    Ok(launched) => launched,
                    Err(_) => return Ok(Err(End::Cancelled)),
                }
            }
        };
        launched.map_err(io::Error::other)?.map(Ok)
    }

    /// Waits for the end of the first process; why it has to end, where that is not its own doing.
    async fn watch(&self, group: &Group) -> io::Result<Option<End>> {
        tokio::select! {
            biased;
            ended = group.ended() => ended.map(|()| None),
            () = self.cancelled.cancelled() => {
                group.terminate("the task was cancelled");
                let _in_time = tokio::time::timeout(GRACE, group.ended()).await;
                Ok(Some(End::Cancelled))
            }
            () = tokio::time::sleep(self.deadline) => Ok(Some(End::Deadline)),
        }
    }
}

/// Writes the input and reads the output, for ever.
async fn talk(
    stdin: Option<ChildStdin>,
    input: &[u8],
    pipe: &pipe::Receiver,
    output: &mut Output,
) -> Infallible {
    let write = async {
        if let Some(mut stdin) = stdin {
            // It may have closed its input or ended; it need not read what it is told.
            let _unread = stdin.write_all(input).await;
        }
    };
    let read = async {
        // Not within the future, which others are built around.
        let mut buffer = vec![0; 16 << 10];
        while pipe.readable().await.is_ok() {
            match pipe.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => output.push(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
            // There may always be more: the deadline must have its turn, and so must others.
            tokio::task::consume_budget().await;
        }
    };
    tokio::join!(write, read);
    std::future::pending().await
}

/// Reads what a hook said just before its end, without waiting for anything. The descriptor is read
/// directly: whether the runtime has heard yet that there is something makes no difference.
fn read_what_is_left(pipe: impl AsFd, output: &mut Output) {
    let mut buffer = [0; 8192];
    let mut left = MOST_LEFT;
    while left > 0 {
        match rustix::io::read(&pipe, &mut buffer) {
            Ok(count @ 1..) => {
                output.push(&buffer[..count]);
                left = left.saturating_sub(count);
            }
            Ok(0) | Err(_) => break,
        }
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
