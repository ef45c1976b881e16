//! Real files against what trace-cmd itself prints of them, files made here, and any files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
use std::io::Cursor;

use proptest::prelude::*;

use super::{bytes::Order, error::DatError};
use crate::import::{input::Input, model::Imported};

const V6: &[u8] = include_bytes!("../../../testdata/traces/trace-cmd-v6-6.12.dat");
const V6_TEXT: &str = include_str!("../../../testdata/traces/trace-cmd-v6-6.12.txt");
const V7: &[u8] = include_bytes!("../../../testdata/traces/trace-cmd-v7-6.12.dat");
const V7_TEXT: &str = include_str!("../../../testdata/traces/trace-cmd-v7-6.12.txt");

fn of_dat(bytes: &[u8]) -> Result<(Imported, Vec<String>), DatError> {
    let mut input = Input::default();
    let left_out = input.read_dat(Cursor::new(bytes))?;
    Ok((input.finish(), left_out))
}

fn of_text(text: &str) -> Imported {
    let mut input = Input::default();
    assert_eq!(input.read(text.as_bytes()).unwrap(), None);
    input.finish()
}

/// Same events, order, values, times, tasks, numbers of lines and losses.
#[test]
fn a_real_file_says_what_trace_cmd_prints_of_it() {
    for (dat, text, losses) in [(V6, V6_TEXT, false), (V7, V7_TEXT, true)] {
        let (imported, left_out) = of_dat(dat).unwrap();
        assert_eq!(imported, of_text(text));
        assert!(imported.events > 100 && left_out.is_empty(), "{imported:#?}");
        assert_eq!((imported.not_understood, imported.findings_count), (0, 0));
        assert_eq!(imported.lost.events > 0, losses, "{:?}", imported.lost);
    }
}

/// What is written by the machine of a file made here.
#[derive(Clone, Copy)]
struct Machine {
    order: Order,
    long: usize,
}

const PC: Machine = Machine { order: Order { big: false }, long: 8 };
const BIG: Machine = Machine { order: Order { big: true }, long: 4 };
const PAGE: u64 = 4096;

impl Machine {
    fn number(self, number: u64, len: usize) -> Vec<u8> {
        if self.order.big {
            number.to_be_bytes()[8 - len..].to_vec()
        } else {
            number.to_le_bytes()[..len].to_vec()
        }
    }

    fn sized(self, text: &[u8]) -> Vec<u8> {
        [self.number(text.len() as u64, 8), text.to_vec()].concat()
    }

    /// `update_bytes_may_use` of thread 7.
    fn record(self, id: u64, old: u64, diff: i64) -> Vec<u8> {
        [
            self.number(id, 2),
            vec![0; 2],
            self.number(7, 4),
            vec![0x5e; 16],
            self.number(1, 8),
            self.number(old, 8),
            self.number(diff as u64, 8),
        ]
        .concat()
    }

    /// A page with one event for each record, 10 ns after the one before.
    fn page(self, time: u64, records: &[Vec<u8>]) -> Vec<u8> {
        let mut data = Vec::new();
        for record in records {
            let words = record.len() as u64 / 4;
            let head = if self.order.big { (words << 27) | 10 } else { (10 << 5) | words };
            data.extend([self.number(head, 4), record.clone()].concat());
        }
        let mut page = [self.number(time, 8), self.number(data.len() as u64, self.long), data].concat();
        page.resize(PAGE as usize, 0);
        page
    }

