//! The licence texts of all parts that are not ours, in one file: most of them ask to be passed on with the binary.
use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Result;

use super::parts::Part;

/// How files with a licence are called.
const NAMES: [&str; 5] = ["licen", "copying", "copyright", "notice", "unlicense"];

/// Each text once, with the crates that have it.
///
/// # Errors
/// None in practice: a folder that cannot be read has no texts.
pub fn texts(parts: &[Part]) -> Result<String> {
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut all =
        String::from("The crates that are in btrfs-probe, with the licences that their manifests name.\n\n");
    let mut foreign: Vec<&Part> = parts.iter().filter(|part| part.checksum.is_some()).collect();
    foreign.sort();
    for part in foreign {
        let name = format!("{} {}", part.name, part.version);
        all.push_str(&format!("{name}: {}\n", part.licence));
        for text in of_folder(&part.folder) {
            by_text.entry(text).or_default().push(name.clone());
        }
    }
    let mut texts: Vec<(Vec<String>, String)> =
        by_text.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort();
    for (names, text) in texts {
        all.push_str(&format!("\n{}\n{}\n\n{text}\n", "-".repeat(80), names.join(", ")));
    }
    Ok(all)
}

fn of_folder(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().to_lowercase();
            NAMES.iter().any(|start| name.starts_with(start))
        })
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .map(|text| text.replace("\r\n", "\n").trim().to_owned())
        .collect()
}
