//! What the fuzz target and the ordinary test of the same do with a file's bytes.

use multiwan::config::Config;
use multiwan::desired::desired;
use multiwan::difference::difference;
use multiwan::state::State;
use multiwan::verdicts::Verdicts;

/// Reads a described configuration: it is refused in words, or what should be in the kernel follows
/// from it and can be printed.
pub(crate) fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Config::parse(text, "lines.toml") {
        Err(refused) => assert!(!refused.to_string().is_empty()),
        Ok(config) => {
            let wanted = desired(&config, &Verdicts::default());
            assert!(
                !difference(&State::default(), &wanted)
                    .to_string()
                    .is_empty()
            );
        }
    }
}
