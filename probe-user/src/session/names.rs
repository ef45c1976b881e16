//! Addresses to names, and stacks to frames.
use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
};

use probe_ledger::Ledger;
use probe_record::session::SymbolRow;
use rustc_hash::FxHashMap;

use crate::{
    capture::Namer,
    report::{build::StackResolver, model::Frame},
    symbols::{SymbolTable, Symbolize},
};

/// The kernel's symbol table, read when it is first needed: a module that is unloaded later keeps its names.
///
/// It takes some MB, and to read it takes longer than a full load takes to fill the ring. So it is read once per session,
/// before the hooks are on, and if possible not while the kernel's types are in memory.
#[derive(Debug)]
pub struct Symbols {
    root: PathBuf,
    table: OnceCell<Result<SymbolTable, String>>,
}

impl Symbols {
    /// Of the kernel whose `/proc` is below `root`.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self { root: root.to_owned(), table: OnceCell::new() }
    }

    /// The table, or one sentence why there is none.
    pub fn table(&self) -> &Result<SymbolTable, String> {
        self.table.get_or_init(|| {
            SymbolTable::capture(&self.root).map_err(|error| {
                log::warn!("stacks will show addresses only: {error}");
                error.to_string()
            })
        })
    }

    /// Names addresses by it.
    pub fn namer(self) -> Namer {
        let table = self.table.into_inner().and_then(Result::ok);
        Box::new(move |address| {
            let found = table.as_ref().and_then(|table| table.resolve(address));
            SymbolRow {
                address,
                symbol: found.as_ref().map(|symbol| symbol.name.to_owned()).unwrap_or_default(),
                offset: found.as_ref().map_or(0, |symbol| symbol.offset),
                module: found.and_then(|symbol| symbol.module.map(ToOwned::to_owned)),
            }
        })
    }
}

/// Names that came with the stream.
#[derive(Debug, Default)]
pub struct StreamNames {
    rows: FxHashMap<u64, SymbolRow>,
}

impl StreamNames {
    /// Adds rows.
    pub fn add(&mut self, rows: Vec<SymbolRow>) {
        self.rows.extend(rows.into_iter().map(|row| (row.address, row)));
    }

    /// All rows, by address.
    #[must_use]
    pub fn rows(&self) -> Vec<SymbolRow> {
        let mut rows: Vec<SymbolRow> = self.rows.values().cloned().collect();
        rows.sort_unstable_by_key(|row| row.address);
        rows
    }

    fn frame(&self, address: u64) -> Frame {
        let row = self.rows.get(&address).filter(|row| !row.symbol.is_empty());
        Frame {
            address: format!("{address:#x}"),
            symbol: row.map(|row| row.symbol.clone()),
            offset: row.map(|row| row.offset),
            module: row.and_then(|row| row.module.clone()),
        }
    }
}

/// The stacks of a ledger with the names of its stream.
#[derive(Debug)]
pub struct Stacks<'a> {
    /// Who keeps the stacks.
    pub ledger: &'a Ledger,
    /// Who knows names.
    pub names: &'a StreamNames,
}

/// Functions between the traced code and the program that took the stack: they belong to the tracing, not to btrfs.
fn is_tracing(symbol: &str) -> bool {
    [
        "bpf_prog_",
        "bpf_trace_run",
        "__bpf_trace_",
        "__traceiter_",
        "bpf_get_stack",
        "__bpf_prog",
        "trace_event_raw_event_",
    ]
    .iter()
    .any(|prefix| symbol.starts_with(prefix))
}

/// A function calls its trampoline within this many bytes of its start.
const ENTRY: u64 = 16;

/// Offsets to which a function's own call of its trampoline returns: behind 5 bytes at 0, or at 4 where `endbr64` stands before them; on
/// aarch64 behind the second instruction. (With `bti` before them it is the third, where a call of another kind can be on x86-64.)
const RETURNS_OF_FTRACE: [u64; 3] = [5, 8, 9];

