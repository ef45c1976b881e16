//! `cargo xtask broken`: a btrfs of our own with bugs compiled in (`tests/broken/`), one switched on after the other in a
//! guest, and a table that compares what each did with what the tool says of it.
//!
//! It measures, and demands nothing: the rules of the ledger must not be made for these bugs.
mod bugs;
mod judge;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use self::bugs::Bug;
use crate::{
    build::{self, Profile},
    vm::{self, Guest, Item, Release, Source},
    workspace::Workspace,
};

/// The kernel whose source the patches are for.
const RELEASE: Release = Release::V6_12;
/// Bugs in one boot: what it left is lost if the kernel of the guest dies.
const BATCH: usize = 12;
/// For one bug on an emulated machine.
const SECONDS_A_BUG: u64 = 120;

/// What can be chosen.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only these bugs, by name; "none" is every load without a bug
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Judge the recordings of the last run again, without guests
    #[arg(long)]
    again: bool,
    /// Use this btrfs-probe instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Builds, runs and judges. The table is `target/broken/table.md`; recordings and reports lie beside it.
///
/// # Errors
/// Something does not build, or a guest cannot be booted. What the tool says of a bug is no error.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let ours = workspace.root.join("tests/broken");
    let text = fs::read_to_string(ours.join("bugs")).context("cannot read tests/broken/bugs")?;
    let all = bugs::parse(&text)?;
    let mut chosen = vec![Bug::none()];
    chosen.extend(all.iter().cloned());
    if !options.only.is_empty() {
        for name in &options.only {
            if !chosen.iter().any(|bug| &bug.name == name) {
                bail!("tests/broken/bugs has no bug {name}");
            }
        }
        chosen.retain(|bug| options.only.contains(&bug.name));
    }
    let folder = workspace.target.join("broken");
    let tool = match &options.binary {
        Some(binary) => binary.clone(),
        None => build::run(workspace, Profile::Release)?,
    };
    if !options.again {
        let names: Vec<&str> = all.iter().map(|bug| bug.name.as_str()).collect();
        let module = vm::broken::module(workspace, RELEASE, &names)?;
        record(workspace, &chosen, &tool, &module, &folder)?;
    }
    let mut rows = Vec::new();
    for bug in chosen {
        // A bug that took the guest down left nothing.
        let read = judge::read(&bug, &folder, &tool)?;
        rows.push((bug, read));
    }
    let path = folder.join("table.md");
    fs::write(&path, table::text(&rows)).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}: {}", table::sums(&rows), path.display());
    Ok(())
}

/// Boots guests until every bug had its load.
fn record(workspace: &Workspace, bugs: &[Bug], tool: &Path, module: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let ours = workspace.root.join("tests/broken");
    let mut common = vm::loads::items(workspace, folder)?;
    common.push(Item::program(ours.join("guest.sh"), "/guest.sh"));
    let list = folder.join("list");
    for batch in bugs.chunks(BATCH) {
        for bug in batch {
            for extension in ["rsv", "hits", "log", "dmesg", "json"] {
                let _ = fs::remove_file(folder.join(format!("{}.{extension}", bug.name)));
            }
        }
        let lines: String = batch.iter().map(Bug::line).collect();
        fs::write(&list, lines).context("cannot write the list for the guest")?;
        let timeout = Duration::from_secs(SECONDS_A_BUG * batch.len() as u64);
        let mut items = common.clone();
        items.extend([
            Item::program(tool.to_owned(), "/bin/btrfs-probe"),
            Item::program(module.to_owned(), "/btrfs.ko"),
            Item::program(list.clone(), "/bugs"),
        ]);
        let guest = Guest {
            kernel: Source::Debian(RELEASE),
            memory: "3G".to_owned(),
            timeout,
            silence: timeout,
            counted: false,
            items,
            collect: Vec::new(),
            script: "sh /guest.sh".to_owned(),
        };
        let mut show = |bytes: &[u8]| print!("{}", String::from_utf8_lossy(bytes));
        match guest.run(workspace, Some(folder), &mut show) {
            Ok(0) => {}
            Ok(status) => bail!("the guest ended with status {status}"),
            // The kernel is a broken one.
            Err(error) => println!("broken: {error:#}"),
        }
    }
    Ok(())
}
