//! Programs that are attached to no hook: the capture runs them (`BPF_PROG_TEST_RUN`) to see which reservations wait, and
//! which threads have to do with that.
//!
//! They walk lists of the kernel without its locks. Every read is checked: a faulting address reads as zeroes, neighbours of a
//! list must point at each other, a ticket lies on the stack of its task. A walk that met a change says so and ends.
use core::ffi::c_void;

use aya_ebpf::{helpers::generated::bpf_get_current_task, programs::RawTracePointContext};
use probe_common::{
    header::RecordKind,
    hook::HookId,
    loss::LossClass,
    wait::{
        FOUND_DATA, FOUND_METADATA, FOUND_OWNER, FOUND_PREEMPT, MAX_COUNTED, MAX_THREADS, MAX_WAITING,
        ThreadFound, WAITING_FLUSHER, WAITING_PRIORITY, WAITING_STEAL, WALK_CUT, Waiting,
    },
};

use crate::{
    cells,
    emit::Run,
    globals::{config, off},
    read,
};

/// Largest kernel stack of all configurations (KASAN doubles it).
const STACK_BYTES: u64 = 32 << 10;
/// `PF_WQ_WORKER` of `include/linux/sched.h`, 6.1 to 7.3.
const PF_WQ_WORKER: u32 = 0x20;
/// In the round's number: the list is `priority_tickets`.
const PRIORITY: u64 = 1 << 32;

/// Arguments: address of the fs_info, expected filesystem id, number of the walk. Returns how many tickets wait, with
/// [`WALK_CUT`] if that may not be all.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/audit_tickets")]
pub extern "C" fn audit_tickets(ctx: *mut c_void) -> u32 {
    let ctx = RawTracePointContext::new(ctx);
    let Some(run) = Run::begin(HookId::AuditTickets, &ctx) else { return 0 };
    let (fs_info, fs, round): (u64, u32, u64) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    if cells::fs_dying(fs) || cells::fs_id(&run, fs_info) != Some(fs) {
        return 0;
    }
    let head = fs_info + off!(fs_space_info) as u64;
    let mut node: u64 = read::at(head, 0);
    let mut found = 0;
    for _ in 0..4 {
        if node == 0 || node == head {
            break;
        }
        let sinfo = node.wrapping_sub(off!(sinfo_list) as u64);
        // One read where nothing waits, which is nearly always.
        if read::at::<u64>(sinfo, off!(sinfo_reclaim_size)) != 0 {
            found += tickets_of(run.number(), fs, sinfo, round | PRIORITY);
            found += tickets_of(run.number(), fs, sinfo, round);
        }
        node = read::at(node, 0);
    }
    found as u32
}

/// Walks one list of a space_info.
///
/// A global function: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tickets_of(run: u32, fs: u32, sinfo: u64, round: u64) -> u64 {
    let priority = round & PRIORITY != 0;
    let head = sinfo + (if priority { off!(sinfo_priority_tickets) } else { off!(sinfo_tickets) }) as u64;
    let mut node: u64 = read::at(head, 0);
    let mut found = 0;
    let mut sent = 0;
    for _ in 0..MAX_COUNTED {
        if node == 0 || node == head {
            return found;
        }
        let [next, _] = read::at::<[u64; 2]>(node, 0);
        // A ticket that was taken off points at itself, and the stack of one that is over has other content by now.
        if next == node || read::at::<u64>(next, 8) != node {
            break;
        }
        if sent < MAX_WAITING {
            sent += 1;
            let ticket = node.wrapping_sub(off!(ticket_list) as u64);
            if ticket_waits(run, fs, sinfo, ticket, round) == 0 {
                break;
            }
        }
        found += 1;
        node = next;
    }
    if node == head { found } else { found | u64::from(WALK_CUT) }
}

/// Sends a ticket. Returns 0 if it is over.
///
/// A global function: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ticket_waits(run: u32, fs: u32, sinfo: u64, ticket: u64, round: u64) -> u64 {
    let Some(run) = Run::numbered(run) else { return 0 };
    let bytes: u64 = read::at(ticket, off!(ticket_bytes));
    let node = ticket + off!(ticket_list) as u64;
    let task = waiter(ticket);
    let mut flags = 0;
    if round & PRIORITY != 0 {
        flags |= WAITING_PRIORITY;
    }
    if read::at::<u8>(ticket, off!(ticket_steal)) != 0 {
        flags |= WAITING_STEAL;
    }
    if read::at::<u8>(sinfo, off!(sinfo_flush)) != 0 {
        flags |= WAITING_FLUSHER;
    }
    let tid: u32 = read::at(task, off!(task_pid));
    let (mut root, mut ino) = (0, 0);
    if config!(functions) != 0 && tid != 0 {
        let place = subject(fs, tid);
        (root, ino) = (place.0, place.1);
    }
    // What was read is of this ticket if it is still on its list after all that, with the same bytes.
    let [next, _] = read::at::<[u64; 2]>(node, 0);
    let is_queued = read::at::<u64>(next, 8) == node && next != node;
    let error: i32 = read::at(ticket, off!(ticket_error));
    if bytes == 0 || error != 0 || !is_queued || read::at::<u64>(ticket, off!(ticket_bytes)) != bytes {
        return 0;
    }
    run.emit::<Waiting>(RecordKind::Waiting, LossClass::Descriptive, fs, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).ticket = ticket;
            (*record).space_flags = read::at(sinfo, off!(sinfo_flags));
            (*record).bytes = bytes;
            (*record).reclaim_size = read::at(sinfo, off!(sinfo_reclaim_size));
            (*record).root = root;
            (*record).ino = ino;
            (*record).tid = tid;
            (*record).pid = read::at(task, off!(task_tgid));
            read::into(&raw mut (*record).comm, task, off!(task_comm));
            (*record).round = round as u32;
            (*record).flags = flags;
        }
    });
    1
}

