//! Names of the ledger's enums in JSON. The ledger knows nothing of JSON, so each enum gets a thin wrapper here
//! that writes and reads `name()`: a name is spelled once, in the ledger.
use std::borrow::Cow;

use probe_ledger::{Account, Confidence, FindingKind, SpaceCounter, Verdict};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

macro_rules! by_name {
    ($(#[$doc:meta])* $wrapper:ident($inner:ty), $all:expr, $title:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $wrapper(pub $inner);

        impl $wrapper {
            /// All values, in the order of their declaration.
            #[must_use]
            pub fn all() -> Vec<Self> {
                $all.into_iter().map(Self).collect()
            }

            /// The name in JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                self.0.name()
            }

            /// The value of this name, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::all().into_iter().find(|value| value.name() == name)
            }
        }

        impl From<$inner> for $wrapper {
            fn from(inner: $inner) -> Self {
                Self(inner)
            }
        }

        impl Serialize for $wrapper {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $wrapper {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = Cow::<'de, str>::deserialize(deserializer)?;
                Self::from_name(&name).ok_or_else(|| D::Error::custom(format!("unknown {} `{name}`", $title)))
            }
        }

        impl JsonSchema for $wrapper {
            fn schema_name() -> Cow<'static, str> {
                stringify!($wrapper).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let names: Vec<&str> = Self::all().into_iter().map(Self::name).collect();
                json_schema!({ "type": "string", "description": concat!("Name of a ", $title, "."), "enum": names })
            }
        }
    };
}

by_name! {
    /// A kind of finding.
    KindName(FindingKind), FindingKind::ALL, "kind of finding"
}
by_name! {
    /// A verdict.
    VerdictName(Verdict), [Verdict::Clean, Verdict::Findings, Verdict::Inconclusive], "verdict"
}
by_name! {
    /// How sure a finding is.
    ConfidenceName(Confidence), [Confidence::Exact, Confidence::OneSided], "confidence"
}
by_name! {
    /// An account.
    AccountName(Account), accounts(), "account"
}

/// Every account, those of an inode first.
fn accounts() -> Vec<Account> {
    let mut all = vec![
        Account::InodeMetaRsv,
        Account::InodeOutstandingExtents,
        Account::InodeCsumBytes,
        Account::InodeDelallocBytes,
        Account::InodeQgroupData,
        Account::RootQgroupMetaPrealloc,
        Account::RootQgroupMetaPertrans,
        Account::TransRsv,
        Account::TransDelayedRefsRsv,
        Account::FsDelayedRsv,
        Account::FsDelayedRefsRsv,
        Account::FsGlobalRsv,
        Account::FsChunkRsv,
        Account::TempRsv,
    ];
    let counters = [SpaceCounter::BytesMayUse, SpaceCounter::BytesReserved, SpaceCounter::BytesPinned];
    for space in [Account::SpaceData, Account::SpaceMetadata, Account::SpaceSystem] {
        all.extend(counters.map(space));
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn every_account_reads_back_as_itself() {
        let all = AccountName::all();
        assert_eq!(all.len(), 23);
        for account in all {
            let json = serde_json::to_string(&account).unwrap();
            assert_eq!(serde_json::from_str::<AccountName>(&json).unwrap(), account);
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_name_in_the_message() {
        let error = serde_json::from_str::<KindName>("\"over-relase\"").unwrap_err().to_string();
        assert!(error.contains("over-relase"), "{error}");
    }
}
