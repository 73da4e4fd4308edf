//! Winsen MH-Z19 (B, C, D and E alike): carbon dioxide by infrared.
//!
//! It answers when asked. For three minutes after power-on it answers 400 to 500 ppm whatever the air; nothing in the
//! answer tells. Not done: calibration, and switching its self-calibration off.
//!
//! Datasheet: MH-Z19B user's manual V1.6, February 2020,
//! <https://www.winsen-sensor.com/d/files/infrared-gas-sensor/mh-z19b-co2-ver1_0.pdf>, "UART".

use crate::frame::Frame;
use crate::{Channel, FrameError, Framing, Measurements};

/// Command 0x86, "gas concentration", to sensor 1, with its checksum.
const REQUEST: &[u8] = &[0xFF, 0x01, 0x86, 0, 0, 0, 0, 0, 0x79];
const BEGIN: [u8; 2] = [0xFF, 0x86];

/// Ranges of 2000, 5000 or 10000 ppm, by model.
pub const CHANNELS: &[Channel] = &[Channel::gauge("co2", "[ppm]", 0.0, 10_000.0).span(400.0, 5_000.0).resolution(1.0)];

/// The MH-Z19's end of the line.
#[derive(Debug, Default)]
pub struct Mhz19 {
    frame: Frame<9>,
}

/// "Checksum calculation method": the bytes between begin and checksum make zero with it.
fn check(frame: &[u8; 9]) -> Result<(), FrameError> {
    let sum = frame[1..8].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let (computed, received) = (sum.wrapping_neg().into(), frame[8].into());
    if computed == received { Ok(()) } else { Err(FrameError::Checksum { computed, received }) }
}

impl Framing for Mhz19 {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    fn request(&self) -> Option<&'static [u8]> {
        Some(REQUEST)
    }

    fn push(&mut self, byte: u8, out: &mut Measurements) -> Result<bool, FrameError> {
        let Some(frame) = self.frame.push(byte, BEGIN) else { return Ok(false) };
        if let Err(error) = check(&frame) {
            self.frame.reject(BEGIN);
            return Err(error);
        }
        self.frame.accept();
        out.push(0, u16::from_be_bytes([frame[2], frame[3]]).into());
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::frames;
    use std::vec::Vec;

    /// A real sensor's answer, published at <https://sudonull.com/post/46138>.
    const RECORDED: [u8; 9] = [0xFF, 0x86, 0x01, 0xC1, 0x3C, 0x04, 0x3C, 0xC1, 0x7B];

    #[test]
    fn the_recorded_answer_is_understood() {
        assert_eq!(frames(&mut Mhz19::default(), &RECORDED), [Ok(Vec::from([449.0]))]);
    }

    #[test]
    fn the_request_has_the_checksum_of_the_manual() {
        let request: &[u8; 9] = REQUEST.try_into().unwrap();
        assert_eq!(check(request), Ok(()));
        assert_eq!(Mhz19::default().request(), Some(REQUEST));
    }

    #[test]
    fn damage_is_noticed_and_the_next_answer_counts_again() {
        let mut stream = RECORDED.to_vec();
        stream[3] ^= 1;
        stream.extend(RECORDED);
        let found = frames(&mut Mhz19::default(), &stream);
        assert!(matches!(found[..], [Err(FrameError::Checksum { .. }), Ok(_)]), "{found:?}");
    }
}
