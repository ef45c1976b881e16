//! Any text is read without a panic, and what is printed adds up.
use proptest::prelude::*;

use super::{
    super::{input::Input, line::LONGEST_LINE, model::Explanation},
    explain,
};
use crate::report::{explanation::text, text::Look};

/// Numbers that break sums.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..1_u64 << 40, Just(u64::MAX), Just(i64::MAX as u64), Just(1 << 63), Just(0)]
}

/// Lines that look like those of the kernel and of btrfs-progs, with any numbers, some of them cut off.
fn line() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "DATA",
        "METADATA",
        "SYSTEM",
        "DATA+METADATA",
        "4",
        "METADATA (sub-group id 1)",
        "?",
    ]);
    let prefix = prop::sample::select(vec![
        "",
        "[ 1.2] BTRFS info (device sda): ",
        "BTRFS info (device sdb: state A): ",
    ]);
    let device = prop::sample::select(vec!["/dev/sda", "/dev/x y", "missing"]);
    (prefix, kind, device, prop::collection::vec(number(), 8), 0..16_usize, any::<prop::sample::Index>(), prop::bool::weighted(0.1))
        .prop_map(|(prefix, kind, device, n, which, at, cut)| {
            let line = match which {
                0 | 1 => format!("{prefix}space_info {kind} has {} free, is full", n[0]),
                2..5 => format!(
                    "{prefix}space_info total={}, used={}, pinned={}, reserved={}, may_use={}, readonly={} zone_unusable={}",
                    n[0], n[1], n[2], n[3], n[4], n[5], n[6]
                ),
                5 => format!("{prefix}global_block_rsv: size {} reserved {}", n[0], n[1]),
                6 => format!("{prefix}delayed_refs_rsv: size {} reserved {}", n[0], n[1]),
                7 => format!("{prefix}failing ticket with {} bytes", n[0]),
                8 => format!("{prefix}block group {} has {} bytes, {} used {} pinned {} reserved [readonly]", n[0], n[1], n[2], n[3], n[4]),
                9 => "BTRFS: Transaction aborted (error -28)".to_owned(),
                10 => "Overall:".to_owned(),
                11 => format!("Metadata,DUP: Size:{}, Used:{} (1%)", n[0], n[1]),
                12 => format!("Data,single: Size:{}.00EiB, Used:{}", n[0], n[1]),
                13 => format!("   {device}\t{}", n[0]),
                14 => "Unallocated:".to_owned(),
                _ => format!("    Global reserve: {} (used: {})", n[0], n[1]),
            };
            let end = if cut { at.index(line.len() + 1) } else { line.len() };
            line.get(..end).unwrap_or(&line).to_owned()
        })
}

fn adds_up(explanation: &Explanation) {
    for filesystem in &explanation.filesystems {
        for space in &filesystem.space_infos {
            let terms = [
                space.used,
                space.pinned,
                space.reserved,
                space.may_use,
                space.readonly,
                space.zone_unusable,
            ];
            let sum: i128 = terms.into_iter().chain([space.free]).map(i128::from).sum();
            let saturated = space.free == i64::MAX || space.free == i64::MIN;
            assert!(sum == i128::from(space.total) || saturated, "{space:?}");
            if let Some(other) = space.may_use_other {
                let of_it =
                    filesystem.block_rsvs.iter().filter(|rsv| rsv.space_info.as_ref() == Some(&space.kind));
                let held: i128 = of_it.map(|rsv| i128::from(rsv.reserved)).sum();
                let saturated = other == i64::MAX || other == i64::MIN;
                assert!(held + i128::from(other) == i128::from(space.may_use) || saturated, "{filesystem:?}");
            }
        }
        for allocation in filesystem.usage.iter().flat_map(|usage| &usage.allocations) {
            let saturated = allocation.free == i64::MAX || allocation.free == i64::MIN;
            let sum = i128::from(allocation.used) + i128::from(allocation.free);
            assert!(sum == i128::from(allocation.size) || saturated, "{allocation:?}");
        }
    }
    let shown = text::render(explanation, Look::PLAIN, false);
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
}

proptest! {
    #[test]
    fn lines_with_any_numbers(lines in prop::collection::vec(line(), 0..40)) {
        adds_up(&explain(&lines.join("\n")));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut input = Input::default();
        input.read(bytes.as_slice()).unwrap();
        adds_up(&input.finish());
    }

    #[test]
    fn any_characters(text in "\\PC*", line in line()) {
        adds_up(&explain(&format!("{text}{line}{text}\n{line}")));
    }
}

#[test]
fn a_line_without_end_is_read_in_bounded_memory_and_the_next_one_counts() {
    let text = format!("{}\nMetadata,DUP: Size:8388608, Used:1\n", "x".repeat(LONGEST_LINE * 3));
    let explanation = explain(&text);
    assert_eq!((explanation.lines, explanation.lines_recognised), (2, 1));
}

#[test]
fn names_with_escapes_are_shown_not_obeyed() {
    let explanation = explain(
        "BTRFS info (device s\x1b[31md): space_info 4 has 0 free, is full\n\
         BTRFS info (device s\x1b[31md): space_info total=8, used=8, pinned=0, reserved=0, may_use=0, readonly=0\n\
         Overall:\nData,single: Size:8, Used:8\nUnallocated:\n   /dev/a\x1b[2J\t0\n",
    );
    let shown = text::render(&explanation, Look::PLAIN, false);
    assert!(shown.contains("s\\x1b[31md") && shown.contains("/dev/a\\x1b[2J"), "{shown}");
    assert!(!shown.contains('\x1b'));
}

#[test]
fn a_block_rsv_is_of_one_space_info_even_where_a_damaged_log_has_two_that_fit() {
    let space = |kind: &str| {
        format!(
            "BTRFS info (device sda): space_info {kind} has 0 free, is full\n\
             BTRFS info (device sda): space_info total=8388608, used=4096, pinned=0, reserved=0, may_use=65536, readonly=0 \
             zone_unusable=0\n"
        )
    };
    let reserve = "BTRFS info (device sda): global_block_rsv: size 65536 reserved 65536\n";
    let explanation = explain(&(space("METADATA") + &space("DATA+METADATA") + reserve));
    let spaces = &explanation.filesystems[0].space_infos;
    assert_eq!(spaces.iter().filter(|space| space.may_use_other.is_some()).count(), 1, "{spaces:?}");
    adds_up(&explanation);
}
