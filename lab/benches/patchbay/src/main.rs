//! The lab's topology made with patchbay, as near as it comes: routers there have one uplink, so
//! the second modem has no link to the router.
//!
//! `cargo run --release` prints both, and what a further client takes.

use std::time::{Duration, Instant};

use multiwan_lab::{Lab, Topology, sandbox};

const CLIENTS: usize = 17;
const MORE_CLIENTS: usize = 37;
const ROUNDS: usize = 9;

fn main() {
    let sandbox = sandbox::enter().unwrap_or_else(|why| panic!("{why}"));
    let ours =
        |clients| Lab::build(&sandbox, topology(clients)).unwrap_or_else(|why| panic!("{why}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let theirs = |clients| {
        runtime
            .block_on(patchbay(clients))
            .unwrap_or_else(|why| panic!("{why}"))
    };

    let ours = [CLIENTS, MORE_CLIENTS].map(|clients| median(|| in_fresh_router(|| ours(clients))));
    let theirs = [CLIENTS, MORE_CLIENTS].map(|clients| median(|| theirs(clients)));
    for (name, [few, many]) in [("multiwan-lab", ours), ("patchbay 0.7", theirs)] {
        println!(
            "{name}: {few:.1} ms up with {CLIENTS} clients, {:.2} ms per further client",
            (many - few) / (MORE_CLIENTS - CLIENTS) as f64
        );
    }
    println!("ratio: {:.1}", theirs[0] / ours[0]);
}

/// Milliseconds until `up` is done; what it made goes outside of the time.
fn median<T>(mut up: impl FnMut() -> T) -> f64 {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            let lab = up();
            let took = began.elapsed();
            drop(lab);
            // The kernel takes namespaces back at its leisure, which is not to be in the next time.
            std::thread::sleep(Duration::from_millis(300));
            took
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2].as_secs_f64() * 1e3
}

/// The router is the namespace that the lab is built in.
fn in_fresh_router<T>(build: impl FnOnce() -> T) -> T {
    let (_router, lab) = multiwan_lab::Netns::create(|| Ok(build())).expect("a namespace");
    lab
}

fn topology(clients: usize) -> Topology {
    let net = |text: &str| text.parse().expect("a network");
    let address = |text: &str| text.parse().expect("an address");
    Topology::new("eth0", net("192.0.2.1/24"))
        .line("eth1", net("198.51.100.2/24"), address("198.51.100.1"))
        .line("eth2", net("203.0.113.2/24"), address("203.0.113.1"))
        .clients(clients)
}

async fn patchbay(
    clients: usize,
) -> Result<patchbay::Lab, Box<dyn std::error::Error + Send + Sync>> {
    // It takes the sandbox's root for the machine's, where that is who entered it.
    let lab = patchbay::Lab::builder().allow_real_root().build().await?;
    let modem = lab.add_router("modem1").build().await?;
    lab.add_router("modem2").build().await?;
    let router = lab
        .add_router("router")
        .upstream(modem.id())
        .build()
        .await?;
    for number in 1..=clients {
        let client = lab.add_device(&format!("client{number}"));
        client.iface("eth0", router.id()).build().await?;
    }
    Ok(lab)
}
