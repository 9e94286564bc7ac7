//! Programs as child processes that cannot outlive this one, their output in a file.
//!
//! The leash is a shell that watches its standard input and then becomes the program: the input ends when the test process
//! dies, however that happens (SIGKILL, a `static` that is never dropped), and the kernel sees to it. The kernel's own
//! parent-death signal would not do: it fires when the *thread* ends that started the program, and tests are threads.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// `$$` is the program, since the shell becomes it. A line on the input lets it go, the end of the input ends it. The
/// input goes by descriptor 3, since a shell gives what it starts in the background an empty standard input. What lost
/// its peers is slow to leave, hence the second, harder signal; the folder goes last, since nobody else is left to remove
/// it.
const LEASH: &str = r#"folder=$1; shift; exec 3<&0
(read -r _ <&3 && exit; kill $$; n=0; while kill -0 $$ && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
kill -0 $$ && kill -9 $$; [ -z "$folder" ] || rm -rf "$folder") >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null"#;
const LOG_TAIL_BYTES: usize = 4000;

/// A signal, as `kill` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Asks to end.
    Term,
    /// Ends.
    Kill,
    /// Freezes: connections stay open, nothing is answered.
    Stop,
    /// Thaws.
    Cont,
}

/// What to start.
pub struct Program<'a> {
    /// The binary.
    pub path: &'a Path,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment; `None`: ours.
    pub environment: Option<Vec<(String, String)>>,
    /// Both of its streams are appended to this file.
    pub log: PathBuf,
    /// Removed if the test process dies before it could.
    pub removes: Option<&'a Path>,
}

/// A running program. Dropping it asks it to end, and waits until it has.
pub struct Process {
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `program`.
    pub fn start(program: Program<'_>) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(&program.log);
        let log: File = log.unwrap_or_else(|error| panic!("{}: {error}", program.log.display()));
        let mut command = Command::new("sh");
        command
            .args(["-c", LEASH, "sh"])
            .arg(program.removes.unwrap_or(Path::new("")))
            .arg(program.path)
            .args(&program.arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log);
        if let Some(environment) = program.environment {
            command.env_clear().envs(environment);
        }
        Self {
            child: command.spawn().expect("sh can be started"),
            log: program.log,
            ended: None,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be asked");
            if self.ended.is_some() {
                self.let_go();
            }
        }
        self.ended
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_some() {
            return;
        }
        let name = match signal {
            Signal::Term => "-TERM",
            Signal::Kill => "-KILL",
            Signal::Stop => "-STOP",
            Signal::Cont => "-CONT",
        };
        let sent = Command::new("kill").args([name, &self.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{name} could not be sent");
    }

    /// Ends it at once, and waits until it is gone.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
            self.let_go();
        }
    }

    /// Everything it printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The end of what it printed, for the message of a failure.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned();
        format!("--- {}\n{tail}\n", self.log.display())
    }

    /// So that the leash does not send its signal to a stranger who was given the process id since.
    fn let_go(&mut self) {
        if let Some(mut leash) = self.child.stdin.take() {
            let _ = leash.write_all(b"\n");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        let _ = Command::new("kill").arg("-CONT").arg(self.pid().to_string()).status(); // what is frozen cannot end
        drop(self.child.stdin.take()); // pulls the leash
        let _ = self.child.wait();
    }
}
