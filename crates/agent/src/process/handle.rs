//! A handle on one process by pidfd: signals through it reach that process or none.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use model::tick::ProcessIdentity;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::Host;
use crate::clock;

#[derive(Debug)]
pub struct ProcessHandle {
    pidfd: OwnedFd,
    pub identity: ProcessIdentity,
}

impl ProcessHandle {
    /// A handle on exactly this process; `None` when it runs no more (or its pid is another's now).
    ///
    /// The identity is read after the pidfd is open: a process with the expected start time that
    /// has the pid now had it when the pidfd was opened, so both are the same.
    pub fn open(host: &Host, identity: &ProcessIdentity) -> io::Result<Option<ProcessHandle>> {
        let Some(pid) = i32::try_from(identity.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !host.runs(identity) {
            return Ok(None);
        }
        Ok(Some(ProcessHandle { pidfd, identity: identity.clone() }))
    }

    /// False when the process is already gone.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        match rustix::process::pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the process is gone (a zombie is gone), at most `limit`. True when it is.
    pub fn wait_gone(&self, limit: Duration) -> io::Result<bool> {
        let until = clock::monotonic() + limit;
        loop {
            let left = until.saturating_duration_since(clock::monotonic());
            let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&clock::timespec(left))) {
                Ok(0) if left.is_zero() => return Ok(false),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