    /// A file of version 6: for each buffer its name and the pages of its CPUs, each CPU with one; the first buffer is the trace itself.
    fn file(self, buffers: &[(&str, Vec<Vec<u8>>)]) -> Vec<u8> {
        let long = self.long;
        let header_page = format!(
            "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\
             \tfield: local_t commit;\toffset:8;\tsize:{long};\tsigned:1;\n\
             \tfield: char data;\toffset:{};\tsize:4080;\tsigned:0;\n",
            8 + long
        );
        let format = "name: update_bytes_may_use\nID: 300\nformat:\n\
             \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
             \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\
             \tfield:u8 fsid[16];\toffset:8;\tsize:16;\tsigned:0;\n\
             \tfield:u64 type;\toffset:24;\tsize:8;\tsigned:0;\n\
             \tfield:u64 old;\toffset:32;\tsize:8;\tsigned:0;\n\
             \tfield:s64 diff;\toffset:40;\tsize:8;\tsigned:1;\n\n\
             print fmt: \"%pU: type=%s old=%llu diff=%lld\", REC->fsid, __print_flags(REC->type, \"|\", { (1ULL << 0), \"DATA\"}), \
             REC->old, REC->diff\n";
        let mut file = [
            b"\x17\x08\x44tracing6\0".to_vec(),
            vec![u8::from(self.order.big), self.long as u8],
            self.number(PAGE, 4),
            b"header_page\0".to_vec(),
            self.sized(header_page.as_bytes()),
            b"header_event\0".to_vec(),
            self.sized(b"# compressed entry header"),
            self.number(0, 4),
            self.number(1, 4),
            b"btrfs\0".to_vec(),
            self.number(1, 4),
            self.sized(format.as_bytes()),
            self.number(0, 4),
            self.number(0, 4),
            self.sized(b"7 dd\n"),
            self.number(buffers[0].1.len() as u64, 4),
            b"options  \0".to_vec(),
            self.number(4, 2),
            self.number(12, 4),
            b"local [mono]".to_vec(),
        ]
        .concat();
        // Tables and pages lie at places that are known before, far behind the head.
        let table = |at: usize| (4 + 16 * at as u64) * PAGE;
        for (at, (name, _)) in buffers.iter().enumerate().skip(1) {
            let data = [self.number(table(at), 8), name.as_bytes().to_vec(), vec![0]].concat();
            file.extend([self.number(3, 2), self.number(data.len() as u64, 4), data].concat());
        }
        file.extend(self.number(0, 2));
        for (at, (_, pages)) in buffers.iter().enumerate() {
            if at > 0 {
                file.resize(table(at) as usize, 0);
            }
            file.extend(b"flyrecord\0");
            let first = table(at) + PAGE;
            for cpu in 0..pages.len() as u64 {
                file.extend([self.number(first + cpu * PAGE, 8), self.number(PAGE, 8)].concat());
            }
            file.resize(first as usize, 0);
            pages.iter().for_each(|page| file.extend(page));
        }
        file
    }

    /// Two CPUs that take turns: 0 -> 5 -> 8 -> 3 -> 0.
    fn turns(self) -> Vec<Vec<u8>> {
        let first = [(0, 5), (8, -5)].map(|(old, diff)| self.record(300, old, diff));
        let second = [(5, 3), (3, -3)].map(|(old, diff)| self.record(300, old, diff));
        vec![self.page(1000, &first), self.page(1005, &second)]
    }
}

#[test]
fn events_of_all_cpus_are_in_order_whatever_machine_wrote_them() {
    for machine in [PC, BIG] {
        let (imported, _) = of_dat(&machine.file(&[("", machine.turns())])).unwrap();
        let row = &imported.filesystems[0].chains[0];
        assert_eq!((row.links, row.breaks, row.value, row.peak), (3, 0, Some(0), Some(8)));
        assert_eq!((imported.first_ns, imported.last_ns), (Some(1010), Some(1025)));
        let task = &imported.tasks[0];
        assert_eq!((task.comm.as_str(), task.tid, task.events), ("dd", 7, 4));
        // `cpus=2` is the first line.
        assert_eq!(imported.lines, 5);
    }
}

/// An instance may have the same events as the trace itself: both together would break every chain.
#[test]
fn one_buffer_is_read_and_the_others_with_events_are_named() {
    let empty = vec![PC.page(1, &[PC.record(999, 0, 0)]), PC.page(1, &[])];
    let (imported, left_out) = of_dat(&PC.file(&[("", PC.turns()), ("one", PC.turns())])).unwrap();
    assert_eq!((imported.events, left_out), (4, vec!["one".to_owned()]));
    let (imported, left_out) = of_dat(&PC.file(&[("", empty), ("one", PC.turns())])).unwrap();
    assert_eq!((imported.events, left_out.len()), (4, 0));
}

