//! A kernel log: dumps by filesystem, and of each filesystem the one that says most.
//!
//! The kernel prints a dump line by line, and other filesystems may print in between, so lines are put together by device.
//! A log can have thousands of dumps. Only two of each filesystem are kept: the one that is being read, and the best before it.
use std::collections::BTreeMap;

use probe_common::shortage::QgroupRefusal;

use super::{
    line::KernelLine,
    said::{Said, read},
    space::{Moment, SpaceInfo, SpaceKind, Trigger},
};

/// Most filesystems of one text.
const MOST_FILESYSTEMS: usize = 64;
/// Most space_infos of one dump: 3 types, with their sub-groups.
const MOST_SPACES: usize = 16;

const EDQUOT: i64 = -122;
const ENOSPC: i64 = -28;

/// What the log says of one filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filesystem {
    /// The dump that says most, the latest of several.
    pub best: Option<Moment>,
    /// Number of dumps.
    pub dumps: u64,
    /// Something failed with ENOSPC.
    pub enospc: bool,
    /// Something failed with EDQUOT.
    pub edquot: bool,
    /// A program said so; it need not have been about this filesystem.
    pub edquot_by_program: bool,
    /// A transaction was aborted and the filesystem became read-only.
    pub forced_readonly: bool,
    /// No chunk could be allocated: devices that had room, and devices that the profile needs.
    pub few_devices: Option<(i64, i64)>,
    /// What a limit of a qgroup refused. No text has it: it is of a live session.
    pub refusal: Option<QgroupRefusal>,
    /// Its UUID, if its mount is in the text.
    uuid: Option<String>,
    now: Moment,
    head: Option<(SpaceKind, i64, i64, bool)>,
    /// The next dump is one of an unmount.
    unmount: bool,
}

/// The filesystems of a log, by the device that the kernel names.
#[derive(Clone, Debug, Default)]
pub struct Log {
    filesystems: BTreeMap<String, Filesystem>,
    /// The device of the last message that named one.
    last: Option<String>,
    /// Lines of filesystems beyond the first 64.
    pub left_out: u64,
    /// Errors of messages that name no device; they count for the filesystem that is named next.
    error: Option<i64>,
    unmount: bool,
    edquot_by_program: bool,
}

impl Log {
    /// A line that is no message of btrfs: a WARN of an unmount, or an error as a program prints it.
    pub fn other(&mut self, line: &str) {
        let at_unmount =
            line.contains("btrfs_free_block_groups") || line.contains("check_removing_space_info");
        self.unmount |= at_unmount && line.contains("WARNING:");
        self.edquot_by_program |= line.contains("Disk quota exceeded");
    }

    /// A message of btrfs. Returns whether it says something about space.
    pub fn message(&mut self, line: KernelLine<'_>) -> bool {
        let Some(said) = read(line.message) else { return false };
        let device = match (line.device, &said) {
            (Some(device), _) => device.to_owned(),
            // The backtrace stands between this line and the one that names the device.
            (None, Said::Error(error)) => {
                self.error = Some(*error);
                return true;
            }
            (None, _) => self.last.clone().unwrap_or_default(),
        };
        if !self.filesystems.contains_key(&device) && self.filesystems.len() >= MOST_FILESYSTEMS {
            self.left_out = self.left_out.saturating_add(1);
            return true;
        }
        if let Said::Mount(uuid) = said {
            self.mount(device, uuid);
            return false;
        }
        let filesystem = self.filesystems.entry(device.clone()).or_default();
        self.last = Some(device);
        if let Some(error) = self.error.take() {
            filesystem.take(Said::Error(error));
        }
        if matches!(said, Said::Head { .. }) && std::mem::take(&mut self.unmount) {
            filesystem.unmount = true;
        }
        filesystem.take(said);
        true
    }

    /// A device can hold one filesystem after the other. The one before keeps its dumps, under a name with its UUID.
    fn mount(&mut self, device: String, uuid: String) {
        let filesystem = self.filesystems.entry(device.clone()).or_default();
        match filesystem.uuid.replace(uuid.clone()) {
            Some(before) if before != uuid => {
                let mut before_it = std::mem::take(filesystem);
                filesystem.uuid = Some(uuid);
                before_it.close(Moment::default());
                if before_it.best.is_some() && self.filesystems.len() < MOST_FILESYSTEMS {
                    self.filesystems.insert(format!("{device} ({before})"), before_it);
                }
            }
            _ => {}
        }
    }

