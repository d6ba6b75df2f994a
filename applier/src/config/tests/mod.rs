//! What is read, and every refusal with its words: of the whole file here, of its sections each in a file.

mod keepalive;
mod kernel;
mod lan;
mod line;
mod pin;

use std::time::Duration;

use super::{Config, Spread};

const TWO_LINES: &str = include_str!("../../../../fixtures/configs/two-lines.toml");

/// Two lines and a LAN, with one piece of the text put in another's place.
fn with(old: &str, new: &str) -> String {
    assert!(TWO_LINES.contains(old), "{old} is not in the fixture");
    TWO_LINES.replacen(old, new, 1)
}

fn read(text: &str) -> Config {
    Config::parse(text, "lines.toml").unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn refused(text: &str, because: &str) {
    let refusal = Config::parse(text, "lines.toml")
        .expect_err("it is refused")
        .to_string();
    assert_eq!(refusal, because);
}

#[test]
fn defaults_are_the_contract_s() {
    let config = read(&with("interval  = \"200ms\"", ""));
    assert_eq!(config.spread, Spread::Pair);
    assert_eq!(config.release_after, Duration::from_secs(5));
    assert_eq!(config.keepalive.interval, Duration::from_secs(1));
    assert_eq!(config.keepalive.timeout, Duration::from_secs(1));
    assert_eq!(
        (config.keepalive.failures, config.keepalive.successes),
        (2, 1)
    );
    assert_eq!(config.kernel.mark_mask, 0x3f00);
    let numbers: Vec<u8> = config.lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert!(
        config
            .lines
            .iter()
            .all(|line| line.weight == 1 && !line.backup)
    );
}

#[test]
fn unknown_keys() {
    refused(
        &with("gateway ", "gatway "),
        "lines.toml:11:1: unknown field `gatway`, expected one of `name`, `interface`, `address`, \
         `broadcast`, `gateway`, `onlink`, `keep`, `weight`, `number`, `backup`; did you mean `gateway`?",
    );
    refused(
        &format!("spred = \"pair\"\n{TWO_LINES}"),
        "lines.toml:1:1: unknown field `spred`, expected one of `spread`, `established`, \
         `release_after`, `lan`, `line`, `keepalive`, `pin`, `kernel`; did you mean `spread`?",
    );
    refused(
        &format!("spread = \"pairs\"\n{TWO_LINES}"),
        "lines.toml:1:10: unknown variant `pairs`, expected `pair` or `connection`; did you mean \
         `pair`?",
    );
}

#[test]
fn missing_keys_and_lines() {
    refused(
        &with("name      = \"dsl1\"", ""),
        "lines.toml:7:1: missing field `name`",
    );
    refused(
        "",
        "lines.toml:1:1: there is no line; write one [[line]] for each",
    );
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("multiwan.toml");
    let refusal = Config::load(&path).unwrap_err().to_string();
    assert!(
        refusal.ends_with(
            "multiwan.toml: No such file or directory (os error 2); name the configuration with -c \
             FILE or MULTIWAN_CONFIG"
        ),
        "{refusal}"
    );
    std::fs::write(&path, b"[lan]\n\xff").unwrap();
    let refusal = Config::load(&path).unwrap_err().to_string();
    assert!(
        refusal.ends_with("byte 6 is not UTF-8; save the file as UTF-8"),
        "{refusal}"
    );
}
