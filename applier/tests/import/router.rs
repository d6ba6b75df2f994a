//! A router in a sandbox, the commands that set it up, and what is imported from it.

use std::fs;
use std::path::Path;
use std::process::Command;

use multiwan::config::Config;
use multiwan::difference::Changes;
use multiwan::error::Error;
use multiwan::import::{Imported, import};
use multiwan::kernel::Kernel;
use multiwan::reconcile::{self, AbsentLan};
use multiwan::record::Record;
use multiwan::verdicts::Verdicts;
use multiwan_lab::sandbox;

/// Runs `inside` in a router with these cards, each with somebody at its other end, and nothing else.
pub(crate) fn with_cards(cards: &[&str], inside: impl FnOnce()) {
    sandbox::test(|_| {
        shell("ip link set lo up");
        for card in cards {
            shell(&format!(
                "ip link add {card} type veth peer name far-{card}
                 ip link set {card} up
                 ip link set far-{card} up"
            ));
        }
        // That of a namespace before, which had the same number.
        Record::open().unwrap().forget().unwrap();
        inside();
    });
}

/// Runs lines of a shell, of which none may fail.
#[track_caller]
pub(crate) fn shell(script: &str) {
    let output = Command::new("sh")
        .args(["-e", "-c", script])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{script}");
}

/// `apply` of an applier among the fixtures, with this configuration as the suite gives it.
#[track_caller]
pub(crate) fn applied_by(applier: &str, config: &Config) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/appliers")
        .join(applier);
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .arg(path)
        .arg("apply")
        .envs(abbreviations(config))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{applier}: {told}");
}

/// The how-to's abbreviations for lines with fixed addresses.
fn abbreviations(config: &Config) -> Vec<(String, String)> {
    let lan = &config.lans[0];
    let mut set = vec![
        ("IFI".to_owned(), lan.interface.clone()),
        ("IPI".to_owned(), lan.address.addr().to_string()),
        ("NMI".to_owned(), lan.address.prefix_len().to_string()),
        ("NWI".to_owned(), lan.address.network().to_string()),
        ("NLINES".to_owned(), config.lines.len().to_string()),
        (
            "SPREAD".to_owned(),
            format!("{:?}", config.spread).to_lowercase(),
        ),
        ("KEEPALIVE_MS".to_owned(), "200".to_owned()),
        ("FAILURES".to_owned(), "2".to_owned()),
        ("SUCCESSES".to_owned(), "1".to_owned()),
        ("TARGETS".to_owned(), String::new()),
    ];
    for (number, line) in (1..).zip(&config.lines) {
        let address = line.address.unwrap();
        let gateway = line.gateway.unwrap();
        let of_line = [
            ("IFE", line.interface.clone()),
            ("IPE", address.addr().to_string()),
            ("NWE", address.network().to_string()),
            ("NME", address.prefix_len().to_string()),
            ("BRD", address.broadcast().to_string()),
            ("GWE", gateway.to_string()),
            ("WEIGHT", line.weight.to_string()),
        ];
        set.extend(of_line.map(|(key, value)| (format!("{key}{number}"), value)));
    }
    set
}

/// What is imported from what is there now, which nothing is changed by.
#[track_caller]
pub(crate) fn imported() -> Imported {
    with_kernel(async |kernel| {
        let router = kernel.router().await?;
        Ok(import(&router, "imported.toml")?)
    })
    .unwrap_or_else(|why| panic!("{why}"))
}

/// The configuration that this is.
#[track_caller]
pub(crate) fn accepted(imported: &Imported) -> Config {
    assert_eq!(imported.refused, None, "{}", imported.text);
    parse(&imported.text)
}

#[track_caller]
pub(crate) fn parse(text: &str) -> Config {
    let numbers = Record::open().unwrap().content().numbers.clone();
    Config::parse_numbered(text, "imported.toml", &numbers).unwrap_or_else(|why| panic!("{why}"))
}

/// `apply`.
#[track_caller]
pub(crate) fn apply(config: &Config) -> Changes {
    with_kernel(async |kernel| {
        let verdicts = Verdicts::default();
        let lans = AbsentLan::Refused;
        let done = reconcile::reconcile_and_read_back(kernel, config, &verdicts, lans).await?;
        Ok(done.changes)
    })
    .unwrap_or_else(|why| panic!("{why}\n{config:#?}"))
}

/// `plan`.
#[track_caller]
pub(crate) fn plan(config: &Config) -> Changes {
    with_kernel(async |kernel| {
        let verdicts = Verdicts::default();
        let planned = reconcile::plan(kernel, config, &verdicts, AbsentLan::Refused).await?;
        Ok(planned.changes)
    })
    .unwrap_or_else(|why| panic!("{why}\n{config:#?}"))
}

fn with_kernel<T>(work: impl AsyncFnOnce(&mut Kernel) -> Result<T, Error>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .unwrap()
        .block_on(async { work(&mut Kernel::open()?).await })
}

/// What is imported can be applied, and what is there then gives the same lines once more, so that
/// nothing would change. What is told of it the first time.
#[track_caller]
pub(crate) fn imports_and_applies() -> (Config, Vec<String>) {
    let first = imported();
    let config = accepted(&first);
    apply(&config);
    let again = imported();
    let second = accepted(&again);
    let changes = plan(&second);
    assert_eq!(
        changes,
        Changes::default(),
        "{changes}\nafter\n{}and then\n{}",
        first.text,
        again.text
    );
    assert_eq!(second.lines, config.lines, "{}", again.text);
    assert_eq!(second.lans, config.lans, "{}", again.text);
    (config, first.doubts)
}

/// A configuration of the fixtures.
pub(crate) fn fixture(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/configs")
        .join(name);
    parse(&fs::read_to_string(path).unwrap())
}
