//! What cannot work is refused with one clear error, the exit status of the contract, and nothing
//! changed: in a sandbox whose router has the cards that the configuration names, so that nothing
//! but the fault itself is in the way.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use multiwan_conformance::configuration::TWO_LINES;
use multiwan_lab::sandbox::{self, Mode, Sandbox};
use multiwan_lab::{Lab, Topology};
use nix::mount::{MsFlags, mount};

/// The suite, which is the applier too by its other name.
const BINARY: &str = env!("CARGO_BIN_EXE_multiwan-conformance");

/// With this set to `limited`, what cannot be tested here is no failure.
const LENIENCE: &str = "MULTIWAN_LAB";

/// Refused: what is written, what is put in its place, and what the error must say.
fn is_refused(written: &str, instead: &str, line: usize, told: &[&str]) {
    assert!(TWO_LINES.toml.contains(written), "{written}");
    let toml = TWO_LINES.toml.replacen(written, instead, 1);
    sandbox::test(|sandbox| {
        let _lab = router(sandbox);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wrong.toml");
        fs::write(&path, &toml).unwrap();
        let place = format!("{}:{line}:", path.display());
        nothing_but_an_error(&path, 2, &[&[place.as_str()], told].concat());
    });
}

#[test]
fn an_unknown_key() {
    let told = ["unknown field `gatway`", "did you mean `gateway`?"];
    is_refused("gateway   =", "gatway    =", 11, &told);
}

#[test]
fn a_gateway_outside_its_network() {
    let told = [
        "198.51.101.1 is not in the line's network 198.51.100.0/24",
        "onlink = true",
    ];
    is_refused("\"198.51.100.1\"", "\"198.51.101.1\"", 11, &told);
}

#[test]
fn a_weight_of_0() {
    let instead = "weight = 0\ngateway   =";
    is_refused("gateway   =", instead, 11, &["weight 0", "1 or more"]);
}

#[test]
fn the_same_gateway_twice_on_one_card() {
    let second = "\"eth2\"                # IFE2\naddress   = \"203.0.113.2/24\"      # IPE2/NME2\n\
                  gateway   = \"203.0.113.1\"";
    let instead = "\"eth1\"\naddress   = \"198.51.100.3/24\"\ngateway   = \"198.51.100.1\"";
    let told = ["dsl1 has the same gateway on eth1", "different ones"];
    is_refused(second, instead, 17, &told);
}

#[test]
fn a_missing_file() {
    sandbox::test(|sandbox| {
        let _lab = router(sandbox);
        let told = ["/no/such.toml: No such file or directory"];
        nothing_but_an_error(Path::new("/no/such.toml"), 2, &told);
    });
}

/// The control: what is compared does show it when `apply` changes something.
#[test]
fn what_is_right_is_not_refused_and_is_seen() {
    sandbox::test(|sandbox| {
        let _lab = router(sandbox);
        let folder = tempfile::tempdir().unwrap();
        let path = right(&folder);
        let before = state();
        let output = apply(&path);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let after = state();
        for what in before.keys().filter(|what| !what.starts_with("/proc")) {
            assert_ne!(before[what], after[what], "{what}");
        }
        let forward = "/proc/sys/net/ipv4/ip_forward";
        assert_ne!(before[forward], after[forward]);
    });
}

#[test]
fn settings_that_cannot_be_changed_and_must_be() {
    sandbox::test(|sandbox| {
        if !settings_can_be_written(sandbox) {
            return;
        }
        let _lab = router(sandbox);
        let folder = tempfile::tempdir().unwrap();
        fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        make_settings_read_only();
        nothing_but_an_error(
            &right(&folder),
            3,
            &["Read-only file system", "make /proc/sys writable"],
        );
    });
}

#[test]
fn settings_that_cannot_be_changed_and_need_not_be() {
    sandbox::test(|sandbox| {
        if !settings_can_be_written(sandbox) {
            return;
        }
        let _lab = router(sandbox);
        let folder = tempfile::tempdir().unwrap();
        for (key, value) in [
            ("ip_forward", "1"),
            ("fib_multipath_use_neigh", "1"),
            ("fib_multipath_hash_policy", "0"),
        ] {
            fs::write(format!("/proc/sys/net/ipv4/{key}"), value).unwrap();
        }
        make_settings_read_only();
        let output = apply(&right(&folder));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(state()["ip rule"].contains("222:"));
    });
}

