//! A finding as one would write it to `linux-btrfs@vger.kernel.org`.
//!
//! One mail for each finding that counts, one after the other as an mbox (`git mailsplit -b`, `mutt -f`, Python's `mailbox`): each
//! begins with a `From ` line, and such a line inside a body is quoted with `>`. There is no `From:` and no `To:`, so that
//! nothing is sent by mistake. Plain text of 72 columns; stacks are as wide as they are. Names are escaped and addresses
//! without a symbol are left out, since they tell where a kernel lies.
//!
//! Findings that do not count, and those that follow from another, have no mail of their own. Without a finding there is one
//! sentence, and no mail.
mod body;
mod consequence;

use std::io::{self, Write};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    model::{Finding, Report},
    subject,
};
use crate::format;

/// Columns of the text.
const COLUMNS: usize = 72;

/// Writes the mails.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, mut writer: impl Write) -> io::Result<()> {
    let mut mails = report.findings.iter().filter(|finding| of_its_own(finding)).peekable();
    if mails.peek().is_none() {
        return writeln!(writer, "{}", nothing(report));
    }
    for finding in mails {
        writer.write_all(mail(finding, report).as_bytes())?;
    }
    Ok(())
}

const fn of_its_own(finding: &Finding) -> bool {
    finding.ignored.is_none() && finding.cause.is_none()
}

fn nothing(report: &Report) -> String {
    let left = match report.findings.len() as u64 {
        0 => String::new(),
        count => format!(" ({} known, ignored or of another kind)", format::counted(count, "finding")),
    };
    format!("There is nothing to report: no finding counts{left}, the verdict is {}.", report.verdict.name())
}

fn mail(finding: &Finding, report: &Report) -> String {
    let date =
        report.started_at.parse::<Timestamp>().unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC);
    let body = body::text(finding, report);
    // `From ` at the start of a line begins the next mail.
    let quoted: String = body
        .lines()
        .map(|line| {
            let from = line.trim_start_matches('>').starts_with("From ");
            format!("{}{line}\n", if from { ">" } else { "" })
        })
        .collect();
    let kind = if body.is_ascii() {
        ""
    } else {
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    };
    format!(
        "From btrfs-probe {}\nSubject: {}\nDate: {}\n{kind}\n{quoted}\n",
        date.strftime("%a %b %e %H:%M:%S %Y"),
        subject::of_mail(finding),
        date.strftime("%a, %d %b %Y %H:%M:%S +0000"),
    )
}
