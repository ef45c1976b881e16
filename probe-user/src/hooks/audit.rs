//! Reads the kernel's own counters on demand, by running programs that are attached to no hook.
use std::collections::HashMap as StdHashMap;

use aya::{
    maps::HashMap,
    programs::{RawTracePoint, RawTracePointRunOptions, TestRun},
};
use probe_common::{
    cell::{INODE_CELLS, InodeCell, InodeKey},
    offsets::{ABSENT, Offsets},
    wait::WALK_CUT,
};
use zerocopy::{FromBytes, IntoBytes};

use super::{
    catalogue::{AUDIT_FS, AUDIT_INODE, AUDIT_MOUNTED, AUDIT_TICKETS, AUDIT_TYPE, FIND_THREADS},
    error::AttachError,
    probe::Probe,
};

const KEY_WORDS: usize = size_of::<InodeKey>() / 8;
const CELL_WORDS: usize = size_of::<InodeCell>() / 8;
/// Most mounted filesystems that are looked for, as many as the kernel side looks at.
const MOST_MOUNTED: u64 = 1024;

/// Where the kernel keeps an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InodeTarget {
    /// Address of the `struct btrfs_inode`.
    pub inode: u64,
    /// Address of its `struct btrfs_root`.
    pub root: u64,
    /// Inode number.
    pub ino: u64,
    /// `outstanding_extents`; `u32::MAX` if it is not known. An inode with dirty data has at least one.
    pub extents: u32,
}

/// Inodes that the kernel side knows, by filesystem id, subvolume and number.
pub type Inodes = StdHashMap<(u32, u64, u64), InodeTarget>;

/// Why tickets that wait cannot be read on this kernel, if so.
pub(super) fn no_tickets(offsets: &Offsets) -> Option<String> {
    let needed = [
        (offsets.sinfo_tickets, "btrfs_space_info.tickets"),
        (offsets.sinfo_priority_tickets, "btrfs_space_info.priority_tickets"),
        (offsets.sinfo_reclaim_size, "btrfs_space_info.reclaim_size"),
        (offsets.ticket_list, "reserve_ticket.list"),
        (offsets.ticket_bytes, "reserve_ticket.bytes"),
        (offsets.ticket_error, "reserve_ticket.error"),
    ];
    missing(&needed).map(|name| format!("{name} cannot be resolved: reservations that wait are not seen"))
}

/// Why the threads behind a wait cannot be found on this kernel, if so.
pub(super) fn no_threads(offsets: &Offsets) -> Option<String> {
    let needed = [
        (offsets.task_group_leader, "task_struct.group_leader"),
        (offsets.task_tasks, "task_struct.tasks"),
        (offsets.task_thread_node, "task_struct.thread_node"),
        (offsets.task_signal, "task_struct.signal"),
        (offsets.signal_thread_head, "signal_struct.thread_head"),
        (offsets.task_worker_private, "task_struct.worker_private"),
        (offsets.kthread_data, "kthread.data"),
        (offsets.worker_current_work, "worker.current_work"),
        (offsets.fs_async_reclaim_work, "btrfs_fs_info.async_reclaim_work"),
        (offsets.fs_async_data_reclaim_work, "btrfs_fs_info.async_data_reclaim_work"),
    ];
    missing(&needed)
        .map(|name| format!("{name} cannot be resolved: workers that reclaim space are not found"))
}