#[test]
fn a_machine_that_allows_no_user_namespaces() {
    sandbox::test(|_| {
        // The limit is one of the sandbox's own user namespace, if it has one.
        let own = fs::read_to_string("/proc/self/uid_map").unwrap();
        if own.split_whitespace().nth(2) == Some("4294967295") {
            eprintln!("skipped: there is no user namespace here whose limit could be 0");
            return;
        }
        fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
        // Root would do without one.
        let output = Command::new("setpriv")
            .args(["--bounding-set=-all", "--inh-caps=-all", BINARY, "run"])
            .output()
            .expect("setpriv, of util-linux");
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.contains("raise user.max_user_namespaces (0)"),
            "{told}"
        );
        assert_eq!(told.trim().lines().count(), 1, "{told}");
        assert!(output.stdout.is_empty());
    });
}

/// `apply` ends with this status and one line that says all of this, and nothing is changed.
fn nothing_but_an_error(path: &Path, status: i32, told: &[&str]) {
    let before = state();
    let output = apply(path);
    assert_eq!(output.status.code(), Some(status), "{}", said(&output));
    let after = state();
    for (what, value) in before {
        assert_eq!(after.get(&what), Some(&value), "{what} has changed");
    }
    let error = String::from_utf8(output.stderr).unwrap();
    for part in told {
        assert!(error.contains(part), "{part} is not in\n{error}");
    }
    assert_eq!(error.trim().lines().count(), 1, "{error}");
    assert!(output.stdout.is_empty());
}

fn apply(path: &Path) -> Output {
    Command::new(BINARY)
        .arg0("multiwan")
        .args(["apply", "-c"])
        .arg(path)
        .output()
        .expect("the binary starts")
}

fn said(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The router of the how-to, before anything is applied.
fn router(sandbox: &Sandbox) -> Lab {
    let topology = Topology::new("eth0", "192.0.2.1/24".parse().unwrap())
        .line(
            "eth1",
            "198.51.100.2/24".parse().unwrap(),
            Ipv4Addr::new(198, 51, 100, 1),
        )
        .line(
            "eth2",
            "203.0.113.2/24".parse().unwrap(),
            Ipv4Addr::new(203, 0, 113, 1),
        )
        .clients(0);
    Lab::build(sandbox, topology).unwrap_or_else(|error| panic!("{error}"))
}

fn right(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let path = folder.path().join("right.toml");
    fs::write(&path, TWO_LINES.toml).unwrap();
    path
}

/// All that `apply` could change: what `ip` and `nft` list, and the settings of IPv4.
fn state() -> BTreeMap<String, String> {
    const LISTS: [&[&str]; 4] = [
        &["ip", "rule"],
        &["ip", "route", "show", "table", "all"],
        &["ip", "address"],
        &["nft", "list", "ruleset"],
    ];
    let mut state = BTreeMap::new();
    for list in LISTS {
        let output = Command::new(list[0])
            .args(&list[1..])
            .env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}; apt install iproute2 nftables", list[0]));
        assert!(output.status.success(), "{}", said(&output));
        state.insert(list.join(" "), said(&output));
    }
    settings(Path::new("/proc/sys/net/ipv4"), &mut state);
    state
}

fn settings(folder: &Path, state: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            settings(&path, state);
        } else if let Ok(value) = fs::read_to_string(&path) {
            state.insert(path.display().to_string(), value);
        }
    }
}

fn settings_can_be_written(sandbox: &Sandbox) -> bool {
    let writable = sandbox.mode() == Mode::Full;
    let lenient = std::env::var_os(LENIENCE).is_some_and(|lenience| lenience == "limited");
    assert!(
        writable || lenient,
        "/proc/sys is read-only here; set {LENIENCE}=limited to do without this test"
    );
    writable
}

fn make_settings_read_only() {
    let nothing = None::<&str>;
    let bind = MsFlags::MS_BIND;
    mount(Some("/proc/sys"), "/proc/sys", nothing, bind, nothing).unwrap();
    let read_only = bind | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(nothing, "/proc/sys", nothing, read_only, nothing).unwrap();
}
