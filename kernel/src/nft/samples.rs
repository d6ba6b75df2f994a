//! One rule for each statement, with its text and a hook where the kernel takes it.

use super::*;

/// A rule, its text, and where it may stand.
pub(crate) struct Sample {
    pub(crate) family: Family,
    pub(crate) base: Base,
    pub(crate) statements: Vec<Statement>,
    pub(crate) text: &'static str,
}

impl Sample {
    /// A table of this rule alone, and a chain `dispatch` for it to jump to.
    pub(crate) fn table(&self, name: &str) -> Table {
        let mut table = Table::new(self.family, name);
        let mut chain = Chain::base("hooked", self.base.clone());
        chain.rule(self.statements.iter().cloned());
        table.chains.extend([Chain::regular("dispatch"), chain]);
        table
    }
}

/// Every statement, the tests for and against where there are both.
pub(crate) fn samples() -> Vec<Sample> {
    use Statement::*;
    use Test::*;
    let net = |text: &str| text.parse().expect("a prefix");
    let line = Mark::new(0x100, 0x3f00);
    let all = Mark::new(7, u32::MAX);
    let tuple = |direction, end, test| ConntrackAddress {
        direction,
        end,
        test,
        address: [192, 0, 2, 1].into(),
    };
    let tcp = || Protocol(Is, self::Protocol::TCP);

    let prerouting = Base::new(Kind::Filter, Hook::Prerouting, -150);
    let postrouting = Base::new(Kind::Filter, Hook::Postrouting, -150);
    let forward = Base::new(Kind::Filter, Hook::Forward, 0).policy(Policy::Drop);
    let output = Base::new(Kind::Route, Hook::Output, -150);
    let nat = Base::new(Kind::Nat, Hook::Postrouting, 100);
    let nat_before = Base::new(Kind::Nat, Hook::Prerouting, -100);
    let ingress = Base::new(Kind::Filter, Hook::Ingress, -500).device("lo");
    let egress = Base::new(Kind::Filter, Hook::Egress, 0)
        .device("lo")
        .policy(Policy::Drop);

    let ip = [
        (
            &prerouting,
            vec![InputInterface(Is, "eth1".into())],
            r#"iifname "eth1""#,
        ),
        (
            &prerouting,
            vec![InputInterface(IsNot, "an-ifname-of-15".into())],
            r#"iifname != "an-ifname-of-15""#,
        ),
        (
            &prerouting,
            vec![InputInterface(Is, "star*".into())],
            r#"iifname "star\*""#,
        ),
        (
            &postrouting,
            vec![OutputInterface(Is, "eth1".into())],
            r#"oifname "eth1""#,
        ),
        (
            &postrouting,
            vec![OutputInterface(IsNot, "eth1.7".into())],
            r#"oifname != "eth1.7""#,
        ),
        (
            &forward,
            vec![Source(Is, net("192.0.2.1/32"))],
            "ip saddr 192.0.2.1",
        ),
        (
            &forward,
            vec![Source(IsNot, net("192.0.2.0/24"))],
            "ip saddr != 192.0.2.0/24",
        ),
        (
            &forward,
            vec![Source(Is, net("192.0.2.128/25"))],
            "ip saddr 192.0.2.128/25",
        ),
        (
            &forward,
            vec![Destination(Is, net("10.0.0.0/8"))],
            "ip daddr 10.0.0.0/8",
        ),
        (
            &forward,
            vec![Destination(IsNot, net("198.18.0.0/15"))],
            "ip daddr != 198.18.0.0/15",
        ),
        (
            &forward,
            vec![Destination(Is, net("0.0.0.0/0"))],
            "ip daddr 0.0.0.0/0",
        ),
        (
            &forward,
            vec![
                Source(Is, net("192.0.2.1/32")),
                Destination(Is, net("192.0.2.2/32")),
            ],
            "ip saddr 192.0.2.1 ip daddr 192.0.2.2",
        ),
        (&forward, vec![tcp()], "meta l4proto tcp"),
        (
            &forward,
            vec![Protocol(IsNot, self::Protocol(89))],
            "meta l4proto != 89",
        ),
        (
            &forward,
            vec![tcp(), DestinationPort(Is, 443)],
            "meta l4proto tcp th dport 443",
        ),
        (
            &forward,
            vec![
                Protocol(Is, self::Protocol::UDP),
                DestinationPort(IsNot, 53),
            ],
            "meta l4proto udp th dport != 53",
        ),
        (
            &forward,
            vec![tcp(), OpensTcp],
            "meta l4proto tcp tcp flags syn / syn,rst",
        ),
        (
            &prerouting,
            vec![ConntrackMark(Is, line)],
            "ct mark & 0x3f00 == 0x100",
        ),
        (
            &prerouting,
            vec![ConntrackMark(IsNot, Mark::new(0, 0x3f00))],
            "ct mark & 0x3f00 != 0x0",
        ),
        (&prerouting, vec![ConntrackMark(Is, all)], "ct mark 0x7"),
        (
            &prerouting,
            vec![PacketMark(Is, line)],
            "meta mark & 0x3f00 == 0x100",
        ),
        (
            &prerouting,
            vec![PacketMark(IsNot, line)],
            "meta mark & 0x3f00 != 0x100",
        ),
        (
            &prerouting,
            vec![PacketMark(IsNot, all)],
            "meta mark != 0x7",
        ),
        (
            &prerouting,
            vec![ConntrackState([State::New].into())],
            "ct state new",
        ),
        (
            &prerouting,
            vec![ConntrackState(
                [
                    State::New,
                    State::Related,
                    State::Established,
                    State::Invalid,
                ]
                .into(),
            )],
            "ct state invalid,established,related,new",
        ),
        (
            &prerouting,
            vec![ConntrackDirection(Direction::Original)],
            "ct direction original",
        ),
        (
            &prerouting,
            vec![ConntrackDirection(Direction::Reply)],
            "ct direction reply",
        ),
        (
            &prerouting,
            vec![tuple(Direction::Reply, End::Destination, Is)],
            "ct reply ip daddr 192.0.2.1",
        ),
        (
            &prerouting,
            vec![tuple(Direction::Original, End::Source, IsNot)],
            "ct original ip saddr != 192.0.2.1",
        ),
        (
            &postrouting,
            vec![Nexthop(Is, [192, 0, 2, 1].into())],
            "rt ip nexthop 192.0.2.1",
        ),
        (
            &postrouting,
            vec![Nexthop(IsNot, [192, 0, 2, 1].into())],
            "rt ip nexthop != 192.0.2.1",
        ),
        (
            &prerouting,
            vec![Local(End::Destination, Is)],
            "fib daddr type local",
        ),
        (
            &prerouting,
            vec![Local(End::Source, IsNot)],
            "fib saddr type != local",
        ),
        (
            &prerouting,
            vec![SetConntrackMark(line)],
            "ct mark set ct mark & 0xffffc0ff | 0x100",
        ),
        (
            &prerouting,
            vec![SetConntrackMark(Mark::new(0, 0x3f00))],
            "ct mark set ct mark & 0xffffc0ff",
        ),
        (&prerouting, vec![SetConntrackMark(all)], "ct mark set 0x7"),
        (
            &output,
            vec![SetPacketMark(line)],
            "meta mark set meta mark & 0xffffc0ff | 0x100",
        ),
        (
            &output,
            vec![SetPacketMark(Mark::new(0x3f00, 0x3f00))],
            "meta mark set meta mark & 0xffffc0ff | 0x3f00",
        ),
        (&output, vec![SetPacketMark(all)], "meta mark set 0x7"),
        (
            &forward,
            vec![SetSegmentSize(SegmentSize::RouteMtu)],
            "tcp option maxseg size set rt mtu",
        ),
        (
            &forward,
            vec![SetSegmentSize(SegmentSize::Bytes(1452))],
            "tcp option maxseg size set 1452",
        ),
        (&forward, vec![Counter(Default::default())], "counter"),
        (
            &nat,
            vec![SourceNat([192, 0, 2, 1].into())],
            "snat to 192.0.2.1",
        ),
        (
            &nat_before,
            vec![DestinationNat([192, 0, 2, 1].into())],
            "dnat to 192.0.2.1",
        ),
        (&nat, vec![Masquerade], "masquerade"),
        (&forward, vec![self::Verdict::Accept.into()], "accept"),
        (&forward, vec![self::Verdict::Drop.into()], "drop"),
        (&forward, vec![self::Verdict::Return.into()], "return"),
        (
            &forward,
            vec![self::Verdict::Jump("dispatch".into()).into()],
            "jump dispatch",
        ),
        (
            &forward,
            vec![self::Verdict::Goto("dispatch".into()).into()],
            "goto dispatch",
        ),
        (
            &forward,
            vec![tcp(), Reject(self::Reject::TcpReset)],
            "meta l4proto tcp reject with tcp reset",
        ),
        (
            &prerouting,
            vec![tcp(), Reject(self::Reject::TcpReset)],
            "meta l4proto tcp reject with tcp reset",
        ),
        (
            &forward,
            vec![Reject(self::Reject::Icmp(Unreachable::AdminProhibited))],
            "reject with icmp admin-prohibited",
        ),
        (
            &forward,
            vec![Reject(self::Reject::Icmp(Unreachable::Net))],
            "reject with icmp net-unreachable",
        ),
        (
            &forward,
            vec![Reject(self::Reject::Icmp(Unreachable::Host))],
            "reject with icmp host-unreachable",
        ),
        (
            &forward,
            vec![Reject(self::Reject::Icmp(Unreachable::Protocol))],
            "reject with icmp prot-unreachable",
        ),
        (
            &forward,
            vec![Reject(self::Reject::Icmp(Unreachable::NetProhibited))],
            "reject with icmp net-prohibited",
        ),
        (
            &forward,
            vec![Reject(self::Reject::Icmp(Unreachable::HostProhibited))],
            "reject with icmp host-prohibited",
        ),
    ];
    let netdev = [
        (
            &ingress,
            vec![EtherType(Is, 0x0800), Source(Is, net("192.0.2.1/32"))],
            "meta protocol ip ip saddr 192.0.2.1",
        ),
        (
            &ingress,
            vec![EtherType(IsNot, 0x0806), self::Verdict::Drop.into()],
            "meta protocol != arp drop",
        ),
        (
            &egress,
            vec![InputInterface(Is, "lo".into()), Counter(Default::default())],
            r#"iifname "lo" counter"#,
        ),
        (
            &egress,
            vec![PacketMark(Is, line), self::Verdict::Accept.into()],
            "meta mark & 0x3f00 == 0x100 accept",
        ),
    ];
    let sample = |family| {
        move |(base, statements, text): (&Base, Vec<Statement>, &'static str)| Sample {
            family,
            base: base.clone(),
            statements,
            text,
        }
    };
    ip.into_iter()
        .map(sample(Family::Ip))
        .chain(netdev.into_iter().map(sample(Family::Netdev)))
        .collect()
}
