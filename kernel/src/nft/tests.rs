//! Text, and the way there and back, of every statement.

use super::{
    expression::Expression,
    message,
    samples::samples,
    wire::{Attributes, Nest},
    *,
};

#[test]
fn every_statement_prints_as_nft_writes_it() {
    for sample in samples() {
        let rule = Rule::new(sample.statements);
        assert_eq!(rule.to_string(), sample.text);
    }
}

#[test]
fn every_statement_comes_back_from_its_attributes() {
    for sample in samples() {
        let table = sample.table("multiwan");
        let chain = table.chain("hooked").expect("is there");
        let rule = &chain.rules[0];
        let bytes = message::write_rule(&table, chain, rule);
        let (of, within, back) = message::read_rule(Nest::new(&bytes)).expect("names");
        assert_eq!(
            (of, within, &back),
            ("multiwan", "hooked", rule),
            "{}",
            sample.text
        );
    }
}

#[test]
fn a_chain_comes_back_from_its_attributes() {
    for sample in samples() {
        let table = sample.table("multiwan");
        for chain in &table.chains {
            let bytes = message::write_chain(&table, chain);
            let back = message::read_chain(table.family, Nest::new(&bytes)).expect("a chain");
            assert_eq!((&back.name, &back.base), (&chain.name, &chain.base));
        }
    }
}

#[test]
fn a_table_prints_in_the_idiom_of_nft() {
    let mut table = Table::new(Family::Ip, "multiwan");
    let mut prerouting = Chain::base(
        "prerouting",
        Base::new(Kind::Filter, Hook::Prerouting, -150),
    );
    prerouting.rule([
        Statement::InputInterface(Test::Is, "eth1".into()),
        Verdict::Jump("restore".into()).into(),
    ]);
    let mut restore = Chain::regular("restore");
    restore.rule([Statement::SetPacketMark(Mark::new(0x100, 0x3f00))]);
    table.chains.extend([prerouting, restore]);
    let text = "table ip multiwan {
\tchain prerouting {
\t\ttype filter hook prerouting priority mangle; policy accept;
\t\tiifname \"eth1\" jump restore
\t}

\tchain restore {
\t\tmeta mark set meta mark & 0xffffc0ff | 0x100
\t}
}
";
    assert_eq!(table.to_string(), text);
}

#[test]
fn an_instruction_without_a_word_is_kept_as_it_is() {
    let limit = Unknown {
        name: "limit".into(),
        attributes: vec![8, 0, 1, 0, 0, 0, 0, 5],
    };
    let mut list = Attributes::new();
    Expression::Other(limit.clone()).write(&mut list);
    let bytes = list.into_bytes();
    let (_, element) = Nest::new(&bytes).iter().next().expect("an element");
    let rule = Rule::decode(&[Expression::read(Nest::new(element))]);
    assert_eq!(rule.statements, [Statement::Unknown(limit)]);
    assert_eq!(rule.to_string(), "<limit>");
}

#[test]
fn counts_do_not_make_a_difference() {
    let counted = |packets| {
        Rule::new([Statement::Counter(Counter {
            packets,
            bytes: 60 * packets,
        })])
    };
    assert_eq!(counted(0), counted(7));
    assert_eq!(counted(7).counter().map(|counter| counter.bytes), Some(420));
}

#[test]
fn a_mark_has_no_bits_outside_of_its_mask() {
    assert_eq!(Mark::new(0xffff_ffff, 0x3f00).to_string(), "0x3f00/0x3f00");
}

#[test]
fn a_difference_names_the_rule() {
    let rule = |name: &str| Rule::new([Statement::InputInterface(Test::Is, name.into())]);
    let table = |names: &[&str]| {
        let mut table = Table::new(Family::Ip, "multiwan");
        let mut chain = Chain::regular("prerouting");
        chain.rules.extend(names.iter().map(|name| rule(name)));
        table.chains.push(chain);
        table
    };
    let desired = table(&["eth1", "eth2", "eth3"]);
    assert_eq!(desired.difference(&desired), []);
    let chain = || "prerouting".to_owned();
    assert_eq!(
        desired.difference(&table(&["eth1", "eth9", "eth3"])),
        [
            Difference::RuleMissing {
                chain: chain(),
                rule: rule("eth2")
            },
            Difference::RuleForeign {
                chain: chain(),
                rule: rule("eth9")
            },
        ]
    );
    assert_eq!(
        desired.difference(&Table::new(Family::Ip, "multiwan")),
        [Difference::ChainMissing(chain())]
    );
}
