//! A program on a terminal: keys in, the screen out.
//!
//! `setsid --ctty` makes the terminal its own, so that a change of size and a hang-up reach it as
//! they would reach it in a window.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::wait::{WITHIN, until, within};

pub struct Pty {
    master: OwnedFd,
    keys: File,
    child: Child,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    screen: vt100::Parser,
    raw: Vec<u8>,
}

impl Pty {
    /// Runs a program (with its arguments and environment) on a terminal of its own.
    pub fn run(program: &Command, (rows, columns): (u16, u16)) -> Pty {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        set_size(&master, rows, columns);
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = || OpenOptions::new().read(true).write(true).open(&name).unwrap();
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("TERM", "xterm-256color").env_remove("COLORTERM");
        command.stdin(slave()).stdout(slave()).stderr(slave());
        let child = command.spawn().unwrap();
        let screen = vt100::Parser::new(at_least_one(rows), at_least_one(columns), 0);
        let seen = Seen { screen, raw: Vec::new() };
        let seen = Arc::new(Mutex::new(seen));
        let (mut output, taken) = (File::from(master.try_clone().unwrap()), seen.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error is the end: nobody has the terminal any more.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let mut seen = taken.lock().unwrap();
                seen.screen.process(&bytes[..count]);
                seen.raw.extend_from_slice(&bytes[..count]);
            }
        });
        let keys = File::from(master.try_clone().unwrap());
        Pty { master, keys, child, seen }
    }

    pub fn screen(&self) -> String {
        self.seen.lock().unwrap().screen.screen().contents()
    }

    /// All that was written, escape sequences and all.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().raw).into_owned()
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = (at_least_one(rows), at_least_one(columns));
        self.seen.lock().unwrap().screen.screen_mut().set_size(size.0, size.1);
        set_size(&self.master, rows, columns);
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until the screen is as wanted.
    pub fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let seen = within(WITHIN, || Some(self.screen()).filter(|screen| wanted(screen)));
        seen.unwrap_or_else(|| panic!("not seen: {what}; the screen is\n{}", self.screen()))
    }

    /// Waits for a text, wherever its lines are broken.
    pub fn until_shows(&self, text: &str) -> String {
        let flat = |screen: &str| screen.split_whitespace().collect::<Vec<_>>().join(" ");
        self.until(text, |screen| flat(screen).contains(text))
    }

    pub fn ended(&mut self) -> ExitStatus {
        until("the program ends", || self.child.try_wait().unwrap())
    }

    /// Was the terminal taken, and given back?
    pub fn is_restored(&self) -> bool {
        let raw = self.raw();
        let (taken, given) = (raw.rfind("\x1b[?1049h"), raw.rfind("\x1b[?1049l"));
        let on_the_first_screen = taken.is_some() && given > taken;
        let modes = tcgetattr(&self.master).unwrap().local_modes;
        on_the_first_screen && modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

fn at_least_one(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a terminal has a size")
}

fn set_size(master: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).unwrap();
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
