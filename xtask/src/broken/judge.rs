//! What the tool says of a bug, compared with what the bug did.
use std::{collections::BTreeMap, fmt, fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::bugs::{Bug, Wrong};

const AT_THE_CALL: &str = "at the call";
const AT_ITS_END: &str = "at the end of its transaction";

/// How good a finding is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// Kind and owner, at the call that is wrong.
    Right,
    /// Kind and owner, when the transaction that it belongs to ended.
    End,
    /// Kind and owner, but only when the inode was destroyed, after another transaction, or at the unmount.
    Late,
    /// A counter or a qgroup is wrong; the owner is not named.
    Level,
    /// It says something that the bug did not do.
    Wrong,
    /// Nothing was found.
    Clean,
    /// No bug acted, so there was nothing to find.
    Unreached,
    /// There is no recording, or none that can be read.
    Lost,
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Right => "RIGHT",
            Self::End => "END",
            Self::Late => "LATE",
            Self::Level => "LEVEL",
            Self::Wrong => "WRONG",
            Self::Clean => "CLEAN",
            Self::Unreached => "UNREACHED",
            Self::Lost => "LOST",
        })
    }
}

/// What a bug did, as the module counted it.
#[derive(Debug, Default)]
pub struct Truth {
    pub hits: u64,
    /// Kept where positive, given back too much where negative.
    pub bytes: i64,
    /// By root and inode; 0 where the bug has none. The first 64 hits.
    pub owners: BTreeMap<(u64, u64), i64>,
}

/// One finding, in words.
#[derive(Debug)]
pub struct Found {
    pub judgement: Judgement,
    pub amount: u64,
    pub text: String,
}

/// All about one run.
#[derive(Debug)]
pub struct Read {
    pub truth: Truth,
    pub verdict: String,
    pub found: Vec<Found>,
    pub judgement: Judgement,
}

/// Makes the report of a recording and compares it with the truth.
///
/// # Errors
/// The tool cannot be run.
pub fn read(bug: &Bug, folder: &Path, tool: &Path) -> Result<Read> {
    let file = |extension: &str| folder.join(format!("{}.{extension}", bug.name));
    let (recording, json) = (file("rsv"), file("json"));
    let truth = fs::read_to_string(file("hits")).map(|text| truth(&text)).unwrap_or_default();
    let mut told = Read { truth, verdict: String::new(), found: Vec::new(), judgement: Judgement::Lost };
    if !recording.exists() {
        return Ok(told);
    }
    let mut command = Command::new(tool);
    command.arg("report").arg(&recording).arg(format!("--format=json={}", json.display()));
    let output = command.output().context("btrfs-probe cannot be run")?;
    let _ = fs::write(file("txt"), &output.stdout);
    let Some(report) = fs::read(&json).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok())
    else {
        return Ok(told);
    };
    told.verdict = report["verdict"].as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    // Findings of bugs that the kernel has without us.
    let ours = findings.iter().filter(|finding| finding["known"].is_null());
    told.found = ours.map(|finding| one(bug, &told.truth, finding)).collect();
    told.judgement = match told.found.iter().map(|found| found.judgement).min() {
        Some(best) => best,
        None if told.truth.hits == 0 && bug.name != "none" => Judgement::Unreached,
        None => Judgement::Clean,
    };
    Ok(told)
}

/// `broken_hits` of the module.
fn truth(text: &str) -> Truth {
    let mut truth = Truth::default();
    let mut lines = text.lines();
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok());
    truth.hits = number(3).and_then(|hits| u64::try_from(hits).ok()).unwrap_or(0);
    truth.bytes = number(5).unwrap_or(0);
    for line in lines {
        let mut words = line.split(' ');
        let mut owner = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let key = (owner(), owner());
        let bytes: i64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        *truth.owners.entry(key).or_default() += bytes;
    }
    truth
}

