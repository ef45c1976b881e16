//! Which file imports which: data flows one way, and no cycle of imports spans folders.
//!
//! Sources are parsed, so grouped imports, paths in code and re-exports count like any other. Tests may import what they like.
use std::collections::{BTreeMap, BTreeSet};

use syn::{
    Item, ItemMod, ItemUse, Path, UseTree,
    visit::{self, Visit},
};

use super::Source;

/// Folders with Rust sources, the name by which others import the crate, and its folders in the order in which they may know
/// one another: each only those before it. What is not listed is not ordered.
const CRATES: [(&str, &str, &[&str]); 8] = [
    ("probe-common/src", "probe_common", &[]),
    ("probe-ebpf/src", "probe_ebpf", &["layout", "maps", "cells", "hooks"]),
    ("probe-user/record/src", "probe_record", &[]),
    ("probe-user/ledger/src", "probe_ledger", &["vocabulary", "book", "context", "rule", "ledger", "read"]),
    ("probe-user/simulated/src", "probe_simulated", &[]),
    ("probe-user/workload/src", "probe_workload", &[]),
    (
        "probe-user/src",
        "probe_user",
        &[
            "format",
            "symbols",
            "kernel",
            "hooks",
            "capture",
            "attribution",
            "explain",
            "import",
            "history",
            "report",
            "bundle",
            "metrics",
            "tui",
            "session",
            "cli",
        ],
    ),
    ("xtask/src", "xtask", &[]),
];
/// What the order would allow and must not be.
const NEVER: [(&str, &str); 3] = [
    ("probe-user/src/report/", "probe-user/src/hooks/"),
    ("probe-user/src/report/", "probe-user/src/capture/"),
    ("probe-user/src/tui/", "probe-user/src/hooks/"),
];
/// Most files of one folder that may import each other in a circle.
const MOST_IN_A_CIRCLE: usize = 4;

/// Complaints about all sources.
pub fn check(sources: &[Source]) -> Vec<String> {
    let files = Files::of(sources);
    let imports = files.imports();
    let mut complaints = Vec::new();
    for (from, to) in &imports {
        complaints.extend(to.iter().filter_map(|to| backwards(from, to)));
    }
    for circle in circles(&imports) {
        let folders: BTreeSet<&str> = circle.iter().map(|file| folder(file)).collect();
        if folders.len() > 1 || circle.len() > MOST_IN_A_CIRCLE {
            complaints.push(format!("these files import each other in a circle: {}", circle.join(", ")));
        }
    }
    complaints
}

fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Why `from` must not import `to`, if so.
fn backwards(from: &str, to: &str) -> Option<String> {
    let never = NEVER.iter().any(|(a, b)| from.starts_with(a) && to.starts_with(b));
    let place = |file: &str| {
        let (root, _, order) = CRATES
            .iter()
            .find(|(root, ..)| file.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')))?;
        let first = file[root.len() + 1..].split('/').next()?.trim_end_matches(".rs");
        Some((*root, order.iter().position(|folder| *folder == first)?))
    };
    let back = matches!((place(from), place(to)), (Some((a, at)), Some((b, of))) if a == b && at < of);
    (never || back).then(|| format!("{from} must not import {to}: data flows one way"))
}

/// A file as it was parsed.
#[derive(Default)]
struct File {
    path: String,
    /// All paths in it, as they would be written from the root of its crate, its name first.
    paths: Vec<Vec<String>>,
    /// Names that it passes on, and what they are.
    exports: Vec<(String, Vec<String>)>,
}

/// All files by module.
struct Files {
    modules: BTreeMap<Vec<String>, File>,
}

impl Files {
    fn of(sources: &[Source]) -> Self {
        let mut modules = BTreeMap::new();
        for source in sources {
            let Some(module) = module_of(&source.path) else { continue };
            // What does not parse does not compile either.
            let Ok(parsed) = syn::parse_file(&source.text) else { continue };
            let mut reader = Reader { module: module.clone(), file: File::default() };
            reader.visit_file(&parsed);
            modules.insert(module, File { path: source.path.clone(), ..reader.file });
        }
        Self { modules }
    }

    /// Files that each file imports from.
    fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        self.modules
            .values()
            .map(|file| {
                let found = file.paths.iter().filter_map(|path| self.file_of(path, 8));
                (file.path.as_str(), found.filter(|to| *to != file.path).collect())
            })
            .collect()
    }

    /// The file that defines what a path names; re-exports are followed `depth` times.
    fn file_of(&self, path: &[String], depth: usize) -> Option<&str> {
        let at = (1..=path.len()).rev().find(|at| self.modules.contains_key(&path[..*at]))?;
        let file = self.modules.get(&path[..at])?;
        let name = path.get(at);
        let passed_on = file.exports.iter().find(|(export, _)| Some(export) == name);
        match passed_on.filter(|_| depth > 0) {
            Some((_, target)) => {
                let rest = &path[at + 1..];
                self.file_of(&[target, rest].concat(), depth - 1).or(Some(&file.path))
            }
            None => Some(&file.path),
        }
    }
}

