//! The identity of a filesystem.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `fs_devices->fsid`: tracepoints show it, and it is the name of the folder in `/sys/fs/btrfs/`. Written as a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fsid(pub [u8; 16]);

/// Text that is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID: 8-4-4-4-12 hexadecimal digits are wanted")]
pub struct NotAnFsid;

/// Lengths of the groups of a UUID.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl FromStr for Fsid {
    type Err = NotAnFsid;

    fn from_str(text: &str) -> Result<Self, NotAnFsid> {
        let groups = text.split('-').map(str::len);
        if !groups.eq(GROUPS) {
            return Err(NotAnFsid);
        }
        let mut fsid = [0; 16];
        let mut digits = text.chars().filter(|letter| *letter != '-').map(|letter| letter.to_digit(16));
        for byte in &mut fsid {
            let (Some(Some(high)), Some(Some(low))) = (digits.next(), digits.next()) else {
                return Err(NotAnFsid);
            };
            *byte = u8::try_from(high << 4 | low).map_err(|_| NotAnFsid)?;
        }
        Ok(Self(fsid))
    }
}

impl fmt::Display for Fsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.iter();
        for (index, digits) in GROUPS.into_iter().enumerate() {
            if index > 0 {
                f.write_str("-")?;
            }
            for byte in bytes.by_ref().take(digits / 2) {
                write!(f, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Fsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fsid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fsid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_text_is_refused() {
        for text in
            ["", "x", "096b213d14aa474ba4f50384e00bcd4b", "096b213d-14aa-474b-a4f5-0384e00bcd4", "-----"]
        {
            assert_eq!(text.parse::<Fsid>(), Err(NotAnFsid), "{text}");
        }
        // Five groups of the right number of bytes, but not of digits.
        assert_eq!("096b213é-14aa-474b-a4f5-0384e00bcd4".parse::<Fsid>(), Err(NotAnFsid));
        assert_eq!("096b213é-14aa-474b-a4f5-0384e00bcd4b".parse::<Fsid>(), Err(NotAnFsid));
    }

    proptest! {
        #[test]
        fn text_and_back(bytes: [u8; 16]) {
            let text = Fsid(bytes).to_string();
            prop_assert_eq!(text.parse::<Fsid>().unwrap(), Fsid(bytes));
            prop_assert_eq!(text.to_uppercase().parse::<Fsid>().unwrap(), Fsid(bytes));
            let json = serde_json::to_string(&Fsid(bytes)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Fsid>(&json).unwrap(), Fsid(bytes));
        }
    }
}