    /// All filesystems, by device; the name is empty if the text names none.
    #[must_use]
    pub fn finish(mut self) -> BTreeMap<String, Filesystem> {
        if let Some(error) = self.error.take() {
            self.filesystems
                .entry(self.last.clone().unwrap_or_default())
                .or_default()
                .take(Said::Error(error));
        }
        if self.edquot_by_program && self.filesystems.len() <= 1 {
            let filesystem = match self.filesystems.first_entry() {
                Some(only) => only.into_mut(),
                None => self.filesystems.entry(String::new()).or_default(),
            };
            filesystem.edquot_by_program = !filesystem.edquot;
            filesystem.edquot = true;
        }
        for filesystem in self.filesystems.values_mut() {
            filesystem.close(Moment::default());
        }
        self.filesystems
    }
}

impl Filesystem {
    fn take(&mut self, said: Said) {
        match said {
            Said::Head { kind, subgroup, free, full } => self.begin_space(kind, subgroup, free, full),
            Said::Totals(totals) => {
                let (kind, subgroup, printed_free, full) = match self.head.take() {
                    Some((kind, subgroup, free, full)) => (kind, subgroup, Some(free), Some(full)),
                    None => {
                        self.begin_space(SpaceKind::Unknown, 0, 0, false);
                        self.head = None;
                        (SpaceKind::Unknown, 0, None, None)
                    }
                };
                if self.now.spaces.len() < MOST_SPACES {
                    self.now.spaces.push(SpaceInfo {
                        kind,
                        subgroup,
                        printed_free,
                        full,
                        total: totals.total,
                        used: totals.used,
                        pinned: totals.pinned,
                        reserved: totals.reserved,
                        may_use: totals.may_use,
                        readonly: totals.readonly,
                        zone_unusable: totals.zone_unusable,
                    });
                }
            }
            Said::Reserve(reserve) => {
                self.now.reserves.retain(|before| before.name != reserve.name);
                self.now.reserves.push(reserve);
            }
            Said::Group { length, taken, readonly } => {
                let groups = &mut self.now.groups;
                groups.listed = groups.listed.saturating_add(1);
                groups.impossible = groups.impossible.saturating_add(u64::from(taken > i128::from(length)));
                if readonly {
                    groups.readonly = groups.readonly.saturating_add(1);
                    groups.readonly_bytes = groups.readonly_bytes.saturating_add(length);
                }
            }
            Said::Begin(trigger) => self.close(Moment { trigger, ..Moment::default() }),
            Said::Request { trigger, kind, bytes } => {
                self.close(Moment { trigger, request: Some(bytes), wanted: Some(kind), ..Moment::default() })
            }
            Said::Ticket(bytes) => {
                // The first one is what the flushing was for.
                self.now.request.get_or_insert(bytes);
                self.now.tickets = self.now.tickets.saturating_add(1);
                self.now.trigger = self.now.trigger.max(Trigger::Tickets);
            }
            Said::Error(ENOSPC) => self.enospc = true,
            Said::Error(EDQUOT) => self.edquot = true,
            Said::Error(_) => {}
            Said::Mount(_) => {}
            Said::ForcedReadonly => self.forced_readonly = true,
            Said::FewDevices { have, need } => self.few_devices = Some((have, need)),
        }
    }

    /// A space_info begins. It belongs to a new dump if the present one has it already, or went on to its block_rsvs.
    fn begin_space(&mut self, kind: SpaceKind, subgroup: i64, free: i64, full: bool) {
        let again = self.now.spaces.iter().any(|space| space.kind == kind && space.subgroup == subgroup);
        let unmount = std::mem::take(&mut self.unmount);
        if unmount || again || !self.now.reserves.is_empty() {
            // The task whose ticket failed prints its own dump, with the block_rsvs that the first one lacks.
            let of_ticket = again && !unmount && self.now.tickets > 0 && self.now.reserves.is_empty();
            if of_ticket {
                self.now.spaces.clear();
            } else {
                self.close(Moment::default());
            }
        }
        if unmount {
            self.now.trigger = Trigger::Unmount;
        }
        self.head = Some((kind, subgroup, free, full));
    }

