//! NMEA 0183 receivers (GPS, GNSS): position, height, speed and course.
//!
//! Takes GGA (position and its quality) and RMC (speed and course) of any talker and passes over all other
//! sentences. A sentence must have its checksum. Not done: satellites in view, AIS, setting the clock (that is chrony's
//! and gpsd's work).
//!
//! Source: NMEA 0183 is sold, not published; the fields are those of u-blox's "Receiver description including protocol
//! specification" UBX-13003221, <https://content.u-blox.com/sites/default/files/products/documents/u-blox8-M8_ReceiverDescrProtSpec_UBX-13003221.pdf>,
//! sections 31.1 (framing), 31.2.4 (GGA) and 31.2.14 (RMC).

use core::str;

use heapless::Vec;

use crate::{Channel, FrameError, Framing, Measurements};

/// The standard allows 82 bytes; some receivers send more digits.
const LONGEST: usize = 120;
const MAX_FIELDS: usize = 24;
/// Metres per second in a knot (1852 m per hour).
const KNOT: f64 = 1_852.0 / 3_600.0;

/// What GGA and RMC carry.
pub const CHANNELS: &[Channel] = &[
    Channel::gauge("latitude", "deg", -90.0, 90.0),
    Channel::gauge("longitude", "deg", -180.0, 180.0),
    Channel::gauge("altitude", "m", -500.0, 20_000.0),
    Channel::gauge("hdop", "1", 0.0, 100.0),
    Channel::gauge("satellites", "1", 0.0, 99.0).resolution(1.0),
    Channel::state("fix", 8),
    Channel::gauge("speed", "m/s", 0.0, 1_000.0).span(0.0, 50.0),
    Channel::gauge("course", "deg", 0.0, 360.0),
];
const LATITUDE: usize = 0;
const LONGITUDE: usize = 1;
const ALTITUDE: usize = 2;
const HDOP: usize = 3;
const SATELLITES: usize = 4;
const FIX: usize = 5;
const SPEED: usize = 6;
const COURSE: usize = 7;

/// An NMEA receiver's end of the line.
#[derive(Debug, Default)]
pub struct Nmea {
    /// The sentence so far, without its `$`.
    sentence: Vec<u8, LONGEST>,
    inside: bool,
}

impl Framing for Nmea {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    /// A sentence begins with `$`, which occurs nowhere within one, and ends with the line.
    fn push(&mut self, byte: u8, out: &mut Measurements) -> Result<bool, FrameError> {
        match byte {
            b'$' => {
                self.sentence.clear();
                self.inside = true;
                Ok(false)
            }
            b'\r' | b'\n' if self.inside => {
                self.inside = false;
                measure(checked(&self.sentence)?, out)
            }
            _ if self.inside && self.sentence.push(byte).is_err() => {
                self.inside = false;
                Err(FrameError::TooLong)
            }
            _ => Ok(false),
        }
    }
}

/// What is between `$` and `*`, if the two digits behind are the exclusive or of it.
fn checked(sentence: &[u8]) -> Result<&str, FrameError> {
    let text = str::from_utf8(sentence).map_err(|_| FrameError::Malformed)?;
    let (body, checksum) = text.split_once('*').ok_or(FrameError::Malformed)?;
    let received = u32::from_str_radix(checksum, 16).map_err(|_| FrameError::Malformed)?;
    let computed = body.bytes().fold(0, |sum, byte| sum ^ byte).into();
    if computed == received { Ok(body) } else { Err(FrameError::Checksum { computed, received }) }
}

/// The fields of a sentence; the first is its talker and kind.
fn measure(body: &str, out: &mut Measurements) -> Result<bool, FrameError> {
    let mut fields = Vec::<&str, MAX_FIELDS>::new();
    body.split(',').try_for_each(|field| fields.push(field)).map_err(|_| FrameError::Malformed)?;
    let kind = fields.first().and_then(|field| field.get(2..)).ok_or(FrameError::Malformed)?;
    let field = |n: usize| fields.get(n).copied().unwrap_or("");
    match kind {
        "GGA" => gga(field, out).map(|()| true),
        // Field 2 says whether the receiver trusts itself.
        "RMC" if field(2) == "A" => {
            push(SPEED, number(field(7))?.map(|knots| knots * KNOT), out);
            push(COURSE, number(field(8))?, out);
            Ok(!out.is_empty())
        }
        _ => Ok(false),
    }
}

/// Without a fix only that is said, and how many satellites are heard.
fn gga<'s>(field: impl Fn(usize) -> &'s str, out: &mut Measurements) -> Result<(), FrameError> {
    let fix = number(field(6))?.ok_or(FrameError::Malformed)?;
    push(FIX, Some(fix), out);
    push(SATELLITES, number(field(7))?, out);
    if fix == 0.0 {
        return Ok(());
    }
    push(LATITUDE, degrees(field(2), field(3), "S")?, out);
    push(LONGITUDE, degrees(field(4), field(5), "W")?, out);
    push(HDOP, number(field(8))?, out);
    push(ALTITUDE, number(field(9))?, out);
    Ok(())
}

fn push(channel: usize, value: Option<f64>, out: &mut Measurements) {
    if let Some(value) = value {
        out.push(channel, value);
    }
}

/// A decimal number; an empty field is no number and no error.
fn number(field: &str) -> Result<Option<f64>, FrameError> {
    if field.is_empty() {
        return Ok(None);
    }
    let plain = field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
    let number = field.parse().map_err(|_| FrameError::Malformed)?;
    if plain { Ok(Some(number)) } else { Err(FrameError::Malformed) }
}