/// The task that sleeps in the queue of a ticket; 0 if there is none. Both the ticket and the entry of the queue lie on its
/// stack.
#[inline(always)]
fn waiter(ticket: u64) -> u64 {
    let head = ticket + off!(ticket_wait_head) as u64;
    let first: u64 = read::at(head, 0);
    let entry = first.wrapping_sub(off!(wait_entry) as u64);
    let task: u64 = if first == head { 0 } else { read::at(entry, off!(wait_private)) };
    let stack: u64 = read::at(task, off!(task_stack));
    if stack != 0 && ticket.wrapping_sub(stack) < STACK_BYTES && entry.wrapping_sub(stack) < STACK_BYTES {
        task
    } else {
        0
    }
}

/// Subvolume and inode number of the innermost hooked call of a thread that is about an inode; zeroes if there is none.
#[inline(never)]
fn subject(fs: u32, tid: u32) -> (u64, u64) {
    let Some(task) = cells::other_task(u64::from(tid)) else { return (0, 0) };
    let Some(frames) = cells::frame::of(task) else { return (0, 0) };
    cells::frame::subject(frames, fs)
}

/// Arguments: address of the fs_info, filesystem id, address of a ticket whose task is wanted or 0. Sends the workers that
/// reclaim for this filesystem now, and the owner of the ticket. Without a filesystem (zeroes), meets all for which a worker
/// reclaims: one that hangs has no event that shows it.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/find_threads")]
pub extern "C" fn find_threads(ctx: *mut c_void) -> u32 {
    let ctx = RawTracePointContext::new(ctx);
    let Some(run) = Run::begin(HookId::FindThreads, &ctx) else { return 0 };
    let (fs_info, fs, ticket): (u64, u32, u64) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    // SAFETY: plain helper.
    let current = unsafe { bpf_get_current_task() };
    let first: u64 = read::at(current, off!(task_group_leader));
    let who = u64::from(run.number()) | u64::from(fs) << 32;
    let mut task = first;
    // No way out of the loop: each would be a state that the verifier has to remember.
    for _ in 0..MAX_THREADS {
        task = look_at_thread(who, fs_info, ticket, first, task);
    }
    u32::from(task == 0)
}

/// Meets the filesystem of a work, if it is one that reclaims.
#[inline(always)]
fn meet(run: u32, work: u64) {
    let works =
        [off!(fs_async_reclaim_work), off!(fs_async_data_reclaim_work), off!(fs_preempt_reclaim_work)];
    for at in works {
        let fs_info = work.wrapping_sub(at as u64);
        let node: u64 = read::at(fs_info, off!(fs_space_info));
        let sinfo = node.wrapping_sub(off!(sinfo_list) as u64);
        // Other works of the kernel have other things there: nothing but a filesystem has a space_info that points back.
        if work != 0 && node != 0 && read::space_fs_info(sinfo) == fs_info {
            fs_met(run, fs_info);
        }
    }
}

/// A global function: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fs_met(run: u32, fs_info: u64) -> u64 {
    let Some(run) = Run::numbered(run) else { return 0 };
    u64::from(cells::fs_id(&run, fs_info).is_some())
}

/// Sends a thread if it is one that is wanted. Returns the next one; 0 after the last.
///
/// A global function: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_at_thread(who: u64, fs_info: u64, ticket: u64, first: u64, task: u64) -> u64 {
    if task == 0 {
        return 0;
    }
    let mut what = 0;
    if read::at::<u32>(task, off!(task_flags)) & PF_WQ_WORKER != 0 {
        let kthread: u64 = read::at(task, off!(task_worker_private));
        let worker: u64 = read::at(kthread, off!(kthread_data));
        let work: u64 = read::at(worker, off!(worker_current_work));
        if fs_info == 0 {
            meet(who as u32, work);
        } else if work == fs_info + off!(fs_async_reclaim_work) as u64 {
            what = FOUND_METADATA;
        } else if work == fs_info + off!(fs_async_data_reclaim_work) as u64 {
            what = FOUND_DATA;
        } else if work == fs_info + off!(fs_preempt_reclaim_work) as u64 {
            what = FOUND_PREEMPT;
        }
    }
    let stack: u64 = read::at(task, off!(task_stack));
    let mut of = 0;
    if ticket != 0 && stack != 0 && ticket.wrapping_sub(stack) < STACK_BYTES / 2 {
        what = FOUND_OWNER;
        of = ticket;
    }
    if what != 0 {
        let Some(run) = Run::numbered(who as u32) else { return 0 };
        run.emit::<ThreadFound>(
            RecordKind::ThreadFound,
            LossClass::Descriptive,
            (who >> 32) as u32,
            |record| {
                // SAFETY: the ring gave this room.
                unsafe {
                    (*record).what = what;
                    (*record).tid = read::at(task, off!(task_pid));
                    (*record).pid = read::at(task, off!(task_tgid));
                    (*record).reserved = 0;
                    (*record).ticket = of;
                    read::into(&raw mut (*record).comm, task, off!(task_comm));
                }
            },
        );
    }
    let signal: u64 = read::at(task, off!(task_signal));
    let mut node: u64 = read::at(task, off!(task_thread_node));
    let mut at = off!(task_thread_node);
    if node == signal + off!(signal_thread_head) as u64 {
        let leader: u64 = read::at(task, off!(task_group_leader));
        at = off!(task_tasks);
        node = read::at(leader, at);
    }
    let next = node.wrapping_sub(at as u64);
    if node == 0 || next == first { 0 } else { next }
}
