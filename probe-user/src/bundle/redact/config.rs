//! The kernel's build configuration: its strings name hosts, command lines and files of who built it.

/// The configuration with `"redacted"` in place of each string but those that name the compiler, and without what is no setting.
#[must_use]
pub fn config(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let setting = line.strip_prefix("CONFIG_").and_then(|rest| rest.split_once('='));
        match setting {
            Some((name, value))
                if value.starts_with('"') && value != "\"\"" && !name.starts_with("CC_VERSION") =>
            {
                out.push_str(&format!("CONFIG_{name}=\"redacted\"\n"));
            }
            Some(_) => out.push_str(&format!("{line}\n")),
            None if line.starts_with("# CONFIG_") && line.ends_with(" is not set") => {
                out.push_str(&format!("{line}\n"));
            }
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_gone_and_settings_are_there() {
        let text = "#\n# Linux/x86 built by ann\nCONFIG_BTRFS_FS=m\nCONFIG_CMDLINE=\"root=/dev/ann\"\nCONFIG_EMPTY=\"\"\n\
                    # CONFIG_KASAN is not set\nCONFIG_CC_VERSION_TEXT=\"gcc 14\"\nCONFIG_HZ=250\n";
        let kept = "CONFIG_BTRFS_FS=m\nCONFIG_CMDLINE=\"redacted\"\nCONFIG_EMPTY=\"\"\n# CONFIG_KASAN is not set\n\
                    CONFIG_CC_VERSION_TEXT=\"gcc 14\"\nCONFIG_HZ=250\n";
        assert_eq!(config(text), kept);
    }
}
