//! Load: downloads over lines of a given capacity, and what each line carried of them.

use std::time::Duration;

use multiwan::config::Line;
use multiwan_lab::Rate;
use multiwan_lab::traffic::{FlowId, Patience, Protocol};
use toml::Value;

use super::Scene;
use super::topology::topology;
use crate::carried::Carried;
use crate::context::Context;
use crate::judgement::Trouble;

/// What a line's queue holds: all that is ever asked for at once, so that nothing is dropped there.
const QUEUE: u32 = 16 << 20;

/// For downloads that wait in a line's queue: nothing is lost there, so what takes longer is.
const PATIENT: Patience = Patience {
    interval: Duration::from_secs(5),
    attempts: 2,
};

/// So many downloads are asked for between two looks at what came: half as many as frames find room
/// between two hosts (`net.core.netdev_max_backlog`), and enough work for a line until the next look,
/// also where that comes late.
const AT_ONCE: usize = 400;

impl<'a> Scene<'a> {
    /// As [`Scene::set`], where each line carries so many bits a second, each way.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn rated(cx: &'a mut Context, bits: fn(&Line) -> u32) -> Result<Self, Trouble> {
        let mut topology = topology(&cx.config, cx.pins)?;
        for (line, described) in topology.lines.iter_mut().zip(&cx.config.lines) {
            line.rate = Some(Rate {
                bits: bits(described),
                queue: QUEUE,
            });
        }
        let mut scene = Self::build(cx, topology)?;
        scene.apply().map_err(Trouble::at_first)?;
        scene.start()?;
        Ok(scene)
    }

    /// Stops the keepalive, changes the described lines, and applies and starts again.
    ///
    /// # Errors
    ///
    /// If the applier fails, or a line carries no new flow in its time.
    pub fn set_again(&mut self, edit: impl FnOnce(&mut Vec<Value>)) -> Result<(), Trouble> {
        self.stop()?;
        self.cx.reconfigure(edit)?;
        self.apply()?;
        self.start()
    }

    /// Opens so many connections by TCP, of pairs that have had none, for downloads; those of each
    /// line.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn open_downloads(&mut self, count: usize) -> Result<Vec<Vec<FlowId>>, Trouble> {
        let flows: Vec<FlowId> = (0..count).map(|_| self.begin(Protocol::Tcp)).collect();
        self.finish()?;
        let mut by_line = vec![Vec::new(); self.cx.lines().len()];
        for flow in flows {
            if let (true, Some(line)) = (
                self.traffic.flow(flow).answered(),
                self.traffic.ledger().line(flow),
            ) {
                by_line[line].push(flow);
            }
        }
        Ok(by_line)
    }

    /// Downloads so many bytes on each of these connections, on all at the same time; what each
    /// line carried of it.
    ///
    /// # Errors
    ///
    /// When a socket of the lab fails.
    pub fn carry(&mut self, flows: &[FlowId], bytes: u32) -> Result<Carried, Trouble> {
        let before = self.traffic.arrivals().len();
        self.cx.events.note(format!("{} downloads", flows.len()));
        self.traffic.set_patience(PATIENT);
        self.traffic.set_window(flows.len());
        for some in flows.chunks(AT_ONCE) {
            for &flow in some {
                self.traffic.download(flow, bytes);
            }
            self.turn(Duration::ZERO)?;
        }
        self.finish()?;
        self.traffic
            .set_window(multiwan_lab::traffic::Options::default().window);
        self.traffic.set_patience(Patience::default());
        Ok(self.carried_since(before))
    }

    /// What each line has carried of all downloads, but for so many frames at the beginning.
    pub fn carried_since(&self, frames: usize) -> Carried {
        let mut carried = Carried::of(self.cx.lines().len());
        for arrival in &self.traffic.arrivals()[frames..] {
            if let Some(line) = self.traffic.ledger().line(arrival.flow) {
                carried.note(line, arrival.at, arrival.bytes);
            }
        }
        carried.sort();
        carried
    }

    /// What a line was given as its rate.
    ///
    /// # Panics
    ///
    /// If the scene is none of [`Scene::rated`].
    pub fn rate(&self, line: usize) -> Rate {
        let rate = self.lab.topology().lines[line].rate;
        rate.expect("a scene with rates")
    }
}
