//! Any bytes as the text of a trace, and what is printed of it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use probe_user::{
    import::input::Input,
    report::{imported::text, text::Look},
};

fuzz_target!(|data: &[u8]| {
    let mut input = Input::default();
    let Ok(None) = input.read(data) else { return };
    let imported = input.finish();
    // A part of the books is never judged clean.
    assert_eq!(imported.verdict == "findings", imported.findings_count > 0);
    assert!(imported.events <= imported.lines);
    assert!(!text::render(&imported, Look::PLAIN, false).is_empty());
    assert!(serde_json::to_vec(&imported).is_ok());
});
