//! What a device measures, and one measurement of it. Time and quality are the gateway's to add.

use heapless::Vec;

/// The most channels that one device may have.
pub const MAX_CHANNELS: usize = 16;

/// One quantity of a device, with what its datasheet promises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channel {
    /// Lower case, as in the configuration: `temperature`.
    pub name: &'static str,
    /// UCUM code: `Cel`, `Pa`, `%`, `V`; `1` for a plain number.
    pub unit: &'static str,
    /// How the values are to be read.
    pub kind: Kind,
    /// The values the device can deliver, both ends included; anything else is an error of the device.
    pub valid: (f64, f64),
    /// The engineering range that "1 %" refers to.
    pub span: (f64, f64),
    /// The smallest step of the output, in `unit`; zero if it depends on the value.
    pub resolution: f64,
    /// RMS noise in `unit` where the datasheet states one: a device that is quieter than this for long is stuck.
    pub noise: Option<f64>,
}

/// How the values of a channel are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A level: any value between two readings is plausible.
    Gauge,
    /// A total that only grows until it is reset or wraps.
    Counter,
    /// One of a few codes; values between them mean nothing.
    State,
}

impl Channel {
    /// A gauge that delivers `low..=high`, which is also its span.
    pub const fn gauge(name: &'static str, unit: &'static str, low: f64, high: f64) -> Self {
        let valid = (low, high);
        Self { name, unit, kind: Kind::Gauge, valid, span: valid, resolution: 0.0, noise: None }
    }

    /// A state with codes `0..=highest`.
    pub const fn state(name: &'static str, highest: u32) -> Self {
        let valid = (0.0, highest as f64);
        Self { name, unit: "1", kind: Kind::State, valid, span: valid, resolution: 1.0, noise: None }
    }

    /// Narrows the span to what is usual, where the device could deliver far more.
    #[must_use]
    pub const fn span(self, low: f64, high: f64) -> Self {
        Self { span: (low, high), ..self }
    }

    /// States the smallest step.
    #[must_use]
    pub const fn resolution(self, step: f64) -> Self {
        Self { resolution: step, ..self }
    }

    /// States the RMS noise.
    #[must_use]
    pub const fn noise(self, rms: f64) -> Self {
        Self { noise: Some(rms), ..self }
    }
}

/// One value of one channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// Index into the instance's channel list.
    pub channel: u8,
    /// In the channel's unit; always finite.
    pub value: f64,
}

/// What one conversation with a device brought in: at most one value per channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurements(Vec<Measurement, MAX_CHANNELS>);

impl Measurements {
    /// Nothing measured yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a value; one that is not finite, or beyond the device's channels, is left out.
    pub fn push(&mut self, channel: usize, value: f64) {
        if let Ok(channel) = u8::try_from(channel)
            && value.is_finite()
        {
            let _ = self.0.push(Measurement { channel, value });
        }
    }

    /// Forgets everything, to be filled again.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl core::ops::Deref for Measurements {
    type Target = [Measurement];

    fn deref(&self) -> &[Measurement] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_values_of_possible_channels_are_measurements() {
        let mut out = Measurements::new();
        for (channel, value) in [(0, f64::NAN), (1, f64::INFINITY), (256, 1.0), (3, -4.0)] {
            out.push(channel, value);
        }
        assert_eq!(*out, [Measurement { channel: 3, value: -4.0 }]);
        (0..2 * MAX_CHANNELS).for_each(|n| out.push(n, 0.0));
        assert_eq!(out.len(), MAX_CHANNELS);
        out.clear();
        assert!(out.is_empty());
    }

    #[test]
    fn a_span_may_be_narrower_than_what_is_valid() {
        let channel = Channel::gauge("co2", "[ppm]", 0.0, 40_000.0).span(400.0, 5_000.0).noise(10.0);
        assert_eq!((channel.valid, channel.span), ((0.0, 40_000.0), (400.0, 5_000.0)));
        assert_eq!(Channel::state("door", 1).valid, (0.0, 1.0));
    }
}
