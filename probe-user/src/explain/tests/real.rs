//! Dumps of real kernels: figures as they were printed.
use super::explain;

/// 6.18, a filesystem of 256 MiB, `mkdir` after the data was truncated: the dump of the last try, `dmesg` and `usage -b` together.
#[test]
fn metadata_is_full_beside_free_data() {
    let text = concat!(
        include_str!("../../../testdata/explain/mkdir-6.18.usage.txt"),
        include_str!("../../../testdata/explain/mkdir-6.18.dmesg.txt")
    );
    let explanation = explain(text);
    let filesystem = &explanation.filesystems[0];
    assert_eq!(filesystem.causes, ["data-only-free-space", "no-room-for-a-chunk"]);
    assert_eq!((filesystem.request, filesystem.dumps), (Some(3_932_160), 11));
    assert_eq!(filesystem.impossible, Vec::<String>::new());
}

/// An abort with 50 of 51 MiB pinned; more is promised than there is.
#[test]
fn an_abort_while_nearly_everything_is_pinned() {
    let explanation = explain(
        "[  174.006424] BTRFS info (device vda2 state A): dumping space info:\n\
         [  174.013001] BTRFS info (device vda2 state A): space_info DATA has 234418176 free, is not full\n\
         [  174.022018] BTRFS info (device vda2 state A): space_info total=255852544, used=21434368, pinned=0, reserved=0, may_use=0, readonly=0 zone_unusable=0\n\
         [  174.035829] BTRFS info (device vda2 state A): space_info METADATA has -5767168 free, is full\n\
         [  174.044752] BTRFS info (device vda2 state A): space_info total=53673984, used=1146880, pinned=52445184, reserved=16384, may_use=5767168, readonly=65536 zone_unusable=0\n\
         [  174.082979] BTRFS info (device vda2 state A): global_block_rsv: size 5767168 reserved 5767168\n",
    );
    let filesystem = &explanation.filesystems[0];
    assert_eq!(filesystem.causes, ["pinned-until-commit", "data-only-free-space", "no-room-for-a-chunk"]);
    assert_eq!(filesystem.impossible, Vec::<String>::new());
}

/// An abort in which only the chunk tree was short, and the kernel could still allocate: the figures do not show why.
#[test]
fn a_system_space_info_that_is_not_full_is_no_cause() {
    let explanation = explain(
        "BTRFS info (device loop0: state A): dumping space info:\n\
         BTRFS info (device loop0: state A): space_info METADATA has 128141934592 free, is not full\n\
         BTRFS info (device loop0: state A): space_info total=346287833088, used=199112523776, pinned=212992, reserved=24543232, may_use=19008618496, readonly=0 zone_unusable=0\n\
         BTRFS info (device loop0: state A): space_info SYSTEM has 0 free, is not full\n\
         BTRFS info (device loop0: state A): space_info total=4194304, used=3358720, pinned=32768, reserved=802816, may_use=0, readonly=0 zone_unusable=0\n",
    );
    let filesystem = &explanation.filesystems[0];
    assert!(
        filesystem.causes.is_empty() && filesystem.sentence.starts_with("System has too little room"),
        "{filesystem:?}"
    );
    assert!(!explanation.is_explained());
}