#[test]
fn what_is_cut_off_is_lost_and_what_is_there_is_read() {
    let file = PC.file(&[("", PC.turns())]);
    let (imported, _) = of_dat(&file[..file.len() - PAGE as usize]).unwrap();
    assert_eq!((imported.events, imported.lost.places_without_number), (2, 1));
    // A page that is none, and one with an entry that does not fit.
    let mut pages = PC.turns();
    pages[0][8..16].copy_from_slice(&u64::from(u32::MAX >> 5).to_le_bytes());
    pages[1][16] |= 0x1f;
    let (imported, _) = of_dat(&PC.file(&[("", pages)])).unwrap();
    assert_eq!((imported.events, imported.lost.places_without_number), (0, 2));
    let head = |length: usize| of_dat(&V6[..length]).unwrap_err().to_string();
    for length in [11, 12, 20, 300, 20_000] {
        assert!(head(length).starts_with("it ends early"), "{length}: {}", head(length));
    }
}

/// The bytes at the place where `before` ends, replaced.
fn with(before: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut file = PC.file(&[("", PC.turns())]);
    let at = file.windows(before.len()).position(|window| window == before).unwrap() + before.len();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn what_is_not_read_is_said() {
    let huge = u64::MAX.to_le_bytes();
    for (file, expected) in [
        (with(b"tracing", b"8"), "it has version \"8\""),
        (with(b"tracing6\0\0", b"\x07"), "the size of a long"),
        (with(b"tracing6\0\0\x08", &[0xff; 4]), "pages of events in it are larger"),
        (with(b"tracing6\0\0\x08", &[0; 4]), "the size of a page"),
        (with(b"header_page\0", &huge), "formats in it are larger"),
        (with(b"btrfs\0\x01\0\0\0", &huge), "formats in it are larger"),
        (with(b"7 dd\n", &[0xff; 4]), "numbers of CPUs in it are larger"),
        (with(b"7 dd\n\x02\0\0\0", b"latency  \0"), "it is the text of a latency tracer"),
        (with(b"7 dd\n\x02\0\0\0", b"something\0"), "its events are not where"),
        (with(b"flyrecord\0", &[[0; 8], huge, [0; 8], huge].concat()), "two CPUs have the same events"),
        (with(b"\x17", b"PERF"), "it does not begin as a trace.dat"),
    ] {
        let error = of_dat(&file).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let mut other = V7.to_vec();
    other[18..22].copy_from_slice(b"lzma");
    assert!(of_dat(&other).unwrap_err().to_string().contains("compressed by \"lzma\""));
}

#[test]
fn options_that_follow_each_other_come_to_an_end() {
    // Version 7, options at 46 which name themselves as the next ones.
    let mut file = b"\x17\x08\x44tracing7\0\0\x08\0\x10\0\0none\0\0".to_vec();
    let at = file.len() as u64 + 8;
    file.extend(at.to_le_bytes());
    file.extend([0_u8; 8]);
    file.extend(14_u64.to_le_bytes());
    file.extend([0, 0, 8, 0, 0, 0]);
    file.extend(at.to_le_bytes());
    assert!(of_dat(&file).unwrap_err().to_string().contains("options in it are larger"));
}

fn alter(file: &[u8], changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut file = file.to_vec();
    for (at, byte) in changes {
        let at = at.index(file.len());
        file[at] = *byte;
    }
    file
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A real file with bytes altered, or cut: an error, or a verdict that needs a finding.
    #[test]
    fn altered_files_are_read(
        seven: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut file = alter(if seven { V7 } else { V6 }, &changes);
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        if let Ok((imported, _)) = of_dat(&file) {
            prop_assert_eq!(imported.verdict == "findings", imported.findings_count > 0);
        }
    }

    /// The head of a file, where what it says of lengths is: more changes there.
    #[test]
    fn altered_heads_are_read(changes in prop::collection::vec((0..600_usize, any::<u8>()), 1..8)) {
        let mut file = PC.file(&[("", PC.turns()), ("one", PC.turns())]);
        for (at, byte) in changes {
            file[at] = byte;
        }
        let _ = of_dat(&file);
    }

    #[test]
    fn any_bytes_behind_the_magic_are_read(bytes in prop::collection::vec(any::<u8>(), 0..2000), version in 6..8_u8) {
        let file = [b"\x17\x08\x44tracing".to_vec(), vec![b'0' + version, 0], bytes].concat();
        let _ = of_dat(&file);
    }
}
