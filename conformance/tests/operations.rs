//! What an operator sees of a router, and with how little privilege it can be run: real ones, in
//! sandboxes.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use multiwan_conformance::configuration::TWO_LINES;
use multiwan_lab::sandbox::{self, Sandbox};
use multiwan_lab::traffic::{Options, Protocol};
use multiwan_lab::{Fault, Lab, Topology};
use serde_json::Value;

/// The suite, which is the applier too by its other name.
const BINARY: &str = env!("CARGO_BIN_EXE_multiwan-conformance");
/// A service manager would wait longer; what is waited for takes milliseconds.
const READY_WITHIN: Duration = Duration::from_secs(20);
const CLIENTS: u16 = 17;

#[test]
fn each_new_connection_is_counted_once_on_its_line() {
    const CONNECTIONS: u16 = 200;
    sandbox::test(|sandbox| {
        let (lab, router) = router(sandbox);
        router.done(&["apply"], 0);
        let before = router.json("status");
        assert_eq!(before["lines"][0]["share"]["seen"], Value::Null);
        assert_eq!(before["lines"][0]["share"]["expected"], 0.5);

        let mut traffic = lab.traffic(Options::default()).unwrap();
        let flows: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let server = Ipv4Addr::new(198, 18, 1, number as u8);
                traffic.begin((number % CLIENTS).into(), server, Protocol::Tcp)
            })
            .collect();
        traffic.finish().unwrap();
        let on = |line| {
            let of = |flow: &&_| traffic.ledger().line(**flow) == Some(line);
            flows.iter().filter(of).count()
        };

        let after = router.json("status");
        for line in [0, 1] {
            let share = &after["lines"][line]["share"];
            assert_eq!(share["new_connections"], on(line), "{after:#}");
        }
        assert_eq!(on(0) + on(1), usize::from(CONNECTIONS));
        let metrics = router.done(&["status", "--metrics"], 0);
        let counted = format!(
            "multiwan_line_new_connections_total{{line=\"dsl1\"}} {}\n",
            on(0)
        );
        assert!(metrics.contains(&counted), "{metrics}");
    });
}

#[test]
fn what_has_drifted_is_shown_and_is_status_4() {
    sandbox::test(|sandbox| {
        let (_lab, router) = router(sandbox);
        let bare = router.done(&["status"], 4);
        assert!(
            bare.contains("drift: `multiwan apply` would make"),
            "{bare}"
        );
        router.done(&["apply"], 0);
        let applied = router.done(&["status"], 0);
        assert!(applied.contains("drift: none"), "{applied}");
        assert!(applied.contains("keepalive: none runs here"), "{applied}");
        let ip = Command::new("ip")
            .args(["rule", "del", "prio", "222"])
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .status();
        assert!(ip.unwrap().success());
        let drifted = router.done(&["status"], 4);
        assert!(
            drifted.contains("would make 1 change:\n  ip rule add prio 222 table 222"),
            "{drifted}"
        );
    });
}

