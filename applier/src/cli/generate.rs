//! What is generated from the command line's own description.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;

use super::{Arguments, man, page};
use crate::error::Error;

/// Prints completions.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<ExitCode, Error> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "multiwan", &mut text);
    print(&text)
}

/// Prints `multiwan(1)`, or writes it and those of all commands into a folder.
pub(super) fn man(folder: Option<&Path>) -> Result<ExitCode, Error> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = folder else {
        let page = man::page(&command).map_err(|source| writing("the man page", source))?;
        return print(&page);
    };
    pages(&command, folder).map_err(|source| writing(&folder.display().to_string(), source))?;
    Ok(ExitCode::SUCCESS)
}

fn pages(command: &clap::Command, folder: &Path) -> io::Result<()> {
    let (commands, formats) = (folder.join("man1"), folder.join("man5"));
    std::fs::create_dir_all(&commands)?;
    std::fs::create_dir_all(&formats)?;
    let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
    for one in shown.chain([command]) {
        let name = one.get_display_name().unwrap_or(one.get_name());
        std::fs::write(commands.join(format!("{name}.1")), man::page(one)?)?;
    }
    std::fs::write(formats.join("multiwan.toml.5"), page::configuration())
}

fn print(text: &[u8]) -> Result<ExitCode, Error> {
    // A reader that has seen enough (`| head`) is no error.
    let _ = io::stdout().write_all(text);
    Ok(ExitCode::SUCCESS)
}

fn writing(what: &str, source: io::Error) -> Error {
    Error::Writing {
        what: what.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn there_is_a_page_for_each_command_and_one_for_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        man(Some(folder.path())).unwrap();
        for page in [
            "man1/multiwan.1",
            "man1/multiwan-status.1",
            "man5/multiwan.toml.5",
        ] {
            let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
            assert!(text.contains(".SH NAME"), "{page}:\n{text}");
            assert!(text.contains(".SH \"SEE ALSO\""), "{page}:\n{text}");
        }
        // What is hidden has none.
        assert!(!folder.path().join("man1/multiwan-features.1").exists());
    }
}
