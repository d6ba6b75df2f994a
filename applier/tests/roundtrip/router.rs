//! A router in a network namespace of its own, with cards, and whatever its administrator and its
//! DHCP clients have put there.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use multiwan::config::Config;
use multiwan::difference::Changes;
use multiwan::down;
use multiwan::error::Error;
use multiwan::import::{Imported, import};
use multiwan::kernel::Kernel;
use multiwan::reconcile::{self, AbsentLan};
use multiwan::record::Record;
use multiwan::verdicts::Verdicts;
use multiwan_lab::Netns;
use proptest::prelude::*;

use crate::described::{CARDS, LAN_CARDS, Line, POINT_TO_POINT};

/// What is there before anything is applied.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    /// Whether each card is up.
    up: Vec<bool>,
    /// Whether somebody has an address of his own on each card, from an earlier set-up.
    addressed: Vec<bool>,
    forwarding: bool,
    /// Whether a default route, a rule and a table of nftables of somebody else's are there.
    others: bool,
}

/// Whatever can be there before.
pub(crate) fn before() -> impl Strategy<Value = Before> {
    let cards = cards().count();
    let each = || prop::collection::vec(any::<bool>(), cards);
    (each(), each(), any::<bool>(), any::<bool>()).prop_map(
        |(up, addressed, forwarding, others)| Before {
            up,
            addressed,
            forwarding,
            others,
        },
    )
}

fn cards() -> impl Iterator<Item = &'static str> {
    CARDS.into_iter().chain(POINT_TO_POINT).chain(LAN_CARDS)
}

/// Runs `inside` in a router of its own, that there was nothing in but this.
pub(crate) fn within<T>(before: &Before, inside: impl FnOnce() -> T) -> T {
    with(&before.lines(), inside)
}

/// Runs `inside` in a router of its own, that there was nothing in but what these lines make, as `ip
/// -batch` reads them.
pub(crate) fn with<T>(lines: &[String], inside: impl FnOnce() -> T) -> T {
    let made = Netns::create(|| {
        fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1")?;
        fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?;
        ip(&lines.join("\n"))
    });
    let (router, ()) = made.expect("a router");
    let result = router.enter(|| {
        // That of a namespace before, which had the same number.
        Record::open()
            .expect("a folder to remember in")
            .forget()
            .expect("no record");
        inside()
    });
    result.expect("a namespace that can be entered")
}

impl Before {
    /// As `ip -batch` reads it.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec!["link set lo up".to_owned()];
        for (number, card) in cards().enumerate() {
            let far = format!("far-{card}");
            lines.push(format!("link add {card} type veth peer name {far}"));
            lines.push(format!("link set {far} up"));
            if POINT_TO_POINT.contains(&card) {
                lines.push(format!("link set {card} arp off"));
            }
            if self.up[number] {
                lines.push(format!("link set {card} up"));
            }
            if self.addressed[number] {
                lines.push(format!("address add 10.0.{number}.99/24 brd + dev {card}"));
                lines.push(format!("address add 10.0.{number}.98/24 brd + dev {card}"));
            }
        }
        if self.others {
            lines.push("rule add prio 40 to 10.99.0.0/16 table 99".to_owned());
            lines.push("rule add prio 31000 table 99".to_owned());
            lines.push("link set lan2 up".to_owned());
            lines.push("address add 10.98.0.1/24 dev lan2".to_owned());
            lines.push("route add default via 10.98.0.2 dev lan2 metric 900".to_owned());
            lines.push("route add default via 10.98.0.3 dev lan2 table 99".to_owned());
        }
        lines
    }

    /// Whether this is how a router is that somebody has set up already.
    pub(crate) fn is_plain(&self) -> bool {
        self.forwarding
    }

    /// What `ip` does not set.
    pub(crate) fn settings(&self) -> io::Result<()> {
        let forwarding = if self.forwarding { "1" } else { "0" };
        fs::write("/proc/sys/net/ipv4/ip_forward", forwarding)
    }
}

/// Sets the cards of these lines up that are dynamic, as their clients do.
pub(crate) fn raise<'a>(lines: impl IntoIterator<Item = &'a Line>) {
    let dynamic = lines.into_iter().filter(|line| line.dynamic);
    let raised: Vec<_> = dynamic
        .map(|line| format!("link set {} up", line.card))
        .collect();
    ip(&raised.join("\n")).unwrap_or_else(|why| panic!("{why}"));
}

/// What the clients of the dynamic lines put on their cards now, and nothing of what they put there
/// before.
pub(crate) fn lease(old: &[Line], new: &[Line]) {
    let leased = |line: &&Line| line.dynamic;
    let mut lines = Vec::new();
    for line in old.iter().filter(leased) {
        lines.push(format!(
            "address replace {0} dev {1}\naddress del {0} dev {1}",
            line.network, line.card
        ));
    }
    // A card is a dynamic line's alone.
    for (metric, line) in (1000..).zip(new.iter().filter(leased)) {
        lines.push(format!(
            "address replace {} brd + dev {}",
            line.network, line.card
        ));
        if let (true, Some(gateway)) = (line.found, line.gateway) {
            lines.push(format!(
                "route add default via {gateway} dev {} proto dhcp src {} metric {metric}",
                line.card,
                line.network.addr()
            ));
        }
    }
    ip(&lines.join("\n")).unwrap_or_else(|why| panic!("{why}"));
}

/// Makes what the clients have put there theirs for a while, as DHCP's is.
pub(crate) fn for_a_while(lines: &[Line]) {
    let leased = lines.iter().filter(|line| line.dynamic).map(|line| {
        format!(
            "address replace {} brd + dev {} valid_lft 7200 preferred_lft 7200",
            line.network, line.card
        )
    });
    let lines: Vec<_> = leased.collect();
    ip(&lines.join("\n")).unwrap_or_else(|why| panic!("{why}"));
}

fn ip(lines: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .expect("its input")
        .write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{told}{lines}")))
}

/// `apply` of the text; what was done.
pub(crate) fn apply(text: &str) -> Result<Changes, Error> {
    let config = parse(text)?;
    with_kernel(async |kernel| {
        let verdicts = Verdicts::default();
        let lans = AbsentLan::Refused;
        let done = reconcile::reconcile_and_read_back(kernel, &config, &verdicts, lans).await?;
        Ok(done.changes)
    })
}

/// `plan` of the text: what `apply` would do.
pub(crate) fn plan(text: &str) -> Result<Changes, Error> {
    let config = parse(text)?;
    with_kernel(async |kernel| {
        let verdicts = Verdicts::default();
        let planned = reconcile::plan(kernel, &config, &verdicts, AbsentLan::Refused).await?;
        Ok(planned.changes)
    })
}

/// `down`.
pub(crate) fn down() -> Result<Changes, Error> {
    with_kernel(async |kernel| Ok(down::down(kernel, None).await?.changes))
}

/// What `import` makes of what is there.
pub(crate) fn imported() -> Result<Imported, Error> {
    with_kernel(async |kernel| Ok(import(&kernel.router().await?, "imported.toml")?))
}

pub(crate) fn parse(text: &str) -> Result<Config, Error> {
    let numbers = Record::open().map(|record| record.content().numbers.clone());
    Ok(Config::parse_numbered(
        text,
        "lines.toml",
        &numbers.unwrap_or_default(),
    )?)
}

fn with_kernel<T>(work: impl AsyncFnOnce(&mut Kernel) -> Result<T, Error>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .expect("a runtime")
        .block_on(async { work(&mut Kernel::open()?).await })
}
