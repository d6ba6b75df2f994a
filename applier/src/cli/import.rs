//! `multiwan import`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::error::Error;
use crate::import::import;
use crate::kernel::Kernel;

/// What the text is called where it goes to no file.
const OUTPUT: &str = "standard output";

/// Prints the configuration of what is there, or leaves it in a file that must not be there yet.
///
/// One that is refused as it stands is printed all the same, to be put right by hand.
pub(super) async fn import_to(file: Option<&Path>) -> Result<ExitCode, Error> {
    let name = file.map_or_else(|| OUTPUT.to_owned(), |file| file.display().to_string());
    let imported = import(&Kernel::open()?.router().await?, &name)?;
    match file {
        // A reader that has seen enough (`| head`) is no error.
        None => {
            let _ = io::stdout().write_all(imported.text.as_bytes());
        }
        Some(file) => File::create_new(file)
            .and_then(|mut file| file.write_all(imported.text.as_bytes()))
            .map_err(|source| writing(name, source))?,
    }
    for doubt in &imported.doubts {
        let _ = writeln!(io::stderr(), "multiwan: {doubt}");
    }
    match imported.refused {
        None => Ok(ExitCode::SUCCESS),
        Some(refused) => Err(refused.into()),
    }
}

fn writing(what: String, source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::AlreadyExists {
        return Error::AlreadyThere(what);
    }
    Error::Writing { what, source }
}
