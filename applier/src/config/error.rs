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

impl Complaint {
    /// What TOML, or the shape of the file, has against this text.
    pub(super) fn of(error: &toml::de::Error, text: &str) -> Self {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim().replace('\n', ", ");
        let advice = suggestion(&message)
            .map(|known| format!("did you mean `{known}`?"))
            .or_else(|| {
                let why = match message.as_str() {
                    "duplicate key" => " for several",
                    message if message.starts_with("invalid type: map") => "",
                    _ => return None,
                };
                let name = header(text, span.start)?;
                Some(format!("write [[{name}]]{why}"))
            });
        let message = match advice {
            Some(advice) => format!("{message}; {advice}"),
            None => message,
        };
        Self { span, message }
    }
}

/// The name in the header that this byte of the text is in, where there may be several of that.
fn header(text: &str, byte: usize) -> Option<&'static str> {
    let start = text
        .get(..byte)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let header = text[start..]
        .lines()
        .next()?
        .trim_start()
        .strip_prefix('[')?;
    let (name, _) = header.trim_start_matches('[').split_once(']')?;
    ["lan", "line", "pin"]
        .into_iter()
        .find(|several| *several == name.trim())
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
    fn headers_of_what_there_may_be_several_of() {
        let text = "[lan]\na = 1\n [ line ] # one\n[[pin]]\n[kernel]\n";
        let at = |what| header(text, text.find(what).unwrap());
        assert_eq!(at("lan"), Some("lan"));
        assert_eq!(at("line"), Some("line"));
        assert_eq!(at("pin"), Some("pin"));
        assert_eq!(at("a = 1"), None);
        assert_eq!(at("kernel"), None);
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
