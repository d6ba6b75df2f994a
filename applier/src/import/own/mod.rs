//! What multiwan's own rules and table of nftables tell: all that the kernel was given.

mod address;
mod behind;
mod line;
mod settings;

use std::net::Ipv4Addr;

use multiwan_kernel::nft::{self, Mark, Statement, Test};

use super::findings::{Findings, Found};
use super::router::Router;
use super::way::{is_general, table, ways};
use crate::config::Kernel;
use crate::desired::{RESTORES, TELL_TCP};
use crate::state::{Hop, Route, Rule, TABLE_MAIN, Target};

/// What its rules and this table tell; none where there are no such rules.
pub(super) fn findings(router: &Router, firewall: &nft::Table) -> Option<Findings> {
    let kernel = numbers(router)?;
    let own = Own {
        router,
        firewall,
        kernel,
    };
    let mut findings = Findings {
        spread: own.spread(),
        established: own.established(),
        lans: own.lans(),
        keepalive: own.keepalive(),
        pins: own.pins(),
        ..Findings::default()
    };
    let mut numbers = Vec::new();
    for number in own.lines() {
        match own.line(number) {
            Some(line) => {
                findings.lines.push(line);
                numbers.push(number);
            }
            None => findings.doubts.push(own.dead(number)),
        }
    }
    if !findings.doubts.is_empty() {
        let doubt = "while a line is dead, it cannot be told for sure what the others' weights are, nor \
                     whether they are backups";
        findings.doubts.push(doubt.to_owned());
    }
    // All of them or none: what is not written gets the lowest that is free.
    if !numbers.iter().copied().eq((1..).take(numbers.len())) {
        for (line, number) in findings.lines.iter_mut().zip(numbers) {
            line.number = Some(Found::new(number, own.place(number)));
        }
    }
    let names: Vec<&String> = findings.lines.iter().map(|line| &line.name).collect();
    let pins = findings.pins.len();
    findings.pins.retain(|pin| names.contains(&&pin.line.value));
    if findings.pins.len() < pins {
        let doubt = "what is pinned to a line that is left out is left out too";
        findings.doubts.push(doubt.to_owned());
    }
    findings.doubts.extend(own.no_lines());
    findings.doubts.extend(own.unrouted(&findings.lans));
    findings.doubts.extend(own.untold());
    findings.kernel = Some(own.kernel);
    Some(findings)
}

/// multiwan's state.
struct Own<'a> {
    router: &'a Router,
    firewall: &'a nft::Table,
    kernel: Kernel,
}

/// By its rules: main's first, a mark of each line, and one for all that is left.
fn numbers(router: &Router) -> Option<Kernel> {
    let rules = || router.state.rules.iter().filter(|rule| rule.is_ours());
    let main = rules().find(|rule| rule.table == TABLE_MAIN && rule.to.is_none())?;
    let (line, mark) = rules().find_map(|rule| Some((rule, rule.mark?)))?;
    let balance = rules().rfind(|rule| is_general(rule) && rule.table != TABLE_MAIN)?;
    let number = u32::from(number(mark)?);
    Some(Kernel {
        main_priority: main.priority,
        first_table: line.table.checked_sub(number - 1)?,
        balance_table: balance.table,
        mark_mask: mark.mask(),
    })
}

/// The line's that has this mark.
fn number(mark: Mark) -> Option<u8> {
    let number = mark.value().checked_shr(mark.mask().trailing_zeros())?;
    u8::try_from(number).ok().filter(|number| *number > 0)
}

impl Own<'_> {
    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.router.state.rules.iter().filter(|rule| rule.is_ours())
    }

    fn rules_in(&self, chain: &str) -> &[nft::Rule] {
        self.firewall
            .chain(chain)
            .map_or(&[], |chain| chain.rules.as_slice())
    }

    /// The lines' numbers in the order of the configuration, which their marks are restored in.
    fn lines(&self) -> Vec<u8> {
        let restored = self.rules_in(RESTORES).iter().filter_map(|rule| {
            let [Statement::ConntrackMark(Test::Is, mark), _] = rule.statements.as_slice() else {
                return None;
            };
            number(*mark)
        });
        let mut lines: Vec<u8> = restored.collect();
        let by_rules = self.rules().filter_map(|rule| number(rule.mark?));
        for number in by_rules {
            if !lines.contains(&number) {
                lines.push(number);
            }
        }
        lines
    }

    fn place(&self, number: u8) -> String {
        format!("mark and {}", table(self.kernel.table(number)))
    }

    fn name(&self, number: u8) -> String {
        let names = &self.router.remembered.names;
        names
            .get(&number)
            .cloned()
            .unwrap_or_else(|| format!("line{number}"))
    }

    fn dead(&self, number: u8) -> String {
        format!(
            "line {} ({}) is left out: it has no route or no address now, so that it cannot be told \
             where it leads; import again when it is up",
            self.name(number),
            table(self.kernel.table(number))
        )
    }

    /// Where default routes lead beside its lines, that it did not put there.
    fn no_lines(&self) -> Vec<String> {
        let (ways, tunnels) = ways(self.router);
        let others = ways.iter().filter(|way| !self.is_a_line_s(&way.interface));
        let told = others.map(|way| {
            format!(
                "{} by {} is no line of multiwan's, and is not described",
                way.places(),
                way.interface
            )
        });
        told.chain(tunnels).collect()
    }

    /// What is described and leaves no trace in a kernel.
    fn untold(&self) -> Vec<String> {
        let mut untold = vec![
            "release_after, and the keepalive's interval, successes and targets, are not in the \
             kernel: the interval is taken to be the timeout"
                .to_owned(),
        ];
        if self.firewall.chain(TELL_TCP).is_some() {
            untold.push(
                "established may be \"release\" as well as \"reset\": the kernel holds the same for \
                 both"
                    .to_owned(),
            );
        }
        if self.router.remembered.names.is_empty() {
            untold.push("the lines' names are not in the kernel: they are numbered".to_owned());
        }
        untold
    }
}

/// Where a route leads, if it does, and the source that it suggests.
fn way(route: &Route) -> Option<(&Hop, Option<Ipv4Addr>)> {
    match &route.target {
        Target::Hops { hops, source } => Some((hops.first()?, *source)),
        _ => None,
    }
}
