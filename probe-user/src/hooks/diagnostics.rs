//! The log of the kernel side with `-vv` (`probe-ebpf/src/diagnose.rs`), passed on as lines of our own log.
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aya::{EbpfLoader, maps::Array};
use aya_log::{EbpfLogger, Level};
use log::{Log, Metadata, Record};

use super::{error::AttachError, probe::Probe};

/// The ring of the lines, by the name that `aya-log-ebpf` gives it.
const RING: &str = "AYA_LOGS";
/// Room for more than a hundred lines: they are rare, and are read as often as the ring of records.
const RING_BYTES: u32 = 64 << 10;
/// When the log is off: the loader rounds it up to one page, the smallest ring.
const NO_RING: u32 = 1;

const ON: u8 = Level::Debug as u8;
const OFF: u8 = 0;

/// Switches the lines on or off, before the kernel side is loaded.
pub(super) fn configure(loader: &mut EbpfLoader<'_>, wanted: bool) {
    let (level, ring) = if wanted { (&ON, RING_BYTES) } else { (&OFF, NO_RING) };
    loader.override_global(aya_log::LEVEL, level, true).map_max_entries(RING, ring);
}

/// The reader of the lines.
pub struct Diagnostics {
    logger: EbpfLogger<Forward>,
    read: Arc<AtomicU64>,
}

impl Probe {
    /// Returns the reader of the kernel side's log, if `-vv` asked for it. Call it after the programs are loaded.
    ///
    /// # Errors
    /// It was taken already, or the object is not ours.
    pub fn take_diagnostics(&mut self) -> Result<Option<Diagnostics>, AttachError> {
        if !self.verbose {
            return Ok(None);
        }
        let read = Arc::<AtomicU64>::default();
        let forward = Forward { read: Arc::clone(&read) };
        match EbpfLogger::init_with_logger(&mut self.ebpf, forward) {
            Ok(logger) => Ok(Some(Diagnostics { logger, read })),
            Err(aya_log::Error::MapError(source)) => Err(AttachError::Map { name: RING, source }),
            Err(_) => Err(AttachError::Missing(RING)),
        }
    }

    /// Lines that the kernel side made since the programs were loaded.
    fn diagnostics_made(&self) -> u64 {
        let map = self.ebpf.map("DIAGNOSED").map(Array::<_, u64>::try_from);
        map.and_then(|map| map.ok()?.get(&0, 0).ok()).unwrap_or(0)
    }
}

impl Diagnostics {
    /// Passes on the lines that came since the last call.
    pub fn forward(&mut self) {
        self.logger.flush();
    }

    /// Passes on the last lines, and logs how many found no room. Call it when the hooks are off.
    pub fn close(mut self, probe: &Probe) {
        // Read the count first: a line is in the ring before it is counted.
        let made = probe.diagnostics_made();
        self.forward();
        let lost = made.saturating_sub(self.read.load(Ordering::Relaxed));
        if lost > 0 {
            log::warn!("{lost} lines of the kernel side found no room in their ring");
        }
    }
}

/// Counts lines and hands them to the log of this process, under the target that the kernel side gave them.
struct Forward {
    read: Arc<AtomicU64>,
}

impl Log for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        log::logger().enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.read.fetch_add(1, Ordering::Relaxed);
        let line = readable(&record.args().to_string());
        let metadata = record.metadata().clone();
        log::logger()
            .log(&Record::builder().metadata(metadata).args(format_args!("kernel side: {line}")).build());
    }

    fn flush(&self) {
        log::logger().flush();
    }
}

/// Names come in fields of fixed length, filled up with zeroes. Other bytes that do not print came from kernel memory.
fn readable(line: &str) -> String {
    let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    line.chars().filter(|c| *c != '\0').map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_padded_name_is_shown_without_its_padding() {
        assert_eq!(readable("lost at console\0\0\0: stack\0\0, 1"), "lost at console: stack, 1");
        assert_eq!(readable("type \x1b[2J"), "type \u{fffd}[2J");
    }
}
