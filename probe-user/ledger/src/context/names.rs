//! Names for reports: threads, stacks, paths. All bounded. A missing name never changes a judgement.
use probe_common::task::{Stack, TaskSeen};
use rustc_hash::FxHashMap;

use crate::vocabulary::{finding::TaskRef, keys::InodeKey, path::SeenPath, words::text};

/// Most threads kept.
const MAX_TASKS: usize = 1 << 17;
/// Most stacks kept.
const MAX_STACKS: usize = 1 << 16;
/// Most paths kept.
const MAX_PATHS: usize = 1 << 17;

#[derive(Debug, Default)]
pub(crate) struct Names {
    tasks: FxHashMap<u32, (u32, [u8; 16])>,
    stacks: FxHashMap<u64, Box<[u64]>>,
    paths: FxHashMap<(u32, InodeKey), SeenPath>,
}

impl Names {
    /// True if the thread id belonged to another thread before.
    pub(crate) fn task_seen(&mut self, seen: &TaskSeen) -> bool {
        if self.tasks.len() >= MAX_TASKS && !self.tasks.contains_key(&seen.header.tid) {
            self.tasks.clear();
        }
        let known = (seen.pid, seen.comm);
        self.tasks.insert(seen.header.tid, known).is_some_and(|before| before != known)
    }

    pub(crate) fn stack(&mut self, stack: &Stack) {
        if self.stacks.len() >= MAX_STACKS && !self.stacks.contains_key(&stack.id) {
            return;
        }
        let frames = stack.addresses.len().min(stack.frames as usize);
        self.stacks.entry(stack.id).or_insert_with(|| stack.addresses[..frames].into());
    }

    pub(crate) fn frames(&self, id: u64) -> Option<&[u64]> {
        self.stacks.get(&id).map(AsRef::as_ref)
    }

    pub(crate) fn task(&self, tid: u32) -> Option<TaskRef> {
        let (pid, comm) = self.tasks.get(&tid)?;
        Some(TaskRef { tid, pid: *pid, comm: text(comm) })
    }

    /// Whether the thread is one of the kernel's own that works for btrfs.
    pub(crate) fn is_worker(&self, tid: u32) -> bool {
        let known = self.tasks.get(&tid);
        known.is_some_and(|(_, comm)| comm.starts_with(b"kworker/") || comm.starts_with(b"btrfs-"))
    }

    /// The thread, or only its id if its name is not known; `None` for id 0.
    pub(crate) fn task_or_tid(&self, tid: u32) -> Option<TaskRef> {
        if tid == 0 {
            return None;
        }
        Some(self.task(tid).unwrap_or(TaskRef { tid, pid: 0, comm: String::new() }))
    }

    /// The record's components are innermost first.
    pub(crate) fn path_seen(&mut self, name: &probe_common::inode::Name) {
        let Some(path) = SeenPath::of(&name.components) else { return };
        let key = (name.header.fs, InodeKey { root: name.root, ino: name.ino });
        if self.paths.len() >= MAX_PATHS && !self.paths.contains_key(&key) {
            return;
        }
        self.paths.insert(key, path);
    }

    pub(crate) fn path(&self, fs: u32, key: InodeKey) -> Option<&SeenPath> {
        self.paths.get(&(fs, key))
    }

    pub(crate) fn forget_path(&mut self, fs: u32, key: InodeKey) {
        if !self.paths.is_empty() {
            self.paths.remove(&(fs, key));
        }
    }

    pub(crate) fn forget_filesystem(&mut self, fs: u32) {
        self.paths.retain(|(of, _), _| *of != fs);
    }
}
