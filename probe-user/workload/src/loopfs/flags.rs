//! Mount options as in `mount -o`: mount(2) takes some of them as flags and the rest as text.
use nix::mount::MsFlags;

/// Splits `mount -o` options into VFS flags and btrfs options; keeps the order of the latter.
pub fn split(options: &str) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut rest: Vec<&str> = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match flag(option) {
            Some((flag, on)) => flags.set(flag, on),
            None => rest.push(option),
        }
    }
    (flags, rest.join(","))
}

fn flag(option: &str) -> Option<(MsFlags, bool)> {
    Some(match option {
        "ro" => (MsFlags::MS_RDONLY, true),
        "rw" => (MsFlags::MS_RDONLY, false),
        "nosuid" => (MsFlags::MS_NOSUID, true),
        "nodev" => (MsFlags::MS_NODEV, true),
        "noexec" => (MsFlags::MS_NOEXEC, true),
        "sync" => (MsFlags::MS_SYNCHRONOUS, true),
        "dirsync" => (MsFlags::MS_DIRSYNC, true),
        "noatime" => (MsFlags::MS_NOATIME, true),
        "nodiratime" => (MsFlags::MS_NODIRATIME, true),
        "relatime" => (MsFlags::MS_RELATIME, true),
        "strictatime" => (MsFlags::MS_STRICTATIME, true),
        "lazytime" => (MsFlags::MS_LAZYTIME, true),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_options_are_told_apart() {
        assert_eq!(split(""), (MsFlags::empty(), String::new()));
        let (flags, rest) = split("ro,compress=zstd:3,noatime,,nodatacow");
        assert_eq!(flags, MsFlags::MS_RDONLY | MsFlags::MS_NOATIME);
        assert_eq!(rest, "compress=zstd:3,nodatacow");
    }

    #[test]
    fn the_last_word_counts() {
        assert_eq!(split("ro,rw").0, MsFlags::empty());
        assert_eq!(split("rw,ro").0, MsFlags::MS_RDONLY);
    }
}
