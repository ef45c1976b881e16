//! From texts to sentences.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
mod any_text;
mod causes;
mod real;

use super::{input::Input, model::Explanation};

/// Explains a text.
fn explain(text: &str) -> Explanation {
    let mut input = Input::default();
    input.read(text.as_bytes()).unwrap();
    input.finish()
}

/// The output of `btrfs filesystem usage -b`: block groups (kind, profile, size, used), and unallocated bytes by device.
fn usage(groups: &[(&str, &str, i64, i64)], devices: &[i64]) -> String {
    let unallocated: i64 = devices.iter().sum();
    let mut text = format!(
        "Overall:\n    Device size:  1073741824\n    Device unallocated:  {unallocated}\n    Global reserve:  5767168 (used: 0)\n\n"
    );
    for (kind, profile, size, used) in groups {
        text.push_str(&format!("{kind},{profile}: Size:{size}, Used:{used} (0%)\n   /dev/vda  {size}\n\n"));
    }
    text.push_str("Unallocated:\n");
    for (device, bytes) in ["vda", "vdb", "vdc"].iter().zip(devices) {
        text.push_str(&format!("   /dev/{device}\t{bytes}\n"));
    }
    text
}