/// `probe-user/src/report/text/mod.rs` as `probe_user::report::text`; `None` for tests and foreign files.
fn module_of(path: &str) -> Option<Vec<String>> {
    let (root, name, _) =
        CRATES.iter().find(|(root, ..)| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')))?;
    let rest = path[root.len() + 1..].strip_suffix(".rs")?;
    let parts: Vec<&str> = rest.split('/').collect();
    if parts.iter().any(|part| *part == "tests" || part.ends_with("_tests") || part.starts_with("test_")) {
        return None;
    }
    let parts = match parts.split_last() {
        Some((&("mod" | "lib" | "main"), folders)) => folders,
        _ => &parts,
    };
    Some([*name].iter().chain(parts).map(|part| (*part).to_owned()).collect())
}

struct Reader {
    module: Vec<String>,
    file: File,
}

impl Reader {
    /// The path from the crate's root; `None` if it names neither a crate of ours nor a place relative to this one.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let crate_name = self.module.first()?;
        match first.as_str() {
            "crate" => Some([std::slice::from_ref(crate_name), rest].concat()),
            "self" => Some([&self.module, rest].concat()),
            "super" => {
                let up = path.iter().take_while(|part| *part == "super").count();
                let base = self.module.get(..self.module.len().checked_sub(up)?)?;
                Some([base, &path[up..]].concat())
            }
            name if CRATES.iter().any(|(_, of, _)| *of == name) => Some(path.to_vec()),
            _ => None,
        }
    }

    fn leaves(tree: &UseTree, before: &[String], found: &mut Vec<(Vec<String>, String)>) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            UseTree::Path(path) => Self::leaves(&path.tree, &with(&path.ident), found),
            UseTree::Group(group) => group.items.iter().for_each(|tree| Self::leaves(tree, before, found)),
            UseTree::Name(name) if name.ident == "self" => {
                found.push((before.to_vec(), before.last().cloned().unwrap_or_default()));
            }
            UseTree::Name(name) => found.push((with(&name.ident), name.ident.to_string())),
            UseTree::Rename(rename) => found.push((with(&rename.ident), rename.rename.to_string())),
            UseTree::Glob(_) => found.push((before.to_vec(), String::new())),
        }
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_item(&mut self, item: &'a Item) {
        let attributes = match item {
            Item::Mod(of) => &of.attrs,
            Item::Fn(of) => &of.attrs,
            Item::Impl(of) => &of.attrs,
            Item::Use(of) => &of.attrs,
            _ => return visit::visit_item(self, item),
        };
        let of_tests = attributes.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
        });
        if !of_tests {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'a ItemMod) {
        if item.content.is_some() {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'a ItemUse) {
        let mut leaves = Vec::new();
        Self::leaves(&item.tree, &[], &mut leaves);
        for (path, name) in leaves {
            // A name below this module needs no `self::`.
            let below = || [&self.module, path.as_slice()].concat();
            let Some(path) = self.absolute(&path).or_else(|| Some(below())) else { continue };
            if !matches!(item.vis, syn::Visibility::Inherited) {
                self.file.exports.push((name, path.clone()));
            }
            self.file.paths.push(path);
        }
    }

    fn visit_path(&mut self, path: &'a Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.file.paths.extend(self.absolute(&parts).filter(|_| parts.len() > 1));
        visit::visit_path(self, path);
    }
}

/// Groups of files that reach each other.
fn circles<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|file| (*file, reached(imports, file))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (file, reached) in &reach {
        let circle: Vec<&str> = reached
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(file)))
            .collect();
        if circle.len() > 1 && circle.iter().all(|member| seen.insert(*member)) {
            circles.push(circle);
        }
    }
    circles
}

fn reached<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&str> = imports.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = left.pop() {
        if found.insert(file) {
            left.extend(imports.get(file).into_iter().flatten().copied());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(files: &[(&str, &str)]) -> Vec<String> {
        let source =
            |(path, text): &(&str, &str)| Source { path: (*path).to_owned(), text: (*text).to_owned() };
        check(&files.iter().map(source).collect::<Vec<_>>())
    }

    #[test]
    fn grouped_imports_and_re_exports_count() {
        let files = [
            ("probe-user/ledger/src/vocabulary/mod.rs", "pub mod words;"),
            ("probe-user/ledger/src/vocabulary/words.rs", "use crate::{book::Fs, vocabulary::x};"),
            ("probe-user/ledger/src/book/mod.rs", "mod fs; pub use fs::Fs;"),
            ("probe-user/ledger/src/book/fs.rs", "pub struct Fs;"),
        ];
        let words =
            "probe-user/ledger/src/vocabulary/words.rs must not import probe-user/ledger/src/book/fs.rs";
        assert_eq!(complaints(&files), [format!("{words}: data flows one way")]);
    }

    #[test]
    fn paths_in_code_count_and_tests_do_not() {
        let code = "fn f() { crate::hooks::attach() }";
        let test = "#[cfg(test)] mod tests { fn f() { crate::hooks::attach() } }";
        let hooks = ("probe-user/src/hooks/mod.rs", "pub fn attach() {}");
        assert_eq!(complaints(&[("probe-user/src/report/text.rs", code), hooks]).len(), 1);
        assert_eq!(complaints(&[("probe-user/src/report/text.rs", test), hooks]).len(), 0);
        assert_eq!(complaints(&[("probe-user/src/report/tests/text.rs", code), hooks]).len(), 0);
        assert_eq!(complaints(&[("probe-user/src/capture/text.rs", code), hooks]).len(), 0);
    }

    #[test]
    fn a_circle_over_folders_is_named_and_a_small_one_in_a_folder_is_not() {
        let (a, b) = ("use crate::y::b::B;", "use crate::x::a::A;");
        let over = [("xtask/src/x/a.rs", a), ("xtask/src/y/b.rs", b)];
        let named = "these files import each other in a circle: xtask/src/x/a.rs, xtask/src/y/b.rs";
        assert_eq!(complaints(&over), [named]);
        assert_eq!(
            complaints(&[("xtask/src/x/a.rs", "use super::b::B;"), ("xtask/src/x/b.rs", "use super::a::A;")])
                .len(),
            0
        );
    }
}
