//! The layouts of btrfs-progs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;

fn read(text: &str) -> Vec<Usage> {
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.line(line);
    }
    reader.finish()
}

const RAW: &str = "\
Overall:
    Device size:\t\t         268435456
    Device allocated:\t\t         267386880
    Device unallocated:\t\t           1048576
    Device missing:\t\t                 0
    Device slack:\t\t                 0
    Used:\t\t\t          33751040
    Free (estimated):\t\t         221249536\t(min: 221249536)
    Free (statfs, df):\t\t                 0
    Data ratio:\t\t\t              1.00
    Metadata ratio:\t\t              1.00
    Global reserve:\t\t           5767168\t(used: 16384)
    Multiple profiles:\t\t                no

Data,single: Size:254803968, Used:33554432 (13.17%)
   /dev/loop0\t 254803968

Metadata,single: Size:8388608, Used:180224 (2.15%)
   /dev/loop0\t   8388608

System,single: Size:4194304, Used:16384 (0.39%)
   /dev/loop0\t   4194304

Unallocated:
   /dev/loop0\t   1048576
";

#[test]
fn the_list_in_bytes() {
    let usage = read(RAW).pop().unwrap();
    assert_eq!(usage.unallocated, Some(Amount::exact(1 << 20)));
    assert_eq!(usage.global_reserve, Some((Amount::exact(5_767_168), Some(Amount::exact(16_384)))));
    assert_eq!(usage.of(SpaceKind::Data), Some((Amount::exact(254_803_968), Amount::exact(33_554_432))));
    assert_eq!(usage.profile(SpaceKind::Metadata), Some(Profile::Single));
    assert_eq!(usage.devices, [("/dev/loop0".to_owned(), Amount::exact(1 << 20))]);
    assert!(usage.has_device("loop0") && !usage.has_device("loop1") && !usage.has_device(""));
}

#[test]
fn the_list_rounded_and_of_old_versions() {
    let text = "\
Overall:
    Device size:\t\t   2.00GiB
    Device unallocated:\t\t   1.00MiB
    Global reserve:\t\t  16.00MiB\t(used: 0.00B)

Data,RAID1: Size:896.00MiB, Used:100.00MiB
   /dev/sd a\t 896.00MiB
   missing\t 896.00MiB

Metadata,DUP: Size:64.00MiB, Used:128.00KiB

Unallocated:
   /dev/sd a\t   1.00MiB
   missing\t   1.00GiB
";
    let usage = read(text).pop().unwrap();
    assert_eq!(usage.profile(SpaceKind::Data), Some(Profile::Raid1));
    assert_eq!(usage.profile(SpaceKind::Metadata), Some(Profile::Dup));
    assert_eq!(usage.devices.len(), 2);
    assert_eq!(usage.devices[0].0, "/dev/sd a");
    assert!(usage.of(SpaceKind::Data).unwrap().0.can_be(896 << 20));
}

#[test]
fn the_table_of_new_and_old_versions() {
    let new = "\
Overall:
    Device size:\t\t 256.00MiB
    Device unallocated:\t\t   1.00MiB

              Data      Metadata  System
Id Path       single    DUP       DUP      Unallocated Total     Slack
-- ---------- --------- --------- -------- ----------- --------- -----
 1 /dev/loop0 243.00MiB   8.00MiB  4.00MiB     1.00MiB 256.00MiB     -
 2 /dev/my sd         -         -        -     3.00MiB 256.00MiB     -
-- ---------- --------- --------- -------- ----------- --------- -----
   Total      243.00MiB   8.00MiB  4.00MiB     4.00MiB 512.00MiB 0.00B
   Used       242.94MiB 416.00KiB 16.00KiB
";
    let old = "\
           Data    Metadata  System
Id Path    RAID1   RAID1     RAID1     Unallocated
-- ------- ------- --------- --------- -----------
 1 /dev/sa 1.00GiB 256.00MiB   8.00MiB     1.00GiB
-- ------- ------- --------- --------- -----------
   Total   1.00GiB 256.00MiB   8.00MiB     1.00GiB
   Used    1.00GiB 128.00KiB  16.00KiB
";
    let usage = read(new).pop().unwrap();
    assert_eq!(usage.devices.len(), 2, "{usage:?}");
    assert_eq!(usage.devices[1].0, "/dev/my sd");
    assert!(usage.devices[1].1.can_be(3 << 20));
    assert_eq!(usage.profile(SpaceKind::Metadata), Some(Profile::Dup));
    assert!(usage.of(SpaceKind::Metadata).unwrap().1.can_be(416 << 10));
    let usage = read(old).pop().unwrap();
    assert_eq!((usage.devices.len(), usage.allocations.len()), (1, 3));
}

#[test]
fn df_knows_no_unallocated_bytes() {
    let text = "\
Data, single: total=243.00MiB, used=32.00MiB
System, DUP: total=4.00MiB, used=16.00KiB
Metadata, DUP: total=8.00MiB, used=176.00KiB
GlobalReserve, single: total=5.50MiB, used=0.00B
";
    let usage = read(text).pop().unwrap();
    assert_eq!((usage.allocations.len(), usage.devices.len()), (3, 0));
    assert!(usage.global_reserve.is_some() && usage.unallocated.is_none());
}

#[test]
fn several_outputs_are_several_filesystems_and_other_lines_are_none() {
    let text = format!("root@host:~# btrfs filesystem usage -b /mnt\n{RAW}# and again\n{RAW}bye\n");
    assert_eq!(read(&text).len(), 2);
    assert!(read("Overall: fine\nData, x\nUsed: 1\nTotal\n").is_empty());
}
