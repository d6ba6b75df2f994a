//! Why a configuration is refused, and what to write instead.

use std::ops::Range;
use std::path::PathBuf;

/// Why a described configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {reason}; {advice}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// What is written in it cannot work.
    #[error("{name}:{line}:{column}: {message}")]
    Refused {
        /// The file's name.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong and what to write instead.
        message: String,
    },
}

/// A complaint about a piece of the text, before line and column are counted.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) span: Range<usize>,
    pub(super) message: String,
}

impl Complaint {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
        }
    }

    pub(super) fn locate(self, text: &str, name: &str) -> ConfigError {
        let (line, column) = position(text, self.span.start);
        ConfigError::Refused {
            name: name.to_owned(),
            line,
            column,
            message: self.message,
        }
    }
}

impl From<toml::de::Error> for Complaint {
    fn from(error: toml::de::Error) -> Self {
        let message = error.message().trim().replace('\n', ", ");
        let message = match suggestion(&message) {
            Some(known) => format!("{message}; did you mean `{known}`?"),
            None => message,
        };
        Self {
            span: error.span().unwrap_or(0..0),
            message,
        }
    }
}

/// The known name nearest to an unknown one, out of serde's own "unknown field `x`, expected one
/// of `a`, `b`": the first name in backquotes is the unknown one, the others are known.
fn suggestion(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    names
        .map(|known| (strsim::jaro_winkler(unknown, known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Line and column, both from 1, of a byte of the text.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_columns_in_characters() {
        assert_eq!(position("a\nüb = 1", 4), (2, 2));
        assert_eq!(position("", 0), (1, 1));
    }

    #[test]
    fn suggests_a_known_name_only_where_one_is_near() {
        let message = "unknown field `gatway`, expected one of `name`, `gateway`, `weight`";
        assert_eq!(suggestion(message), Some("gateway"));
        assert_eq!(
            suggestion("unknown field `zzz`, expected one of `name`, `gateway`"),
            None
        );
        assert_eq!(suggestion("invalid type: `weight`"), None);
    }
}
