//! Folded stacks of what the findings reserved and never freed, for any flame graph tool.
//!
//! One line per stack: frames outermost first, joined by `;`, a space and the bytes (or count). The first two frames are
//! the finding's kind and account, so that one graph shows all. A finding without origins shows the stack in
//! which it was found, with its amount.
use std::io::{self, Write};

use super::{
    fingerprint::base_name,
    model::{Finding, Frame, Report},
};

/// Writes the folded stacks of all findings that count.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, mut writer: impl Write) -> io::Result<()> {
    for finding in report.findings.iter().filter(|finding| finding.ignored.is_none()) {
        if finding.origins.is_empty() {
            line(&mut writer, finding, &finding.stack, finding.amount.unsigned_abs())?;
        }
        for origin in &finding.origins {
            line(&mut writer, finding, &origin.stack, origin.bytes)?;
        }
        if finding.origins_left_out > 0 {
            let others = format!("{}_other_stacks", finding.origins_left_out);
            let (kind, account) = (finding.kind.name(), finding.account.name());
            writeln!(writer, "{kind};{account};{others} {}", finding.origins_left_out_bytes)?;
        }
    }
    Ok(())
}

fn line(writer: &mut impl Write, finding: &Finding, stack: &[Frame], weight: u64) -> io::Result<()> {
    write!(writer, "{};{}", finding.kind.name(), finding.account.name())?;
    for frame in stack.iter().rev() {
        let name = frame.symbol.as_deref().map_or(frame.address.as_str(), base_name);
        // `;` and spaces would split the frame.
        write!(writer, ";{}", name.replace([';', ' '], "_"))?;
    }
    writeln!(writer, " {weight}")
}
