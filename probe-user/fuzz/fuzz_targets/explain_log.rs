//! Any bytes as a kernel log with the output of btrfs-progs behind it, and what is printed of it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use probe_user::{
    explain::input::Input,
    report::{explanation::text, text::Look},
};

fuzz_target!(|data: &[u8]| {
    let mut input = Input::default();
    if input.read(data).is_err() {
        return;
    }
    let explanation = input.finish();
    assert!(explanation.lines_recognised <= explanation.lines);
    let _ = text::render(&explanation, Look::PLAIN, false);
    assert!(serde_json::to_vec(&explanation).is_ok());
});
