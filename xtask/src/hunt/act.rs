//! What is done to a call: it fails, or it comes later.
use std::{fmt, num::ParseIntError, str::FromStr};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// It returns this number, and does nothing.
    Fails(i64),
    /// Its task sleeps so many milliseconds before it.
    Late(u32),
}

impl Act {
    /// The words for the fault module. A delay meets several calls: one task has to come between two steps of another one.
    pub fn words(self, nth: u64) -> String {
        match self {
            Self::Fails(error) => format!("ret={error} nth={nth}"),
            Self::Late(ms) => format!("us={} first={nth} every=3 times=8", u64::from(ms) * 1000),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails(error) => write!(f, "{error}"),
            Self::Late(ms) => write!(f, "{ms}ms"),
        }
    }
}

impl FromStr for Act {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        match text.strip_suffix("ms") {
            Some(ms) => ms.parse().map(Self::Late),
            None => text.parse().map(Self::Fails),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_is_read_as_it_is_written() {
        for act in [Act::Fails(-12), Act::Fails(0), Act::Late(20)] {
            assert_eq!(act.to_string().parse(), Ok(act));
        }
        assert!("ms".parse::<Act>().is_err() && "-".parse::<Act>().is_err());
        assert_eq!(Act::Late(20).words(4), "us=20000 first=4 every=3 times=8");
        assert_eq!(Act::Fails(-5).words(1), "ret=-5 nth=1");
    }
}
