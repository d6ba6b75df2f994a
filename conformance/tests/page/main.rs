//! The HTML report in a real browser that has no network: it must fetch nothing and complain of
//! nothing, show what went wrong first, draw its bars and timelines, and fit a phone.
//!
//! Needs Debian's chromium (`scripts/setup --browser`); without it the tests are shown as ignored.

mod browser;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use multiwan_conformance::clauses;
use multiwan_conformance::configuration::{Configuration, FOUR_TO_ONE, TWO_LINES};
use multiwan_conformance::events::{Event, Mark};
use multiwan_conformance::judge::shares;
use multiwan_conformance::judgement::{Judgement, Status};
use multiwan_conformance::report::{Record, Report, html};
use multiwan_conformance::timeline::{Begun, Timeline};
use serde_json::{Value, json};

use browser::{Browser, Page};

/// A folder to put pictures of the pages into, to be looked at.
const PICTURES: &str = "MULTIWAN_PICTURES";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trial = |name, test: fn(&Path) -> Result<(), Failed>| match browser::find() {
        Some(chromium) => Trial::test(name, move || test(&chromium)),
        None => Trial::test(name, || Err("run scripts/setup --browser".into()))
            .with_kind("needs chromium: scripts/setup --browser")
            .with_ignored_flag(true),
    };
    let trials = vec![
        trial("it_needs_nothing_and_complains_of_nothing", alone),
        trial(
            "what_went_wrong_is_first_and_bars_and_timelines_are_drawn",
            drawn,
        ),
        trial(
            "it_fits_a_phone_in_light_and_dark_and_can_be_printed",
            everywhere,
        ),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn alone(chromium: &Path) -> Result<(), Failed> {
    let (_folder, path) = written(&report());
    let mut page = opened(chromium, &path)?;
    page.evaluate("document.querySelector('details').open = true")?;
    let foreign: Vec<&String> = page
        .requests
        .iter()
        .filter(|url| !url.starts_with("file:") && !url.starts_with("data:"))
        .collect();
    ensure(foreign.is_empty(), || format!("it fetched {foreign:?}"))?;
    let files = page.requests.iter().filter(|url| url.starts_with("file:"));
    ensure(files.count() == 1, || {
        format!("it fetched {:?}", page.requests)
    })?;
    ensure(page.complaints.is_empty(), || {
        format!("the browser complains: {:#?}", page.complaints)
    })
}

fn drawn(chromium: &Path) -> Result<(), Failed> {
    let report = report();
    let (_folder, path) = written(&report);
    let mut page = opened(chromium, &path)?;
    let seen = page.evaluate(
        "({
            articles: [...document.querySelectorAll('article')].map(one => one.className),
            failed: document.querySelector('article').innerText,
            bars: [...document.querySelectorAll('.bar svg rect:nth-of-type(2)')]
                .map(one => one.getBoundingClientRect().width),
            lanes: [...document.querySelectorAll('.timeline svg path:not(.mark):not(.base)')]
                .map(one => one.getBoundingClientRect().height),
            marks: document.querySelectorAll('.timeline svg .mark').length,
            lines: document.querySelectorAll('.topology svg .cable').length,
            rows: document.querySelectorAll('#clauses tbody tr:not(.area)').length,
        })",
    )?;
    let expected = ["failed", "inconclusive", "passed", "passed"];
    ensure(seen["articles"] == json!(expected), || {
        format!("articles: {}", seen["articles"])
    })?;
    let failed = seen["failed"].as_str().unwrap_or_default();
    let clause = clauses::find(&report.clauses[2].id).expect("a clause");
    for part in [
        clause.promise,
        "dsl1 got 3000 of 3000",
        "multiwan-conformance run --applier ./mine.sh --only spread.even -c two-lines --seed 7",
        "/tmp/kept/here",
    ] {
        ensure(failed.contains(part), || format!("no {part:?} in {failed}"))?;
    }
    let sizes = |key: &str| -> Vec<f64> {
        let all = seen[key].as_array().into_iter().flatten();
        all.filter_map(Value::as_f64).collect()
    };
    let bars = sizes("bars");
    // The failed clause's second line got nothing.
    ensure(
        bars.len() == 4 && bars[0] > 100.0 && bars[1] == 0.0 && bars[2] > bars[3],
        || format!("bars: {bars:?}"),
    )?;
    let lanes = sizes("lanes");
    ensure(
        lanes.len() == 3 && lanes.iter().all(|height| *height > 1.0),
        || format!("lanes: {lanes:?}"),
    )?;
    ensure(seen["marks"] == 4 && seen["rows"] == 4, || {
        format!("{seen:#}")
    })?;
    // Both configurations: the LAN's, and two for each line.
    ensure(seen["lines"] == 10, || format!("{} cables", seen["lines"]))
}

