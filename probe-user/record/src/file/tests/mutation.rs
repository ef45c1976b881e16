//! Valid recordings, damaged at random: what a fuzzer does, without a fuzzer.
use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| recording(8, 60));

#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Fill(Index, usize, u8),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Copy(Index, usize, Index),
    Cut(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 0_u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        2 => (at(), 1_usize..3000, any::<u8>()).prop_map(|(at, len, byte)| Mutation::Fill(at, len, byte)),
        2 => (at(), 1_usize..3000).prop_map(|(at, len)| Mutation::Remove(at, len)),
        2 => (at(), vec(any::<u8>(), 1..300)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        2 => (at(), 1_usize..5000, at()).prop_map(|(from, len, to)| Mutation::Copy(from, len, to)),
        1 => at().prop_map(Mutation::Cut),
    ]
}

fn apply(file: &mut Vec<u8>, mutation: Mutation) {
    if file.is_empty() {
        return;
    }
    let len = file.len();
    match mutation {
        Mutation::Flip(at, bit) => file[at.index(len)] ^= 1 << bit,
        Mutation::Fill(at, count, byte) => {
            let at = at.index(len);
            file[at..len.min(at + count)].fill(byte);
        }
        Mutation::Remove(at, count) => {
            let at = at.index(len);
            file.drain(at..len.min(at + count));
        }
        Mutation::Insert(at, bytes) => drop(file.splice(at.index(len)..at.index(len), bytes)),
        Mutation::Copy(from, count, to) => {
            let from = from.index(len);
            let bytes = file[from..len.min(from + count)].to_vec();
            let to = to.index(len);
            file.splice(to..to, bytes);
        }
        Mutation::Cut(at) => file.truncate(at.index(len)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What the reader delivers is a part of what was written, in order, with nothing added. If records are missing, the
    /// stream says so.
    #[test]
    fn damage_takes_away_and_adds_nothing(mutations in vec(mutation(), 1..6)) {
        let mut file = SOUND.clone();
        for mutation in mutations {
            apply(&mut file, mutation);
        }
        let Ok(told) = try_read(&file) else { return Ok(()) };
        let sound = numbered(0, 480);
        let mut all = sound.raw().map(Result::unwrap);
        for record in told.records.raw().map(Result::unwrap) {
            prop_assert!(all.any(|sound| sound == record), "a record that was never written, or out of order");
        }
        let missing = 480 - told.records.records();
        if missing > 0 {
            prop_assert!(told.file_read() > 0 || told.end.is_none(), "{missing} records are missing unseen");
            prop_assert!(!told.notes.is_empty());
        }
        if told.end.is_some() {
            prop_assert_eq!(told.file_read(), missing);
        }
        prop_assert!(told.skipped.bytes <= file.len() as u64);
    }
}
