//! `btrfs-probe schema`
use crate::{
    bundle::manifest,
    report::{explanation, output, schema},
    session::exit::ExitStatus,
};

/// Print the JSON Schema of the report, of the NDJSON stream, of an explanation or of a report of many recordings
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which schema
    #[arg(value_name = "WHAT", value_enum)]
    what: What,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// The report of --format json
    Report,
    /// A line of --format ndjson
    Stream,
    /// What explain --format json prints
    Explain,
    /// The report of many recordings, report --merge --format json
    Merged,
    /// MANIFEST.json of a bundle
    Bundle,
}

impl Args {
    pub(super) fn print(&self) -> anyhow::Result<ExitStatus> {
        let schema = match self.what {
            What::Report => schema::report(),
            What::Stream => schema::stream(),
            What::Explain => explanation::schema::explain(),
            What::Merged => schema::merged(),
            What::Bundle => manifest::schema(),
        };
        output::print(schema::print(&schema)?.as_bytes())?;
        Ok(ExitStatus::Clean)
    }
}
