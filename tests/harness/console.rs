//! A guest's serial console, with somebody at it.

use super::{
    http::{Request, read_head},
    wait::{BOOT, SHORT},
};
use std::{
    io::{self, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// What the shell asks the terminal each time it prompts: where the cursor is.
const WHERE_IS_THE_CURSOR: &str = "\u{1b}[6n";
const PROMPT: &str = "~# ";

/// An open console.
pub(crate) struct Console {
    from: BufReader<UnixStream>,
    to: UnixStream,
    /// What the guest has written that was not expected yet.
    text: String,
}

/// How many commands were run at all consoles: what was written before this one was opened is shown at it
/// again, ends of commands among it.
static COMMANDS: AtomicU32 = AtomicU32::new(0);

impl Console {
    /// Opens a VM's console.
    pub(crate) fn open(socket: &Path, vm: &str) -> Self {
        let mut to = UnixStream::connect(socket).unwrap();
        Request::new("GET", &format!("/v1/vms/{vm}/console"))
            .header("Connection", "Upgrade")
            .header("Upgrade", "innkeeper-stream")
            .send(&mut to)
            .unwrap();
        let mut from = BufReader::new(to.try_clone().unwrap());
        let reply = read_head(&mut from).unwrap();
        assert_eq!(reply.status, 101, "{reply:?}");
        assert_eq!(reply.header("upgrade"), Some("innkeeper-stream"));
        Self { from, to, text: String::new() }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.to.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until the guest has written this, and returns what it wrote before it.
    #[track_caller]
    pub(crate) fn expect(&mut self, wanted: &str, within: Duration) -> String {
        let end = Instant::now() + within;
        loop {
            if let Some(at) = self.text.find(wanted) {
                let before = self.text[..at].to_owned();
                self.text.drain(..at + wanted.len());
                return before;
            }
            let left = end.saturating_duration_since(Instant::now());
            let read =
                if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { self.read(left) };
            // A read with a bound ends when any signal comes, such as that a child of another test's has ended.
            if let Err(why) = read
                && why.kind() != io::ErrorKind::Interrupted
            {
                panic!("{wanted:?} was not written ({why}); what was: {:?}", self.text);
            }
        }
    }

    /// Logs in, at a prompt that is there or comes.
    #[track_caller]
    pub(crate) fn log_in(&mut self) {
        self.expect("login: ", BOOT);
        self.send("root\n");
        self.expect("Password: ", SHORT);
        self.send("innkeeper\n");
        self.expect(PROMPT, SHORT);
    }

    /// Logs in once the guest has said its address, which it else does in the middle of something.
    #[track_caller]
    pub(crate) fn log_in_when_online(&mut self) {
        self.expect("INNKEEPER-GUEST-IP 10.0.2.15", BOOT);
        // The prompt may have been before that.
        self.send("\n");
        self.log_in();
    }

    /// Runs a command in the guest's shell; returns its exit status and what it wrote.
    #[track_caller]
    pub(crate) fn run(&mut self, command: &str) -> (i32, String) {
        let number = COMMANDS.fetch_add(1, Ordering::Relaxed);
        // The quotes keep the echo of the command from looking like its end.
        self.send(&format!("{command}; echo \"END\"\"-{number} $?\"\n"));
        let echo_and_output = self.expect(&format!("END-{number} "), BOOT);
        let status = self.expect("\n", SHORT);
        self.expect(PROMPT, SHORT);
        let (_echo, output) = echo_and_output.split_once('\n').unwrap_or_default();
        let status = status.trim().parse().unwrap_or_else(|_| panic!("no exit status: {status:?}"));
        (status, output.trim().to_owned())
    }

    /// The output of a command that succeeds.
    #[track_caller]
    pub(crate) fn output_of(&mut self, command: &str) -> String {
        let (status, output) = self.run(command);
        assert_eq!(status, 0, "{command}: {output}");
        output
    }

    fn read(&mut self, within: Duration) -> io::Result<()> {
        self.from.get_ref().set_read_timeout(Some(within))?;
        let mut bytes = [0; 4096];
        let count = self.from.read(&mut bytes)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.text += &String::from_utf8_lossy(&bytes[..count]);
        self.text = self.text.replace(WHERE_IS_THE_CURSOR, "").replace('\r', "");
        Ok(())
    }
}
