//! How long a program of the host's may take that is over in milliseconds where all is well.

use innkeeper_model::{Code, Refusal};
use innkeeper_store::harm::Helper;
use std::{process::Output, time::Duration};

/// For one run of `nft`. It waits for the kernel's one lock on rulesets, which others can hold.
pub(crate) const NFT: Duration = Duration::from_secs(10);

/// What a program says to its input. One that takes too long, or that nobody waits for any more, is
/// killed with its children.
///
/// # Errors
/// It took too long, or the system's.
pub(crate) async fn output(
    program: Helper,
    input: &[u8],
    at_most: Duration,
) -> Result<Output, Refusal> {
    match tokio::time::timeout(at_most, program.output(input)).await {
        Ok(output) => Ok(output?),
        Err(_) => {
            let message = format!("nft did not end within {} s", at_most.as_secs_f32());
            Err(Refusal::new(Code::Timeout, message)
                .with_hint("`nft list ruleset` shows whether it hangs; it is tried again"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{process::Stdio, time::Instant};
    use tokio::{io::AsyncReadExt, net::unix::pipe, process::Command};

    /// A program that holds the write end of a pipe until it is gone.
    fn shell(script: &str) -> (Helper, pipe::Receiver) {
        let (ours, its) = std::io::pipe().unwrap();
        let mut command = Command::new("/bin/sh");
        let command = command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let helper = Helper::start(command.stderr(its)).unwrap();
        (helper, pipe::Receiver::from_owned_fd(ours.into()).unwrap())
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_killed_when_its_time_is_up() {
        let begun = Instant::now();
        let (program, mut alive) = shell("sleep 600 & wait");
        let refusal = output(program, b"", Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(refusal.code, Code::Timeout);
        let gone = alive.read_u8();
        tokio::time::timeout(NFT, gone).await.expect("its child is gone, too").unwrap_err();
        assert!(begun.elapsed() < NFT);
    }

    #[tokio::test]
    async fn one_that_ends_is_heard() {
        let (program, _alive) = shell("cat");
        assert_eq!(output(program, b"heard", NFT).await.unwrap().stdout, b"heard");
    }
}