/// Degrees and minutes, `ddmm.mmm` or `dddmm.mmm`, negative in the hemisphere `negative`.
fn degrees(field: &str, hemisphere: &str, negative: &str) -> Result<Option<f64>, FrameError> {
    let Some(value) = number(field)? else { return Ok(None) };
    let whole = f64::from((value / 100.0) as u16);
    let degrees = whole + (value - 100.0 * whole) / 60.0;
    Ok(Some(if hemisphere == negative { -degrees } else { degrees }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Measurement;
    use crate::testing::assert_close;
    use rstest::rstest;
    use std::borrow::ToOwned;
    use std::string::String;
    use std::vec;
    use std::vec::Vec as List;

    /// What a stream brings in: the measurements of each sentence, or its error.
    fn sentences(stream: &str) -> List<Result<List<(usize, f64)>, FrameError>> {
        let mut receiver = Nmea::default();
        let mut found = vec![];
        for byte in stream.bytes() {
            let mut out = Measurements::new();
            let pair = |m: &Measurement| (usize::from(m.channel), m.value);
            match receiver.push(byte, &mut out) {
                Ok(false) => {}
                Ok(true) => found.push(Ok(out.iter().map(pair).collect())),
                Err(error) => found.push(Err(error)),
            }
        }
        found
    }

    /// Recorded sentences, as they go around in every NMEA parser's tests.
    const GGA: &str = "$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n";
    const RMC: &str = "$GPRMC,225446,A,4916.45,N,12311.12,W,000.5,054.7,191194,020.3,E*68\r\n";
    const VOID: &str = "$GPRMC,,V,,,,,,,,,,N*53\r\n";

    /// A sentence with its checksum.
    fn sentence(body: &str) -> String {
        let checksum = body.bytes().fold(0, |sum, byte| sum ^ byte);
        std::format!("${body}*{checksum:02X}\r\n")
    }

    #[test]
    fn a_fix_is_a_position() {
        let found = sentences(GGA).remove(0).unwrap();
        assert_eq!(
            found.iter().map(|m| m.0).collect::<List<_>>(),
            [FIX, SATELLITES, LATITUDE, LONGITUDE, HDOP, ALTITUDE]
        );
        let values: List<_> = found.iter().map(|m| m.1).collect();
        assert_close(&values, &[1.0, 8.0, 53.361_336_7, -6.505_620, 1.03, 61.7], &[1e-6; 6]);
    }

    #[test]
    fn speed_is_in_metres_per_second() {
        let found = sentences(RMC).remove(0).unwrap();
        assert_eq!(found.iter().map(|m| m.0).collect::<List<_>>(), [SPEED, COURSE]);
        assert_close(&[found[0].1, found[1].1], &[0.257_222, 54.7], &[1e-6, 1e-9]);
    }

    #[test]
    fn without_a_fix_there_is_no_position() {
        assert_eq!(sentences(&sentence("GPGGA,133605.0,,,,,0,0,,,M,,M,,")), [Ok(vec![(FIX, 0.0), (SATELLITES, 0.0)])]);
        assert_eq!(sentences(VOID), []);
    }

    #[rstest]
    #[case::flipped("$GPRMC,,V,,,,,,,,,,A*53\r\n", FrameError::Checksum { computed: 0x5C, received: 0x53 })]
    #[case::no_checksum("$GPRMC,,V,,,,,,,,,,N\r\n", FrameError::Malformed)]
    #[case::no_number(&sentence("GPGGA,133605.0,,,,,inf,0,,,M,,M,,"), FrameError::Malformed)]
    #[case::no_kind("$*00\r\n", FrameError::Malformed)]
    #[case::too_many_fields(&sentence(&",".repeat(30)), FrameError::Malformed)]
    fn a_bad_sentence_is_an_error(#[case] sentence: &str, #[case] error: FrameError) {
        let found = sentences(sentence);
        assert!(matches!(found[..], [Err(found)] if found == error), "{found:?}");
    }

    #[test]
    fn a_stream_without_ends_is_too_long_once_per_sentence() {
        let endless = "$GP".to_owned() + &"x".repeat(500) + GGA;
        let found = sentences(&endless);
        assert!(matches!(found[..], [Err(FrameError::TooLong), Ok(_)]), "{found:?}");
    }

    #[test]
    fn half_a_sentence_does_not_cost_the_next() {
        assert!(sentences(&(GGA[..30].to_owned() + GGA)).iter().all(Result::is_ok));
        assert!(sentences(&(GGA[20..].to_owned() + GGA)).iter().all(Result::is_ok));
    }

    /// The crate `nmea` on the same sentences.
    #[rstest]
    #[case("GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,")]
    #[case("GNGGA,235959.99,3342.6618,S,11751.3858,E,2,12,0.60,-12.5,M,-34.1,M,,0000")]
    fn the_nmea_crate_reads_the_same(#[case] body: &str) {
        let sentence = sentence(body);
        let ours = sentences(&sentence).remove(0).unwrap();
        let Ok(nmea::ParseResult::GGA(theirs)) = nmea::parse_str(&sentence) else { panic!("{sentence}") };
        let theirs = [
            theirs.fix_satellites.unwrap().into(),
            theirs.latitude.unwrap(),
            theirs.longitude.unwrap(),
            theirs.hdop.unwrap().into(),
            theirs.altitude.unwrap().into(),
        ];
        let ours: List<_> = ours[1..].iter().map(|m| m.1).collect();
        assert_close(&ours, &theirs, &[0.0, 1e-9, 1e-9, 1e-6, 1e-5]);
    }
}