fn everywhere(chromium: &Path) -> Result<(), Failed> {
    let (_folder, path) = written(&report());
    let mut page = opened(chromium, &path)?;
    let mut papers = Vec::new();
    for (name, width, scheme) in [
        ("phone-light", 360, "light"),
        ("phone-dark", 360, "dark"),
        ("desktop-light", 1200, "light"),
        ("desktop-dark", 1200, "dark"),
    ] {
        page.look_like(width, scheme)?;
        let wide = page.evaluate("document.documentElement.scrollWidth")?;
        ensure(wide.as_u64() <= Some(width), || {
            format!("{name}: {wide} pixels wide")
        })?;
        papers.push(page.evaluate("getComputedStyle(document.body).backgroundColor")?);
        if let Some(folder) = std::env::var_os(PICTURES) {
            fs::write(
                Path::new(&folder).join(format!("{name}.png")),
                page.picture()?,
            )?;
        }
    }
    ensure(papers[0] == papers[2] && papers[0] != papers[1], || {
        format!("papers: {papers:?}")
    })?;
    let printed = page.printed()?;
    ensure(printed.starts_with(b"%PDF"), || {
        "it cannot be printed".to_owned()
    })
}

/// A run with a verdict of each kind that has something to draw.
fn report() -> Report {
    let of = |id: &str, config: &str, judgement: Judgement| {
        let clause = clauses::find(id).expect("a clause");
        Record::new(clause, config, judgement, Duration::from_millis(1234))
    };
    let [two, four] = [&TWO_LINES, &FOUR_TO_ONE].map(Configuration::builtin);
    let even = Judgement::of_shares(&shares(&two.config.lines, &[3000, 0], 1e-6));
    let weighted = Judgement::of_shares(&shares(&four.config.lines, &[5210, 1290], 1e-6));
    assert_eq!(
        (even.status, weighted.status),
        (Status::Failed, Status::Passed)
    );
    let mut failed = of("spread.even", "two-lines", even)
        .with_detail(Some("   0.100 s  apply\n<b>bold</b> & daring".to_owned()));
    failed.kept = Some(PathBuf::from("/tmp/kept/here"));
    let mut carrier = of(
        "dead.carrier",
        "two-lines",
        Judgement::passed().with("switch_ms", 70),
    );
    carrier.timelines.extend(timeline());
    Report {
        kernel: "6.18.44".to_owned(),
        applier: "./mine.sh".to_owned(),
        foreign: true,
        mode: "full".to_owned(),
        seed: 7,
        duration: Duration::from_millis(21_000),
        stopped: None,
        configs: vec![two, four],
        clauses: vec![
            of("spread.weighted", "four-to-one", weighted),
            of(
                "dead.silent",
                "two-lines",
                Judgement::inconclusive("the captures lost 3 frames"),
            ),
            failed,
            carrier,
        ],
    }
}

fn timeline() -> Option<Timeline> {
    let event = |at, mark, what: &str| Event {
        at: Duration::from_millis(at),
        what: what.to_owned(),
        mark: Some(mark),
    };
    let events = [
        event(500, Mark::Fault, "dsl1: carrier"),
        event(502, Mark::Change, "eth1 without carrier"),
        event(570, Mark::Seen, "all new flows succeed without dsl1"),
        event(800, Mark::Repair, "dsl1: repaired"),
    ];
    let begun: Vec<Begun> = (0..600)
        .map(|number| {
            let at = 300 + number;
            let dead = (500..800).contains(&at);
            let lost = (500..560).contains(&at) && number % 2 == 0;
            Begun {
                at: Duration::from_millis(at),
                by: (!lost).then_some(usize::from(dead || number % 2 == 1)),
                answered: !lost,
            }
        })
        .collect();
    Timeline::new(&["dsl1", "dsl2"], &events, &begun)
}

fn written(report: &Report) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("report.html");
    let mut file = File::create(&path).expect("a file");
    html::write(report, &mut file).expect("the page is written");
    (folder, path)
}

fn opened(chromium: &Path, path: &Path) -> Result<Page, Failed> {
    Ok(Browser::start(chromium)?.open(&format!("file://{}", path.display()))?)
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds {
        Ok(())
    } else {
        Err(otherwise().into())
    }
}
