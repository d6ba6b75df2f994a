//! The last frames of a cable, kept to be looked at.

use std::io::{self, Write};
use std::time::Duration;

use multiwan_kernel::packet::{Captured, Direction};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, PcapError};

use super::port::KEPT;

/// The last frames on one of the router's cables, both ways, as they were seen at its far end:
/// what a broken modem swallowed is there, what the router's card never sent is not.
#[derive(Debug)]
pub struct Recording {
    device: String,
    frames: Vec<Frame>,
    most: usize,
    seen: usize,
}

/// A frame, as far as it is kept.
#[derive(Debug)]
struct Frame {
    time: Duration,
    length: u32,
    kept: u8,
    from_router: bool,
    bytes: [u8; KEPT],
}

impl Recording {
    pub(super) fn new(device: &str, most: usize) -> Self {
        Self {
            device: device.to_owned(),
            frames: Vec::new(),
            most,
            seen: 0,
        }
    }

    /// The router's device at the near end.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// How many frames there were before those that are kept.
    pub fn cut(&self) -> usize {
        self.seen - self.frames.len()
    }

    pub(super) fn add(&mut self, seen: &Captured<'_>) {
        const { assert!(KEPT <= u8::MAX as usize) };
        let kept = seen.bytes.len().min(KEPT);
        let mut bytes = [0; KEPT];
        bytes[..kept].copy_from_slice(&seen.bytes[..kept]);
        let frame = Frame {
            time: seen.time,
            length: u32::try_from(seen.length).unwrap_or(u32::MAX),
            kept: kept as u8,
            from_router: seen.direction != Direction::Out,
            bytes,
        };
        if self.frames.len() < self.most {
            self.frames.push(frame);
        } else {
            let oldest = self.seen % self.most;
            self.frames[oldest] = frame;
        }
        self.seen += 1;
    }

    /// Writes it as pcapng; the description of the interface says what was cut.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write_pcapng(&self, to: impl Write) -> io::Result<()> {
        self.write(to).map_err(|error| match error {
            PcapError::IoError(error) => error,
            other => io::Error::other(other),
        })
    }

    fn write(&self, to: impl Write) -> Result<(), PcapError> {
        const NANOSECONDS: u8 = 9;
        const INBOUND: u32 = 1;
        const OUTBOUND: u32 = 2;
        let mut writer = PcapNgWriter::new(to)?;
        let description = format!(
            "the router's {}, seen at the far end of its cable; up to {KEPT} bytes of each frame; {} \
             earlier frames were cut",
            self.device,
            self.cut()
        );
        let interface = InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: KEPT as u32,
            options: vec![
                InterfaceDescriptionOption::IfName(self.device.as_str().into()),
                InterfaceDescriptionOption::IfDescription(description.into()),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        };
        writer.write_block(&interface.into_block())?;
        let oldest = if self.frames.len() < self.most {
            0
        } else {
            self.seen % self.most.max(1)
        };
        let (later, earlier) = self.frames.split_at(oldest);
        for frame in earlier.iter().chain(later) {
            let direction = if frame.from_router { OUTBOUND } else { INBOUND };
            let block = EnhancedPacketBlock {
                interface_id: 0,
                timestamp: frame.time,
                original_len: frame.length,
                data: frame.bytes[..usize::from(frame.kept)].into(),
                options: vec![EnhancedPacketOption::Flags(direction)],
            };
            writer.write_block(&block.into_block())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::*;

    #[test]
    fn the_last_frames_are_kept_in_order_and_what_was_cut_is_said() {
        let mut recording = Recording::new("eth1", 3);
        for number in 0..5_u8 {
            recording.add(&Captured {
                bytes: &[number; 60],
                length: 1514,
                time: Duration::new(1_700_000_000, u32::from(number) + 1),
                direction: if number == 4 {
                    Direction::Out
                } else {
                    Direction::In
                },
                ifindex: 2,
            });
        }
        let mut written = Vec::new();
        recording.write_pcapng(&mut written).unwrap();
        let mut reader = PcapNgReader::new(&written[..]).unwrap();
        let mut seen = Vec::new();
        while let Some(block) = reader.next_block() {
            match block.unwrap() {
                Block::InterfaceDescription(interface) => {
                    let told = format!("{:?}", interface.options);
                    assert!(told.contains("2 earlier frames were cut"), "{told}");
                }
                Block::EnhancedPacket(packet) => {
                    assert_eq!((packet.data.len(), packet.original_len), (60, 1514));
                    let nanoseconds = packet.timestamp.subsec_nanos();
                    let direction = format!("{:?}", packet.options);
                    seen.push((packet.data[0], nanoseconds, direction.contains("Flags(1)")));
                }
                _ => {}
            }
        }
        assert_eq!(seen, [(2, 3, false), (3, 4, false), (4, 5, true)]);
    }
}
