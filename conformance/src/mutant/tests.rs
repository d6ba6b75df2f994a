use super::*;
use crate::configuration::{BUILTIN, Builtin, Configuration, TWO_LINES};
use crate::fixtures::{self, Kind};
use crate::job::Subject;

fn spoilt(mutant: &str) -> Result<State, Error> {
    let config = Configuration::builtin(&TWO_LINES).config;
    let variables = environment(&config, Path::new("/x"));
    let whole = || desired::desired(&config, &Verdicts::default());
    let mutant = Mutant::parse(mutant)?;
    Ok(mutant.spoiler(whole(), &variables)?(whole()))
}

#[test]
fn an_edit_changes_what_it_matches_and_nothing_else() {
    let config = Configuration::builtin(&TWO_LINES).config;
    let mut whole = desired::desired(&config, &Verdicts::default());
    let state = spoilt("[[edit]]\nreplace = '^ip route add prohibit .*'\nwith = ''").unwrap();
    assert_eq!(state.routes.len() + 2, whole.routes.len());
    whole.routes = state.routes.clone();
    assert_eq!(state, whole);
}

#[test]
fn variables_and_groups_are_filled_in_and_lines_are_added() {
    let state = spoilt(
        "[[edit]]\nreplace = '^(ip rule add prio )(201 from {NWE1}/{NME1}.*)'\n\
         with = '''\n${1}200 to {IPI}/32 table main protocol 222\n${1}$2'''",
    )
    .unwrap();
    let rules: Vec<String> = state.rules.iter().map(ToString::to_string).collect();
    let added = "prio 200 to 192.0.2.1/32 table main protocol 222";
    assert!(rules.iter().any(|rule| rule == added), "{rules:?}");
    let config = Configuration::builtin(&TWO_LINES).config;
    let whole = desired::desired(&config, &Verdicts::default());
    assert_eq!(rules.len(), whole.rules.len() + 1);
}

#[test]
fn nonsense_is_refused() {
    let says = |mutant: &str| spoilt(mutant).unwrap_err().to_string();
    assert_eq!(
        says("[[edit]]\nreplace = 'table 222 protocol'\nwith = 'tabel 222 protocol'"),
        "the edits leave `ip rule add prio 222 tabel 222 protocol 222`: `tabel` is not understood there"
    );
    assert!(says("edits = []").starts_with("not a mutant: "));
}

#[test]
fn without_the_last_resort_a_lan_source_is_still_refused() {
    let state = spoilt("last_resort = false").unwrap();
    let chain = state.firewall.unwrap();
    let left = chain.chain("own_source_only").unwrap().rules.iter();
    let left: Vec<String> = left.map(ToString::to_string).collect();
    assert_eq!(
        left,
        [
            "oifname \"eth1\" ip saddr 192.0.2.0/24 counter drop",
            "oifname \"eth2\" ip saddr 192.0.2.0/24 counter drop"
        ]
    );
}

/// An edit that finds nothing, since what the applier puts there has changed, is no mistake.
#[test]
fn every_edit_of_every_mutant_changes_something() {
    for fixture in fixtures::all(Kind::Broken).unwrap() {
        let Subject::Mutant { name, toml } = fixture.subject else {
            continue;
        };
        let mutant = Mutant::parse(&toml).unwrap_or_else(|error| panic!("{name}: {error}"));
        for part in 0..mutant.edit.len() + mutant.config.len() {
            assert!(
                BUILTIN
                    .iter()
                    .any(|builtin| changes(&mutant, part, builtin)),
                "{name}: its edit number {} changes nothing",
                part + 1
            );
        }
    }
}

/// Whether this edit, first those of what should be there, changes something after those before it.
fn changes(mutant: &Mutant, part: usize, builtin: &Builtin) -> bool {
    let config = Configuration::builtin(builtin).config;
    let variables = environment(&config, Path::new("/x"));
    let with = |edits: usize, config_edits: usize| {
        let some = Mutant {
            edit: mutant.edit[..edits].to_vec(),
            config: mutant.config[..config_edits].to_vec(),
            ..mutant.clone()
        };
        let text = some.config(builtin.toml, &variables).unwrap();
        let config = Config::parse(&text, builtin.name).unwrap();
        let whole = || desired::desired(&config, &Verdicts::default());
        (some.spoiler(whole(), &variables).unwrap()(whole()), text)
    };
    match part.checked_sub(mutant.edit.len()) {
        None => with(part, 0).0 != with(part + 1, 0).0,
        Some(part) => with(0, part).1 != with(0, part + 1).1,
    }
}

#[test]
fn the_configuration_can_be_edited_too() {
    let mutant = "[[config]]\nreplace = '^(interval.*)'\nwith = \"$1\\nfailures = 9\"";
    let text = Mutant::parse(mutant)
        .unwrap()
        .config(TWO_LINES.toml, &[])
        .unwrap();
    assert_eq!(Config::parse(&text, "x").unwrap().keepalive.failures, 9);
}