    /// The present dump ends, and another one begins.
    fn close(&mut self, next: Moment) {
        let done = std::mem::replace(&mut self.now, next);
        self.head = None;
        if done.spaces.is_empty() {
            return;
        }
        self.dumps = self.dumps.saturating_add(1);
        if self.best.as_ref().is_none_or(|best| done.trigger >= best.trigger) {
            self.best = Some(done);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::{super::line::kernel_line, *};

    fn log(text: &str) -> BTreeMap<String, Filesystem> {
        let mut log = Log::default();
        for line in text.lines() {
            match kernel_line(line) {
                Some(line) => {
                    log.message(line);
                }
                None => log.other(line),
            }
        }
        log.finish()
    }

    const TICKET: &str = "\
[1.0] BTRFS info (device vdb): space_info METADATA has 5 free, is not full
[1.0] BTRFS info (device vdb): space_info total=10, used=5, pinned=0, reserved=0, may_use=0, readonly=0 zone_unusable=0
[1.0] BTRFS info (device vdb): global_block_rsv: size 0 reserved 0
[2.0] BTRFS info (device vdb): cannot satisfy tickets, dumping space info
[2.0] BTRFS info (device vdb): space_info METADATA has 4 free, is full
[2.0] BTRFS info (device vdc): space_info DATA has 1 free, is full
[2.0] BTRFS info (device vdb): space_info total=10, used=6, pinned=0, reserved=0, may_use=0, readonly=0 zone_unusable=0
[2.0] BTRFS info (device vdb): failing ticket with 7 bytes
[2.0] BTRFS info (device vdb): failing ticket with 9 bytes
[2.0] BTRFS info (device vdc): space_info total=3, used=2, pinned=0, reserved=0, may_use=0, readonly=0 zone_unusable=0
[2.0] BTRFS info (device vdb): space_info METADATA has 3 free, is full
[2.0] BTRFS info (device vdb): space_info total=10, used=7, pinned=0, reserved=0, may_use=0, readonly=0 zone_unusable=0
[2.0] BTRFS info (device vdb): global_block_rsv: size 1 reserved 1
[3.0] BTRFS info (device vdb): space_info METADATA has 2 free, is full
[3.0] BTRFS info (device vdb): space_info total=10, used=8, pinned=0, reserved=0, may_use=0, readonly=0 zone_unusable=0
";

    #[test]
    fn a_ticket_and_the_dump_of_its_task_are_one_and_later_tries_do_not_hide_it() {
        let found = log(TICKET);
        let vdb = &found["vdb"];
        let best = vdb.best.as_ref().unwrap();
        assert_eq!((best.trigger, best.request, best.tickets), (Trigger::Tickets, Some(7), 2));
        assert_eq!((best.spaces.len(), best.spaces[0].used, best.reserves.len()), (1, 7, 1));
        assert_eq!(vdb.dumps, 3);
        let vdc = found["vdc"].best.as_ref().unwrap();
        assert_eq!((vdc.spaces[0].kind, vdc.spaces[0].total), (SpaceKind::Data, 3));
    }

    #[test]
    fn an_error_without_a_device_belongs_to_the_next_message() {
        let found = log(
            "BTRFS: Transaction aborted (error -28)\nBTRFS info (device vda state A): dumping space info:\n\
                         BTRFS info (device vda: state EA): forced readonly\n",
        );
        assert!(found["vda"].enospc && found["vda"].forced_readonly && !found["vda"].edquot);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_dump_behind_a_warning_of_unmount_is_one_of_unmount() {
        let warning = "WARNING: CPU: 0 PID: 1 at fs/btrfs/block-group.c:3367 btrfs_free_block_groups+0x225/0x2b0 [btrfs]\n";
        let dump = "BTRFS info (device vdb): space_info 1 has 4 free, is not full\n\
                    BTRFS info (device vdb): space_info total=8, used=0, pinned=0, reserved=0, may_use=4, readonly=0\n";
        assert_eq!(log(&format!("{warning}{dump}"))["vdb"].best.as_ref().unwrap().trigger, Trigger::Unmount);
        assert_eq!(log(dump)["vdb"].best.as_ref().unwrap().trigger, Trigger::Reservation);
    }

    #[test]
    fn a_text_without_first_lines_and_devices_still_counts() {
        let found = log("space_info total=8, used=0, pinned=0, reserved=0, may_use=4, readonly=0\n");
        let space = &found[""].best.as_ref().unwrap().spaces[0];
        assert_eq!((space.kind, space.full, space.free()), (SpaceKind::Unknown, None, 4));
    }

    #[test]
    fn a_device_that_holds_another_filesystem_later_is_another_one() {
        let dump = "BTRFS info (device vdb): space_info DATA has 4 free, is full\n\
                    BTRFS info (device vdb): space_info total=8, used=4, pinned=0, reserved=0, may_use=0, readonly=0\n";
        let mount = |uuid: &str| format!("BTRFS info (device vdb): first mount of filesystem {uuid}\n");
        let text = format!("{}{dump}{}{dump}{}{dump}{dump}", mount("a"), mount("a"), mount("b"));
        let dumps: Vec<(String, u64)> = log(&text).into_iter().map(|(name, of)| (name, of.dumps)).collect();
        assert_eq!(dumps, [("vdb".to_owned(), 2), ("vdb (a)".to_owned(), 2)]);
    }

    #[test]
    fn filesystems_are_bounded() {
        let text: String =
            (0..100).map(|n| format!("BTRFS info (device d{n}): dumping space info:\n")).collect();
        assert_eq!(log(&text).len(), MOST_FILESYSTEMS);
    }
}
