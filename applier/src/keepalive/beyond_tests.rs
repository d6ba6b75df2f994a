use std::net::SocketAddrV4;

use super::super::filter::run;
use super::super::ip::IP;
use super::super::syn;
use super::*;

const SOURCE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const TARGET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
const BODY: usize = IP;
const PORTS: [u16; syn::PORTS] = [
    0x9a01, 0x9203, 0x9305, 0x9407, 0x9509, 0x960b, 0x970d, 0x9001, 0xa203, 0xa305, 0xa407, 0xa509,
    0xa60b, 0xa70d, 0xa80f, 0xaa11,
];

fn asking(targets: impl IntoIterator<Item = Target>) -> Questions {
    Questions {
        source: SOURCE,
        targets: targets.into_iter().collect(),
        echo: Echo { identifier: 0x1234 },
        syn: Syn { ports: PORTS },
        query: Query {
            port: 0x9002,
            identifier: 0x1234,
        },
    }
}

/// One target of each kind.
fn kinds() -> [Target; 3] {
    [
        Target::Echo(TARGET),
        Target::Tcp(SocketAddrV4::new(TARGET, 443)),
        Target::Dns(TARGET),
    ]
}

fn question(target: Target) -> Vec<u8> {
    asking([target]).packets(7).next().unwrap()
}

/// The packet with which a target answers, with so many words of IP options.
fn answer(target: Target, options: usize) -> Vec<u8> {
    let request = question(target);
    let mut packet = request[..BODY].to_vec();
    packet.extend(vec![1; 4 * options]);
    packet.extend(&request[BODY..]);
    packet[0] = 0x45 + u8::try_from(options).unwrap();
    packet[12..16].copy_from_slice(&TARGET.octets());
    packet[16..20].copy_from_slice(&SOURCE.octets());
    let body = BODY + 4 * options;
    match target {
        Target::Echo(_) => packet[body] = 0,
        Target::Tcp(_) | Target::Dns(_) => {
            packet.copy_within(body..body + 2, body + 2);
            packet[body..body + 2].copy_from_slice(&request[BODY + 2..BODY + 4]);
        }
    }
    match target {
        // SYN/ACK.
        Target::Tcp(_) => packet[body + 13] = 0x12,
        // A response that refuses.
        Target::Dns(_) => packet[body + 10..body + 12].copy_from_slice(&[0x81, 0x05]),
        Target::Echo(_) => {}
    }
    let total = u16::try_from(packet.len()).unwrap();
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet
}

/// RFC 1071 over what already holds its checksum: nothing is left.
fn left(bytes: &[u8]) -> u16 {
    let word = |word: &[u8]| u32::from(word[0]) << 8 | word.get(1).map_or(0, |b| u32::from(*b));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !sum as u16
}

/// What TCP and UDP sum up: both addresses, the protocol and the length before the body.
fn with_pseudo_header(packet: &[u8]) -> Vec<u8> {
    let mut bytes = packet[12..BODY].to_vec();
    bytes.extend([0, packet[9]]);
    bytes.extend(u16::try_from(packet.len() - BODY).unwrap().to_be_bytes());
    bytes.extend(&packet[BODY..]);
    bytes
}

#[test]
fn asks_with_right_checksums() {
    for target in kinds() {
        let packet = question(target);
        assert_eq!(left(&packet[..BODY]), 0, "{target}");
        assert_eq!(packet[12..16], SOURCE.octets());
        assert_eq!(packet[16..BODY], TARGET.octets());
    }
    let [echo, syn, query] = kinds().map(question);
    assert_eq!(left(&echo[BODY..]), 0);
    assert_eq!(echo[BODY..BODY + 2], [8, 0]);
    assert_eq!(echo[BODY + 4..BODY + 8], [0x12, 0x34, 0, 7]);
    assert_eq!(left(&with_pseudo_header(&syn)), 0);
    assert_eq!(syn[BODY..BODY + 4], [0x90, 1, 1, 187]);
    assert_eq!(syn[BODY + 12..BODY + 14], [0x50, 0x02]);
    assert_eq!(left(&with_pseudo_header(&query)), 0);
    assert_eq!(query[BODY..BODY + 6], [0x90, 2, 0, 53, 0, 25]);
    let message = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
    assert_eq!(query[BODY + 8..], message);
}

#[test]
fn each_target_is_asked() {
    let other = Ipv4Addr::new(192, 0, 2, 54);
    let asked: Vec<_> = asking(kinds().into_iter().chain([Target::Echo(other)]))
        .packets(1)
        .map(|packet| (packet[9], packet[19]))
        .collect();
    assert_eq!(asked, [(1, 53), (6, 53), (17, 53), (1, 54)]);
}

