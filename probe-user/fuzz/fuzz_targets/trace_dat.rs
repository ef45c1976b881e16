//! Any bytes as a trace.dat, and what is printed of it.
#![no_main]
use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use probe_user::{
    import::input::Input,
    report::{imported::text, text::Look},
};

fuzz_target!(|data: &[u8]| {
    let mut input = Input::default();
    let _ = input.read_dat(Cursor::new(data));
    let imported = input.finish();
    assert_eq!(imported.verdict == "findings", imported.findings_count > 0);
    assert!(imported.events <= imported.lines);
    assert!(!text::render(&imported, Look::PLAIN, false).is_empty());
    assert!(serde_json::to_vec(&imported).is_ok());
});