/// Removes what fentry programs leave in a stack. For each function hooked that way, its trampoline is a frame between the
/// function's callees and its caller, and the trampoline's return address near the function's start looks like a second
/// call.
///
/// Trampolines are made when programs are attached, so the symbols of a session do not have them: a frame without a name
/// right before the start of a function is one. Where the kernel puts them behind a module (6.1), they seem to be in the module's last
/// function; but no function is called from the place that ftrace keeps for itself at the start of another.
fn without_trampolines(frames: Vec<Frame>) -> Vec<Frame> {
    let begins = |frame: &Frame| frame.symbol.is_some() && frame.offset.is_some_and(|offset| offset < ENTRY);
    let nameless =
        |frame: &Frame| frame.symbol.as_deref().is_none_or(|symbol| symbol.starts_with("bpf_trampoline_"));
    let of_ftrace = |frame: &Frame| {
        frame.symbol.is_some() && frame.offset.is_some_and(|offset| RETURNS_OF_FTRACE.contains(&offset))
    };
    let trampoline = |frame: &Frame, caller: &Frame| nameless(frame) && begins(caller) || of_ftrace(caller);
    let mut kept: Vec<Frame> = Vec::with_capacity(frames.len());
    let mut frames = frames.into_iter().peekable();
    while let Some(frame) = frames.next() {
        if !frames.peek().is_some_and(|caller| trampoline(&frame, caller)) {
            kept.push(frame);
            continue;
        }
        // The innermost frames are our program's; at this point nothing has a name.
        if kept.iter().all(|frame| frame.symbol.is_none()) {
            kept.clear();
        }
        let begun = frames.next();
        kept.extend(begun.filter(|begun| kept.last().is_none_or(|body| body.symbol != begun.symbol)));
    }
    kept
}

impl StackResolver for Stacks<'_> {
    fn knows_names(&self) -> bool {
        self.names.rows.values().any(|row| !row.symbol.is_empty())
    }

    fn frames(&self, id: u64) -> Vec<Frame> {
        let addresses = self.ledger.stack(id).unwrap_or_default();
        let frames: Vec<Frame> = addresses.iter().map(|address| self.names.frame(*address)).collect();
        // Our own frames are the innermost ones; a program without a symbol stands before the first known one.
        let ours = frames
            .iter()
            .take(8)
            .rposition(|frame| frame.symbol.as_deref().is_some_and(is_tracing))
            .map_or(0, |last| last + 1);
        without_trampolines(frames.into_iter().skip(ours).collect())
    }

    fn symbolize(&self, address: u64) -> Frame {
        self.names.frame(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name+offset`, or `?` for a frame without a name.
    fn told(frames: &str) -> Vec<String> {
        let frame = |word: &str| {
            let named = word.split_once('+');
            Frame {
                address: String::new(),
                symbol: named.map(|(symbol, _)| symbol.to_owned()),
                offset: named.and_then(|(_, offset)| offset.parse().ok()),
                module: None,
            }
        };
        without_trampolines(frames.split_whitespace().map(frame).collect())
            .into_iter()
            .map(|frame| frame.symbol.unwrap_or_else(|| "?".to_owned()))
            .collect()
    }

    #[test]
    fn trampolines_leave_the_stack() {
        // Our program, its trampoline, the hooked function and its caller, which is hooked too.
        assert_eq!(told("? ? ? inner+9 outer+300 ? outer+9 caller+50"), ["inner", "outer", "caller"]);
        // With names: of a session that began while others were on.
        assert_eq!(told("body+70 bpf_trampoline_64+80 body+5 caller+50"), ["body", "caller"]);
        // One function jumped to the other.
        assert_eq!(told("second+40 ? second+9 ? first+9 caller+50"), ["second", "first", "caller"]);
        // It lies behind a module, and seems to be in its last function.
        assert_eq!(told("? ? fault_init+82017 outer+5 caller+50"), ["outer", "caller"]);
        assert_eq!(
            told("? inner+9 outer+300 fault_init+82017 outer+9 caller+50"),
            ["inner", "outer", "caller"]
        );
        // Functions that are called near the start of others stay.
        assert_eq!(told("body+70 inner+20 outer+14 caller+50"), ["body", "inner", "outer", "caller"]);
        // Nothing of ours: addresses without names stay.
        assert_eq!(told("body+70 ? caller+50 ?"), ["body", "?", "caller", "?"]);
        assert_eq!(told("? ?"), ["?", "?"]);
    }
}
