//! How long new connections fail.

use std::time::Duration;

use multiwan_lab::Fault;
use multiwan_lab::traffic::FlowId;

use super::{fits, milliseconds};
use crate::clause::{Clause, Kind, Need, Tests};
use crate::configuration::TWO_LINES;
use crate::context::Context;
use crate::judgement::{Judgement, Trouble};
use crate::scene::Scene;

pub(super) static SWITCH_TIME: Clause = Clause {
    id: "dead.switch-time",
    kind: Kind::Behaviour,
    how_to: &["1.3", "3.1"],
    promise: "After a line's death no new connection fails for longer than the contract gives.",
    method: "Every 8 ms a connection is opened, whatever became of those before. The first line's \
        modem hangs; the stream goes on until the contract's time for a line's death is over, and \
        for four intervals of the keepalive more. Each connection has a second and a half to be \
        answered. The last one that was not must have begun in the contract's time, by its own \
        first packet's clock.",
    needs: &[Need::Settings],
    configurations: &[TWO_LINES],
    fits: |config| {
        fits::first_two_share(config)?;
        fits::silence_is_found(config)
    },
    tests: Tests::None,
    judge: switch_time,
};

fn switch_time(cx: &mut Context) -> Result<Judgement, Trouble> {
    const DEAD: usize = 0;
    const EVERY: Duration = Duration::from_millis(8);
    let mut scene = Scene::set(cx)?;
    let honoured = scene.cx.deadlines.honoured;
    let interval = scene.cx.config.keepalive.interval;
    scene.stream(interval, Some(EVERY))?;
    let fault_at = scene.break_line(DEAD, Fault::Silent)?;
    let stream = scene.stream(honoured + interval * 4, Some(EVERY))?;
    scene.finish()?;
    let failed = |flow: &&FlowId| !scene.traffic.flow(**flow).answered();
    let failed: Vec<Duration> = stream
        .flows
        .iter()
        .filter(failed)
        .filter_map(|&flow| scene.traffic.flow(flow).asked)
        .map(|asked| asked.saturating_duration_since(fault_at))
        .collect();
    let last = failed.iter().copied().max().unwrap_or_default();
    let late = failed.iter().filter(|&&after| after > honoured).count();
    if let (true, Some(starved)) = (late > 0, stream.starved()) {
        return Err(starved);
    }
    let judgement = Judgement::holds_if(late == 0, || {
        format!(
            "of {} new connections {} failed, {late} of them more than {} ms after the modem hung: \
             the last one {} ms after",
            stream.flows.len(),
            failed.len(),
            honoured.as_millis(),
            last.as_millis()
        )
    });
    scene.verdict(
        judgement
            .with("connections", stream.flows.len())
            .with("failed", failed.len())
            .with("last_failed_ms", milliseconds(last)),
    )
}
