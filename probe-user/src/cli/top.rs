//! `btrfs-probe top`
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    common::{CaptureOpts, FilterOpts, TerminalOpts},
    parse,
};
use crate::{
    report::text,
    session::{
        exit::UsageError,
        plan::{TopPlan, TopSource},
    },
    tui::palette::{Palette, Theme},
};

/// Show who holds what, live or from a recording
///
/// Pages: inodes, pools, findings, tests, health. `?` lists the keys. The tool keeps watching while the display is paused.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Play a recording instead of watching this kernel
    #[arg(long, value_name = "FILE", help_heading = "Screen")]
    replay: Option<PathBuf>,
    /// Time between two updates of the screen, from 100ms to 1h
    #[arg(long, value_name = "D", value_parser = refresh, default_value = "1s", help_heading = "Screen")]
    refresh: Duration,
    /// Colours: standard or color-blind (for a dark background), light, or plain
    #[arg(
        long,
        value_name = "NAME",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        help_heading = "Screen"
    )]
    theme: Theme,
    /// Draw with ASCII characters only; the default depends on the locale
    #[arg(long, help_heading = "Screen")]
    ascii: bool,
    #[command(flatten)]
    capture: CaptureOpts,
    #[command(flatten)]
    filter: FilterOpts,
}

fn refresh(typed: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(100)..=Duration::from_secs(3600);
    let time = parse::duration(typed).ok().filter(|time| range.contains(time));
    time.ok_or_else(|| "choose a time from 100ms to 1h, for example 500ms or 2s".to_owned())
}

impl Args {
    pub(super) fn plan(&self, terminal: &TerminalOpts) -> anyhow::Result<TopPlan> {
        let filter = self.filter.plan()?;
        let source = match &self.replay {
            Some(file) if file == Path::new("-") => {
                let text =
                    "the screen goes back in a recording, so it cannot play standard input: name a file";
                return Err(UsageError(text.to_owned()).into());
            }
            Some(file) => {
                self.capture.warn_of_recording();
                TopSource::Recording { file: file.clone(), filter }
            }
            None => TopSource::Live { capture: self.capture.plan(), filter },
        };
        let can = text::look_for(terminal.color, false);
        Ok(TopPlan {
            source,
            refresh: self.refresh,
            palette: Palette {
                theme: if can.color { self.theme } else { Theme::Plain },
                unicode: can.unicode && !self.ascii,
            },
            verbosity: terminal.verbose,
        })
    }
}
