//! What a kernel holds, whole, so that it can be told whether anything has changed.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use multiwan::kernel::Kernel;
use multiwan::state::State;

/// What the kernel holds: by our own reading, and by that of `ip`, `nft` and `/proc`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    state: State,
    text: BTreeSet<String>,
}

impl Held {
    pub(crate) fn now() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let read = async { Kernel::open().unwrap().read().await.unwrap() };
        let mut text = settings();
        let listings = "rule\naddress\nroute show table all\n";
        text.extend(told("ip", &["-4", "-d", "-batch", "-"], listings));
        text.extend(told("nft", &["-s", "list", "ruleset"], ""));
        let mut state = runtime.block_on(read);
        // Those of one priority look up one table.
        state
            .rules
            .sort_by_key(|rule| (rule.priority, rule.to_string()));
        Self { state, text }
    }

    #[track_caller]
    pub(crate) fn assert_same(&self, expected: &Self, when: &str) {
        let more: Vec<_> = self.text.difference(&expected.text).collect();
        let less: Vec<_> = expected.text.difference(&self.text).collect();
        assert!(
            more.is_empty() && less.is_empty(),
            "{when}: too much: {more:#?}, missing: {less:#?}"
        );
        assert_eq!(self.state, expected.state, "{when}");
    }
}

/// What a program prints, line by line, each with the heading it is under. Whether a card has a
/// carrier, which comes and goes with a delay, is not looked at, nor whether it was ever up.
fn told(program: &str, arguments: &[&str], input: &str) -> Vec<String> {
    const CARRIERS: [&str; 8] = [
        " linkdown",
        " dead",
        "NO-CARRIER,",
        ",LOWER_UP",
        "state UP ",
        "state DOWN ",
        "state LOWERLAYERDOWN ",
        "state UNKNOWN ",
    ];
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut heading = String::new();
    text.lines()
        .map(|line| {
            let words = CARRIERS
                .iter()
                .fold(line.to_owned(), |line, word| line.replace(word, ""))
                .replace(" qdisc noop ", " qdisc noqueue ");
            if line.ends_with('{') || line.contains(": <") {
                heading = words.trim().to_owned();
            }
            format!("{heading} | {}", words.trim())
        })
        .collect()
}

/// All of IPv4's, of devices and in general.
fn settings() -> BTreeSet<String> {
    let mut settings = BTreeSet::new();
    let mut folders = vec![PathBuf::from("/proc/sys/net/ipv4")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(value) = fs::read_to_string(&path) {
                settings.insert(format!("{} = {}", path.display(), value.trim()));
            }
        }
    }
    settings
}
