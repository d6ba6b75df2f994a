//! New connections over time, around the faults of a clause.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::events::{Event, Mark};

/// How finely time is divided.
const BIN: Duration = Duration::from_millis(10);

/// More bins than this are made coarser, by twos.
const MOST: usize = 2000;

/// What is shown before the first fault.
const BEFORE: Duration = Duration::from_millis(200);

/// How many new connections each line got in each short while, and what happened meanwhile. All
/// times are since the clause began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// When the first bin begins, in milliseconds.
    pub from_ms: u64,
    /// How long each bin is, in milliseconds.
    pub bin_ms: u64,
    /// Each line's new connections, in the order of the configuration.
    pub lines: Vec<Series>,
    /// New connections that got no answer, by when they were begun.
    pub unanswered: Vec<u32>,
    /// What happened.
    pub marks: Vec<Marked>,
}

/// One line's new connections per bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The line's name.
    pub name: String,
    /// How many there were.
    pub new: Vec<u32>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Marked {
    /// When, in milliseconds.
    pub at_ms: f64,
    /// What kind of thing.
    pub kind: Mark,
    /// In a few words.
    pub what: String,
}

/// A new connection: when its first packet was seen to leave, or for one that was never answered,
/// when it was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// Since the clause began.
    pub at: Duration,
    /// The line that it left by.
    pub by: Option<usize>,
    /// Whether it was answered.
    pub answered: bool,
}

impl Timeline {
    /// What these connections and events look like from shortly before the first fault on; none
    /// without a fault.
    #[must_use]
    pub fn new(names: &[&str], events: &[Event], begun: &[Begun]) -> Option<Self> {
        let fault = events
            .iter()
            .find(|event| event.mark == Some(Mark::Fault))?;
        let from = floor(fault.at.saturating_sub(BEFORE));
        let last_mark = events
            .iter()
            .filter(|event| event.mark.is_some())
            .map(|event| event.at);
        let end = begun.iter().map(|new| new.at).chain(last_mark).max()?;
        let mut bin = BIN;
        while bins(end.saturating_sub(from), bin) > MOST {
            bin *= 2;
        }
        let count = bins(end.saturating_sub(from), bin);
        let tally = |wanted: &dyn Fn(&Begun) -> bool| {
            let mut tally = vec![0; count];
            for new in begun.iter().filter(|new| new.at >= from && wanted(new)) {
                tally[bins(new.at - from, bin) - 1] += 1;
            }
            tally
        };
        let line = |(number, name): (usize, &&str)| Series {
            name: (*name).to_owned(),
            new: tally(&|new| new.by == Some(number)),
        };
        let marked = |event: &Event| {
            Some(Marked {
                at_ms: event.at.as_secs_f64() * 1000.0,
                kind: event.mark?,
                what: event.what.clone(),
            })
        };
        Some(Self {
            from_ms: milliseconds(from),
            bin_ms: milliseconds(bin),
            lines: names.iter().enumerate().map(line).collect(),
            unanswered: tally(&|new| !new.answered),
            marks: events
                .iter()
                .filter(|event| event.at >= from)
                .filter_map(marked)
                .collect(),
        })
    }

    /// How many bins there are.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.unanswered.len()
    }
}

/// In how many bins of this length the time lies that begins at 0 and includes `time`.
fn bins(time: Duration, bin: Duration) -> usize {
    usize::try_from(time.as_nanos() / bin.as_nanos()).unwrap_or(usize::MAX - 1) + 1
}

fn floor(time: Duration) -> Duration {
    BIN * u32::try_from(time.as_nanos() / BIN.as_nanos()).unwrap_or(0)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: u64, mark: Option<Mark>) -> Event {
        Event {
            at: Duration::from_millis(at),
            what: format!("at {at}"),
            mark,
        }
    }

    fn begun(at: u64, by: Option<usize>, answered: bool) -> Begun {
        let at = Duration::from_millis(at);
        Begun { at, by, answered }
    }

    #[test]
    fn connections_are_counted_where_they_belong() {
        let events = [
            event(100, None),
            event(405, Some(Mark::Fault)),
            event(460, Some(Mark::Seen)),
        ];
        let connections = [
            begun(100, Some(0), true),
            begun(200, Some(0), true),
            begun(209, Some(1), true),
            begun(410, Some(0), false),
            begun(419, None, false),
            begun(469, Some(1), true),
        ];
        let timeline = Timeline::new(&["dsl1", "dsl2"], &events, &connections).unwrap();
        assert_eq!((timeline.from_ms, timeline.bin_ms), (200, 10));
        assert_eq!(timeline.bins(), 27);
        let filled = |bins: &[u32]| -> Vec<(usize, u32)> {
            let bins = bins.iter().copied().enumerate();
            bins.filter(|&(_, count)| count > 0).collect()
        };
        assert_eq!(filled(&timeline.lines[0].new), [(0, 1), (21, 1)]);
        assert_eq!(filled(&timeline.lines[1].new), [(0, 1), (26, 1)]);
        assert_eq!(filled(&timeline.unanswered), [(21, 2)]);
        let kinds: Vec<Mark> = timeline.marks.iter().map(|mark| mark.kind).collect();
        assert_eq!(kinds, [Mark::Fault, Mark::Seen]);
    }

    #[test]
    fn without_a_fault_there_is_none_and_a_long_one_is_coarser() {
        assert_eq!(Timeline::new(&["dsl1"], &[event(5, None)], &[]), None);
        let events = [event(0, Some(Mark::Fault)), event(60_000, Some(Mark::Seen))];
        let timeline = Timeline::new(&["dsl1"], &events, &[]).unwrap();
        assert_eq!((timeline.bin_ms, timeline.bins()), (40, 1501));
    }
}
