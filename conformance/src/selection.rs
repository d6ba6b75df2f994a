//! Which clauses run with which configurations.

use glob::Pattern;

use crate::clause::Clause;
use crate::clauses;
use crate::configuration::Configuration;
use crate::judge;
use crate::scene;

/// A pattern that selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No clause is called so.
    #[error("no clause is called `{asked}`{}", meant(nearest))]
    Unknown {
        /// As it was given.
        asked: String,
        /// The clauses' names that are most like it.
        nearest: Vec<&'static str>,
    },
    /// It is no pattern.
    #[error("`{asked}` is no pattern: {reason}; try `spread.*`")]
    Pattern {
        /// As it was given.
        asked: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

fn meant(nearest: &[&str]) -> String {
    match nearest {
        [] => "; `multiwan-conformance list` shows them all".to_owned(),
        names => format!("; did you mean {}?", names.join(" or ")),
    }
}

/// The clause of this identifier.
///
/// # Errors
///
/// With the nearest names, if there is none.
pub fn one(id: &str) -> Result<&'static Clause, Error> {
    clauses::find(id).ok_or_else(|| unknown(id))
}

/// The clauses that one of the patterns matches, in their own order; all without a pattern. An
/// area's name stands for all of its clauses, and `core` for [those](clauses::CORE).
///
/// # Errors
///
/// For the first pattern that matches none.
pub fn select(patterns: &[String]) -> Result<Vec<&'static Clause>, Error> {
    let compiled = patterns
        .iter()
        .map(|asked| {
            let pattern = Pattern::new(asked).map_err(|error| Error::Pattern {
                asked: asked.clone(),
                reason: error.msg,
            })?;
            if clauses::all().any(|clause| matches(&pattern, clause)) {
                Ok(pattern)
            } else {
                Err(unknown(asked))
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    let wanted = |clause: &&Clause| {
        compiled.is_empty() || compiled.iter().any(|pattern| matches(pattern, clause))
    };
    Ok(clauses::all().filter(wanted).collect())
}

fn matches(pattern: &Pattern, clause: &Clause) -> bool {
    pattern.matches(clause.id)
        || pattern.matches(clause.area())
        || pattern.as_str() == "core" && clauses::is_core(clause.id)
}

fn unknown(asked: &str) -> Error {
    let names = clauses::all().map(|clause| clause.id);
    Error::Unknown {
        asked: asked.to_owned(),
        nearest: nearest(asked, names),
    }
}

/// At most three names that are much like what was asked for, the likest first.
fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut like: Vec<(f64, &str)> = names
        .map(|name| (strsim::jaro_winkler(asked, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .collect();
    like.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    like.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Each clause with each configuration that it runs with: the suite's own, or of the given ones
/// those that it fits; the others are [`misfits`].
#[must_use]
pub fn plan(
    clauses: &[&'static Clause],
    given: &[Configuration],
) -> Vec<(&'static Clause, Configuration)> {
    let mut plan = Vec::new();
    for &clause in clauses {
        if given.is_empty() {
            for builtin in clause.configurations {
                plan.push((clause, Configuration::builtin(builtin)));
            }
        } else {
            let fitting = given.iter().filter(|given| fit(clause, given).is_ok());
            plan.extend(fitting.map(|given| (clause, given.clone())));
        }
    }
    plan
}

/// A clause that says nothing about a configuration that was given.
#[derive(Debug, Clone)]
pub struct Misfit {
    /// The clause.
    pub clause: &'static Clause,
    /// The configuration.
    pub with: Configuration,
    /// Why, as a sentence.
    pub why: String,
}

/// Each clause with each of the given configurations that it does not fit: what [`plan`] leaves out.
#[must_use]
pub fn misfits(clauses: &[&'static Clause], given: &[Configuration]) -> Vec<Misfit> {
    let misfit = |clause: &'static Clause, with: &Configuration| {
        let why = fit(clause, with).err()?;
        let with = with.clone();
        Some(Misfit { clause, with, why })
    };
    let each = clauses.iter();
    each.flat_map(|&clause| given.iter().filter_map(move |with| misfit(clause, with)))
        .collect()
}

/// Whether the clause says anything about the configuration; if not, why, as a sentence.
fn fit(clause: &Clause, with: &Configuration) -> Result<(), String> {
    scene::can_be_built(&with.config, clause.pins())
        .map_err(|why| format!("the lab cannot be like this configuration: {why}"))?;
    (clause.fits)(&with.config)
        .map_err(|what| format!("the configuration does not fit: it needs {what}"))
}

/// The level of each statistical test in a run of this plan: shared out among its tests, and
/// never more than in a run of everything, so that a clause judges alone as it does there.
#[must_use]
pub fn level(plan: &[(&'static Clause, Configuration)]) -> f64 {
    let tests = |plan: &[(&Clause, Configuration)]| -> u32 {
        plan.iter()
            .map(|(clause, with)| clause.tests.count(with.config.lines.len()))
            .sum()
    };
    let everything = self::plan(&clauses::all().collect::<Vec<_>>(), &[]);
    judge::level(tests(plan).max(tests(&everything)))
}

#[cfg(test)]
mod tests {
    use multiwan::config::Config;

    use super::*;
    use crate::configuration::TWO_LINES;

    #[test]
    fn likest_names_come_first_and_strangers_not_at_all() {
        let names = ["spread.even", "spread.weighted", "dead.carrier"];
        assert_eq!(
            nearest("spread.evne", names.into_iter()),
            ["spread.even", "spread.weighted"]
        );
        assert!(nearest("qqq", names.into_iter()).is_empty());
    }

    #[test]
    fn patterns_areas_and_names_select() {
        let all: Vec<_> = clauses::all().map(|clause| clause.id).collect();
        let ids = |patterns: &[&str]| -> Vec<&str> {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            select(&patterns)
                .unwrap()
                .iter()
                .map(|clause| clause.id)
                .collect()
        };
        assert_eq!(ids(&[]), all);
        assert_eq!(ids(&["*"]), all);
        assert_eq!(ids(&[all[0]]), [all[0]]);
        let area = clauses::find(all[0]).unwrap().area();
        assert_eq!(ids(&[area]), ids(&[&format!("{area}.*")]));
        assert_eq!(ids(&["core"]).len(), clauses::CORE.len());
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_told() {
        let given = [Configuration::builtin(&TWO_LINES)];
        let clauses = select(&["spread".to_owned()]).unwrap();
        let planned: Vec<_> = plan(&clauses, &given)
            .iter()
            .map(|(one, _)| one.id)
            .collect();
        let misfits = misfits(&clauses, &given);
        assert!(planned.contains(&"spread.even") && planned.len() > 1);
        assert_eq!(planned.len() + misfits.len(), clauses.len());
        let weighted = misfits
            .iter()
            .find(|one| one.clause.id == "spread.weighted");
        assert_eq!(
            weighted.unwrap().why,
            "the configuration does not fit: it needs two lines of unequal weight"
        );
    }

    #[test]
    fn what_the_lab_cannot_be_like_fits_no_clause() {
        let lan = "[[lan]]\ninterface = \"eth9\"\naddress = \"10.9.0.1/24\"\n";
        let mut two_lans = Configuration::builtin(&TWO_LINES);
        let toml = two_lans.toml.replace("[lan]", &format!("{lan}[[lan]]"));
        two_lans.config = Config::parse(&toml, "two-lans.toml").unwrap();
        let clauses: Vec<_> = clauses::all().collect();
        assert!(plan(&clauses, &[two_lans.clone()]).is_empty());
        let misfits = misfits(&clauses, &[two_lans]);
        assert_eq!(misfits.len(), clauses.len());
        assert!(
            misfits[0].why.ends_with("the lab has one LAN"),
            "{}",
            misfits[0].why
        );
    }

    #[test]
    fn nothing_selected_is_an_error() {
        assert!(matches!(
            select(&["no.such".to_owned()]),
            Err(Error::Unknown { .. })
        ));
        assert!(matches!(
            select(&["[".to_owned()]),
            Err(Error::Pattern { .. })
        ));
    }
}
