//! A line of a trace: who, when, which event. As `trace` and `trace_pipe` of tracefs, `trace-cmd report` and `perf script` print it.

/// Most bytes of a line that are looked at; the longest line of an event is near 500.
pub const LONGEST_LINE: usize = 4096;
/// Most letters kept of a name.
const LONGEST_NAME: usize = 64;

/// A line of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Name of the task.
    pub comm: &'a str,
    /// Thread id.
    pub tid: u32,
    /// Processor.
    pub cpu: u32,
    /// Time in ns by the clock of the trace; none where that counts something else.
    pub time: Option<u64>,
    /// Name of the event, without the name of its system.
    pub event: &'a str,
    /// Its fields as printed.
    pub fields: &'a str,
}

/// What is no event, and says something about the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Events were lost here; how many is not always told.
    Lost(Option<u64>),
    /// Events in the text, and events that there were.
    Entries(u64, u64),
    /// The first event of a processor whose earlier ones were overwritten.
    Begins,
}

/// The event of a line, if it is one.
#[must_use]
pub fn event_line(line: &str) -> Option<Line<'_>> {
    // A task can be called anything, also `[001]`: the first bracket behind which the rest fits is the processor.
    line.match_indices('[').find_map(|(at, _)| {
        let (before, after) = (line.get(..at)?, line.get(at + 1..)?);
        let (cpu, rest) = after.split_once(']')?;
        if cpu.len() > 5 || cpu.is_empty() {
            return None;
        }
        let cpu = cpu.parse().ok()?;
        let (comm, tid) = task(before)?;
        let (time, rest) = moment(rest)?;
        let (name, fields) = rest.trim_start().split_once(':')?;
        // `perf script` puts the system before the name.
        let (name, fields) = match fields.split_once(':') {
            Some((event, fields)) if is_name(event) && name == "btrfs" => (event, fields),
            _ => (name, fields),
        };
        is_name(name).then(|| Line { comm, tid, cpu, time, event: name, fields: fields.trim() })
    })
}

/// `name-123`, `name-123 (  99)` with the process behind, or `name 123`.
fn task(before: &str) -> Option<(&str, u32)> {
    let mut text = before.trim();
    if let Some((name, _)) = text.strip_suffix(')').and_then(|text| text.rsplit_once('(')) {
        text = name.trim_end();
    }
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (name, tid) = text.split_at_checked(text.len() - digits)?;
    // `perf script` has `123/124` with process and thread.
    let name = match name.strip_suffix('/') {
        Some(name) => name.trim_end_matches(|c: char| c.is_ascii_digit()),
        None => name,
    };
    let name = name.strip_suffix(['-', ' '])?.trim();
    Some((short(name), tid.parse().ok()?))
}

/// The time, behind flags or not, and what follows it.
fn moment(text: &str) -> Option<(Option<u64>, &str)> {
    let mut rest = text;
    // Flags are one word; `trace-cmd` and `perf script` have none.
    for _ in 0..3 {
        rest = rest.trim_start();
        let (word, behind) = rest.split_once(|c: char| c.is_whitespace())?;
        if let Some(number) = word.strip_suffix(':')
            && number.starts_with(|c: char| c.is_ascii_digit())
        {
            return time(number).map(|time| (time, behind));
        }
        rest = behind;
    }
    None
}

/// Seconds with a fraction as ns; a number without is none of a clock.
#[allow(clippy::option_option, reason = "no time, and a time that is none of a clock, differ")]
fn time(text: &str) -> Option<Option<u64>> {
    let Some((seconds, fraction)) = text.split_once('.') else {
        return text.bytes().all(|byte| byte.is_ascii_digit()).then_some(None);
    };
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    let nanoseconds: u64 = fraction.parse().ok()?;
    let scale = 10_u64.pow(9 - u32::try_from(fraction.len()).ok()?);
    Some(Some(seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds * scale)?))
}

