//! Writes metrics as text.
use std::fmt::{self, Write as _};

use super::table::{ALL, Kind, Metric, metric};

/// A value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A number or an amount of bytes.
    Count(u64),
    /// A level that can be below zero if a counter of the kernel did underflow.
    Level(i64),
    /// ns, written as seconds.
    Ns(u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Level(level) => write!(f, "{level}"),
            Self::Ns(ns) => write!(f, "{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000),
        }
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

/// Samples that are being collected, in any order.
#[derive(Debug)]
pub struct Exposition {
    /// Samples of each metric of [`ALL`], as text.
    samples: Vec<String>,
}

impl Default for Exposition {
    fn default() -> Self {
        Self { samples: vec![String::new(); ALL.len()] }
    }
}

impl Exposition {
    /// Adds a sample. `labels`: values, in the order of the table. What the table does not have is left out.
    pub fn add(&mut self, name: &str, labels: &[&str], value: impl Into<Value>) {
        let Some(metric) = metric(name) else { return log::debug!("no metric {name} in the table") };
        let suffix = if metric.kind == Kind::Counter { "_total" } else { "" };
        let value = value.into();
        self.line(metric, suffix, labels, None, value);
    }

    /// Adds a histogram. `buckets`: upper bounds in ns, rising, and how many were no longer
    /// and longer than the bound before. `u64::MAX` is no bound.
    pub fn add_histogram(&mut self, name: &str, labels: &[&str], buckets: &[(u64, u64)], sum_ns: u64) {
        let Some(metric) = metric(name) else { return log::debug!("no metric {name} in the table") };
        let mut count = 0_u64;
        for (bound, more) in buckets {
            count = count.saturating_add(*more);
            if *bound == u64::MAX {
                break;
            }
            let bound = Value::Ns(*bound).to_string();
            self.line(metric, "_bucket", labels, Some(&bound), Value::Count(count));
        }
        self.line(metric, "_bucket", labels, Some("+Inf"), Value::Count(count));
        self.line(metric, "_sum", labels, None, Value::Ns(sum_ns));
        self.line(metric, "_count", labels, None, Value::Count(count));
    }

    fn line(&mut self, metric: &Metric, suffix: &str, values: &[&str], bound: Option<&str>, value: Value) {
        let at = ALL.iter().position(|known| known.name == metric.name);
        let Some(text) = at.and_then(|at| self.samples.get_mut(at)) else { return };
        text.push_str(metric.name);
        text.push_str(suffix);
        let labels = metric.labels.iter().copied().zip(values.iter().copied());
        let mut open = '{';
        for (label, value) in labels.chain(bound.map(|bound| ("le", bound))) {
            let _ = write!(text, "{open}{label}=\"{}\"", Escaped(value));
            open = ',';
        }
        if open == ',' {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }

    /// The whole text, with the metrics that have samples.
    #[must_use]
    pub fn finish(self) -> String {
        let mut text = String::new();
        for (metric, samples) in ALL.iter().zip(&self.samples) {
            if samples.is_empty() {
                continue;
            }
            let _ = writeln!(text, "# TYPE {} {}", metric.name, metric.kind.name());
            if !metric.unit.is_empty() {
                let _ = writeln!(text, "# UNIT {} {}", metric.name, metric.unit);
            }
            let _ = writeln!(text, "# HELP {} {}", metric.name, Escaped(metric.help));
            text.push_str(samples);
        }
        text.push_str("# EOF\n");
        text
    }
}

/// Text in a label's value or a help. What is no printable character is shown as on a terminal.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in crate::format::escape::escape(self.0).chars() {
            match letter {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
