//! The command itself: where its words go, and what it ends with.

use std::fs;
use std::process::{Command, Output};

use crate::router::{applied_by, fixture, shell, with_cards};

const CARDS: [&str; 3] = ["eth0", "eth1", "eth2"];

fn multiwan(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_multiwan"))
        .args(arguments)
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn writes_a_file_once_that_plan_takes() {
    with_cards(&CARDS, || {
        applied_by("verbatim/how-to-2001.sh", &fixture("two-lines.toml"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lines.toml");
        let file = file.to_str().unwrap();
        let first = multiwan(&["import", "-o", file]);
        assert!(first.status.success(), "{}", told(&first));
        assert!(first.stdout.is_empty() && first.stderr.is_empty());
        let plan = multiwan(&["plan", "-c", file]);
        assert!(plan.status.success(), "{}", told(&plan));

        let written = fs::read_to_string(file).unwrap();
        let printed = multiwan(&["import"]);
        assert_eq!(String::from_utf8(printed.stdout).unwrap(), written);

        fs::write(file, "precious").unwrap();
        let again = multiwan(&["import", "-o", file]);
        assert_eq!(again.status.code(), Some(2));
        assert!(
            told(&again).contains("is there already"),
            "{}",
            told(&again)
        );
        assert_eq!(fs::read_to_string(file).unwrap(), "precious");
    });
}

#[test]
fn nothing_to_describe_is_wrong_usage() {
    with_cards(&CARDS, || {
        shell("ip address add 192.0.2.1/24 dev eth0");
        let output = multiwan(&["import"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert!(
            told(&output).contains("no default route in any table"),
            "{}",
            told(&output)
        );
    });
}

/// Each doubt is one line, and stands in the file too; a file that is refused is written all the same.
#[test]
fn what_cannot_be_described_is_printed_and_refused() {
    with_cards(&CARDS, || {
        shell(
            "ip address add 192.168.1.2/24 dev eth1
             ip address add 192.168.1.2/24 dev eth2
             ip address add 192.168.1.3/24 dev eth2
             ip route add default nexthop via 192.168.1.1 dev eth1 nexthop via 192.168.1.1 dev eth2",
        );
        let output = multiwan(&["import"]);
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(text.contains("[[line]]"), "{text}");
        let told = told(&output);
        assert!(told.contains("every line needs its own"), "{told}");
        let doubt = "nothing tells which of the addresses of eth2 is the line's";
        assert!(told.contains(doubt) && text.contains(doubt), "{told}{text}");
    });
}

/// Without CAP_NET_ADMIN there is no nftables to be seen: that is said, and the rest is done.
#[test]
fn needs_no_privilege_for_the_rest() {
    with_cards(&CARDS, || {
        applied_by("verbatim/how-to-2001.sh", &fixture("two-lines.toml"));
        let binary = env!("CARGO_BIN_EXE_multiwan");
        let output = Command::new("setpriv")
            .args([
                "--bounding-set=-net_admin",
                "--inh-caps=-net_admin",
                binary,
                "import",
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", told(&output));
        assert!(told(&output).contains("CAP_NET_ADMIN"), "{}", told(&output));
    });
}
