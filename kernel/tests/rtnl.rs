//! Many changes at once: what was refused is told, and of what.

use multiwan_kernel::rtnl::{Change, Rtnl};
use multiwan_lab::sandbox;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage as Message};

fn rule(priority: u32) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header.family = AddressFamily::Inet;
    rule.header.action = RuleAction::Unreachable;
    rule.attributes.push(RuleAttribute::Priority(priority));
    rule
}

fn rules(rtnl: &mut Rtnl) -> usize {
    let mut question = RuleMessage::default();
    question.header.family = AddressFamily::Inet;
    rtnl.dump("rules", Message::GetRule(question))
        .unwrap()
        .len()
}

#[test]
fn more_changes_than_their_answers_have_room() {
    sandbox::test(|_| {
        let mut rtnl = Rtnl::open().unwrap();
        let before = rules(&mut rtnl);
        let add = |priority: u32| {
            Change::create(format!("rule {priority}"), Message::NewRule(rule(priority)))
        };
        rtnl.change((1000..2000).map(add)).unwrap();
        assert_eq!(rules(&mut rtnl), before + 1000);

        let missing = Change::existing("a missing rule", Message::DelRule(rule(5000)));
        assert_eq!(rtnl.change([missing]).unwrap_err().what, "a missing rule");

        // The first refusal is told, and what comes after it is done.
        let refused = rtnl
            .change([add(3000), add(1500), add(1501), add(3001)])
            .unwrap_err();
        assert_eq!(refused.what, "rule 1500");
        assert_eq!(refused.source.raw_os_error(), Some(nix::libc::EEXIST));
        assert_eq!(rules(&mut rtnl), before + 1002);
    });
}
