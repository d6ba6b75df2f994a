//! The clauses that tell most mistakes apart in little time.

/// One or more of each area, the cheapest that are about its main promise.
///
/// What is judged by these alone is judged within seconds: each broken applier of the suite's own,
/// beside the clauses that are about its mistake.
pub const CORE: &[&str] = &[
    "setup.layout",
    "setup.route-get",
    "setup.reachable",
    "spread.even",
    "spread.weighted",
    "spread.single-pair",
    "sticky.every-packet",
    "sticky.across-line-loss",
    "sticky.related",
    "dead.carrier",
    "dead.admin-down",
    "dead.silent",
    "dead.upstream",
    "dead.all-lines",
    "dead.prohibit",
    "recover.keepalive",
    "local.bound",
    "inbound.router",
    "inbound.forwarded",
    "nat.no-foreign-source",
    "safety.spoofed-source",
    "safety.lan-stays",
];

/// Whether the clause of this identifier is one of them.
#[must_use]
pub fn is_core(id: &str) -> bool {
    CORE.contains(&id)
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    #[test]
    fn they_are_clauses() {
        for id in CORE {
            assert!(find(id).is_some(), "{id} is no clause");
        }
    }
}
