//! A sandbox is entered without root, and nothing gets out of it.

use multiwan_lab::sandbox;

#[test]
fn the_router_starts_with_a_loopback_only() {
    sandbox::test(|_| {
        let devices = std::fs::read_to_string("/proc/net/dev").unwrap();
        let names: Vec<_> = devices
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name.trim())
            .collect();
        assert_eq!(names, ["lo"]);
    });
}
