//! Kernels that we build from Debian's source, with options of `tests/kernels`: what no distribution's kernel has.
use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use super::{Release, kernel::Kernel, source};
use crate::{proc, setup, workspace::Workspace};

/// Programs of a kernel's build, and the packages that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("make", "make"),
    ("gcc", "gcc"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("xz", "xz-utils"),
    // Types: without them the tool finds no offsets.
    ("pahole", "dwarves"),
];
/// The header of libelf, which the build's own tools are compiled with.
const LIBELF: &str = "/usr/include/libelf.h";

/// Builds the kernel unless that was done with the same source and options.
///
/// # Errors
/// The source or a program of the build cannot be had, an option does not exist, or the kernel does not build.
pub fn ensure(
    workspace: &Workspace,
    release: Release,
    (of, options): (Release, [&'static str; 2]),
) -> Result<Kernel> {
    let debian = Kernel::ensure(workspace, of)?;
    let folder = workspace.target.join("vm").join(release.name());
    let build = folder.join("build");
    let mut wanted = String::new();
    for file in options {
        let path = workspace.root.join("tests/kernels").join(file);
        wanted += &fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let image = build.join("arch/x86/boot/bzImage");
    let kernel = Kernel {
        release,
        uname: fs::read_to_string(build.join("include/config/kernel.release"))
            .unwrap_or_default()
            .trim()
            .to_owned(),
        image: image.clone(),
        modules: build.clone(),
    };
    let stamp = folder.join("ready");
    let made = format!("{}\n{wanted}", debian.uname);
    if fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == made) && image.is_file() {
        return Ok(kernel);
    }
    for (program, package) in PROGRAMS {
        setup::program(program, package)?;
    }
    setup::file(LIBELF, "libelf-dev")?;
    fs::create_dir_all(&build).with_context(|| format!("cannot make {}", build.display()))?;
    let shared = workspace.target.join("vm").join(format!("{}-source", of.name()));
    fs::create_dir_all(&shared).with_context(|| format!("cannot make {}", shared.display()))?;
    let top = source::unpacked(workspace, &debian, &shared, "")?;
    let list = folder.join("options");
    fs::write(&list, &wanted).with_context(|| format!("cannot write {}", list.display()))?;
    proc::quietly(make(&top, &build).env("KCONFIG_ALLCONFIG", &list).arg("allnoconfig"))
        .context("the kernel cannot be configured")?;
    let got = fs::read_to_string(build.join(".config")).context("the kernel was not configured")?;
    if let Some(option) = missing(&wanted, &got) {
        bail!("Linux {} does not take {option} of tests/kernels", debian.uname);
    }
    println!("vm: building Linux {} ({}): some 15 minutes", debian.uname, release.name());
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    proc::quietly(make(&top, &build).arg(format!("-j{jobs}")).args(["bzImage", "modules"]))
        .with_context(|| format!("{} does not build", release.name()))?;
    fs::write(&stamp, made).with_context(|| format!("cannot write {}", stamp.display()))?;
    ensure(workspace, release, (of, options))
}

fn make(top: &Path, build: &Path) -> Command {
    let mut command = Command::new("make");
    command.arg("-s").arg("-C").arg(top).arg(format!("O={}", build.display()));
    command
}

/// The first option that is wanted and was not given: one that depends on another, or is not there any more.
fn missing<'a>(wanted: &'a str, got: &str) -> Option<&'a str> {
    let wanted = wanted.lines().filter(|line| line.starts_with("CONFIG_"));
    wanted.filter(|line| !line.ends_with("=n")).find(|wanted| !got.lines().any(|got| got == *wanted))
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn an_option_that_the_kernel_does_not_have_is_named() {
        let wanted = "# why\nCONFIG_A=y\nCONFIG_C=n\nCONFIG_B=m\n";
        assert_eq!(missing(wanted, "CONFIG_A=y\nCONFIG_B=m\n"), None);
        assert_eq!(missing(wanted, "CONFIG_A=y\nCONFIG_B=y\n"), Some("CONFIG_B=m"));
    }
}
