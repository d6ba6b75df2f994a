//! What lines carried, by the times at which it reached the clients: how fast, until when, and
//! whether the machine stood still meanwhile.

use std::ops::Range;
use std::time::Duration;

use multiwan_lab::Rate;

/// A line with work in its queue gives the next frame after a fraction of a millisecond. After a
/// pause of no more than this it catches up, out of its token bucket; what is beyond is lost, and
/// only the machine can have lost it.
const PAUSE: Duration = Rate::BUCKET;

/// The frames of downloads that each line carried, with when they reached their clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried(Vec<Vec<Frame>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Frame {
    at: Duration,
    bytes: u32,
}

impl Carried {
    /// Nothing yet, of so many lines.
    #[must_use]
    pub fn of(lines: usize) -> Self {
        Carried(vec![Vec::new(); lines])
    }

    /// Adds a frame.
    pub fn note(&mut self, line: usize, at: Duration, bytes: u32) {
        self.0[line].push(Frame { at, bytes });
    }

    /// Puts what was added in the order of its times.
    pub fn sort(&mut self) {
        self.0.iter_mut().for_each(|frames| frames.sort());
    }

    /// How many bytes a line carried.
    #[must_use]
    pub fn bytes(&self, line: usize) -> u64 {
        self.0[line]
            .iter()
            .map(|frame| u64::from(frame.bytes))
            .sum()
    }

    /// When the first frame of all came.
    #[must_use]
    pub fn begin(&self) -> Option<Duration> {
        let firsts = self.0.iter().filter_map(|frames| frames.first());
        firsts.map(|frame| frame.at).min()
    }

    /// When the last frame by a line came.
    #[must_use]
    pub fn end(&self, line: usize) -> Option<Duration> {
        self.0[line].last().map(|frame| frame.at)
    }

    /// From when full buckets are empty until the first of these lines has no work any more.
    #[must_use]
    pub fn while_all_have_work(&self, lines: &[usize]) -> Option<Range<Duration>> {
        let begin = self.begin()? + PAUSE;
        let ends: Option<Vec<Duration>> = lines.iter().map(|&line| self.end(line)).collect();
        let end = ends?.into_iter().min()?;
        (begin < end).then_some(begin..end)
    }

    /// How many bits a second all lines together carried in this time.
    #[must_use]
    pub fn rate(&self, during: &Range<Duration>) -> f64 {
        let frames = self.0.iter().flatten();
        let within = frames.filter(|frame| during.contains(&frame.at));
        let bytes: u64 = within.map(|frame| u64::from(frame.bytes)).sum();
        bytes as f64 * 8.0 / (during.end - during.start).as_secs_f64()
    }

    /// How long these lines stood still in this time though they had work: of the worst of them,
    /// the pauses that are longer than a line can make up for, without what it can.
    #[must_use]
    pub fn stood_still(&self, lines: &[usize], during: &Range<Duration>) -> Duration {
        let of = |&line: &usize| -> Duration {
            let times = self.0[line].iter().map(|frame| frame.at);
            let within = times.filter(|at| during.contains(at));
            let times: Vec<Duration> = std::iter::once(during.start).chain(within).collect();
            let pauses = times.windows(2).map(|two| two[1] - two[0]);
            pauses.map(|pause| pause.saturating_sub(PAUSE)).sum()
        };
        lines.iter().map(of).max().unwrap_or_default()
    }

    /// How long lines of these rates take for what each carried, if none ever rests: to the end of
    /// the last. What full buckets let through at once is not waited for.
    #[must_use]
    pub fn predicted(&self, rates: &[Rate]) -> Duration {
        let times = rates.iter().enumerate();
        let times = times.map(|(line, rate)| time(self.bytes(line), rate));
        times.max().unwrap_or_default()
    }

    /// As [`Carried::predicted`], if each line had got as many bytes of the same.
    #[must_use]
    pub fn predicted_if_equal(&self, rates: &[Rate]) -> Duration {
        let all: u64 = (0..rates.len()).map(|line| self.bytes(line)).sum();
        let each = all / rates.len().max(1) as u64;
        rates
            .iter()
            .map(|rate| time(each, rate))
            .max()
            .unwrap_or_default()
    }

    /// How long it took: of the line that took longest, from when a full bucket was empty to its
    /// last frame. How soon it was given its first work is not the line's doing.
    #[must_use]
    pub fn took(&self, rates: &[Rate]) -> Duration {
        let times = self.0.iter().zip(rates).filter_map(|(frames, rate)| {
            let mut bytes = 0;
            let emptied = frames.iter().find(|frame| {
                bytes += frame.bytes;
                bytes >= rate.bucket()
            });
            Some(frames.last()?.at - emptied?.at)
        });
        times.max().unwrap_or_default()
    }
}

/// How long a line that never rests takes for what its full bucket does not let through at once.
fn time(bytes: u64, rate: &Rate) -> Duration {
    let waits = bytes.saturating_sub(rate.bucket().into());
    Duration::from_secs_f64(waits as f64 * 8.0 / f64::from(rate.bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// A frame of 1000 bytes each millisecond by the first line, and half as many by the second.
    fn two() -> Carried {
        let mut carried = Carried::of(2);
        for number in (0..200).rev() {
            carried.note(0, ms(number), 1000);
            if number % 2 == 0 && number < 120 {
                carried.note(1, ms(number), 1000);
            }
        }
        carried.sort();
        carried
    }

    #[test]
    fn lines_carry_together_while_both_have_work() {
        let carried = two();
        let both = carried.while_all_have_work(&[0, 1]).unwrap();
        assert_eq!(both, ms(100)..ms(118));
        assert!((carried.rate(&both) - 12e6).abs() < 1.0);
        let one = carried.while_all_have_work(&[0]).unwrap();
        assert_eq!(one, ms(100)..ms(199));
        assert_eq!(Carried::of(2).while_all_have_work(&[0]), None);
    }

    #[test]
    fn what_a_bucket_makes_up_for_is_no_stall() {
        let mut carried = Carried::of(1);
        for at in [0, 50, 100, 250, 260] {
            carried.note(0, ms(at), 1514);
        }
        assert_eq!(carried.stood_still(&[0], &(ms(0)..ms(300))), ms(50));
        assert_eq!(carried.stood_still(&[0], &(ms(200)..ms(300))), ms(0));
    }

    #[test]
    fn the_slower_line_s_work_is_what_is_waited_for() {
        let rate = |bits| Rate { bits, queue: 0 };
        // 200,000 bytes less a bucket of 100,000, at 8 Mbit/s; 60,000 less 12,500 at 1 Mbit/s.
        let rates = [rate(8_000_000), rate(1_000_000)];
        let predicted = two().predicted(&rates);
        assert_eq!(predicted, ms(380));
        // 130,000 each: 30,000 more than the bucket of the one, 117,500 more than the other's.
        let equal = two().predicted_if_equal(&rates);
        assert_eq!(equal, ms(940));
        // The first's bucket is empty with its hundredth frame.
        assert_eq!(two().took(&rates), ms(100));
    }
}
