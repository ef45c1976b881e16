//! The report as one HTML file that needs nothing else: no network, no other file, and for all that is text no JavaScript.
//!
//! The script only lets a reader move in the timeline and the flame graph, which are there as pictures without it. The page's policy
//! (`Content-Security-Policy`) allows our style and our scripts by their hashes, and nothing else: not even an attribute
//! `style`, so positions are attributes of SVG. Names come from the kernel and can hold anything: they are escaped as on a
//! terminal, then as HTML; data for the script is JSON without `<`, `>` and `&`.
mod chart;
mod csp;
mod data;
mod failures;
mod filesystems;
mod findings;
mod flame;
mod frames;
mod head;
mod health;
mod holders;
mod lanes;
mod marks;
mod sample;
mod suite;
mod timeline;
mod words;

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::model::Report;

/// The style sheet.
const STYLE: &str = include_str!("style.css");
/// The scripts: each is a function that is called at once, and fails alone.
const SCRIPTS: [&str; 3] = [include_str!("theme.js"), include_str!("timeline.js"), include_str!("flame.js")];

/// Writes the page.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, mut writer: impl Write) -> io::Result<()> {
    writer.write_all(page(report).into_string().as_bytes())
}

fn page(report: &Report) -> Markup {
    let sections = sections(report);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(csp::policy(STYLE, &SCRIPTS));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ (report.tool.name) " " (report.tool.version) };
                title { (head::title(report)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the report" }
                (head::render(report, &sections))
                main #main {
                    @for section in &sections {
                        section #(section.id) aria-labelledby={ "h-" (section.id) } {
                            h2 #{ "h-" (section.id) } { (section.title) }
                            (section.body)
                        }
                    }
                }
                footer {
                    p {
                        "Made by " (report.tool.name) " " (report.tool.version) ". The JSON report (" code { "--format json" }
                        ") has all figures exactly."
                    }
                }
                @for script in SCRIPTS {
                    script { (PreEscaped(script)) }
                }
            }
        }
    }
}

/// A part of the page.
struct Section {
    id: &'static str,
    title: String,
    /// For the list at the top.
    short: String,
    body: Markup,
}

fn sections(report: &Report) -> Vec<Section> {
    let parts = [
        timeline::section(report),
        findings::section(report),
        failures::section(report),
        holders::section(report),
        flame::section(report),
        suite::section(report),
        filesystems::section(report),
        Some(health::section(report)),
    ];
    parts.into_iter().flatten().collect()
}
