//! Other programs' words, made fit to be shown.
//!
//! A terminal obeys what is between them: escape sequences rename its window, move the cursor over
//! what was told before, or fill in its answer. XML cannot hold most of it at all.

use std::borrow::Cow;

/// The text with each character that is obeyed rather than shown written as `\u{1b}`. Line ends and
/// tabs stay.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_obeyed(c) {
            visible.extend(c.escape_default());
        } else {
            visible.push(c);
        }
    }
    Cow::Owned(visible)
}

/// Controls of both ranges (ECMA-48), the marks that turn the direction of what follows (Unicode
/// Standard Annex 9), and what XML 1.0 excludes beside (section 2.2).
fn is_obeyed(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            true
        }
        '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(
            visible("\u{1b}[31mred\u{1b}[0m\r\n\u{9b}2Jgone\u{7}"),
            "\\u{1b}[31mred\\u{1b}[0m\\r\n\\u{9b}2Jgone\\u{7}"
        );
        assert_eq!(visible("a\u{202e}b\u{ffff}"), "a\\u{202e}b\\u{ffff}");
    }

    #[test]
    fn what_is_shown_stays() {
        let text = "übrig: \"a\\b\"\n\tline 2 – e\u{301}\u{fffd}";
        assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
    }
}
