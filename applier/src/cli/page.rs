//! A page of the documentation as a man page.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use roff::{Inline, Roff, bold, roman};

use super::man;

const DOCUMENTATION: &str = include_str!("../../../docs/configuration.md");

/// `docs/configuration.md` as `multiwan.toml(5)`.
pub(super) fn configuration() -> String {
    let mut page = Roff::new();
    page.control("TH", ["multiwan.toml", "5"]);
    page.control("SH", ["NAME"]);
    page.text([roman(
        "multiwan.toml - what several Internet lines are, for multiwan(1)",
    )]);
    page.control("SH", ["DESCRIPTION"]);
    markdown(DOCUMENTATION, &mut page);
    man::see_also(&mut page, "multiwan.toml");
    page.render()
}

/// Headings, paragraphs, lists and code; the first heading is the page's own name.
fn markdown(text: &str, page: &mut Roff) {
    let mut line: Vec<Inline> = Vec::new();
    let (mut in_code, mut in_item, mut titles) = (false, false, 0);
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => {
                in_code = true;
                page.control("PP", []);
                page.control("nf", []);
            }
            Event::End(TagEnd::CodeBlock) => {
                in_code = false;
                page.control("fi", []);
            }
            Event::Start(Tag::Item) => {
                in_item = true;
                page.control("IP", ["•", "2"]);
            }
            Event::End(TagEnd::Item) => {
                in_item = false;
                page.text(std::mem::take(&mut line));
            }
            Event::Start(Tag::Paragraph) if !in_item => {
                page.control("PP", []);
            }
            Event::End(TagEnd::Paragraph) => {
                page.text(std::mem::take(&mut line));
            }
            Event::End(TagEnd::Heading(_)) => {
                let title: String = std::mem::take(&mut line).iter().map(plain).collect();
                titles += 1;
                if titles > 1 {
                    page.control("SH", [title.as_str()]);
                }
            }
            Event::Text(code) if in_code => {
                for row in code.lines() {
                    page.text([roman(row)]);
                }
            }
            Event::Text(words) => line.push(roman(words.to_string())),
            Event::Code(word) => line.push(bold(word.to_string())),
            Event::SoftBreak => line.push(roman(" ")),
            _ => {}
        }
    }
}

fn plain(inline: &Inline) -> &str {
    match inline {
        Inline::Roman(text) | Inline::Italic(text) | Inline::Bold(text) => text,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_page_has_sections_lists_and_code() {
        let page = configuration();
        for part in [
            ".TH multiwan.toml 5\n",
            ".SH [[line]]\n",
            ".nf\n[lan]\ninterface = \"eth0\"",
            "\\fBonlink\\fR: \\fBtrue\\fR allows a gateway",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        assert!(!page.contains('`'), "{page}");
    }

    /// What the page shows works.
    #[test]
    fn its_example_is_accepted() {
        let (_, code) = DOCUMENTATION.split_once("```toml\n").unwrap();
        let (example, _) = code.split_once("```").unwrap();
        Config::parse(example, "docs/configuration.md").unwrap();
    }
}
