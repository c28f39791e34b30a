//! Bars and signs of life of long work: on standard error, only where that is a terminal, gone once
//! the work is done. What a command prints is the same with and without them.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter work needs no sign of life.
const QUIET_FOR: Duration = Duration::from_millis(400);
const TURN_EVERY: Duration = Duration::from_millis(120);

/// Disappears when it is dropped.
pub(super) struct Progress(ProgressBar);

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress {
    /// Work of known length.
    pub(super) fn of(length: u64, what: &'static str) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let template = "{msg} {wide_bar} {percent:>3} %, {eta} left";
        bar.set_style(style(template));
        bar.set_message(what);
        Progress(bar)
    }

    /// Work whose end is not known.
    pub(super) fn waiting(what: String) -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {wide_msg} {elapsed}"));
        bar.set_message(what);
        bar.enable_steady_tick(TURN_EVERY);
        Progress(bar)
    }

    /// So much of all is done.
    pub(super) fn reaches(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }

    pub(super) fn says(&self, what: String) {
        self.0.set_message(what);
    }

    /// Writes something else while the bar is out of the way.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the template is a good one");
    style.progress_chars("━╸ ").tick_chars("⠁⠂⠄⡀⢀⠠⠐⠈ ")
}

/// Waits for work, with a sign of life once it takes long.
pub(super) async fn watched<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(QUIET_FOR, work.as_mut()).await {
        return done;
    }
    let _progress = Progress::waiting(what.to_owned());
    work.await
}
