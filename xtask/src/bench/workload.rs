//! The three workloads: what each operation does is fixed, so that figures of two machines or years compare.
use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow};
use clap::ValueEnum;
use nix::libc::O_DIRECT;

/// A page, and the sector size that O_DIRECT asks for; aligned for the same reason.
const PAGE: usize = 4096;
/// w1 and w3 go over this many pages again and again: small enough to stay in memory and dirty.
const FILE_PAGES: u64 = 256;
/// What w2 writes into each file: more than fits inline into the tree.
const SMALL_FILE: usize = 16 * 1024;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// 4 KiB buffered overwrites of one small file: the reservation path and little else
    W1,
    /// Create, write 16 KiB, unlink: what metadata-heavy work looks like
    W2,
    /// O_DIRECT 4 KiB overwrites
    W3,
}

impl Workload {
    /// Name on the command line and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::W1 => "w1",
            Self::W2 => "w2",
            Self::W3 => "w3",
        }
    }

    /// Operations of a run of one to three seconds.
    pub const fn usual_ops(self) -> u64 {
        match self {
            Self::W1 => 400_000,
            Self::W2 => 40_000,
            Self::W3 => 16_000,
        }
    }

    /// Threads, where the caller says nothing.
    pub const fn usual_threads(self) -> u32 {
        match self {
            Self::W1 | Self::W3 => 1,
            Self::W2 => 2,
        }
    }
}

/// One run.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Which workload
    workload: Workload,
    /// A folder on the filesystem to load
    #[arg(long)]
    dir: PathBuf,
    /// Operations, over all threads
    #[arg(long)]
    ops: u64,
    /// Threads; 1 for w1 and w3, 2 for w2 by default
    #[arg(long)]
    threads: Option<u32>,
}

#[repr(align(4096))]
struct Page([u8; PAGE]);

/// Runs a workload and returns wall nanoseconds an operation; making the files beforehand is not counted.
///
/// # Errors
/// If the filesystem refuses an operation.
pub fn run(options: &Options) -> Result<f64> {
    let threads = options.threads.unwrap_or(options.workload.usual_threads()).max(1);
    let places = (0..threads)
        .map(|number| Place::make(options.workload, &options.dir.join(format!("thread-{number}"))))
        .collect::<Result<Vec<Place>>>()?;
    let each = (options.ops / u64::from(threads)).max(1);
    let begun = Instant::now();
    thread::scope(|scope| {
        let running: Vec<_> = places.iter().map(|place| scope.spawn(|| place.work(each))).collect();
        running
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread of it panicked"))?)
    })?;
    let took = begun.elapsed();
    for place in places {
        fs::remove_dir_all(&place.folder)
            .with_context(|| format!("cannot remove {}", place.folder.display()))?;
    }
    Ok(took.as_nanos() as f64 / (each * u64::from(threads)) as f64)
}

/// What one thread works on.
struct Place {
    folder: PathBuf,
    /// None for w2, which makes its files itself.
    file: Option<File>,
}

impl Place {
    fn make(workload: Workload, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let flags = match workload {
            Workload::W1 => 0,
            Workload::W2 => return Ok(Self { folder: folder.to_owned(), file: None }),
            Workload::W3 => O_DIRECT,
        };
        let path = folder.join("file");
        fs::write(&path, vec![0x5a; PAGE * FILE_PAGES as usize])
            .and_then(|()| File::open(&path)?.sync_all())
            .with_context(|| format!("cannot prepare {}", path.display()))?;
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { folder: folder.to_owned(), file: Some(file) })
    }

    fn work(&self, ops: u64) -> Result<()> {
        match &self.file {
            Some(file) => overwrite(file, ops).context("cannot overwrite the file"),
            None => (0..ops).try_for_each(|number| self.come_and_go(number)),
        }
    }

    fn come_and_go(&self, number: u64) -> Result<()> {
        let path = self.folder.join(format!("{number:08}"));
        let mut file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        file.write_all(&[0x5a; SMALL_FILE]).with_context(|| format!("cannot write {}", path.display()))?;
        drop(file);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
    }
}

fn overwrite(file: &File, ops: u64) -> Result<()> {
    let page = Page([0xa5; PAGE]);
    for number in 0..ops {
        file.write_all_at(&page.0, (number % FILE_PAGES) * PAGE as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn a_workload_leaves_nothing_behind() {
        // On disk and not in /tmp, which may be a tmpfs without O_DIRECT.
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        for workload in [Workload::W1, Workload::W2] {
            let options = Options { workload, dir: folder.path().to_owned(), ops: 300, threads: None };
            assert!(run(&options).unwrap() > 0.0, "{workload:?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{workload:?}");
        }
    }

    #[test]
    fn a_filesystem_that_refuses_is_an_error() {
        let options =
            Options { workload: Workload::W2, dir: "/proc/nowhere".into(), ops: 1, threads: Some(1) };
        assert!(run(&options).is_err());
    }
}
