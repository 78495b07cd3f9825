//! Children that do something for the daemon and are done, such as `nft`.

use super::signal_group;
use rustix::process::{Pid, Signal};
use std::{
    io,
    process::{ExitStatus, Output},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStderr, ChildStdout, Command},
};

/// A child in a process group of its own. Dropped before it has ended, it is killed with its group, on
/// record; the runtime reaps it then.
#[derive(Debug)]
pub struct Helper {
    child: Child,
}

impl Helper {
    /// Starts one.
    ///
    /// # Errors
    /// The system's; then there is none.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self { child: command.process_group(0).spawn()? })
    }

    /// Takes where it writes to, as far as that was said to be pipes.
    pub fn take_outputs(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// The system's.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Gives it this to read, where that was said to be a pipe, and waits until it has ended. One that
    /// ends without having read all of it says by its end why.
    ///
    /// # Errors
    /// The system's.
    pub async fn output(mut self, input: &[u8]) -> io::Result<Output> {
        let stdin = self.child.stdin.take();
        let (stdout, stderr) = self.take_outputs();
        let give = async {
            if let Some(mut stdin) = stdin {
                // Closed when this ends.
                let _what_was_not_read = stdin.write_all(input).await;
            }
            Ok(())
        };
        let (status, (), stdout, stderr) =
            tokio::try_join!(self.child.wait(), give, read_all(stdout), read_all(stderr))?;
        Ok(Output { status, stdout, stderr })
    }

    /// Kills it with its group, and waits until it has ended.
    ///
    /// # Errors
    /// The system's.
    pub async fn end(&mut self, why: &str) -> io::Result<ExitStatus> {
        self.kill(why);
        self.child.wait().await
    }

    fn kill(&self, why: &str) {
        // No id: it has been reaped, and the number may be another's by now.
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(leader) = id.and_then(Pid::from_raw) {
            signal_group(leader, Signal::KILL, why);
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // One that has ended is reaped by this, and not signalled.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill("nobody waits for it any more");
        }
    }
}

async fn read_all(from: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    if let Some(mut from) = from {
        from.read_to_end(&mut all).await?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{process::Stdio, time::Duration};

    fn shell(script: &str) -> Helper {
        let mut command = Command::new("/bin/sh");
        let command = command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Helper::start(command.stderr(Stdio::piped())).unwrap()
    }

    #[tokio::test]
    async fn it_reads_what_it_is_given_and_says_how_it_ended() {
        let output = shell("cat; echo wrong >&2; exit 3").output(&[b'x'; 200_000]).await.unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 200_000));
        assert_eq!(output.stderr, b"wrong\n");
        let output = shell("exit 4").output(&[b'x'; 200_000]).await.unwrap();
        assert_eq!(output.status.code(), Some(4), "one that does not read is no failure of ours");
    }

    #[tokio::test]
    async fn nothing_of_it_is_left_when_nobody_waits_for_it() {
        for dropped in [true, false] {
            let mut helper = shell("sleep 600 & echo $!; wait");
            let (stdout, _) = helper.take_outputs();
            let mut stdout = stdout.unwrap();
            let mut child = [0; 32];
            let length = stdout.read(&mut child).await.unwrap();
            assert!(length > 1);
            if dropped {
                drop(helper);
            } else {
                let status = helper.end("test").await.unwrap();
                assert_eq!(status.code(), None, "it was killed");
            }
            // Both ends of the pipe are closed with the last of the group.
            let end = tokio::time::timeout(Duration::from_secs(10), stdout.read(&mut child)).await;
            assert_eq!(end.expect("its child is gone, too").unwrap(), 0);
        }
    }
}
