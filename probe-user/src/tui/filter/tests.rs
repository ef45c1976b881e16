//! What can be typed, what it means, and that nothing typed can break it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
use std::borrow::Cow;

use proptest::prelude::*;

use super::{Fields, Filter, FilterError, Op, Term, Word, parse};

struct Row;

impl Fields for Row {
    fn number(&self, word: Word) -> Option<i128> {
        match word {
            Word::MetaRsv => Some(1_310_720),
            Word::Subvol => Some(256),
            Word::Inode => Some(257),
            _ => None,
        }
    }

    fn text(&self, word: Word) -> Option<Cow<'_, str>> {
        match word {
            Word::Path => Some("var/Log/my app.txt".into()),
            Word::Task => Some("dd".into()),
            _ => None,
        }
    }
}

fn accepts(typed: &str) -> bool {
    parse(typed).unwrap().accepts(&Row)
}

#[test]
fn all_words_must_hold() {
    assert!(accepts("meta_rsv>1M subvol=256 path~log"));
    assert!(accepts("inode.meta_rsv>=1.25M ino!=5 comm=dd"));
    assert!(!accepts("meta_rsv>1M subvol=257 path~log"));
    assert!(!accepts("meta_rsv>2M"));
    assert!(accepts("") && accepts("   "));
}

#[test]
fn what_is_not_known_compares_with_nothing() {
    assert!(!accepts("csum_bytes=0") && !accepts("csum_bytes!=0") && !accepts("csum_bytes<1"));
    assert!(!accepts("kind=leak") && accepts("kind!=leak"));
}

#[test]
fn a_bare_word_is_looked_for_in_names() {
    assert!(accepts("log") && accepts("DD") && accepts("\"my app\"") && accepts("!cache"));
    assert!(!accepts("cache") && !accepts("!log"));
}

#[test]
fn texts_and_numbers_have_their_own_comparisons() {
    assert!(accepts("path!~cache") && !accepts("path!~LOG"));
    assert!(accepts("subvol~256") && !accepts("subvol!~256"));
    assert_eq!(parse("path>5"), Err(FilterError::Text("path")));
    assert_eq!(parse("subvol=big"), Err(FilterError::Number("subvol")));
    assert_eq!(parse("colour=red"), Err(FilterError::Word("colour".to_owned())));
    assert_eq!(parse("path=\"a"), Err(FilterError::Quote));
    assert_eq!(parse("meta_rsv>"), Err(FilterError::Value("meta_rsv>".to_owned())));
}

#[test]
fn numbers_have_binary_units_and_signs() {
    let number = |typed: &str| match parse(typed).unwrap().terms.as_slice() {
        [Term::Number(Word::MetaRsv, Op::Is, number)] => *number,
        other => panic!("{other:?}"),
    };
    assert_eq!(number("meta_rsv=1.5M"), 1_572_864);
    assert_eq!(number("meta_rsv=-4k"), -4096);
    assert_eq!(number("meta_rsv=18446744073709551615"), i128::from(u64::MAX));
    for wrong in ["1.5", "x", "1X", "-", ".", "1.2.3M", "99999999999999999999999"] {
        assert!(parse(&format!("meta_rsv={wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn each_word_is_in_the_table_once() {
    for word in Word::ALL {
        assert_eq!(Word::named(word.name()), Some(word));
        assert!(!word.meaning().is_empty());
    }
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let numbers = [Word::MetaRsv, Word::Subvol, Word::Rate, Word::OutstandingExtents];
    let number_ops = [Op::Is, Op::IsNot, Op::Above, Op::AtLeast, Op::Below, Op::AtMost];
    let texts = [Word::Path, Word::Task, Word::Fs];
    let text_ops = [Op::Is, Op::IsNot, Op::Has, Op::HasNot];
    let number =
        (prop::sample::select(numbers.to_vec()), prop::sample::select(number_ops.to_vec()), any::<i64>())
            .prop_map(|(word, op, value)| Term::Number(word, op, i128::from(value)));
    let text = (
        prop::sample::select(texts.to_vec()),
        prop::sample::select(text_ops.to_vec()),
        "[a-z \\\\\"=~!<>]{0,8}",
    )
        .prop_map(|(word, op, value)| Term::Text(word, op, value));
    let bare = (any::<bool>(), "[a-z \\\\\"=~!<>]{1,8}").prop_map(|(wanted, value)| Term::Any(wanted, value));
    prop::collection::vec(prop_oneof![number, text, bare], 0..5).prop_map(|terms| Filter { terms })
}

proptest! {
    /// As you type, every half-finished filter passes through here.
    #[test]
    fn nothing_typed_panics(typed in "\\PC{0,40}") {
        if let Ok(filter) = parse(&typed) {
            let _ = filter.accepts(&Row);
            prop_assert!(super::parse_typed(&typed).1.is_none());
        }
    }

    #[test]
    fn a_filter_reads_back(filter in any_filter()) {
        prop_assert_eq!(parse(&filter.to_string()), Ok(filter));
    }

    /// One more word never lets more through.
    #[test]
    fn words_only_narrow(filter in any_filter(), more in any_filter()) {
        let both = Filter { terms: filter.terms.iter().chain(&more.terms).cloned().collect() };
        prop_assert_eq!(both.accepts(&Row), filter.accepts(&Row) && more.accepts(&Row));
    }
}
