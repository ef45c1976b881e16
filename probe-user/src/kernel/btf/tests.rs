//! Offsets and tracepoint arguments of four captured kernels, and of types made up to be awkward.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails must fail")]
use std::collections::BTreeSet;

use probe_common::claim::RsvType::{
    self, Chunk, Delalloc, DelayedOps, DelayedRefs, Empty, Global, Remap, Temp, Trans, TreeLog,
};
use probe_common::offsets::{ABSENT, Offsets};
use proptest::prelude::*;

use super::fields::ROWS;
use super::*;

/// Folders of `testdata/kernels/`: oldest first, in the order of the columns below.
const KERNELS: [&str; 4] =
    ["6.1.0-56-cloud-amd64", "6.12.117+deb12-cloud-amd64", "6.18.44-builtin", "7.3.4+deb13-cloud-amd64"];

fn captured(kernel: &str, file: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernels").join(kernel).join(file);
    path.exists().then(|| zstd::decode_all(File::open(path).unwrap()).unwrap())
}

fn types_of(kernel: &str) -> KernelTypes {
    let module = captured(kernel, "btrfs.btf.zst");
    KernelTypes::from_bytes(&captured(kernel, "vmlinux.btf.zst").unwrap(), module.as_deref()).unwrap()
}

fn field(offsets: &Offsets, name: &str) -> u32 {
    let row = ROWS.iter().find(|row| row.name == name).unwrap();
    *(row.slot)(&mut offsets.clone())
}

/// What the builds of these kernels were measured to have, field by field.
#[rustfmt::skip]
const MEASURED: &[(&str, [u32; 4])] = &[
    ("inode_root",                [0, 0, 0, 0]),
    ("inode_io_tree",             [72, 48, 48, 48]),
    ("inode_outstanding_extents", [376, 112, 112, 104]),
    ("inode_runtime_flags",       [248, 152, 152, 144]),
    ("inode_delalloc_bytes",      [296, 192, 192, 184]),
    ("inode_csum_bytes",          [360, 224, 224, 216]),
    ("inode_flags",               [368, 256, 256, 248]),
    ("inode_block_rsv",           [384, 264, 264, 256]),
    ("inode_vfs_inode",           [520, 392, 392, 376]),
    ("inode_free_space_bit",      [12, 11, 11, 11]),
    ("vfs_i_ino_size",            [8, 8, 8, 8]),
    ("rsv_size",                  [0, 0, 0, 0]),
    ("rsv_reserved",              [8, 8, 8, 8]),
    ("rsv_type",                  [30, 30, 30, 30]),
    ("rsv_qgroup_rsv_size",       [32, 32, 32, 32]),
    ("rsv_qgroup_rsv_reserved",   [40, 40, 40, 40]),
    ("io_tree_owner",             [24, 16, 16, 16]),
    ("io_tree_inode_io",          [3, 3, 3, 3]),
    ("root_objectid",             [503, 503, 503, 503]),
    ("root_state",                [56, 56, 56, 56]),
    ("root_fs_info",              [520, 520, 520, 520]),
    ("root_block_rsv",            [600, 592, 592, 584]),
    ("root_shareable_bit",        [1, 1, 1, 1]),
    ("fs_flags",                  [16, 16, 16, 16]),
    ("fs_global_block_rsv",       [240, 224, 224, 232]),
    ("fs_trans_block_rsv",        [288, 272, 272, 280]),
    ("fs_chunk_block_rsv",        [336, 320, 320, 328]),
    ("fs_delayed_block_rsv",      [384, 368, 368, 424]),
    ("fs_delayed_refs_rsv",       [432, 416, 416, 472]),
    ("fs_devices_fsid",           [0, 0, 0, 0]),
    ("fs_fs_devices",             [1640, 1688, 1808, 1800]),
    ("fs_sb",                     [736, 704, 784, 840]),
    ("sb_s_dev",                  [16, 16, 16, 16]),
    ("fs_space_info",             [1648, 1696, 1816, 1808]),
    ("fs_fs_error",               [ABSENT, 2624, 2728, 2688]),
    ("fs_state_error_bit",        [0, ABSENT, ABSENT, ABSENT]),
    ("fs_state_trans_aborted_bit", [3, 2, 2, 2]),
    ("fs_closing_start_bit",      [0, 0, 0, 0]),
    ("fs_closing_done_bit",       [1, 1, 1, 1]),
    ("fs_log_recovering_bit",     [2, 2, 2, 2]),
    ("sinfo_fs_info",             [0, 0, 0, 0]),
    ("sinfo_total_bytes",         [32, 32, 32, 32]),
    ("sinfo_bytes_used",          [40, 40, 40, 40]),
    ("sinfo_bytes_pinned",        [48, 48, 48, 48]),
    ("sinfo_bytes_reserved",      [56, 56, 56, 56]),
    ("sinfo_bytes_may_use",       [64, 64, 64, 64]),
    ("sinfo_flags",               [144, 136, 136, 136]),
    ("trans_transid",             [0, 0, 0, 0]),
    ("trans_block_rsv",           [40, 56, 56, 56]),
    ("trans_adding_csums",        [74, 90, 90, 90]),
    ("trans_type",                [68, 84, 84, 84]),
    ("qgroup_rsv_values",         [80, 80, 80, 80]),
    ("ordered_encoded_bit",       [12, 12, 12, 11]),
    ("mod_has_outstanding",       [0, 1, 1, 1]),
    ("ffe_has_ctl",               [0, 1, 1, 1]),
    ("reserve_extent_has_ctl",    [0, 1, 1, 1]),
    ("commit_has_handle",         [0, 0, 0, 1]),
    ("trans_join_mask",           [ABSENT, 8, 8, 8]),
    ("extent_delalloc",           [ABSENT, 0x20, 0x20, 0x20]),
    ("extent_clear_meta_resv",    [ABSENT, 0x200, 0x200, 0x200]),
    ("extent_noreserve",          [ABSENT, 0x800, 0x800, 0x800]),
    ("extent_qgroup_reserved",    [ABSENT, 0x1000, 0x1000, 0x1000]),
    ("extent_clear_data_resv",    [ABSENT, 0x2000, 0x2000, 0x2000]),
    ("sinfo_full",                [120, 112, 112, 112]),
    ("sinfo_bytes_readonly",      [72, 72, 72, 72]),
    ("qgroup_data_has_btrfs_inode", [0, 0, 0, 0]),
];