#[test]
fn hears_its_targets_and_nobody_else() {
    for (target, spoilt_places) in kinds().into_iter().zip([
        // Type, identifier.
        &[0, 5][..],
        // Our port.
        &[2, 3],
        // Our port, identifier.
        &[2, 3, 8, 9],
    ]) {
        let asking = [asking([target]), asking(kinds())];
        for questions in &asking {
            let hears = |packet: &[u8]| {
                (
                    run(&questions.filter(), packet),
                    questions.is_answer(packet),
                )
            };
            for options in [0, 1, 10] {
                let heard = hears(&answer(target, options));
                assert_eq!(
                    heard,
                    (u32::MAX, true),
                    "{target}, {options} words of options"
                );
            }
            assert!(!hears(&question(target)).1, "{target}: its own question");
            let spoilt = |place: usize| {
                let mut packet = answer(target, 0);
                packet[place] ^= 1;
                packet
            };
            // From another address, to another address: the filter lets it through, the parser not.
            for place in [15, 19] {
                assert!(!hears(&spoilt(place)).1, "{target}, byte {place}");
            }
            assert_eq!(hears(&spoilt(7)).0, 0, "{target}, a later fragment");
            for place in spoilt_places.iter().map(|place| BODY + place) {
                assert_eq!(hears(&spoilt(place)), (0, false), "{target}, byte {place}");
            }
            for length in 0..BODY + 4 {
                let heard = hears(&answer(target, 0)[..length]);
                assert_eq!(heard, (0, false), "{target} cut to {length}");
            }
        }
    }
}

#[test]
fn what_is_not_asked_is_not_heard() {
    for asked in kinds() {
        for other in kinds().into_iter().filter(|other| *other != asked) {
            let questions = asking([asked]);
            assert_eq!(
                run(&questions.filter(), &answer(other, 0)),
                0,
                "{asked}, {other}"
            );
            assert!(!questions.is_answer(&answer(other, 0)), "{asked}, {other}");
        }
    }
}

#[test]
fn a_refusal_is_an_answer_and_another_server_is_not() {
    let [_, tcp, dns] = kinds();
    let mut reset = answer(tcp, 0);
    reset[BODY + 13] = 0x14;
    assert!(asking([tcp]).is_answer(&reset));
    reset[BODY + 1] ^= 1;
    assert!(!asking([tcp]).is_answer(&reset), "from another port");
    let mut query = answer(dns, 0);
    query[BODY + 10] = 1;
    assert!(!asking([dns]).is_answer(&query), "a query");
    query[BODY + 10] = 0x81;
    query[BODY + 1] ^= 1;
    assert!(!asking([dns]).is_answer(&query), "from another port");
}

/// As a listening server answers the first segment: SYN/ACK, with what comes next.
fn opened(syn: &[u8]) -> Vec<u8> {
    let mut packet = answer(kinds()[1], 0);
    packet[BODY + 2..BODY + 4].copy_from_slice(&syn[BODY..BODY + 2]);
    packet[BODY + 8..BODY + 12].copy_from_slice(&syn[BODY + 4..BODY + 8]);
    packet[BODY + 11] += 1;
    packet
}

#[test]
fn no_connection_stays_from_any_port() {
    let questions = asking(kinds());
    let ports = (0..32).map(|number| {
        let syn = questions.packets(number).nth(1).unwrap();
        let opened = opened(&syn);
        assert_eq!(run(&questions.filter(), &opened), u32::MAX);
        assert!(questions.is_answer(&opened));
        let reset = questions.reset(&opened).unwrap();
        assert_eq!(left(&with_pseudo_header(&reset)), 0);
        assert_eq!(reset[12..BODY + 4], syn[12..BODY + 4]);
        // What comes next, and RST alone.
        assert_eq!(reset[BODY + 4..BODY + 8], opened[BODY + 8..BODY + 12]);
        assert_eq!(reset[BODY + 13], 0x04);
        u16::from_be_bytes([syn[BODY], syn[BODY + 1]])
    });
    assert_eq!(ports.collect::<Vec<_>>(), [PORTS, PORTS].concat());
}

#[test]
fn what_is_no_connection_of_ours_is_not_reset() {
    let questions = asking(kinds());
    let opened = opened(&questions.packets(0).nth(1).unwrap());
    let spoilt = |place: usize, by: u8| {
        let mut packet = opened.clone();
        packet[place] ^= by;
        questions.reset(&packet)
    };
    assert_eq!(spoilt(BODY + 8, 1), None, "a client's, after translation");
    assert_eq!(spoilt(BODY + 13, 0x04), None, "a refusal");
    assert_eq!(spoilt(9, 1), None, "not TCP");
}
