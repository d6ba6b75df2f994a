//! The man pages of section 1: what clap knows of a command, and what stands beside the command line.

use std::io;

use clap::Command;
use clap_mangen::Man;
use roff::{Inline, Roff, bold, italic, roman};

/// A file or variable that a command heeds, and what it is to it.
struct Entry {
    name: &'static str,
    says: &'static str,
    /// The argument of the commands that heed it.
    with: &'static str,
}

/// As clap has them: by the fields of the command line's types.
const CONFIGURATION: &str = "path";
const METRICS: &str = "metrics_file";

const ENVIRONMENT: [Entry; 5] = [
    Entry {
        name: "MULTIWAN_CONFIG",
        says: "the described configuration, where -c names none",
        with: CONFIGURATION,
    },
    Entry {
        name: "RUNTIME_DIRECTORY",
        says: "where things are remembered, instead of /run/multiwan; service managers set it",
        with: CONFIGURATION,
    },
    Entry {
        name: "MULTIWAN_METRICS",
        says: "where metrics are left, as by --metrics",
        with: METRICS,
    },
    Entry {
        name: "RUST_LOG",
        says: "how much is logged, as in multiwan=debug",
        with: METRICS,
    },
    Entry {
        name: "NO_COLOR",
        says: "where it is set and not empty, the log has no colours on a terminal either",
        with: METRICS,
    },
];

const FILES: [Entry; 3] = [
    Entry {
        name: "/etc/multiwan.toml",
        says: "the described configuration, see multiwan.toml(5)",
        with: CONFIGURATION,
    },
    Entry {
        name: "/run/multiwan",
        says: "a folder for each network namespace since boot: what was there before, for \
               `multiwan down`; the keepalive's verdicts and counts; whose turn it is",
        with: CONFIGURATION,
    },
    Entry {
        name: "FILE.prom",
        says: "of --metrics: replaced whole every 10 s, for a collector to read",
        with: METRICS,
    },
];

/// Pages that any of these leads on to, but for itself.
const SEE_ALSO: [(&str, &str); 5] = [
    ("multiwan", "1"),
    ("multiwan.toml", "5"),
    ("ip-route", "8"),
    ("ip-rule", "8"),
    ("nft", "8"),
];

/// The page of a command that is [built](Command::build). That of `multiwan` itself has what any of its
/// commands heeds.
pub(super) fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let source = concat!("multiwan ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).source(source).render(&mut page)?;
    let heeds = |entry: &&Entry| {
        let mut arguments = command.get_arguments();
        command.has_subcommands() || arguments.any(|argument| argument.get_id() == entry.with)
    };
    let mut more = Roff::new();
    section(
        &mut more,
        "ENVIRONMENT",
        ENVIRONMENT.iter().filter(heeds),
        bold,
    );
    section(&mut more, "FILES", FILES.iter().filter(heeds), italic);
    let own = command.get_display_name().unwrap_or(command.get_name());
    see_also(&mut more, own);
    more.to_writer(&mut page)?;
    Ok(page)
}

/// The list of other pages, without the page's own.
pub(super) fn see_also(page: &mut Roff, own: &str) {
    page.control("SH", ["SEE ALSO"]);
    let others = SEE_ALSO.iter().filter(|(name, _)| *name != own);
    let mut listed = Vec::new();
    for (name, section) in others {
        if !listed.is_empty() {
            listed.push(roman(", "));
        }
        listed.extend([bold(*name), roman(format!("({section})"))]);
    }
    page.text(listed);
}

fn section<'a>(
    page: &mut Roff,
    title: &str,
    entries: impl Iterator<Item = &'a Entry>,
    style: fn(&'static str) -> Inline,
) {
    for (at, entry) in entries.enumerate() {
        if at == 0 {
            page.control("SH", [title]);
        }
        page.control("TP", []);
        page.text([style(entry.name)]);
        page.text([roman(entry.says)]);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::Arguments;
    use super::*;

    fn page_of(command: &str) -> String {
        let mut all = Arguments::command();
        all.build();
        let command = all.find_subcommand(command).unwrap_or(&all);
        String::from_utf8(page(command).unwrap()).unwrap()
    }

    #[track_caller]
    fn has(page: &str, parts: &[&str]) {
        for part in parts {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
    }

    #[test]
    fn the_program_s_page_has_all() {
        let page = page_of("multiwan");
        has(
            &page,
            &[".SH ENVIRONMENT\n", ".SH FILES\n", ".SH \"SEE ALSO\"\n"],
        );
        for entry in ENVIRONMENT.iter().chain(&FILES) {
            has(&page, &[&entry.name.replace('-', "\\-")]);
        }
        has(&page, &["\\fBip\\-rule\\fR(8)"]);
        assert!(!page.contains("\\fBmultiwan\\fR(1)"), "{page}");
    }

    #[test]
    fn a_command_s_page_has_what_it_heeds() {
        let run = page_of("run");
        has(
            &run,
            &["MULTIWAN_METRICS", "/run/multiwan", "\\fBmultiwan\\fR(1)"],
        );
        let down = page_of("down");
        has(&down, &["MULTIWAN_CONFIG", "/run/multiwan"]);
        assert!(!down.contains("MULTIWAN_METRICS"), "{down}");
        let completions = page_of("completions");
        assert!(!completions.contains(".SH FILES"), "{completions}");
    }

    /// A variable of the command line is documented, whatever it is.
    #[test]
    fn all_variables_of_the_command_line_are_there() {
        let mut all = Arguments::command();
        all.build();
        for argument in all.get_subcommands().flat_map(Command::get_arguments) {
            if let Some(variable) = argument.get_env().and_then(|name| name.to_str()) {
                let documented =
                    |entry: &Entry| entry.name == variable && argument.get_id() == entry.with;
                assert!(ENVIRONMENT.iter().any(documented), "{variable}");
            }
        }
    }
}