#[test]
fn every_field_of_offsets_has_exactly_one_row() {
    let names = ResolvedOffsets::wanted().collect::<BTreeSet<_>>();
    assert_eq!(names.len(), ResolvedOffsets::wanted().count(), "a row is there twice");
    let map = size_of_val(&Offsets::UNKNOWN.rsv_type_map);
    // The spans follow from the others.
    let spans = 6 * size_of::<u32>();
    assert_eq!(
        (names.len() - 1) * size_of::<u32>() + map + spans,
        size_of::<Offsets>(),
        "a field has no row"
    );
}

#[test]
fn captured_kernels_resolve_to_what_was_measured() {
    for (column, kernel) in KERNELS.into_iter().enumerate() {
        let types = types_of(kernel);
        assert_eq!(types.is_split(), !kernel.ends_with("builtin"));
        let resolved = types.resolve();
        for (name, expected) in MEASURED {
            assert_eq!(field(&resolved.offsets, name), expected[column], "{name} on {kernel}");
        }
        let missing = resolved.missing.iter().map(|field| field.name).collect::<Vec<_>>();
        let expected: &[&str] = match column {
            0 => &[
                "trans_join_mask",
                "fs_fs_error",
                "extent_delalloc",
                "extent_clear_meta_resv",
                "extent_noreserve",
                "extent_qgroup_reserved",
                "extent_clear_data_resv",
                "trans_delayed_rsv",
                "ref_head_is_data",
                "ref_head_owning_root",
                "ref_head_reserved_bytes",
                "fs_treelog_rsv",
                "fs_remap_block_rsv",
                "fs_type_list",
            ],
            1 => &["fs_state_error_bit", "fs_treelog_rsv", "fs_remap_block_rsv", "fs_type_list"],
            2 => &["fs_state_error_bit", "fs_remap_block_rsv", "fs_type_list"],
            _ => &["fs_state_error_bit"],
        };
        assert_eq!(missing, expected, "on {kernel}: {:?}", resolved.missing);
    }
}

