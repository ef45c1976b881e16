//! Debian's package lists in a folder of our own: the machine's `/etc/apt` and its lists stay unchanged.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{machine::Machine, proc};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const SOURCES: &[(&str, &str)] = &[
    ("http://deb.debian.org/debian", "bookworm"),
    ("http://deb.debian.org/debian", "bookworm-updates"),
    ("http://deb.debian.org/debian", "bookworm-backports"),
    ("http://deb.debian.org/debian-security", "bookworm-security"),
    ("http://deb.debian.org/debian", "trixie-backports"),
];

/// Debian 13 as it was released: what the tools of its newer kernels are linked with.
const TRIXIE: &[(&str, &str)] = &[("http://deb.debian.org/debian", "trixie")];

/// Package lists below `target/vm/apt`.
pub struct Apt {
    folder: PathBuf,
    /// Another machine's packages: of what is installed here, nothing counts.
    foreign: Option<Machine>,
}

impl Apt {
    /// Fetches the lists, unless that was done already.
    ///
    /// # Errors
    /// There is no apt, or the archive cannot be reached.
    pub fn open(vm: &Path) -> Result<Self> {
        Self::lists(vm.join("apt"), SOURCES, None)
    }

    /// As [`Self::open`], for that machine.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(vm: &Path, machine: Machine) -> Result<Self> {
        if machine.is_here() {
            return Self::open(vm);
        }
        Self::lists(vm.join(format!("apt-{}", machine.debian())), SOURCES, Some(machine))
    }

    /// As [`Self::open`], with the lists of Debian 13 alone: its 6.12 must not become the newest one.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn trixie(vm: &Path) -> Result<Self> {
        Self::lists(vm.join("apt-trixie"), TRIXIE, None)
    }

    fn lists(folder: PathBuf, sources: &[(&str, &str)], foreign: Option<Machine>) -> Result<Self> {
        if proc::which("apt-get").is_none() || proc::which("dpkg-deb").is_none() {
            bail!(
                "what guests and tests need comes as Debian packages: install apt and dpkg, or run on Debian"
            );
        }
        if !Path::new(KEYRING).is_file() {
            bail!("{KEYRING} is missing: install the package debian-archive-keyring");
        }
        let apt = Self { folder, foreign };
        for sub in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.folder.join(sub))
                .with_context(|| format!("cannot make {}", apt.folder.display()))?;
        }
        let lines: String = sources
            .iter()
            .map(|(url, suite)| format!("deb [signed-by={KEYRING}] {url} {suite} main\n"))
            .collect();
        fs::write(apt.folder.join("sources.list"), lines).context("cannot write the package sources")?;
        if apt.foreign.is_some() {
            fs::write(apt.status(), "").context("cannot write below target/vm")?;
        }
        let done = apt.folder.join("updated");
        if !done.is_file() {
            proc::quietly(apt.command("apt-get").args(["-q", "update"]))
                .context("Debian's package lists cannot be fetched")?;
            fs::write(done, "").context("cannot write below target/vm")?;
        }
        Ok(apt)
    }

    /// The version of the newest package whose name begins and ends so: `uname -r` of its kernel.
    ///
    /// # Errors
    /// The archive has none.
    pub fn newest(&self, (before, version, after): (&str, &str, &str)) -> Result<String> {
        let pattern = format!("^{before}{}[^-]*(-[0-9]+)?{after}$", version.replace('.', "\\."));
        let found = proc::stdout_of(self.command("apt-cache").args(["search", "--names-only", &pattern]))?;
        let mut unames: Vec<&str> = found
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.strip_prefix(before))
            .filter(|uname| !uname.contains("unsigned"))
            .collect();
        unames.sort_by_key(|uname| numbers(uname));
        let newest = unames.last().map(|uname| (*uname).to_owned());
        newest.with_context(|| format!("Debian's archive has no package {before}{version}*{after} any more"))
    }

    /// Names of the packages that a package needs and that begin with `linux-`, images left out.
    ///
    /// # Errors
    /// The package is not known.
    pub fn needs(&self, package: &str) -> Result<Vec<String>> {
        let text = proc::stdout_of(self.command("apt-cache").args(["depends", package]))?;
        let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(names
            .filter(|name| name.starts_with("linux-headers-") || name.starts_with("linux-kbuild-"))
            .map(str::to_owned)
            .collect())
    }

    /// The newest version of a package.
    ///
    /// # Errors
    /// The package is not known.
    pub fn version(&self, package: &str) -> Result<String> {
        let text = proc::stdout_of(self.command("apt-cache").args(["show", "--no-all-versions", package]))?;
        let version = text.lines().find_map(|line| line.strip_prefix("Version: "));
        version
            .map(str::to_owned)
            .with_context(|| format!("Debian's archive has no package {package} any more"))
    }

    /// Fetches packages into `folder` and unpacks them below `root`.
    ///
    /// # Errors
    /// A package cannot be had; the sentence names it.
    pub fn unpack(&self, packages: &[String], folder: &Path, root: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for package in packages {
            println!("vm: fetching {package}");
            proc::quietly(self.command("apt-get").current_dir(folder).args(["-q", "download", package])).with_context(
                || format!("the package {package} cannot be fetched: try again, or remove {} to look for newer ones", self.folder.display()),
            )?;
        }
        unpack_all(folder, root)
    }

    /// Fetches a package of one suite with all that it needs and this machine lacks, and unpacks them below `root`.
    /// Nothing is installed.
    ///
    /// # Errors
    /// A package cannot be had, or the machine would have to lose one for it.
    pub fn unpack_with_needs(&self, suite: &str, package: &str, root: &Path) -> Result<()> {
        println!("vm: fetching {package} of {suite}");
        proc::quietly(
            self.command("apt-get")
                .args(["-q", "install", "-y", "--download-only", "--no-install-recommends", "--no-remove"])
                .args(["-t", suite, package]),
        )
        .with_context(|| format!("the package {package} of {suite} cannot be fetched"))?;
        unpack_all(&self.folder.join("cache/archives"), root)
    }

    /// The list of installed packages: an empty one.
    fn status(&self) -> PathBuf {
        self.folder.join("status")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (key, value) in [
            ("Dir::Etc::sourcelist", self.folder.join("sources.list")),
            ("Dir::Etc::sourceparts", "/dev/null".into()),
            ("Dir::State::Lists", self.folder.join("lists")),
            ("Dir::Cache", self.folder.join("cache")),
            // Lists of other suites than the machine's: its pins mean nothing here.
            ("Dir::Etc::preferencesparts", "/dev/null".into()),
            ("APT::Sandbox::User", "root".into()),
        ] {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        }
        if let Some(machine) = self.foreign {
            let debian = machine.debian();
            for word in [
                format!("Dir::State::status={}", self.status().display()),
                format!("APT::Architecture={debian}"),
                format!("APT::Architectures::={debian}"),
            ] {
                command.arg("-o").arg(word);
            }
        }
        command
    }
}

/// Unpacks the packages that lie in `folder` below `root`, and removes them.
fn unpack_all(folder: &Path, root: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let file = entry.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            proc::quietly(Command::new("dpkg-deb").arg("-x").arg(&file).arg(root))?;
            // Unpacked it is three times as large; nobody needs both.
            let _ = fs::remove_file(&file);
        }
    }
    Ok(())
}

/// The numbers in a version, for sorting.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_sort_by_number() {
        let mut names = ["6.1.0-9-cloud", "6.12.117+deb12", "6.12.43+deb12", "6.1.0-56-cloud"];
        names.sort_by_key(|name| numbers(name));
        assert_eq!(names, ["6.1.0-9-cloud", "6.1.0-56-cloud", "6.12.43+deb12", "6.12.117+deb12"]);
    }
}
