//! A zoned device in memory (`null_blk`), and a filesystem on it whose zones are full of what was deleted.
use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use probe_workload::{ioctl::btrfs, loopfs::Fsid};

use super::shortages::{State, level_of};

const CONFIG: &str = "/sys/kernel/config";
/// What older kernels name it by themselves.
const NAME: &str = "nullb0";
/// A file is half a zone.
const FILE: usize = 4 << 20;

struct Device(PathBuf);

impl Device {
    /// 256 MiB in zones of 8 MiB.
    fn make() -> Self {
        for (name, arguments) in [("configfs", ""), ("null_blk", "nr_devices=0")] {
            let module = format!("/modules/{name}.ko");
            if Path::new(&module).exists() && !Path::new("/sys/module").join(name).exists() {
                run(Command::new("insmod").arg(module).arg(arguments));
            }
        }
        if !Path::new(CONFIG).join("nullb").exists() {
            run(Command::new("mount").args(["-t", "configfs", "config", CONFIG]));
        }
        let folder = Path::new(CONFIG).join("nullb").join(NAME);
        fs::create_dir(&folder).expect("a device");
        let this = Self(folder);
        for (name, value) in
            [("memory_backed", "1"), ("size", "256"), ("zoned", "1"), ("zone_size", "8"), ("power", "1")]
        {
            this.set(name, value);
        }
        this
    }

    fn set(&self, name: &str, value: &str) {
        fs::write(self.0.join(name), value).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("power"), "0");
        let _ = fs::remove_dir(&self.0);
    }
}

struct Mount(tempfile::TempDir);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn run(command: &mut Command) {
    assert!(command.status().expect("a program").success(), "{command:?}");
}

/// Every second file is deleted from full zones.
pub fn unusable() -> State {
    let _device = Device::make();
    let device = Path::new("/dev").join(NAME);
    let uuid = Fsid::random().expect("a number").to_string();
    run(Command::new("mkfs.btrfs")
        .stderr(Stdio::null())
        .args(["-q", "-O", "zoned", "-m", "single", "-d", "single", "-U", &uuid])
        .arg(&device));
    let folder = Mount(tempfile::tempdir().expect("a folder"));
    run(Command::new("mount").args(["-t", "btrfs"]).arg(&device).arg(folder.0.path()));
    // Or the kernel moves what is left together, some of it while the test deletes.
    for name in ["", "allocation/data/", "allocation/metadata/"] {
        let path = format!("/sys/fs/btrfs/{uuid}/{name}bg_reclaim_threshold");
        fs::write(&path, "0").unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let name = |number: u32| folder.0.path().join(format!("file{number}"));
    // Each in its zone before the next comes.
    let write = |path: &Path| -> std::io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(&vec![7; FILE])?;
        file.sync_all()
    };
    let full = (0..200).find(|number| write(&name(*number)).is_err()).expect("never full");
    let commit = || btrfs::sync(btrfs::open_dir(folder.0.path()).expect("the root")).expect("a commit");
    commit();
    for number in (0..full).step_by(2) {
        fs::remove_file(name(number)).expect("a file");
    }
    commit();
    let again = format!("of={}", name(full + 1).display());
    let mut write = Command::new("dd");
    write.args(["if=/dev/zero", &again, "bs=64k", "count=64", "conv=fsync"]).stderr(Stdio::null());
    assert!(!write.status().expect("dd").success(), "what was deleted can be written again");
    let unusable = "data/bytes_zone_unusable";
    State { levels: vec![(unusable.to_owned(), level_of(&uuid, unusable))], uuid }
}
