//! Progress on standard error: only on a terminal, and only of what takes longer than a second.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(200);

/// Something under way. Its line goes away when it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    shows: JoinHandle<()>,
}

impl Progress {
    /// Bytes on their way; `total` where it is known.
    pub(crate) fn bytes(doing: &'static str, total: Option<u64>) -> Self {
        let template = match total {
            Some(_) => "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}",
            None => "{msg} {spinner} {bytes}, {bytes_per_sec}",
        };
        Self::start(doing, total, template)
    }

    /// Work without a known end; [`say`](Self::say) tells how far it is.
    pub(crate) fn work(doing: &'static str) -> Self {
        Self::start(doing, None, "{spinner} {msg}")
    }

    fn start(doing: &'static str, total: Option<u64>, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_message(doing);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let late = bar.clone();
        let shows = tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            // Draws nothing unless standard error is a terminal.
            late.set_draw_target(ProgressDrawTarget::stderr());
            late.enable_steady_tick(TICK);
        });
        Self { bar, shows }
    }

    /// So many bytes more have come.
    pub(crate) fn add(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }

    pub(crate) fn say(&self, how_far: String) {
        self.bar.set_message(how_far);
    }

    /// A handle for a stream that outlives the borrow.
    pub(crate) fn counter(&self) -> impl Fn(usize) + Send + Sync + use<> {
        let bar = self.bar.clone();
        move |bytes| bar.inc(bytes as u64)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shows.abort();
        self.bar.finish_and_clear();
    }
}
