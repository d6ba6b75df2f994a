//! The applier run again, with the same or another configuration, while connections run.

use std::thread;

use multiwan::config::Config;
use multiwan_lab::traffic::FlowId;
use toml::{Table, Value};

use super::Scene;
use crate::clause::Feature;
use crate::context::Context;
use crate::judgement::Trouble;

impl Context {
    /// Changes the described lines in the file that the applier reads from here on; the context's
    /// own configuration, which the lab is built from, stays.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written, or says now what is refused.
    pub fn reconfigure(&mut self, edit: impl FnOnce(&mut Vec<Value>)) -> Result<(), Trouble> {
        let text = self.edited(edit)?;
        let config = Config::parse(&text, "changed.toml");
        let config = config.map_err(|error| unusable(error.to_string()))?;
        self.describe(&text, &config)
    }

    /// As [`Context::reconfigure`], where the file then says what no router can do; the environment
    /// is that of `config`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written.
    pub fn misdescribe(
        &mut self,
        config: &Config,
        edit: impl FnOnce(&mut Vec<Value>),
    ) -> Result<(), Trouble> {
        let text = self.edited(edit)?;
        self.describe(&text, config)
    }

    fn edited(&self, edit: impl FnOnce(&mut Vec<Value>)) -> Result<String, Trouble> {
        let text = std::fs::read_to_string(&self.config_path);
        let text = text.map_err(|error| unusable(error.to_string()))?;
        let mut table: Table =
            toml::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        if let Some(Value::Array(lines)) = table.get_mut("line") {
            edit(lines);
        }
        Ok(table.to_string())
    }

    fn describe(&mut self, text: &str, config: &Config) -> Result<(), Trouble> {
        std::fs::write(&self.config_path, text).map_err(|error| unusable(error.to_string()))?;
        self.applier.reconfigure(config);
        Ok(())
    }
}

fn unusable(why: String) -> Trouble {
    Trouble::Lab(format!("changing the configuration: {why}"))
}

impl Scene<'_> {
    /// Runs `apply` again, and has each of these flows ask during it, if the applier claims that
    /// running connections may, and after. How many exchanges had no answer.
    ///
    /// # Errors
    ///
    /// If the applier fails, or a socket of the lab.
    pub fn apply_again(&mut self, flows: &[FlowId]) -> Result<usize, Trouble> {
        self.cx.events.note("apply");
        let mut unanswered = 0;
        if self.cx.applier.features().contains(&Feature::Reload) {
            let Self { cx, traffic, .. } = self;
            let applier = &cx.applier;
            unanswered += thread::scope(|scope| -> Result<usize, Trouble> {
                let applying = scope.spawn(|| applier.apply());
                let mut unanswered = 0;
                while !applying.is_finished() {
                    flows.iter().for_each(|&flow| traffic.ask(flow));
                    traffic.finish().map_err(|source| Trouble::System {
                        doing: "making traffic",
                        source,
                    })?;
                    let had_none = |flow: &&FlowId| !traffic.flow(**flow).answered();
                    unanswered += flows.iter().filter(had_none).count();
                }
                applying.join().expect("applying does not panic")?;
                Ok(unanswered)
            })?;
        } else {
            self.cx.applier.apply()?;
        }
        self.lab.wait_router_links()?;
        self.ask(flows)?;
        let had_none = |flow: &&FlowId| !self.traffic.flow(**flow).answered();
        Ok(unanswered + flows.iter().filter(had_none).count())
    }

    /// Runs `down` while these flows exist; whether there is such a command.
    ///
    /// # Errors
    ///
    /// If the applier fails.
    pub fn down(&mut self) -> Result<bool, Trouble> {
        self.cx.events.note("down");
        Ok(self.cx.applier.down()?)
    }
}