#[test]
fn rsv_types_are_translated() {
    let before_6_18: &[RsvType] = &[Global, Delalloc, Trans, Chunk, DelayedOps, DelayedRefs, Empty, Temp];
    let in_6_18: &[RsvType] =
        &[Global, Delalloc, Trans, Chunk, DelayedOps, DelayedRefs, TreeLog, Empty, Temp];
    let in_7_3: &[RsvType] =
        &[Global, Delalloc, Trans, Chunk, Remap, DelayedOps, DelayedRefs, TreeLog, Empty, Temp];
    for (kernel, expected) in KERNELS.into_iter().zip([before_6_18, before_6_18, in_6_18, in_7_3]) {
        let mut map = [RsvType::None; 16];
        map[..expected.len()].copy_from_slice(expected);
        assert_eq!(types_of(kernel).resolve().offsets.rsv_type_map, map.map(|ty| ty as u8), "on {kernel}");
    }
}

#[test]
fn renamed_tracepoints_are_told_apart() {
    for (column, kernel) in KERNELS.into_iter().enumerate() {
        let types = types_of(kernel);
        let renamed = column >= 2;
        for old in ["find_free_extent", "qgroup_update_reserve"] {
            assert_eq!(types.tracepoint(old).is_some(), !renamed, "{old} on {kernel}");
            assert_eq!(
                types.tracepoint(&format!("btrfs_{old}")).is_some(),
                renamed,
                "btrfs_{old} on {kernel}"
            );
        }
        assert_eq!(types.tracepoint("btrfs_transaction_start").is_some(), column == 3);
        assert_eq!(types.tracepoint("no_such_tracepoint"), None);
    }
}

#[test]
fn arguments_are_written_as_in_c() {
    let proto = types_of(KERNELS[1]).tracepoint("btrfs_space_reservation").unwrap();
    assert_eq!(proto.args, ["const struct btrfs_fs_info *", "const char *", "u64", "u64", "int"]);
}

#[test]
fn copies_of_a_struct_count_once_if_they_agree() {
    let types = types_of(KERNELS[3]);
    let copies = types.named.btf().resolve_types_by_name("btrfs_fs_info").unwrap();
    assert!(copies.iter().filter(|ty| matches!(ty, Type::Struct(_))).count() > 1);
    assert_eq!(field(&types.resolve().offsets, "fs_fs_devices"), 1800);
}

#[test]
fn a_module_that_is_left_out_leaves_reasons_and_no_guesses() {
    let types = KernelTypes::from_bytes(&captured(KERNELS[1], "vmlinux.btf.zst").unwrap(), None).unwrap();
    let resolved = types.resolve();
    assert_eq!(resolved.offsets.inode_block_rsv, ABSENT);
    assert_eq!(resolved.why_missing("inode_block_rsv"), Some("this kernel has no struct btrfs_inode"));
    assert_eq!(
        resolved.why_missing("mod_has_outstanding"),
        Some("this kernel has no tracepoint btrfs_inode_mod_outstanding_extents")
    );
    assert_eq!(resolved.offsets.rsv_type_map, Offsets::UNKNOWN.rsv_type_map);
    assert_eq!(resolved.offsets.vfs_i_sb, 40, "the types of vmlinux are still there");
}

#[test]
fn the_running_kernel_gives_all_that_its_btrfs_has() {
    let Ok(types) = KernelTypes::of_kernel(Path::new("/")) else { return };
    if types.tracepoint("btrfs_space_reservation").is_none() {
        return;
    }
    let resolved = types.resolve();
    for field in &resolved.missing {
        assert!(resolved.is_replaced(field.name), "{field:?}");
    }
}

#[test]
fn structs_that_differ_are_refused() {
    let bytes = BtfBytes::default()
        .structure("btrfs_space_info", &[("fs_info", 0), ("total_bytes", 64)])
        .structure("btrfs_space_info", &[("fs_info", 0), ("total_bytes", 128)])
        .finish();
    let resolved = KernelTypes::from_bytes(&bytes, None).unwrap().resolve();
    assert_eq!(resolved.offsets.sinfo_fs_info, 0);
    assert_eq!(resolved.offsets.sinfo_total_bytes, ABSENT);
    assert_eq!(
        resolved.why_missing("sinfo_total_bytes"),
        Some("the 2 structs btrfs_space_info of this kernel differ in total_bytes")
    );
}