#[test]
fn status_needs_no_privilege() {
    sandbox::test(|sandbox| {
        let (_lab, router) = router(sandbox);
        router.done(&["apply"], 0);
        let output = router.with_only(&[], &["status"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let text = said(&output);
        assert!(text.contains("198.51.100.2/24"), "{text}");
        assert!(text.contains("drift: not compared:"), "{text}");
        assert!(text.contains("Operation not permitted"), "{text}");
        assert!(!text.contains("drift: none"), "{text}");
        let json = router.with_only(&[], &["status", "--json"]);
        let output = { json }.output().unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(status["drift"]["drifted"], Value::Null, "{status:#}");
    });
}

#[test]
fn check_finds_nothing_missing_and_changes_nothing() {
    sandbox::test(|sandbox| {
        let (_lab, router) = router(sandbox);
        let before = everything();
        let checked = router.done(&["check"], 0);
        assert!(!checked.contains("missing "), "{checked}");
        for feature in ["CAP_NET_ADMIN", "CAP_NET_RAW", "nftables: source NAT"] {
            assert!(
                checked.contains(&format!("ok       {feature}\n")),
                "{checked}"
            );
        }
        assert_eq!(everything(), before);
    });
}

#[test]
fn check_names_what_is_missing_and_is_status_3() {
    sandbox::test(|sandbox| {
        let (_lab, router) = router(sandbox);
        for (capabilities, missing) in [
            (&[][..], &["CAP_NET_ADMIN", "CAP_NET_RAW"][..]),
            (&["net_raw"], &["CAP_NET_ADMIN"]),
            (&["net_admin"], &["CAP_NET_RAW"]),
            (&["net_admin", "net_raw"], &[]),
        ] {
            let output = router
                .with_only(capabilities, &["check", "--json"])
                .output()
                .unwrap();
            let status = if missing.is_empty() { 0 } else { 3 };
            assert_eq!(output.status.code(), Some(status), "{}", said(&output));
            let object: Value = serde_json::from_slice(&output.stdout).unwrap();
            let mut found: BTreeSet<&str> = object["findings"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|finding| finding["level"] == "missing")
                .map(|finding| finding["what"].as_str().unwrap())
                .collect();
            // Without CAP_NET_ADMIN only the machine's own root may write there (`test_perm` in
            // fs/proc/proc_sysctl.c), not a user who is root in here alone.
            if !capabilities.contains(&"net_admin") {
                found.remove("/proc/sys/net");
            }
            let expected = missing.iter().copied().collect::<BTreeSet<_>>();
            assert_eq!(found, expected, "with {capabilities:?}");
        }
    });
}

/// What a keepalive could not go on without is found out before anything is changed.
#[test]
fn a_permission_that_is_missing_is_status_3_and_changes_nothing() {
    sandbox::test(|sandbox| {
        let (_lab, router) = router(sandbox);
        let before = everything();
        for (capability, missing) in [("net_admin", "CAP_NET_RAW"), ("net_raw", "CAP_NET_ADMIN")] {
            for command in ["run", "keepalive"] {
                let output = router
                    .with_only(&[capability], &[command])
                    .output()
                    .unwrap();
                let said = said(&output);
                assert_eq!(output.status.code(), Some(3), "{command}: {said}");
                assert!(said.contains(missing), "{command}: {said}");
                assert_eq!(everything(), before, "{command} with {capability} alone");
            }
        }
    });
}

/// As the unit for systemd has it: no other capability, readiness told, and the verdicts, the
/// counts and the metrics left for others.
#[test]
fn two_capabilities_are_enough_to_run() {
    sandbox::test(|sandbox| {
        let (_lab, router) = router(sandbox);
        let folder = tempfile::tempdir().unwrap();
        let manager = folder.path().join("notify");
        let socket = UnixDatagram::bind(&manager).unwrap();
        socket.set_read_timeout(Some(READY_WITHIN)).unwrap();
        let metrics = folder.path().join("multiwan.prom");
        let daemon = router
            .with_only(
                &["net_admin", "net_raw"],
                &["run", "--log-format", "json", "--metrics"],
            )
            .arg(&metrics)
            .env("NOTIFY_SOCKET", &manager)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut daemon = Daemon(daemon);
        if let Err(told) = ready(&socket) {
            panic!("not ready: {told}\n{}", daemon.end());
        }

        let status = router.json("status");
        assert_eq!(status["keepalive"]["pid"], daemon.0.id(), "{status:#}");
        assert_eq!(status["drift"]["drifted"], false, "{status:#}");
        assert_eq!(status["lines"][0]["state"], "up", "{status:#}");
        let left = fs::read_to_string(&metrics).unwrap();
        assert!(
            left.contains("multiwan_line_state{line=\"dsl2\",state=\"up\"} 1\n"),
            "{left}"
        );
        assert!(left.contains("multiwan_keepalive_running 1\n"), "{left}");

        let log = daemon.end();
        let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        assert_eq!(first["message"], "watching", "{log}");
        assert_eq!(first["lines"], 2, "{log}");
    });
}

/// systemd is not here, but its end of the journal's socket is, and what it would be told.
#[test]
fn changes_of_state_reach_the_journal_as_fields() {
    sandbox::test(|sandbox| {
        let (mut lab, router) = router(sandbox);
        let folder = tempfile::tempdir().unwrap();
        let manager = folder.path().join("notify");
        let socket = UnixDatagram::bind(&manager).unwrap();
        socket.set_read_timeout(Some(READY_WITHIN)).unwrap();
        fs::create_dir_all("/run/systemd/journal").unwrap();
        let journal = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
        journal.set_read_timeout(Some(READY_WITHIN)).unwrap();
        let stderr = fs::File::create(folder.path().join("stderr")).unwrap();
        let stream = stderr.metadata().unwrap();
        let mut command = Command::new(BINARY);
        router.command(command.arg0("multiwan"), &["run"]);
        let daemon = command
            .env(
                "JOURNAL_STREAM",
                format!("{}:{}", stream.dev(), stream.ino()),
            )
            .env("NOTIFY_SOCKET", &manager)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let _daemon = Daemon(daemon);
        ready(&socket).unwrap();
        lab.break_line(1, Fault::Carrier).unwrap();

        let mut told = Vec::new();
        let of_the_death = |told: &[u8]| {
            let text = String::from_utf8_lossy(told);
            // Each value has its length before it.
            text.contains("MULTIWAN_LINE\n") && text.contains("dsl2") && text.contains("carrier")
        };
        let mut datagram = [0; 8192];
        while !of_the_death(&told) {
            let length = journal.recv(&mut datagram).unwrap_or_else(|error| {
                panic!("{error}; {}", String::from_utf8_lossy(&told));
            });
            told = datagram[..length].to_vec();
        }
        let text = String::from_utf8_lossy(&told);
        for field in [
            "MULTIWAN_TO\n",
            "SYSLOG_IDENTIFIER\n",
            "PRIORITY\n\u{1}\0\0\0\0\0\0\u{0}4\n",
        ] {
            assert!(text.contains(field), "{field:?} is not in {text:?}");
        }
        let left = fs::read_to_string(folder.path().join("stderr")).unwrap();
        assert_eq!(left, "", "nothing is said twice");
    });
}

/// Killed at the end, so that a test that fails leaves no daemon.
struct Daemon(Child);

impl Daemon {
    /// Ends it; what it said on standard error.
    fn end(&mut self) -> String {
        let _ = self.0.kill();
        let mut log = String::new();
        let stderr = self.0.stderr.as_mut().unwrap();
        std::io::Read::read_to_string(stderr, &mut log).unwrap();
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Until the daemon says `READY=1`; what it said until then where it does not.
fn ready(socket: &UnixDatagram) -> Result<(), String> {
    let mut told = String::new();
    let mut datagram = [0; 4096];
    while !told.lines().any(|line| line == "READY=1") {
        match socket.recv(&mut datagram) {
            Ok(length) => told.push_str(&String::from_utf8_lossy(&datagram[..length])),
            Err(error) => return Err(format!("{error}; {told}")),
        }
        told.push('\n');
    }
    Ok(())
}

struct Router {
    _folder: tempfile::TempDir,
    config: PathBuf,
}

/// The router of the how-to, before anything is applied.
fn router(sandbox: &Sandbox) -> (Lab, Router) {
    let net = |text: &str| text.parse().unwrap();
    let topology = Topology::new("eth0", net("192.0.2.1/24"))
        .line("eth1", net("198.51.100.2/24"), [198, 51, 100, 1].into())
        .line("eth2", net("203.0.113.2/24"), [203, 0, 113, 1].into())
        .clients(CLIENTS.into());
    let lab = Lab::build(sandbox, topology).unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("lines.toml");
    fs::write(&config, TWO_LINES.toml).unwrap();
    let router = Router {
        _folder: folder,
        config,
    };
    (lab, router)
}

impl Router {
    /// Runs it, asserts that status, and returns what it said.
    #[track_caller]
    fn done(&self, arguments: &[&str], status: i32) -> String {
        let mut command = Command::new(BINARY);
        self.command(command.arg0("multiwan"), arguments);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        said(&output)
    }

    fn json(&self, command: &str) -> Value {
        serde_json::from_str(&self.done(&[command, "--json"], 0)).unwrap()
    }

    /// As root without any capability but these.
    fn with_only(&self, capabilities: &[&str], arguments: &[&str]) -> Command {
        let named: String = capabilities.iter().map(|c| format!(",+{c}")).collect();
        let link = self.config.with_file_name("multiwan");
        if !link.exists() {
            std::os::unix::fs::symlink(BINARY, &link).unwrap();
        }
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--bounding-set=-all{named}"))
            .args(["--inh-caps=-all", "--no-new-privs"])
            .arg(link);
        self.command(&mut command, arguments);
        command
    }

    fn command<'a>(&self, command: &'a mut Command, arguments: &[&str]) -> &'a mut Command {
        command.args(arguments).env("MULTIWAN_CONFIG", &self.config)
    }
}

fn said(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What `ip` and `nft` list, and the settings that could be written.
fn everything() -> Vec<String> {
    let lists: [&[&str]; 4] = [
        &["ip", "rule"],
        &["ip", "route", "show", "table", "all"],
        &["ip", "address"],
        &["nft", "list", "ruleset"],
    ];
    let list = |list: &&[&str]| {
        let output = Command::new(list[0])
            .args(&list[1..])
            .env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}; apt install iproute2 nftables", list[0]));
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let mut all: Vec<String> = lists.iter().map(list).collect();
    let setting = |name: &str| {
        let path = Path::new("/proc/sys/net/ipv4").join(name);
        fs::read_to_string(path).unwrap_or_default()
    };
    all.extend(
        [
            "ip_forward",
            "fib_multipath_use_neigh",
            "fib_multipath_hash_policy",
        ]
        .map(setting),
    );
    all
}
