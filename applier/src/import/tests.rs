//! Each case is what a router holds (`cases/NAME.router`), and the file that comes of it
//! (`cases/NAME.toml`).
//!
//! `UPDATE_CASES=1` writes the files anew, to be read before they are kept.

use std::path::Path;

use super::fixture::router;
use super::{Imported, Nothing, import};
use crate::config::Config;

fn imported(found: &str) -> Imported {
    import(&router(found), "lines.toml").unwrap_or_else(|why| panic!("{why}"))
}

#[track_caller]
fn check(name: &str, found: &str) -> Imported {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/import/cases")
        .join(format!("{name}.toml"));
    let imported = imported(found);
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(&path, &imported.text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(imported.text, expected, "{name}:\n{}", imported.text);
    // What is told beside the file stands in it too.
    for doubt in &imported.doubts {
        let said = doubt
            .split_once(": ")
            .map_or(doubt.as_str(), |(_, said)| said);
        assert!(imported.text.contains(said), "{doubt}");
    }
    imported
}

macro_rules! cases {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $name() {
                let found = include_str!(concat!("cases/", $file, ".router"));
                let imported = check($file, found);
                assert_eq!(imported.refused, None);
            }
        )*
    };
}

cases! {
    the_how_to_s_commands: "how-to",
    lartc_with_the_multipath_route_in_main: "lartc",
    policy_routing_without_a_share: "split-access",
    mwan3: "mwan3",
    one_line_by_dhcp: "one-line",
    default_routes_with_metrics: "metrics",
    default_routes_with_one_metric: "same-metric",
    ppp_and_wireguard: "point-to-point",
    several_lines_on_one_card: "shared-card",
    what_a_provider_gives_on_a_shared_card: "shared-card-dynamic",
    pinned_traffic: "pins",
    tunnels_that_are_no_lines: "tunnels",
    addresses_that_are_not_told_apart: "addresses",
    a_gateway_outside_of_the_network: "onlink",
    lans_that_are_not_translated: "lans",
    networks_behind_a_lan: "behind",
    a_share_that_only_some_sources_have: "share-by-source",
    nftables_that_cannot_be_read: "hidden",
    a_host_by_itself: "host",
    a_default_route_without_a_gateway: "no-gateway",
    a_default_route_that_a_rule_passes_over: "passed-over",
}

#[test]
fn nothing_is_an_error_and_no_empty_file() {
    let bare = "link lo\nlink eth0\naddress eth0 192.0.2.1/24\nrule 32766 table main";
    assert_eq!(
        import(&router(bare), "lines.toml"),
        Err(Nothing::NoDefaultRoute)
    );
}

#[test]
fn what_cannot_be_described_is_written_and_refused() {
    let twins = include_str!("cases/twins.router");
    let imported = check("twins", twins);
    let why = imported
        .refused
        .expect("two lines with one address")
        .to_string();
    assert!(why.contains("every line needs its own"), "{why}");
}

#[test]
fn a_nexthop_object_that_the_kernel_does_not_spell_out_is_told() {
    let found = "link eth0\naddress eth0 192.0.2.1/24\nby-object 222\nrule 222 table 222";
    let imported = imported(found);
    let said = imported.doubts.join("\n");
    assert!(
        said.contains("table 222 has a default route by a nexthop object"),
        "{said}"
    );
    assert!(imported.refused.is_some(), "it has no line");
}

/// A chain may be called anything.
#[test]
fn a_name_ends_no_comment() {
    let mut router = router(include_str!("cases/one-line.router"));
    router.tables[0].chains[0].name = "POST\nspread = \"connection\"\n#".to_owned();
    let imported = import(&router, "lines.toml").unwrap();
    let config = Config::parse(&imported.text, "lines.toml").unwrap();
    assert_eq!(
        config.spread,
        crate::config::Spread::Pair,
        "{}",
        imported.text
    );
    assert!(!imported.text.contains("\nspread"), "{}", imported.text);
}

/// Names come from interfaces, which may be called nearly anything.
#[test]
fn a_name_is_one_that_a_line_may_have() {
    let found = "link -wan+1\naddress -wan+1 192.0.2.2/24\nrule 1 table main\n\
                 route main via 192.0.2.1 dev -wan+1";
    let imported = imported(found);
    assert_eq!(imported.refused, None);
    let config = Config::parse(&imported.text, "lines.toml").unwrap();
    assert_eq!(config.lines[0].name, "wan-1");
    assert_eq!(config.lines[0].interface, "-wan+1");
}