#[test]
fn registers_are_those_of_the_machine_whose_types_these_are() {
    let resolve = |members: &[(&str, u32)]| {
        let bytes = BtfBytes::default().structure("pt_regs", members).finish();
        KernelTypes::from_bytes(&bytes, None).unwrap().resolve()
    };
    let of = |members: &[(&str, u32)]| {
        let resolved = resolve(members);
        assert_eq!(resolved.why_missing("regs_link"), None, "x86-64 has it on the stack");
        resolved.offsets
    };
    let arm64 = of(&[("regs", 0), ("sp", 248 * 8), ("pc", 256 * 8)]);
    assert_eq!((arm64.regs_arg0, arm64.regs_arg5, arm64.regs_arg7, arm64.regs_link), (0, 40, 56, 240));
    assert_eq!((arm64.regs_sp, arm64.regs_ip), (248, 256));
    let x86 = of(&[("di", 112 * 8), ("r9", 64 * 8), ("sp", 152 * 8), ("ip", 128 * 8)]);
    assert_eq!((x86.regs_arg0, x86.regs_arg5, x86.regs_arg7, x86.regs_link), (112, 64, ABSENT, ABSENT));
    assert_eq!((x86.regs_sp, x86.regs_ip), (152, 128));
}

#[test]
fn a_struct_within_itself_ends() {
    // Type 2 is the struct itself: its one member is anonymous and of its own type.
    let mut bytes = BtfBytes::default().structure("btrfs_space_info", &[("", 0), ("", 0), ("", 0)]);
    bytes.point_members_at(2);
    let resolved = KernelTypes::from_bytes(&bytes.finish(), None).unwrap().resolve();
    assert_eq!(resolved.offsets.sinfo_fs_info, ABSENT);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = KernelTypes::from_bytes(&bytes, None);
    }

    #[test]
    fn damaged_btf_is_read_without_panic(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = BtfBytes::default()
            .structure("btrfs_space_info", &[("fs_info", 0), ("", 64)])
            .structure("btrfs_inode", &[("root", 0)])
            .finish();
        for (index, byte) in damage {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Ok(types) = KernelTypes::from_bytes(&bytes, None) {
            let _ = types.resolve();
        }
    }
}

/// Writes small BTF by the rules of the kernel's `Documentation/bpf/btf.rst`. Type 1 is an `int`.
struct BtfBytes {
    types: Vec<u32>,
    members: Vec<usize>,
    strings: Vec<u8>,
}

impl Default for BtfBytes {
    fn default() -> Self {
        let mut empty = Self { types: Vec::new(), members: Vec::new(), strings: vec![0] };
        let name = empty.string("int");
        // BTF_KIND_INT is 1; signed, 32 bits.
        empty.types.extend([name, 1 << 24, 4, (1 << 24) | 32]);
        empty
    }
}

impl BtfBytes {
    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len();
        self.strings.extend(text.bytes().chain([0]));
        u32::try_from(at).unwrap()
    }

    fn structure(mut self, name: &str, members: &[(&str, u32)]) -> Self {
        let name = self.string(name);
        // BTF_KIND_STRUCT is 4.
        self.types.extend([name, (4 << 24) | u32::try_from(members.len()).unwrap(), 64]);
        for (member, bits) in members {
            let member = self.string(member);
            self.members.push(self.types.len() + 1);
            self.types.extend([member, 1, *bits]);
        }
        self
    }

    fn point_members_at(&mut self, id: u32) {
        for index in &self.members {
            self.types[*index] = id;
        }
    }

    fn finish(self) -> Vec<u8> {
        let types = self.types.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let mut out = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, length(&types), length(&types), length(&self.strings)] {
            out.extend(u32::to_le_bytes(word));
        }
        out.extend(types);
        out.extend(self.strings);
        out
    }
}

/// The numbers of the states differ between kernels, their names do not.
#[test]
fn the_states_of_a_flush_have_the_kernels_own_names() {
    let number = |kernel, wanted: &str| {
        let types = types_of(kernel);
        types.flush_states().iter().find(|(_, name)| *name == wanted).map(|(number, _)| *number)
    };
    assert_eq!(KERNELS.map(|kernel| number(kernel, "FLUSH_DELALLOC")), [Some(5); 4]);
    assert_eq!(KERNELS.map(|kernel| number(kernel, "COMMIT_TRANS")), [Some(11); 4]);
    assert_eq!(KERNELS.map(|kernel| number(kernel, "RESET_ZONES")), [None, None, Some(12), Some(12)]);
}
