//! Addresses to names, and stacks to frames.
use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
};

use rustc_hash::FxHashMap;

use crate::{
    capture::{live::Namer, session::SymbolRow},
    ledger::Ledger,
    report::{build::StackResolver, model::Frame},
    symbols::{SymbolTable, Symbolize},
};

/// The kernel's own table of symbols, read when it is first asked for: a module that is unloaded later keeps its names.
///
/// It takes some MB and longer than a full load takes to fill the ring: read once a session, before the hooks are on, and
/// not beside the kernel's types where these do not need it.
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

/// Functions between the traced code and the program that took the stack: ours, not the kernel's story.
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

impl StackResolver for Stacks<'_> {
    fn frames(&self, id: u64) -> Vec<Frame> {
        let addresses = self.ledger.stack(id).unwrap_or_default();
        let frames: Vec<Frame> = addresses.iter().map(|address| self.names.frame(*address)).collect();
        // Our own frames are the innermost ones; a program without a symbol stands before the first known one.
        let ours = frames
            .iter()
            .take(8)
            .rposition(|frame| frame.symbol.as_deref().is_some_and(is_tracing))
            .map_or(0, |last| last + 1);
        frames.into_iter().skip(ours).collect()
    }

    fn symbolize(&self, address: u64) -> Frame {
        self.names.frame(address)
    }
}
