//! Filesystems of the stream, as far as the capture side needs them: those to audit, and those whose qgroups are to be read.
use std::collections::BTreeMap;

use probe_common::{
    chain::{Chain, ChainCounter},
    fs::FS_BORN,
    header::{Header, RecordKind},
};
use probe_record::record::Record;
use zerocopy::FromBytes;

/// One mounted filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Address of the `struct btrfs_fs_info`.
    pub fs_info: u64,
    /// `fs_devices->fsid`
    pub fsid: [u8; 16],
    /// `sb->s_id`, NUL-padded; empty while not known.
    pub s_id: [u8; 32],
    /// Audits so far.
    pub rounds: u32,
    /// Chained counters of its space_infos: address and counter. A handful.
    pub pools: Vec<(u64, ChainCounter)>,
}

/// The mounted filesystems, kept up to date from the records of the ring.
#[derive(Debug, Default)]
pub struct Filesystems {
    live: BTreeMap<u32, Live>,
    /// Filesystems of which btrfs has said in the kernel's log that a qgroup still holds something.
    complaints: Vec<u32>,
    /// Filesystems of which it has said that a transaction was aborted, and whether their state was asked for.
    aborts: BTreeMap<u32, bool>,
}

impl Filesystems {
    /// Takes one record of the ring; nearly all need one comparison only.
    #[inline]
    pub fn see(&mut self, header: &Header, bytes: &[u8]) {
        if header.kind == RecordKind::FsSeen as u8 || header.kind == RecordKind::FsEnd as u8 {
            self.learn(bytes);
        } else if header.kind == RecordKind::LogLine as u8 {
            self.listen(bytes);
        } else if header.kind == RecordKind::Chain as u8
            && let Ok((chain, _)) = Chain::read_from_prefix(bytes)
            && let Some(counter @ (ChainCounter::BytesMayUse | ChainCounter::BytesPinned)) =
                ChainCounter::from_u32(chain.counter)
        {
            self.has_pool(header.fs, chain.object, counter);
        }
    }

    /// Notes a counter of a filesystem's space_info, if it is not known yet.
    pub fn has_pool(&mut self, fs: u32, object: u64, counter: ChainCounter) {
        if let Some(live) = self.live.get_mut(&fs)
            && !live.pools.contains(&(object, counter))
        {
            live.pools.push((object, counter));
        }
    }

    fn learn(&mut self, bytes: &[u8]) {
        match Record::decode(bytes) {
            Ok(Record::FsSeen(seen)) => {
                // A filesystem first seen during its unmount, while the hooks were attached, shows no end. Two lives of one
                // identity do not overlap, and the figures in sysfs are those of the later one.
                if seen.flags & FS_BORN != 0 {
                    self.live.retain(|_, live| live.fsid != seen.fsid);
                }
                let live = self.live.entry(seen.header.fs).or_default();
                live.fs_info = seen.fs_info;
                live.fsid = seen.fsid;
                if seen.s_id != [0; 32] {
                    live.s_id = seen.s_id;
                }
            }
            Ok(Record::FsEnd(end)) => {
                self.live.remove(&end.header.fs);
            }
            _ => {}
        }
    }

    /// A line of the kernel's log. It is about a filesystem that is still there: its end comes later in the ring.
    fn listen(&mut self, bytes: &[u8]) {
        let Ok(Record::LogLine(line)) = Record::decode(bytes) else { return };
        if let Some(device) = device_of_abort(&line.text) {
            for (fs, live) in &self.live {
                if until_nul(&live.s_id) == device {
                    self.aborts.entry(*fs).or_insert(false);
                }
            }
        }
        let Some(device) = device_of_qgroup(&line.text) else { return };
        for (fs, live) in &self.live {
            if until_nul(&live.s_id) == device && !self.complaints.contains(fs) {
                self.complaints.push(*fs);
            }
        }
    }

    /// Filesystems with a complaint about what a qgroup holds, each once.
    pub fn take_complaints(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.complaints)
    }

    /// Filesystems with an abort whose state was not asked for yet.
    pub fn take_aborts(&mut self) -> Vec<(u32, u64)> {
        let Self { live, aborts, .. } = self;
        aborts.retain(|fs, _| live.contains_key(fs));
        let fresh = |(fs, asked): (&u32, &mut bool)| {
            let first = !std::mem::replace(asked, true);
            first.then(|| Some((*fs, live.get(fs)?.fs_info))).flatten()
        };
        aborts.iter_mut().filter_map(fresh).collect()
    }

    /// Ids of the mounted filesystems, oldest first.
    pub fn ids(&self) -> Vec<u32> {
        self.live.keys().copied().collect()
    }

    /// How many filesystems are mounted.
    pub fn count(&self) -> usize {
        self.live.len()
    }

    /// One of the mounted filesystems.
    pub fn find(&self, fs: u32) -> Option<&Live> {
        self.live.get(&fs)
    }

    /// One of the mounted filesystems; counts the audit.
    pub fn next_round(&mut self, fs: u32) -> Option<Live> {
        let live = self.live.get_mut(&fs)?;
        live.rounds += 1;
        Some(live.clone())
    }
}

