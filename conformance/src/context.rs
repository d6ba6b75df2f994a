//! What a clause's function is given.

use std::path::PathBuf;
use std::time::Duration;

use multiwan::config::{Config, Keepalive, Line};
use multiwan_lab::sandbox::Sandbox;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::applier::Applier;
use crate::events::Events;
use crate::evidence::Evidence;
use crate::judge;
use crate::scene::Pins;

/// All that a clause needs beside the lab, which it builds itself. The process is already in a
/// sandbox whose network namespace is the router.
#[derive(Debug)]
pub struct Context {
    /// The proof of it, which the lab asks for.
    pub sandbox: Sandbox,
    /// The described configuration.
    pub config: Config,
    /// What becomes of its pins in the lab.
    pub pins: Pins,
    /// Where it lies as a file.
    pub config_path: PathBuf,
    /// The thing under test.
    pub applier: Applier,
    /// This clause's own random numbers: the same for the same seed, clause and configuration,
    /// whatever else runs.
    pub rng: ChaCha8Rng,
    /// The level of each statistical test.
    pub level: f64,
    /// How long to wait for what.
    pub deadlines: Deadlines,
    /// What happens, for the progress and the report.
    pub events: Events,
    /// What is left behind for the report.
    pub evidence: Evidence,
}

impl Context {
    /// The described lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.config.lines
    }

    /// How many distinct client–server pairs a statement about shares takes.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        judge::pairs_for(&self.config.lines, self.level)
    }
}

/// How long the suite waits before it says that something did not happen. A deadline only ends
/// a wait for an event, so a generous one costs nothing where the promise holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For a line's death or return to be honoured: [`Deadlines::reaction`] + 2 s, as the contract
    /// has it.
    pub honoured: Duration,
    /// For who watches lines to have seen, and done something about, what the kernel alone has
    /// done within milliseconds: (FAILURES + 3) × KEEPALIVE_MS, the contract's time but for its two
    /// seconds; longer by as much as more than one success, and a timeout beyond the interval, ask for.
    pub reaction: Duration,
    /// For packets already sent to arrive: stalls of a second are usual on virtual machines.
    pub drain: Duration,
}

impl Deadlines {
    /// Those that follow from how lines are probed.
    #[must_use]
    pub fn of(keepalive: &Keepalive) -> Self {
        let Keepalive {
            interval,
            timeout,
            failures,
            successes,
            ..
        } = *keepalive;
        let successes = interval.saturating_mul(successes.saturating_sub(1));
        let answers = timeout.saturating_sub(interval);
        let reaction = interval * (failures + 3) + successes + answers;
        Deadlines {
            honoured: reaction + Duration::from_secs(2),
            reaction,
            drain: Duration::from_secs(5),
        }
    }
}

/// The random numbers of one clause with one configuration, by its text, in the run of this seed: a
/// stream of its own, so that it repeats alone, wherever the file is.
#[must_use]
pub fn rng(seed: u64, clause: &str, toml: &str) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(fnv1a(&[clause, "\0", toml]));
    rng
}

/// The 64-bit FNV-1a hash, which unlike the standard library's is the same for ever.
fn fnv1a(parts: &[&str]) -> u64 {
    parts
        .iter()
        .flat_map(|part| part.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;

    #[test]
    fn each_clause_has_its_own_numbers_and_the_same_again() {
        let first = |seed, clause, config| rng(seed, clause, config).next_u64();
        let one = first(1, "spread.even", "two-lines");
        assert_eq!(one, first(1, "spread.even", "two-lines"));
        assert_ne!(one, first(2, "spread.even", "two-lines"));
        assert_ne!(one, first(1, "spread.weighted", "two-lines"));
        assert_ne!(one, first(1, "spread.even", "four-to-one"));
    }

    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(&[]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(&["foo", "bar"]), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_death_is_honoured_as_the_contract_says() {
        let mut keepalive = Keepalive {
            interval: Duration::from_millis(200),
            timeout: Duration::from_millis(200),
            failures: 2,
            successes: 1,
            targets: Vec::new(),
        };
        assert_eq!(Deadlines::of(&keepalive).honoured, Duration::from_secs(3));
        keepalive.successes = 6;
        keepalive.timeout = Duration::from_millis(700);
        let honoured = Duration::from_millis(3000 + 5 * 200 + 500);
        assert_eq!(Deadlines::of(&keepalive).honoured, honoured);
    }
}
