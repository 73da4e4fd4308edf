//! Plantower PMS5003 (and PMS7003, PMSA003): airborne particles, by mass and by number.
//!
//! In active mode, as it is after power-on, the sensor sends a frame about every second. Not done: sleep and passive
//! mode; the values "CF=1" for factory dust, which differ only in dirty air.
//!
//! Datasheet: PMS5003 series data manual V2.3, June 2016,
//! <https://www.aqmd.gov/docs/default-source/aq-spec/resources-page/plantower-pms5003-manual_v2-3.pdf>, appendix I.

use crate::frame::Frame;
use crate::{Channel, FrameError, Framing, Measurements};

const BEGIN: [u8; 2] = [0x42, 0x4D];
const LENGTH: usize = 32;
/// What the frame says of its own length: thirteen data words and the checksum.
const DATA_LENGTH: u16 = 28;

/// Table 1: effective range up to 500 µg/m3; particles larger than so many µm in 0.1 l of air.
pub const CHANNELS: &[Channel] = &[
    mass("pm1_0"),
    mass("pm2_5"),
    mass("pm10"),
    number("count_0_3"),
    number("count_0_5"),
    number("count_1_0"),
    number("count_2_5"),
    number("count_5_0"),
    number("count_10"),
];

const fn mass(name: &'static str) -> Channel {
    Channel::gauge(name, "ug/m3", 0.0, 65_535.0).span(0.0, 500.0).resolution(1.0)
}

const fn number(name: &'static str) -> Channel {
    Channel::gauge(name, "/dL", 0.0, 65_535.0).resolution(1.0)
}

/// The PMS5003's end of the line.
#[derive(Debug, Default)]
pub struct Pms5003 {
    frame: Frame<LENGTH>,
}

/// The sum over all bytes before it.
fn check(frame: &[u8; LENGTH]) -> Result<(), FrameError> {
    let computed = frame[..LENGTH - 2].iter().map(|&byte| u32::from(byte)).sum();
    let received = u32::from(word(frame, 14));
    if computed != received {
        return Err(FrameError::Checksum { computed, received });
    }
    if word(frame, 0) != DATA_LENGTH { Err(FrameError::Malformed) } else { Ok(()) }
}

/// Word `n` after the two bytes with which the frame begins.
fn word(frame: &[u8; LENGTH], n: usize) -> u16 {
    u16::from_be_bytes([frame[2 * n + 2], frame[2 * n + 3]])
}

impl Framing for Pms5003 {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    fn push(&mut self, byte: u8, out: &mut Measurements) -> Result<bool, FrameError> {
        let Some(frame) = self.frame.push(byte, BEGIN) else { return Ok(false) };
        if let Err(error) = check(&frame) {
            self.frame.reject(BEGIN);
            return Err(error);
        }
        self.frame.accept();
        // Words 1 to 3 are "CF=1"; 4 to 6 the atmosphere; 7 to 12 numbers; 13 reserved.
        (0..CHANNELS.len()).for_each(|n| out.push(n, word(&frame, n + 4).into()));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::frames;
    use std::vec::Vec;

    /// Laid out as in appendix I, the checksum added up by hand: 0xD8.
    const CLEAN_AIR: [u8; 32] = [
        0x42, 0x4D, 0x00, 0x1C, 0x00, 0x01, 0x00, 0x02, 0x00, 0x03, 0x00, 0x01, 0x00, 0x02, 0x00, 0x03, 0x01, 0x02,
        0x00, 0x04, 0x00, 0x05, 0x00, 0x06, 0x00, 0x07, 0x00, 0x08, 0x00, 0x00, 0x00, 0xD8,
    ];

    #[test]
    fn a_frame_becomes_nine_measurements() {
        let found = frames(&mut Pms5003::default(), &CLEAN_AIR);
        assert_eq!(found, [Ok(Vec::from([1., 2., 3., 258., 4., 5., 6., 7., 8.]))]);
    }

    #[test]
    fn half_a_frame_costs_one_error_and_no_good_frame() {
        let mut stream = CLEAN_AIR[..20].to_vec();
        stream.extend(CLEAN_AIR);
        stream.extend(CLEAN_AIR);
        let found = frames(&mut Pms5003::default(), &stream);
        assert!(matches!(found[..], [Err(FrameError::Checksum { .. }), Ok(_), Ok(_)]), "{found:?}");
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let mut damaged = CLEAN_AIR;
        damaged[13] ^= 0x10;
        let found = frames(&mut Pms5003::default(), &damaged);
        assert_eq!(found, [Err(FrameError::Checksum { computed: 0xE8, received: 0xD8 })]);
    }

    #[test]
    fn a_frame_of_another_length_is_another_device() {
        let mut other = CLEAN_AIR;
        (other[3], other[31]) = (0x14, 0xD0); // PMS3003: twenty bytes
        assert_eq!(frames(&mut Pms5003::default(), &other), [Err(FrameError::Malformed)]);
    }
}
