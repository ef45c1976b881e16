//! Remembers what setup found, so that it need not search again: valid while every file named in it is unchanged.
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{
    Tools, linker,
    toolchain::{LlvmVersion, Toolchain},
};
use crate::workspace::Workspace;

fn path(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("setup.json")
}

/// What the last setup found, if nothing of it has changed since.
pub fn read(workspace: &Workspace) -> Option<Tools> {
    let stamp: Value = serde_json::from_str(&fs::read_to_string(path(workspace)).ok()?).ok()?;
    let tools = decode(&stamp)?;
    (stamp["files"] == fingerprints(&tools)? && stamp["bpf_linker"] == linker::VERSION).then_some(tools)
}

/// Writes down what setup found.
///
/// # Errors
/// If the target folder cannot be written.
pub fn write(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let path = path(workspace);
    fs::write(&path, format!("{:#}\n", encode(tools)))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn encode(tools: &Tools) -> Value {
    let Tools { toolchain, linker, llvm_folder } = tools;
    let Toolchain { name, rustc, cargo, core, release, llvm, llvm_library } = toolchain;
    json!({
        "name": name, "rustc": rustc, "cargo": cargo, "core": core, "release": release, "llvm": llvm.to_string(),
        "llvm_library": llvm_library, "linker": linker, "llvm_folder": llvm_folder,
        "bpf_linker": linker::VERSION, "files": fingerprints(tools),
    })
}

fn decode(stamp: &Value) -> Option<Tools> {
    let text = |key: &str| stamp[key].as_str().map(str::to_owned);
    let file = |key: &str| text(key).map(PathBuf::from);
    let toolchain = Toolchain {
        name: text("name")?,
        rustc: file("rustc")?,
        cargo: file("cargo"),
        core: file("core")?,
        release: text("release")?,
        llvm: LlvmVersion::parse(&text("llvm")?)?,
        llvm_library: file("llvm_library")?,
    };
    Some(Tools { toolchain, linker: file("linker")?, llvm_folder: file("llvm_folder")? })
}

/// Path, size and change time of every file that the answer depends on; none if one is missing.
fn fingerprints(tools: &Tools) -> Option<Value> {
    let Tools { toolchain, linker, llvm_folder } = tools;
    let through_folder = llvm_folder.join(toolchain.llvm_library.file_name()?);
    let files = [Some(&toolchain.rustc), toolchain.cargo.as_ref(), Some(&toolchain.core), Some(linker)];
    files.into_iter().flatten().chain([&through_folder]).map(|file| fingerprint(file)).collect()
}

fn fingerprint(file: &Path) -> Option<Value> {
    let meta = file.metadata().ok()?;
    Some(json!([file, meta.size(), meta.mtime(), meta.mtime_nsec()]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn tools(folder: &Path) -> Tools {
        let file = |name: &str| {
            let path = folder.join(name);
            fs::write(&path, name).unwrap();
            path
        };
        Tools {
            toolchain: Toolchain {
                name: "test".to_owned(),
                rustc: file("rustc"),
                cargo: None,
                core: file("lib.rs"),
                release: "1.96.0".to_owned(),
                llvm: LlvmVersion::parse("22.1.8").unwrap(),
                llvm_library: file("libLLVM.so.22.1"),
            },
            linker: file("bpf-linker"),
            llvm_folder: folder.to_owned(),
        }
    }

    #[test]
    fn a_stamp_holds_until_a_file_it_names_changes() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::for_test(folder.path());
        fs::create_dir_all(workspace.tools()).unwrap();
        let tools = tools(folder.path());
        write(&workspace, &tools).unwrap();
        assert_eq!(read(&workspace), Some(tools.clone()));

        fs::write(&tools.toolchain.core, "another version").unwrap();
        assert_eq!(read(&workspace), None);
    }

    #[test]
    fn a_stamp_ends_with_the_linker_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::for_test(folder.path());
        fs::create_dir_all(workspace.tools()).unwrap();
        let tools = tools(folder.path());
        write(&workspace, &tools).unwrap();
        fs::remove_file(&tools.linker).unwrap();
        assert_eq!(read(&workspace), None);
    }
}
