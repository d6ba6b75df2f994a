use multiwan_kernel::packet::Burst;

use super::*;

const MACS: (Mac, Mac) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);

fn ends() -> Ends {
    Ends {
        source: Ipv4Addr::new(192, 0, 2, 10),
        source_port: 4000,
        destination: Ipv4Addr::new(198, 18, 7, 7),
        destination_port: 5000,
    }
}

#[test]
fn what_is_written_is_read() {
    let tcp = Header::Tcp {
        sequence: 7,
        acknowledgement: 9,
        flags: SYN | ACK,
    };
    let echo = Header::Echo {
        reply: true,
        sequence: 3,
    };
    for (header, payload) in [
        (tcp, &b""[..]),
        (tcp, b"hello"),
        (Header::Udp, b"hello"),
        (echo, b"hello"),
    ] {
        let mut ends = ends();
        if header == echo {
            ends.source_port = ends.destination_port;
        }
        let mut burst = Burst::default();
        write(&mut burst, MACS, ends, header, payload);
        let expected = Frame::Segment {
            from: MACS.0,
            ends,
            header,
            payload,
        };
        assert_eq!(read(burst.frame(0)), expected);
    }
}

#[test]
fn what_a_refusal_quotes_is_read() {
    let tcp = Header::Tcp {
        sequence: 7,
        acknowledgement: 9,
        flags: ACK,
    };
    let echo = Header::Echo {
        reply: true,
        sequence: 3,
    };
    for header in [tcp, Header::Udp, echo] {
        let mut ends = ends();
        if header == echo {
            ends.source_port = ends.destination_port;
        }
        let mut burst = Burst::default();
        let hosts = (ends.destination, ends.source);
        let refusal = Refusal::too_big(1400);
        write_refusal(&mut burst, MACS, hosts, refusal, (header, ends));
        let expected = Frame::IcmpError {
            from: hosts.0,
            to: hosts.1,
            kind: 3,
            code: 4,
            quoted: (protocol(header), ends),
        };
        assert_eq!(read(burst.frame(0)), expected);
    }
}

#[test]
fn what_is_large_goes_in_fragments() {
    let mut burst = Burst::default();
    write(&mut burst, MACS, ends(), Header::Udp, &[7; 4000]);
    assert_eq!(burst.len(), 3);
    let Frame::Segment { payload, .. } = read(burst.frame(0)) else {
        panic!("the first has the ports")
    };
    let mut bytes = payload.len();
    for part in [1, 2] {
        let Frame::Fragment { source, body } = read(burst.frame(part)) else {
            panic!("a part without ports")
        };
        assert_eq!(source, ends().source);
        bytes += body.len();
    }
    assert_eq!(bytes, 4000);
}

#[test]
fn padding_is_not_payload() {
    let mut burst = Burst::default();
    write(&mut burst, MACS, ends(), Header::Udp, b"x");
    let mut padded = burst.frame(0).to_vec();
    padded.resize(60, 0);
    let Frame::Segment { payload, .. } = read(&padded) else {
        panic!("a segment")
    };
    assert_eq!(payload, b"x");
}

#[test]
fn nonsense_is_not_understood() {
    let mut burst = Burst::default();
    write(&mut burst, MACS, ends(), Header::Udp, b"hello");
    for length in 0..burst.frame(0).len() {
        // Only must not panic: a capture may cut a frame anywhere.
        read(&burst.frame(0)[..length]);
    }
    assert_eq!(read(b"short"), Frame::Other);
}