fn missing(needed: &[(u32, &'static str)]) -> Option<&'static str> {
    needed.iter().find(|(offset, _)| *offset == ABSENT).map(|(_, name)| *name)
}

impl Probe {
    /// What the program returned; 0 if it could not be run.
    fn run_program(&self, name: &'static str, args: [u64; 3]) -> u32 {
        let Some(program) = self.ebpf.program(name) else { return 0 };
        let Ok(program) = <&RawTracePoint>::try_from(program) else { return 0 };
        let mut options = RawTracePointRunOptions::new();
        options.args[..3].copy_from_slice(&args);
        match program.test_run(options) {
            Ok(result) => result.return_value,
            Err(error) => {
                log::debug!("{name}: {error}");
                0
            }
        }
    }

    /// Asks for the tickets of a filesystem that wait; they come as records. Returns how many there are, and whether these
    /// are all.
    #[must_use]
    pub fn audit_tickets(&self, fs_info: u64, fs: u32, round: u32) -> (u32, bool) {
        let found = self.run_program(AUDIT_TICKETS, [fs_info, u64::from(fs), u64::from(round)]);
        (found & (WALK_CUT - 1), found < WALK_CUT)
    }

    /// Meets the filesystems for which a worker reclaims now, though nothing happens on them.
    pub fn meet_stalled(&self) {
        self.find_threads(0, 0, 0);
    }

    /// Asks for the workers that reclaim space for a filesystem, and the owner of a ticket (0 for none); they come as
    /// records.
    pub fn find_threads(&self, fs_info: u64, fs: u32, ticket: u64) {
        self.run_program(FIND_THREADS, [fs_info, u64::from(fs), ticket]);
    }

    /// Meets the filesystems that are mounted, so that those are known on which nothing happens. Each is announced by a record, and
    /// its levels follow. Returns how many.
    #[must_use]
    pub fn meet_mounted(&self) -> u64 {
        // The kernel's list of types goes on behind the one of this file; `/proc` is older than btrfs.
        let Ok(file) = std::fs::File::open("/proc/self/stat") else { return 0 };
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file).unsigned_abs();
        let half = |number: u64| u64::from(self.run_program(AUDIT_TYPE, [u64::from(fd), number, 0]));
        let listed = Some(half(0) | half(1) << 32).filter(|address| *address != 0);
        listed.into_iter().chain(self.root_fs_type).map(|of_type| self.meet_mounted_of(of_type)).sum()
    }

    /// Those whose superblocks belong to the `file_system_type` at this address.
    fn meet_mounted_of(&self, of_type: u64) -> u64 {
        let mut met = 0;
        for skip in 0..MOST_MOUNTED {
            match self.run_program(AUDIT_MOUNTED, [of_type, skip, 0]) {
                0 => break,
                answer => met += u64::from(answer == 2),
            }
        }
        met
    }

    /// Asks for the state right after an abort; it comes as a record. False if that filesystem is gone.
    #[must_use]
    pub fn audit_abort(&self, fs_info: u64, fs: u32) -> bool {
        self.run_program(AUDIT_FS, [fs_info, u64::from(fs), 1]) == 1
    }

    /// Asks for the levels of a filesystem's pools; they come as a record. False if that filesystem is gone.
    #[must_use]
    pub fn audit_fs(&self, fs_info: u64, fs: u32) -> bool {
        self.run_program(AUDIT_FS, [fs_info, u64::from(fs), 0]) == 1
    }

    /// Asks for the counters of an inode; they come as a record. False if that inode is gone.
    #[must_use]
    pub fn audit_inode(&self, target: InodeTarget) -> bool {
        self.run_program(AUDIT_INODE, [target.inode, target.root, target.ino]) == 1
    }

    /// Lists the inodes whose address the kernel side knows.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn inodes(&self) -> Result<Inodes, AttachError> {
        let map = self.ebpf.map("INODES").ok_or(AttachError::Missing("INODES"))?;
        let wrap = |source| AttachError::Map { name: "INODES", source };
        let cells: HashMap<_, [u64; KEY_WORDS], [u64; CELL_WORDS]> = HashMap::try_from(map).map_err(wrap)?;
        let mut inodes = Inodes::new();
        // Entries come and go during the iteration; an inode that is missed is not audited this time. If an entry is gone
        // when its successor is asked for, the kernel starts again, hence the bound.
        for entry in cells.iter().take(2 * INODE_CELLS as usize) {
            let Ok((key, value)) = entry else { continue };
            let (Ok(key), Ok(cell)) =
                (InodeKey::read_from_bytes(key.as_bytes()), InodeCell::read_from_bytes(value.as_bytes()))
            else {
                continue;
            };
            if cell.inode != 0 {
                let extents = if cell.chained == 1 { cell.outstanding } else { u32::MAX };
                let target = InodeTarget { inode: cell.inode, root: key.root, ino: key.ino, extents };
                inodes.insert((cell.fs, cell.root, key.ino), target);
            }
        }
        Ok(inodes)
    }
}
