//! The .deb and the .rpm. Both tools read a cargo manifest that names each file, so they get one of their own, made from the tree.
use std::{fmt::Write as _, fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::{
    Dist,
    tree::{self, Entry},
};
use crate::{proc, setup::Packager, workspace::Workspace};

const SUMMARY: &str = "Follows every btrfs space reservation on a live kernel";
const DESCRIPTION: &str = "btrfs-probe attaches eBPF programs to a running kernel, keeps double-entry books of btrfs' space \
                           reservations, and says what was freed that was never reserved, what is never freed, who holds what, \
                           and why there is no space.";

/// Removes the folder of the pages with the last version of the .rpm: cargo-generate-rpm cannot say that a folder belongs to a package.
const LAST: &str =
    r#"[ "$1" != 0 ] || find /usr/share/doc/btrfs-probe -depth -type d -empty -delete 2> /dev/null || :"#;

/// Makes both packages in `to`.
///
/// # Errors
/// If a tool cannot be built, or fails.
pub fn packages(workspace: &Workspace, dist: &Dist, tree: &[Entry], to: &Path) -> Result<()> {
    let stage = stage(workspace, dist, tree)?;
    deb(workspace, dist, &stage, &dist.version, to)?;
    let mut rpm = tool(Packager::Rpm, "generate-rpm", workspace, dist, &stage)?;
    rpm.args(["--payload-compress", "gzip", "--arch", dist.machine, "--output"]);
    rpm.arg(to.join(format!("{}.rpm", dist.stem())));
    proc::quietly(&mut rpm)
}

/// The .deb alone, of any version.
///
/// # Errors
/// If the tool cannot be built, or fails.
pub fn deb(workspace: &Workspace, dist: &Dist, stage: &Path, version: &str, to: &Path) -> Result<()> {
    let mut deb = tool(Packager::Deb, "deb", workspace, dist, stage)?;
    deb.args(["--no-build", "--no-strip", "--compress-type", "xz", "--deb-version", version, "--output"]);
    deb.arg(to.join(format!("btrfs-probe-{version}-{}.deb", dist.machine)));
    proc::quietly(&mut deb)
}

fn tool(
    packager: Packager,
    subcommand: &str,
    workspace: &Workspace,
    dist: &Dist,
    stage: &Path,
) -> Result<Command> {
    let mut command = Command::new(packager.program(workspace)?);
    proc::forget_outer_package(&mut command);
    command.current_dir(stage).env_remove("CARGO_TARGET_DIR").arg(subcommand);
    command.env("SOURCE_DATE_EPOCH", dist.epoch.to_string());
    Ok(command)
}

/// Where the files of the packages and their manifest lie.
pub fn folder(workspace: &Workspace) -> std::path::PathBuf {
    workspace.target.join("dist-stage")
}

fn stage(workspace: &Workspace, dist: &Dist, tree: &[Entry]) -> Result<std::path::PathBuf> {
    let stage = folder(workspace);
    if stage.is_dir() {
        fs::remove_dir_all(&stage).with_context(|| format!("cannot remove {}", stage.display()))?;
    }
    for entry in tree {
        let path = stage.join("root").join(&entry.at);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, &entry.bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    fs::copy(workspace.root.join("packaging/copyright"), stage.join("copyright"))
        .context("cannot copy packaging/copyright")?;
    fs::write(stage.join("nothing.rs"), "")?;
    fs::write(stage.join("Cargo.toml"), manifest(dist, tree))?;
    // cargo-deb asks cargo, which wants to know that nothing is needed.
    fs::write(
        stage.join("Cargo.lock"),
        format!("version = 4\n\n[[package]]\nname = \"btrfs-probe\"\nversion = \"{}\"\n", dist.version),
    )?;
    Ok(stage)
}

/// Where Debian has what others have at `at`.
pub fn on_debian(at: &str) -> &str {
    if at == tree::ZSH { "share/zsh/vendor-completions/_btrfs-probe" } else { at }
}

fn manifest(dist: &Dist, tree: &[Entry]) -> String {
    let mut deb = String::new();
    let mut rpm = String::new();
    for entry in tree {
        let mode = if entry.program { "755" } else { "644" };
        let at = &entry.at;
        let _ = writeln!(deb, "    [\"root/{at}\", \"usr/{}\", \"{mode}\"],", on_debian(at));
        let doc = at.starts_with("share/doc/");
        let _ = writeln!(
            rpm,
            "    {{ source = \"root/{at}\", dest = \"/usr/{at}\", mode = \"{mode}\", doc = {doc} }},"
        );
    }
    format!(
        "[package]\nname = \"btrfs-probe\"\nversion = \"{version}\"\nedition = \"2024\"\n\
         license = \"MIT OR Apache-2.0\"\ndescription = \"{SUMMARY}\"\n\
         homepage = \"https://github.com/btrfs-probe/btrfs-probe\"\n\n\
         [lib]\npath = \"nothing.rs\"\n\n[workspace]\n\n\
         [package.metadata.deb]\nmaintainer = \"the btrfs-probe developers <maintainers@btrfs-probe.invalid>\"\n\
         section = \"admin\"\npriority = \"optional\"\ndepends = \"\"\nsuggests = \"btrfs-progs\"\n\
         license-file = [\"copyright\", \"0\"]\nextended-description = \"{DESCRIPTION}\"\nassets = [\n{deb}]\n\n\
         [package.metadata.generate-rpm]\nsummary = \"{SUMMARY}\"\nauto-req = \"disabled\"\n\
         post_uninstall_script = '{LAST}'\nassets = [\n{rpm}]\n",
        version = dist.version,
    )
}
