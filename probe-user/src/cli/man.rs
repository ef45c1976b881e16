//! `btrfs-probe man`: one page with all subcommands, made from the same description as the help texts.
use std::io::{self, Write};

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::{
    report::output,
    session::exit::ExitStatus,
    tui::keys::{BINDINGS, Scope},
};

/// Print the manual page; read it with `btrfs-probe man | man -l -`
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    #[allow(clippy::unused_self, reason = "all subcommands are called alike")]
    pub(super) fn print(&self) -> anyhow::Result<ExitStatus> {
        let mut page = Vec::new();
        render(&mut page)?;
        output::print(&page)?;
        Ok(ExitStatus::Clean)
    }
}

fn render(page: &mut Vec<u8>) -> io::Result<()> {
    let mut root = super::Cli::command();
    root.build();
    let man = Man::new(root.clone()).section("8").manual("System Administration");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    writeln!(page, ".SH COMMANDS")?;
    for command in
        root.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
    {
        // Global options are shown once, above.
        let own = command.clone().mut_args(|arg| {
            let shown_above = arg.is_global_set() || arg.get_id() == "help";
            if shown_above { arg.hide(true) } else { arg }
        });
        let man = Man::new(own);
        let mut section = Vec::new();
        man.render_synopsis_section(&mut section)?;
        man.render_description_section(&mut section)?;
        man.render_options_section(&mut section)?;
        if command.get_after_help().is_some() {
            man.render_extra_section(&mut section)?;
        }
        writeln!(page, ".SS {}", command.get_name())?;
        // A section would end the subsection, so its title becomes a bold line.
        for line in String::from_utf8_lossy(&section).lines() {
            match line.strip_prefix(".SH ") {
                Some("SYNOPSIS" | "DESCRIPTION" | "EXTRA") => writeln!(page, ".PP")?,
                Some(title) => writeln!(page, ".PP\n.B {title}")?,
                None => writeln!(page, "{line}")?,
            }
        }
    }
    keys(page)?;
    write!(page, "{EXIT_STATUS}{MORE}")
}

/// The keys of the screen, from the table that handles them.
fn keys(page: &mut Vec<u8>) -> io::Result<()> {
    writeln!(page, ".SH \"KEYS OF TOP\"")?;
    let mut scopes: Vec<Scope> = Vec::new();
    for binding in BINDINGS {
        if !scopes.contains(&binding.scope) {
            scopes.push(binding.scope);
        }
    }
    for scope in scopes {
        writeln!(page, ".SS {}", plain(scope.title()))?;
        for binding in BINDINGS.iter().filter(|binding| binding.scope == scope) {
            writeln!(page, ".TP\n{}\n{}", plain(&binding.shown()), plain(binding.help))?;
        }
    }
    Ok(())
}

/// Text in which roff sees no request and no escape.
fn plain(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

const MORE: &str = "\
.SH FILES
.TP
.I -
Standard input where a FILE is read, standard output where a report is written; each for one FILE only. A recording cannot be
written to it, and
.B top \\-\\-replay
cannot read it, since both go back in their file. A file of that name is
.IR ./\\- .
.TP
.I FILE.tmp
A recording that is being written. It becomes FILE at the end; a session that was killed leaves it, and
.B report
reads it.
.TP
.I /sys/kernel/btf/
Types of the running kernel and of its btrfs module, which say where the fields of its structures are.
.TP
.I /sys/kernel/tracing/kprobe_events
Where functions are hooked by kprobes, names of the group btrfs_probe_* are there during a session. A session that was killed
leaves names, which do nothing; the next one removes them.
.SH EXAMPLES
.TP
btrfs\\-probe demo
Shows what a report looks like, on a btrfs of its own.
.TP
btrfs\\-probe demo \\-\\-broken
Shows what findings look like, from a recording; needs no rights.
.TP
btrfs\\-probe run \\-\\-fs /mnt \\-\\- ./load.sh
Watches one filesystem while a load runs, and reports.
.TP
btrfs\\-probe watch \\-\\-keep 60s \\-\\-dump\\-to /var/tmp
Watches until Ctrl\\-C, and writes a recording of the last minute when something happens.
.TP
btrfs\\-probe run \\-\\-fstests \\-\\-format junit=out.xml \\-\\- ./check \\-g quick
Gives each test of xfstests its own verdict.
.TP
btrfs\\-probe report load.rsv \\-\\-format html=load.html
Makes a page for a browser of a recording.
.TP
dmesg | btrfs\\-probe explain \\-
Says why there is no space, from the kernel's log.
.TP
btrfs\\-probe bundle load.rsv \\-\\-redact
Makes one archive for a bug report, without names.
.TP
btrfs\\-probe import trace.dat
Checks a trace of the kernel that somebody else took.
.SH \"SEE ALSO\"
.BR btrfs (8),
.BR btrfs (5),
.BR bpftool (8),
.BR trace\\-cmd (1)
";

const EXIT_STATUS: &str = "\
.SH \"EXIT STATUS\"
.TP
0
Clean: no rule was broken, and the tool missed nothing that matters.
.TP
1
The tool failed.
.TP
2
Usage error: the command line is wrong.
.TP
3
Findings that count.
.TP
4
Inconclusive: no finding, but the tool missed something that could hide one, or nothing happened to what it should follow.
.PP
.B run
and
.B record
pass on the status of COMMAND when there is no finding and COMMAND failed.
.B top
gives no verdict: it ends with 3 if it showed findings, else with 0.
.B explain
ends with 0 if the text shows why there is no space, else with 4.
.B import
ends with 3 if a counter went below zero, else with 4.
.SH ENVIRONMENT
.TP
NO_COLOR
If set and not empty, there are no colours unless \\-\\-color asks for them.
.TP
COLUMNS
Width of text that does not go to a terminal, from 60 to 200.
.TP
RUST_LOG
Diagnostics in detail, for example
.BR probe_user=debug .
";