/// The device in a line that says where a transaction was aborted. The ledger reads what it says.
fn device_of_abort(text: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(until_nul(text)).ok()?;
    let (inside, said) = text.split_once("error (device ")?.1.split_once(')')?;
    let (device, state) = inside.split_once(" state ")?;
    // 6.1 has a colon in between.
    let device = device.trim_end_matches(':');
    (state.contains('A') && said.contains(": errno=")).then_some(device.as_bytes())
}

/// The device in a line that says how much a qgroup still has reserved. The ledger reads what it says.
fn device_of_qgroup(text: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(until_nul(text)).ok()?;
    let (inside, said) = text.split_once("(device ")?.1.split_once(')')?;
    let of_level =
        said.contains(" has unreleased space, type ") || said.contains(" has non-zero numbers, data ");
    let device = inside.split_once(" state ").map_or(inside, |(device, _)| device.trim_end_matches(':'));
    (said.contains("qgroup ") && of_level).then_some(device.as_bytes())
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use probe_common::{
        failure::{LINE_TEXT, LogLine},
        fs::{FsEnd, FsSeen},
    };

    use super::*;

    fn seen(fs: u32, fsid: u8, flags: u32) -> Record {
        let header = Header { fs, ..Header::default() };
        FsSeen { header, fsid: [fsid; 16], flags, ..FsSeen::default() }.into()
    }

    fn after(records: &[Record]) -> Vec<u32> {
        let mut filesystems = Filesystems::default();
        for record in records {
            filesystems.see(record.header(), record.bytes());
        }
        filesystems.ids()
    }

    #[test]
    fn a_filesystem_lives_from_its_first_sight_to_its_end() {
        let end = FsEnd { header: Header { fs: 256, ..Header::default() }, ..FsEnd::default() };
        assert_eq!(after(&[seen(256, 7, 0), seen(257, 8, FS_BORN)]), [256, 257]);
        assert_eq!(after(&[seen(256, 7, 0), seen(257, 8, FS_BORN), end.into()]), [257]);
    }

    fn on(fs: u32, device: &str) -> Record {
        let header = Header { fs, ..Header::default() };
        let mut s_id = [0; 32];
        s_id[..device.len()].copy_from_slice(device.as_bytes());
        FsSeen { header, s_id, fsid: [fs as u8; 16], ..FsSeen::default() }.into()
    }

    fn line(said: &str) -> Record {
        let mut text = [0; LINE_TEXT];
        text[..said.len()].copy_from_slice(said.as_bytes());
        LogLine { header: Header::default(), length: said.len() as u32, reserved: 0, text }.into()
    }

    #[test]
    fn a_complaint_about_a_qgroup_names_the_filesystem_on_its_device() {
        let mut filesystems = Filesystems::default();
        let mut see = |record: Record| filesystems.see(record.header(), record.bytes());
        [on(256, "sda"), on(257, "sdb"), on(258, "dm-0")].into_iter().for_each(&mut see);
        see(line("BTRFS warning (device sdb): qgroup 0/5 has unreleased space, type 0 rsv 28672"));
        see(line("BTRFS warning (device sdb): qgroup 0/5 has unreleased space, type 1 rsv 16384"));
        see(line("BTRFS error (device sda): qgroup reserved space leaked"));
        see(line(
            "BTRFS warning (device dm-0: state M): to be deleted qgroup 0/257 has non-zero numbers, data 4096 meta prealloc 0 meta pertrans 0",
        ));
        // It has ended by the time its qgroups are read.
        let end = FsEnd { header: Header { fs: 257, ..Header::default() }, ..FsEnd::default() };
        see(end.into());
        assert_eq!(filesystems.take_complaints(), [257, 258]);
        assert_eq!(filesystems.take_complaints(), [0; 0]);
    }

    #[test]
    fn an_abort_is_asked_about_once() {
        let mut filesystems = Filesystems::default();
        let mut see = |record: Record| filesystems.see(record.header(), record.bytes());
        [on(256, "sda"), on(257, "sdb")].into_iter().for_each(&mut see);
        for place in ["btrfs_run_delayed_refs:2163", "cleanup_transaction:2051"] {
            see(line(&format!("BTRFS: error (device sdb state A) in {place}: errno=-28 No space left")));
        }
        see(line("BTRFS: error (device sda) in open_ctree:1: errno=-5 IO failure"));
        assert_eq!(filesystems.take_aborts(), [(257, 0)]);
        assert_eq!(filesystems.take_aborts(), []);
    }

    /// Its work queues were destroyed before their hook was on. So it was first seen at the release of its global reserve,
    /// and was mounted again. The figures of the second life were compared with the books of the first.
    #[test]
    fn one_that_was_met_in_its_last_breath_is_over_when_it_is_mounted_again() {
        assert_eq!(after(&[seen(256, 7, 0), seen(512, 7, FS_BORN)]), [512]);
        // Sent again with its name.
        assert_eq!(after(&[seen(256, 7, FS_BORN), seen(256, 7, 0)]), [256]);
    }
}
