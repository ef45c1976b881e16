//! Records in words, in the kernel's terms.
use probe_common::wait::FLUSH_STATE_DONE;
use probe_common::{
    call::{CALL_INODE, CALL_RETURNED},
    claim::{CLAIM_RESERVE, ClaimType, RsvType},
    draw::own_tree,
    hook::HookId,
    inode::{
        BLOCK_FRESH, Counters, DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN, MOMENT_AUDIT, MOMENT_DESTROY,
        MOMENT_EVICT,
    },
    shortage::QGROUP_GRANTED,
    ticket::TICKET_ENDED,
};
use probe_record::record::Record;

use crate::format;

/// Subvolume (0 if not known), number, and counters of the inode that a record is about.
#[must_use]
pub fn inode_of(record: &Record) -> Option<(u64, u64, Option<Counters>)> {
    Some(match record {
        Record::Delalloc(body) => {
            let root = if body.flags & DELALLOC_ROOT_KNOWN != 0 { body.root } else { 0 };
            (root, body.ino, Some(body.counters))
        }
        Record::Mod(body) => (body.root, body.ino, None),
        Record::InodeState(body) => (body.root, body.ino, Some(body.counters)),
        Record::Block(body) if body.payer == RsvType::Delalloc as u32 => {
            (body.payer_root, body.payer_ino, None)
        }
        Record::Claim(body) if body.payer == RsvType::Delalloc as u32 => {
            (body.payer_root, body.payer_ino, None)
        }
        Record::Enospc(body) if body.ino != 0 => (body.root, body.ino, None),
        Record::Ticket(body) if body.ino != 0 => (body.root, body.ino, None),
        Record::Call(body) if body.flags & CALL_INODE != 0 => (body.root, body.ino, None),
        _ => return None,
    })
}

/// One line for a record; `None` for those that say nothing to a person.
#[must_use]
pub fn describe(record: &Record) -> Option<String> {
    let space = format::space_type;
    Some(match record {
        Record::Delalloc(body) => {
            let verb = if body.flags & DELALLOC_RESERVE != 0 { "reserve" } else { "release" };
            format!("delalloc {verb} {}, {}", body.bytes, held(&body.counters))
        }
        Record::Mod(body) => {
            format!(
                "outstanding_extents {:+} -> {} (before: {})",
                body.modification, body.outstanding, body.expected
            )
        }
        Record::InodeState(body) => {
            let moment = match body.moment {
                MOMENT_EVICT => "evict",
                MOMENT_DESTROY => "destroy",
                MOMENT_AUDIT => "audit",
                _ => "failed reservation",
            };
            format!("{moment}: {}", held(&body.counters))
        }
        Record::Block(body) => {
            let how =
                if body.flags & BLOCK_FRESH != 0 { "was reserved on the spot" } else { "from the block_rsv" };
            format!("tree block of root {}: {} {how}", body.root as i64, body.bytes)
        }
        Record::Claim(body) => {
            let name = match ClaimType::from_u32(body.claim) {
                Some(ClaimType::Transaction) => "transaction",
                Some(ClaimType::LocalDelayedRefs) => "local_delayed_refs_rsv",
                Some(ClaimType::DelayedItem) => "delayed_item",
                Some(ClaimType::DelayedInode) => "delayed_inode",
                None => "unknown claim",
            };
            let verb = if body.flags & CLAIM_RESERVE != 0 { "reserve" } else { "release" };
            format!("{name} {verb} {} (value {})", body.bytes, body.value)
        }
        Record::Enospc(body) => {
            format!("space_info:enospc of {} in {}", body.bytes, space(body.space_flags))
        }
        Record::Ticket(body) => format!(
            "ticket of {} in {}, {}, error {}",
            body.bytes,
            space(body.space_flags),
            format::reserve_flush(body.flush),
            body.error
        ),
        Record::TicketStep(body) if body.step == TICKET_ENDED => {
            format!("owner of ticket {:#x} goes on, error {}", body.ticket, body.error)
        }
        Record::TicketStep(body) => {
            format!("ticket {:#x} in {} is granted {}", body.ticket, space(body.space_flags), body.moved)
        }
        Record::Flush(body) if body.flush < 0 => {
            format!("all tickets of {} are failed", space(body.space_flags))
        }
        Record::Flush(body) => {
            format!(
                "flush of {} in {}, {}",
                body.bytes,
                space(body.space_flags),
                format::reserve_flush(body.flush)
            )
        }
        Record::Bmu(body) => {
            format!("bytes_may_use of {} {} {:+}", space(body.object_flags), body.old, body.diff)
        }
        Record::Chain(body) => {
            format!("counter {} of {}: {} {:+}", body.counter, body.object_flags, body.old, body.diff)
        }
        Record::Call(body) => {
            let name = HookId::from_u8(body.header.hook).map_or("call", HookId::name);
            let end = if body.flags & CALL_RETURNED != 0 {
                format!(" = {}", body.ret)
            } else {
                ", return not seen".to_owned()
            };
            let [first, second, ..] = body.args;
            format!(
                "{name}({first}, {second}){end}, extents {:+}, csum_bytes {:+}",
                body.extents, body.csum_bytes
            )
        }
        Record::TestSign(_) | Record::TestNote(_) => return None,
        Record::FsSeen(_) => "filesystem seen".to_owned(),
        Record::FsEnd(_) => "filesystem ends".to_owned(),
        Record::Levels(_) => "levels of the pools".to_owned(),
        Record::Warn(_) => "kernel WARN".to_owned(),
        Record::LogLine(body) => format!("log: {}", text(&body.text)),
        Record::LossSample(_) => "loss counters".to_owned(),
        Record::AuditMark(body) => {
            format!("audit {} {}", body.round, if body.phase == 0 { "begins" } else { "ends" })
        }
        Record::Marker(_) => "marker".to_owned(),
        Record::Returned(body) => format!("system call ended: {}", body.ret),
        Record::Waiting(body) => format!("waits for {} bytes of {}", body.bytes, space(body.space_flags)),
        Record::FlushState(body) if body.moment == FLUSH_STATE_DONE => {
            format!("flush state {} of {} is over: {}", body.state, space(body.space_flags), body.ret)
        }
        Record::FlushState(_) | Record::ThreadFound(_) | Record::ThreadStack(_) | Record::WaitRound(_) => {
            return None;
        }
        Record::QgroupLevel(body) => format!("counter {} of {}: {}", body.counter, body.qgroupid, body.value),
        Record::FailureState(body) => {
            format!("state at a failure of {} in {}", body.bytes, space(body.space_flags))
        }
        Record::QgroupRefusal(body) if body.outcome == QGROUP_GRANTED => {
            format!("{} of qgroup {} are reserved after all", body.bytes, format::qgroup(body.qgroupid))
        }
        Record::QgroupRefusal(body) => {
            format!("{} do not fit into the limit of qgroup {}", body.bytes, format::qgroup(body.qgroupid))
        }
        Record::Draw(body) => {
            let paid = if own_tree(body.root) { "pays" } else { "pays in place of another one" };
            format!("the global reserve {paid} for a block of tree {}", format::root(body.root as i64))
        }
        Record::Extent(_)
        | Record::PinnedLeft(_)
        | Record::TaskSeen(_)
        | Record::Stack(_)
        | Record::Name(_)
        | Record::SysfsLevels(_)
        | Record::FailureDevices(_) => return None,
    })
}

/// Text up to its first NUL, lossily decoded.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

fn held(counters: &Counters) -> String {
    format!(
        "block_rsv reserved {} size {}, outstanding_extents {}",
        counters.reserved, counters.size, counters.outstanding_extents
    )
}