/// What a line says about the trace.
#[must_use]
pub fn remark(line: &str) -> Option<Remark> {
    let line = line.trim();
    if let Some(entries) = line.strip_prefix("# entries-in-buffer/entries-written:") {
        let (kept, written) = entries.trim().split_once('/')?;
        let written = written.split_whitespace().next()?;
        return Some(Remark::Entries(kept.parse().ok()?, written.parse().ok()?));
    }
    if line.starts_with("##### CPU ") && line.contains("buffer started") {
        return Some(Remark::Begins);
    }
    // `CPU:1 [LOST 12 EVENTS]`, and of trace-cmd `CPU:1 [12 EVENTS DROPPED]`, `CPU:1 [EVENTS DROPPED]`.
    if line.starts_with("CPU:") && (line.contains("[LOST") || line.contains("EVENTS DROPPED]")) {
        let (_, inside) = line.split_once('[')?;
        return Some(Remark::Lost(inside.split_whitespace().find_map(|word| word.parse().ok())));
    }
    if line.contains("PERF_RECORD_LOST") {
        return Some(Remark::Lost(line.split_whitespace().last().and_then(|word| word.parse().ok())));
    }
    None
}

/// A name of a C identifier.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn short(name: &str) -> &str {
    let end = name.char_indices().nth(LONGEST_NAME).map_or(name.len(), |(at, _)| at);
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn lines_of_all_sources_are_read() {
        let told = "5ed97e2b-617c-4964-84e8-ae5339236593: type=METADATA old=0 diff=5";
        for (before, comm, tid, cpu) in [
            ("           mount-185     [001] ...2.     9.182353: update_bytes_may_use: ", "mount", 185, 1),
            (
                "     kworker/u8:2-37      [000] d..2.     9.182353: update_bytes_may_use: ",
                "kworker/u8:2",
                37,
                0,
            ),
            (
                "       my-task [7]-185 (  181) [001] ...2.     9.182353: update_bytes_may_use: ",
                "my-task [7]",
                185,
                1,
            ),
            ("           <...>-266   [000]     9.182353: update_bytes_may_use: ", "<...>", 266, 0),
            ("  mount   185 [001]     9.182353: btrfs:update_bytes_may_use: ", "mount", 185, 1),
            ("  a b   181/185 [001]     9.182353000:       btrfs:update_bytes_may_use: ", "a b", 185, 1),
        ] {
            let text = format!("{before}{told}");
            let line = event_line(&text).unwrap();
            let expected = Line {
                comm,
                tid,
                cpu,
                time: Some(9_182_353_000),
                event: "update_bytes_may_use",
                fields: told,
            };
            assert_eq!(line, expected, "{text}");
        }
    }

    #[test]
    fn a_clock_that_counts_is_no_time() {
        let line = event_line("  mount-185 [001] ...2. 4711: btrfs_transaction_commit: x").unwrap();
        assert_eq!((line.time, line.event), (None, "btrfs_transaction_commit"));
    }

    #[test]
    fn what_is_no_event_is_none() {
        for line in [
            "",
            "# tracer: nop",
            "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION",
            " => ksys_write",
            "[   12.345678] BTRFS info (device sda1): space_info 4 has 0 free",
            "a-1 [000] ...1. 1.2.3: x: y",
            "a-1 [000] ...1. 99999999999999999999.1: x: y",
            "a-1 [000",
        ] {
            assert_eq!(event_line(line), None, "{line}");
        }
    }

    #[test]
    fn losses_are_remarked() {
        let cases = [
            ("# entries-in-buffer/entries-written: 135903/135910   #P:2", Remark::Entries(135_903, 135_910)),
            ("CPU:1 [LOST 12 EVENTS]", Remark::Lost(Some(12))),
            ("CPU:0 [34 EVENTS DROPPED]", Remark::Lost(Some(34))),
            ("CPU:0 [EVENTS DROPPED]", Remark::Lost(None)),
            ("##### CPU 1 buffer started ####", Remark::Begins),
        ];
        for (line, expected) in cases {
            assert_eq!(remark(line), Some(expected), "{line}");
        }
        assert_eq!(remark("CPU: 1 PID: 7"), None);
    }
}