fn one(bug: &Bug, truth: &Truth, finding: &Value) -> Found {
    let word = |key: &str| finding[key].as_str().unwrap_or_default();
    let (kind, account) = (word("kind"), word("account"));
    let when = when(finding);
    let inode = finding["inode"].as_u64();
    // Trees of the kernel's own have negative numbers: the report has them so, the module has not.
    let root = finding["root"].as_i64().map(i64::cast_unsigned);
    let fits = bug.accounts.iter().any(|wanted| wanted == account)
        && match bug.wrong {
            Wrong::Leak => matches!(kind, "leak" | "error-path-leak"),
            Wrong::Over => matches!(kind, "over-release" | "error-path-over-release" | "underflow"),
            Wrong::Owner => matches!(kind, "wrong-owner" | "leak" | "over-release"),
            Wrong::Order => kind == "publish-before-reserve",
            Wrong::Mismatch => kind == "counter-mismatch",
        };
    let judgement = if !fits {
        Judgement::Wrong
    } else if !owner(account, truth, root, inode) && (kind == "underflow" || !called(account, truth, when)) {
        Judgement::Level
    } else if when == AT_THE_CALL || (bug.commits && when == AT_ITS_END) {
        Judgement::Right
    } else if when == AT_ITS_END {
        Judgement::End
    } else {
        Judgement::Late
    };
    let frames: Vec<&str> = finding["stack"]
        .as_array()
        .map(|frames| frames.iter().filter_map(|frame| frame["symbol"].as_str()).take(3).collect())
        .unwrap_or_default();
    let amount = finding["amount"].as_u64().unwrap_or(0);
    let mut text = format!("{kind} {account} {amount}");
    if let Some(root) = finding["root"].as_i64() {
        text += &format!(" root {root}");
    }
    if let Some(inode) = inode {
        text += &format!(" inode {inode}");
    }
    if let Some(more @ 2..) = finding["inodes"].as_u64() {
        text += &format!(" and {} more", more - 1);
    }
    text += &format!(" {when}: {}", frames.join(" < "));
    Found { judgement, amount, text }
}

/// Whether a finding names who it was. A pool is its own owner; a level of a `space_info` is nobody's.
fn owner(account: &str, truth: &Truth, root: Option<u64>, inode: Option<u64>) -> bool {
    let fits = |(hit_root, hit_inode): &(u64, u64)| {
        let same = |hit: u64, told: Option<u64>| hit == 0 || told == Some(hit);
        match account.split_once('.') {
            Some(("inode", _)) => same(*hit_root, root) && same(*hit_inode, inode),
            Some(("root", _)) => same(*hit_root, root),
            Some(("space", _)) => *hit_inode != 0 && inode == Some(*hit_inode),
            _ => true,
        }
    };
    truth.owners.keys().any(fits)
}

/// Whether a finding names the wrong call, where no inode has any part in it.
fn called(account: &str, truth: &Truth, when: &str) -> bool {
    account.starts_with("space.")
        && matches!(when, AT_THE_CALL | AT_ITS_END)
        && truth.owners.keys().all(|(_, inode)| *inode == 0)
}

/// When the tool saw it.
fn when(finding: &Value) -> &'static str {
    let words = [&finding["explanation"], &finding["instances"][0]["explanation"]];
    let text: String = words.iter().filter_map(|value| value.as_str()).collect::<String>().to_lowercase();
    let in_stack = |name: &str| {
        finding["stack"].as_array().is_some_and(|frames| frames.iter().any(|frame| frame["symbol"] == name))
    };
    if text.contains("destroyed") || in_stack("btrfs_destroy_inode") {
        "when the inode was destroyed"
    } else if text.contains("unmount") || in_stack("close_ctree") {
        "at the unmount"
    } else if text.contains("the next one as well") || text.contains("two transactions") {
        "after the next transaction"
    } else if text.contains("transaction") && (text.contains("commit") || text.contains("at the end of")) {
        AT_ITS_END
    } else {
        AT_THE_CALL
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::broken::bugs;

    fn bug() -> Bug {
        let text = "[a]\ndoes: x\nload: write\naccounts: inode.csum_bytes\nwrong: leak\n";
        bugs::parse(text).unwrap().remove(0)
    }

    fn judged(finding: &Value) -> Judgement {
        one(&bug(), &truth("calls 3 hits 2 bytes 8192\n256 257 4096\n256 258 4096\n"), finding).judgement
    }

    #[test]
    fn hits_are_summed_by_owner() {
        let truth = truth("calls 3 hits 2 bytes -8192\n256 257 -4096\n256 257 -4096\n");
        assert_eq!((truth.hits, truth.bytes), (2, -8192));
        assert_eq!(truth.owners.get(&(256, 257)), Some(&-8192));
    }

    #[test]
    fn a_finding_is_judged_by_kind_owner_and_time() {
        let mut finding = json!({"kind": "leak", "account": "inode.csum_bytes", "amount": 8192, "root": 256,
            "inode": 257, "inodes": 2, "stack": [{"symbol": "btrfs_remove_ordered_extent"}]});
        assert_eq!(judged(&finding), Judgement::Right);
        finding["explanation"] = "The inode was destroyed while 4096 bytes were left.".into();
        assert_eq!(judged(&finding), Judgement::Late);
        finding["explanation"] = "Its transaction 9 was committed, and no call had given them back.".into();
        assert_eq!(judged(&finding), Judgement::End);
        finding["inode"] = 300.into();
        assert_eq!(judged(&finding), Judgement::Level);
        finding["kind"] = "over-release".into();
        assert_eq!(judged(&finding), Judgement::Wrong);
    }
}
