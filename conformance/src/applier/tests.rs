#[path = "../../tests/common/install.rs"]
mod install;

use std::fs;

use install::install;
use tempfile::TempDir;

use super::*;
use crate::configuration::{Configuration, FOUR_TO_ONE};

/// A shell script as the applier; it is gone with the folder.
fn script(body: &str) -> (TempDir, Applier) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.sh");
    install(&path, &format!("#!/bin/sh\n{body}\n"));
    let subject = Subject::Foreign {
        name: "mine".to_owned(),
        path,
    };
    let config = Configuration::builtin(&FOUR_TO_ONE).config;
    let applier = Applier::new(
        subject,
        &config,
        Path::new("/x/multiwan.toml"),
        folder.path(),
    );
    (folder, applier)
}

#[test]
fn the_environment_is_the_how_to_s() {
    let (folder, applier) = script("env | sort; exit 1");
    let error = applier.apply().unwrap_err();
    let printed = error.output().unwrap();
    let shipped = format!("MULTIWAN={}/multiwan\n", folder.path().display());
    assert!(printed.contains(&shipped), "{printed}");
    for line in [
        "MULTIWAN_CONFIG=/x/multiwan.toml",
        "IFI=eth0",
        "IPI=192.0.2.1",
        "NMI=24",
        "NWI=192.0.2.0",
        "NLINES=2",
        "IFE1=eth1",
        "IPE1=198.51.100.2",
        "NWE1=198.51.100.0",
        "NME1=24",
        "BRD1=198.51.100.255",
        "GWE1=198.51.100.1",
        "WEIGHT1=4",
        "IFE2=eth2",
        "IPE2=203.0.113.2",
        "GWE2=203.0.113.1",
        "WEIGHT2=1",
        "SPREAD=pair",
        "ESTABLISHED=prohibit",
        "KEEPALIVE_MS=200",
        "FAILURES=2",
        "SUCCESSES=1",
        "TARGETS=",
    ] {
        assert!(
            printed.lines().any(|printed| printed == line),
            "{line} in\n{printed}"
        );
    }
    assert!(
        !printed.contains("CARGO"),
        "the caller's own is not passed on:\n{printed}"
    );
}

#[test]
fn it_runs_in_the_scratch_directory_without_a_terminal() {
    let (folder, applier) = script("pwd; cat; test -t 1 || echo no terminal; exit 1");
    let error = applier.apply().unwrap_err();
    let expected = format!(
        "{}\nno terminal",
        fs::canonicalize(folder.path()).unwrap().display()
    );
    assert_eq!(error.output(), Some(expected.as_str()));
}

#[test]
fn apply_must_end_with_0_and_its_output_is_shown() {
    let (_folder, applier) = script("test \"$1\" = apply");
    applier.apply().unwrap();
    let (_folder, applier) = script("echo RTNETLINK answers: File exists >&2; exit 2");
    let error = applier.apply().unwrap_err();
    assert_eq!(error.to_string(), "`mine apply` ended with 2");
    assert_eq!(error.output(), Some("RTNETLINK answers: File exists"));
}

#[test]
fn sixty_four_says_that_there_is_none_but_not_for_apply() {
    let (_folder, applier) = script("exit 64");
    assert!(!applier.down().unwrap());
    assert_eq!(applier.claims().unwrap(), Claims::default());
    assert_eq!(
        applier.apply().unwrap_err().to_string(),
        "`mine apply` ended with 64"
    );
}

#[test]
fn features_are_the_contract_s_words() {
    let (_folder, applier) = script("echo targets shared-card; echo inbound");
    let claimed = [Feature::Targets, Feature::SharedCard, Feature::Inbound];
    assert_eq!(applier.claims().unwrap().features, claimed);
    let (_folder, applier) = script("echo targets telepathy pin");
    let claims = applier.claims().unwrap();
    assert_eq!(claims.features, [Feature::Targets, Feature::Pin]);
    assert_eq!(claims.unknown, ["telepathy"]);
    let (_folder, applier) = script("echo pin; echo reload of modules >&2");
    let claims = applier.claims().unwrap();
    assert_eq!(claims.features, [Feature::Pin]);
    assert!(claims.unknown.is_empty());
}

#[test]
fn a_daemon_that_apply_leaves_behind_does_not_hold_it_up() {
    let (_folder, applier) = script("sleep 3 & exit 0");
    let since = std::time::Instant::now();
    applier.apply().unwrap();
    assert!(since.elapsed() < Duration::from_secs(2));
}
