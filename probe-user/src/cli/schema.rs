//! `btrfs-probe schema`
use crate::{
    bundle::manifest,
    report::{event, explanation, imported, output, schema},
    session::exit::ExitStatus,
};

/// Print the JSON Schema of the report or of another document: a line of NDJSON, an explanation, a trace, a report of many
/// recordings, the manifest of a bundle, an event
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
    /// What import --format json prints
    Import,
    /// The report of many recordings, report --merge --format json
    Merged,
    /// MANIFEST.json of a bundle
    Bundle,
    /// What a command of watch --on gets
    Event,
}

impl Args {
    pub(super) fn print(&self) -> anyhow::Result<ExitStatus> {
        let schema = match self.what {
            What::Report => schema::report(),
            What::Stream => schema::stream(),
            What::Explain => explanation::schema::explain(),
            What::Import => imported::schema::import(),
            What::Merged => schema::merged(),
            What::Bundle => manifest::schema(),
            What::Event => event::schema(),
        };
        output::print(schema::print(&schema)?.as_bytes())?;
        Ok(ExitStatus::Clean)
    }
}
