//! A lab with the shipped applier at hand, in a router that nothing was done to before.

// Each benchmark takes what it needs of this.
#![allow(dead_code)]

mod watched;

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use multiwan::config::Config;
use multiwan_conformance::configuration::TWO_LINES;
use multiwan_lab::sandbox::Sandbox;
use multiwan_lab::{Lab, Netns, Topology};
use tempfile::TempDir;
#[allow(unused_imports)]
pub(crate) use watched::Watched;

/// At the other end of a point-to-point line.
const PEER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// What a lab is built for.
pub(crate) struct Stage<'s> {
    sandbox: &'s Sandbox,
    topology: Topology,
    directory: TempDir,
}

impl<'s> Stage<'s> {
    /// The how-to's two lines, and its 17 clients.
    pub(crate) fn two_lines(sandbox: &'s Sandbox) -> Self {
        Self::new(sandbox, TWO_LINES.toml)
    }

    /// The same with a LAN that has room for thousands.
    pub(crate) fn two_lines_wide(sandbox: &'s Sandbox) -> Self {
        Self::new(
            sandbox,
            &TWO_LINES.toml.replace("192.0.2.1/24", "172.16.0.1/20"),
        )
    }

    /// The lines that a configuration describes.
    pub(crate) fn new(sandbox: &'s Sandbox, toml: &str) -> Self {
        let config = Config::parse(toml, "benchmark").expect("it is right");
        let lan = &config.lans[0];
        let mut topology = Topology::new(&lan.interface, lan.address);
        for line in &config.lines {
            let address = line.address.expect("a fixed line");
            topology = match line.gateway {
                Some(gateway) => topology.line(&line.interface, address, gateway),
                None => topology.point_to_point(&line.interface, address.addr(), PEER),
            };
        }
        let directory = tempfile::tempdir_in("/run").expect("the sandbox's own /run");
        fs::write(directory.path().join("multiwan.toml"), toml).expect("room for a file");
        Self {
            sandbox,
            topology,
            directory,
        }
    }

    /// A command of the shipped applier.
    pub(crate) fn multiwan(&self, verb: &str) -> Command {
        self.multiwan_with(verb, &self.config())
    }

    /// The same with a configuration in another file.
    pub(crate) fn multiwan_with(&self, verb: &str, config: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_multiwan-conformance"));
        command.arg0("multiwan").args([verb, "-c"]).arg(config);
        command
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("multiwan.toml")
    }

    /// Plays in a fresh router, where nothing is applied yet.
    pub(crate) fn play<T>(
        &self,
        (clients, flyweights): (usize, usize),
        play: impl FnOnce(&mut Lab) -> T,
    ) -> T {
        let topology = self
            .topology
            .clone()
            .clients(clients)
            .flyweights(flyweights);
        let inside = || {
            let mut lab = Lab::build(self.sandbox, topology).map_err(io::Error::other)?;
            lab.prepare_router(1).map_err(io::Error::other)?;
            Ok(play(&mut lab))
        };
        let (_router, result) = Netns::create(inside).unwrap_or_else(|why| panic!("{why}"));
        // A later router's namespace may have the same number.
        let _ = fs::remove_dir_all("/run/multiwan");
        result
    }

    /// Plays in a router with the configuration applied.
    pub(crate) fn play_applied<T>(
        &self,
        clients: (usize, usize),
        play: impl FnOnce(&mut Lab) -> T,
    ) -> T {
        self.play(clients, |lab| {
            run(&mut self.multiwan("apply"));
            lab.wait_router_links()
                .unwrap_or_else(|why| panic!("{why}"));
            play(lab)
        })
    }
}

/// Runs a command that must succeed, without its output.
pub(crate) fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).status();
    let status = status.unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(status.success(), "{command:?}: {status}");
}
