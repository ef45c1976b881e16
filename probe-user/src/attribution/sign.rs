//! Names of tests in what the kernel shows.

/// The test that a line of the log announces: `run fstests generic/269 at 2026-11-22 06:16:57`.
///
/// `_wallclock` and the loop of `check` in xfstests write it to `/dev/kmsg`.
pub fn announced(line: &str) -> Option<&str> {
    let (name, at) = line.strip_prefix("run fstests ")?.split_once(" at ")?;
    (is_name(name) && !at.is_empty()).then_some(name)
}

/// The test of a script, by its path: `/var/lib/xfstests/tests/generic/269`.
pub fn of_script(path: &str) -> Option<String> {
    let mut parts = path.rsplit('/');
    let (number, group, folder) = (parts.next()?, parts.next()?, parts.next()?);
    let name = format!("{group}/{number}");
    (folder == "tests" && is_name(&name)).then_some(name)
}

/// `generic/269`: a group and a number of three or more digits. Names become parts of paths, so nothing else is accepted.
pub fn is_name(name: &str) -> bool {
    let Some((group, number)) = name.split_once('/') else { return false };
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    word(group) && number.len() >= 3 && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_announced_with_its_time() {
        assert_eq!(announced("run fstests generic/269 at 2026-11-22 06:16:57"), Some("generic/269"));
        assert_eq!(announced("run fstests btrfs/001 at 2026-11-22 06:16:57\n"), Some("btrfs/001"));
        for line in
            ["run fstests generic/269", "run fstests ../etc/123 at x", "run xfstest generic/269 at x", ""]
        {
            assert_eq!(announced(line), None, "{line}");
        }
    }

    #[test]
    fn a_script_lies_in_a_group_of_tests() {
        assert_eq!(of_script("/var/lib/xfstests/tests/generic/269").as_deref(), Some("generic/269"));
        assert_eq!(of_script("./tests/btrfs/1000").as_deref(), Some("btrfs/1000"));
        for path in
            ["/usr/bin/100", "269", "tests/269", "/tests/a b/269", "/x/generic/269", "/tests/generic/26x"]
        {
            assert_eq!(of_script(path), None, "{path}");
        }
    }
}
