//! What left a line with a source that it must not have.

use std::fmt;
use std::net::Ipv4Addr;

use super::Scene;

/// Packets with a foreign source, in words: how many, and the line and address of most of them.
pub struct Foreign {
    packets: u64,
    most: Option<(String, Ipv4Addr, u64)>,
}

impl Foreign {
    /// How many packets.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// The sentence, if there are any.
    pub fn told(&self) -> Option<String> {
        self.most.is_some().then(|| self.to_string())
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} packets left with a foreign source", self.packets)?;
        match &self.most {
            Some((line, source, packets)) => {
                write!(f, ", {packets} of them by {line} from {source}")
            }
            None => Ok(()),
        }
    }
}

impl Scene<'_> {
    /// What left with an address that is not its line's.
    pub fn foreign(&self) -> Foreign {
        let own = self.own_addresses();
        self.foreign_to(|line, source| source == own[line])
    }

    /// What left with an address that is not one of these of its line.
    pub fn foreign_to(&self, own: impl Fn(usize, Ipv4Addr) -> bool) -> Foreign {
        let sources = self.traffic.ledger().sources();
        let foreign = sources.filter(|&(line, source, _)| !own(line, source));
        let foreign: Vec<(usize, Ipv4Addr, u64)> = foreign.collect();
        let most = foreign.iter().max_by_key(|(_, _, packets)| packets);
        Foreign {
            packets: foreign.iter().map(|(_, _, packets)| packets).sum(),
            most: most.map(|&(line, source, packets)| (self.name(line), source, packets)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_and_address_of_most_are_named() {
        let source = Ipv4Addr::new(198, 51, 100, 2);
        let mut foreign = Foreign {
            packets: 392,
            most: Some(("dsl2".to_owned(), source, 390)),
        };
        assert_eq!(
            foreign.told().unwrap(),
            "392 packets left with a foreign source, 390 of them by dsl2 from 198.51.100.2"
        );
        foreign = Foreign {
            packets: 0,
            most: None,
        };
        assert_eq!(foreign.told(), None);
        assert_eq!(foreign.to_string(), "0 packets left with a foreign source");
    }
}
