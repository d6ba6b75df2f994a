//! Time that passes under a steady stream of new connections, or none, and how much of it the
//! machine stood still.

use std::time::{Duration, Instant};

use multiwan_lab::traffic::FlowId;

use super::{Scene, protocol};
use crate::judgement::Trouble;

/// A turn that takes longer than it was to, by so much, is one in which the machine stood still.
const UNHURRIED: Duration = Duration::from_millis(50);

/// What passed.
#[derive(Debug, Default)]
pub struct Stream {
    /// The connections that were begun, in order.
    pub flows: Vec<FlowId>,
    /// How long it took.
    pub lasted: Duration,
    /// How much of that the machine stood still.
    pub stalled: Duration,
}

impl Stream {
    /// Why nothing is to be said of what did not come in time: the machine stood still for a quarter
    /// of it or more.
    pub fn starved(&self) -> Option<Trouble> {
        (self.stalled * 4 > self.lasted).then(|| {
            Trouble::Lab(format!(
                "the machine stood still for {} ms of {}",
                self.stalled.as_millis(),
                self.lasted.as_millis()
            ))
        })
    }
}

impl Scene<'_> {
    /// Lets time pass, with the Internet and the captures at work, and begins a connection of a new
    /// pair `every` so often, TCP and UDP by turns. Their outcomes are not waited for.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn stream(&mut self, time: Duration, every: Option<Duration>) -> Result<Stream, Trouble> {
        const TURN: Duration = Duration::from_millis(10);
        let mut stream = Stream::default();
        self.cx.events.wait(time);
        let began = Instant::now();
        let mut next = began;
        loop {
            let now = Instant::now();
            let Some(left) = time.checked_sub(now.duration_since(began)) else {
                break;
            };
            let mut turn = left.min(TURN);
            if let Some(every) = every {
                if now >= next {
                    stream.flows.push(self.begin(protocol(stream.flows.len())));
                    // After a stall the stream goes on as before; it does not catch up.
                    next = now + every;
                }
                turn = turn.min(next.saturating_duration_since(now));
            }
            self.turn(turn)?;
            stream.stalled += now.elapsed().saturating_sub(turn + UNHURRIED);
        }
        stream.lasted = began.elapsed();
        Ok(stream)
    }
}
