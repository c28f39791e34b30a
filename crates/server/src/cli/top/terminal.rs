//! The terminal while it is ours: raw, on its other screen, and given back whichever way this ends:
//! by a key, an error, a signal or a panic.

use std::io;

use anyhow::{Context, Result};
use ratatui::{DefaultTerminal, Frame};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{self, SignalKind};

pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal; a panic gives it back before it is told of.
    pub(super) fn open() -> Result<Screen> {
        let terminal = ratatui::try_init().context("cannot take the terminal")?;
        Ok(Screen { terminal })
    }

    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        self.terminal.draw(picture).context("cannot draw")?;
        Ok(())
    }

    /// Gives the terminal back until the shell lets the program go on.
    pub(super) fn suspend(&mut self) -> Result<()> {
        ratatui::try_restore().context("cannot give the terminal back")?;
        kill_process(getpid(), Signal::TSTP).map_err(io::Error::from)?;
        self.terminal = ratatui::try_init().context("cannot take the terminal again")?;
        Ok(())
    }

    pub(super) fn close(self) -> Result<()> {
        drop(self);
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // To a terminal that is gone nothing can be given back.
        let _ = ratatui::try_restore();
    }
}

/// Signals that end a program.
pub(super) struct Ended([unix::Signal; 3]);

impl Ended {
    pub(super) fn listen() -> Result<Ended> {
        let listen = |kind| unix::signal(kind).context("cannot listen for signals");
        Ok(Ended([
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// The number of the signal that came.
    pub(super) async fn signal(&mut self) -> u8 {
        let [terminate, interrupt, hang_up] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => 15,
            _ = interrupt.recv() => 2,
            _ = hang_up.recv() => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::Screen;

    #[test]
    #[ignore = "run by the test below, on a terminal"]
    fn panics_on_a_terminal() {
        let mut screen = Screen::open().unwrap();
        screen.draw(|_| {}).unwrap();
        panic!("on purpose");
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let program = std::env::current_exe().unwrap();
        let test = "cli::top::terminal::tests::panics_on_a_terminal";
        let line = format!("'{}' --exact --ignored {test}", program.display());
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
        let output = script.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let (taken, given) = (text.find("\x1b[?1049h"), text.rfind("\x1b[?1049l"));
        assert!(taken.is_some() && given > taken, "{text:?}");
        assert!(!output.status.success(), "it did panic: {text:?}");
    }
}
