//! Texas Instruments TCA9548A (eight ports) and NXP PCA9546A (four): a bus of buses.
//!
//! Every transaction opens the port and closes it again, at the price of two short messages. So nothing has to be
//! remembered, a multiplexer that lost power is no different from one that did not, and two multiplexers on one bus
//! never show the same address twice. Not done: the reset pin.
//!
//! Datasheets: SCPS207F, November 2016, <https://www.ti.com/lit/ds/symlink/tca9548a.pdf>;
//! PCA9546A rev. 6, <https://www.nxp.com/docs/en/data-sheet/PCA9546A.pdf>.

use embedded_hal::i2c::{ErrorType, I2c, Operation};

use crate::{BusError, BusFault};

/// The addresses that both can be set to (pins A0 to A2; SCPS207F, section 8.5.2).
pub const ADDRESSES: core::ops::RangeInclusive<u8> = 0x70..=0x77;

/// The bus behind one port of a multiplexer; a port of another multiplexer may stand in front of it.
#[derive(Debug)]
pub struct Port<B> {
    bus: B,
    multiplexer: u8,
    port: u8,
}

impl<B> Port<B> {
    /// Port 0 to 7 (0 to 3 on the PCA9546A) of the multiplexer at an address of `bus`.
    pub fn new(bus: B, multiplexer: u8, port: u8) -> Self {
        Self { bus, multiplexer, port }
    }
}

impl<B: I2c<Error = BusError>> Port<B> {
    /// Writes the control register: one bit per open port (SCPS207F, section 8.5.4).
    fn open(&mut self, ports: u8) -> Result<(), BusError> {
        self.bus.write(self.multiplexer, &[ports]).map_err(|error| match error.kind {
            BusFault::Absent => BusError { kind: BusFault::MultiplexerAbsent, ..error },
            _ => error,
        })
    }
}

impl<B> ErrorType for Port<B> {
    type Error = BusError;
}

impl<B: I2c<Error = BusError>> I2c for Port<B> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        self.open(1 << (self.port & 7))?;
        let result = self.bus.transaction(address, operations);
        let closed = self.open(0);
        result.and(closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Bus, Place, bh1750, tca9548a};
    use crate::{Driver, Measurements};
    use core::time::Duration;
    use std::vec;
    use std::vec::Vec;

    const MUX: u8 = 0x70;
    const ABSENT: BusError = BusError::new(BusFault::Absent);

    /// Writes down every message; at some point one is not acknowledged.
    #[derive(Default)]
    struct Wire {
        messages: Vec<(u8, Vec<u8>)>,
        silent_at: Option<usize>,
    }

    impl ErrorType for Wire {
        type Error = BusError;
    }

    impl I2c for Wire {
        fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
            for operation in operations {
                let Operation::Write(bytes) = operation else { continue };
                self.messages.push((address, bytes.to_vec()));
            }
            if self.silent_at == Some(self.messages.len()) { Err(ABSENT) } else { Ok(()) }
        }
    }

    #[test]
    fn a_port_is_opened_and_closed_around_each_transaction() {
        let mut wire = Wire::default();
        assert_eq!(Port::new(&mut wire, MUX, 3).write(0x23, &[1, 2]), Ok(()));
        assert_eq!(wire.messages, [(MUX, vec![0b1000]), (0x23, vec![1, 2]), (MUX, vec![0])]);
    }

    #[test]
    fn a_port_is_closed_behind_a_device_that_does_not_answer() {
        let mut wire = Wire { silent_at: Some(2), ..Wire::default() };
        assert_eq!(Port::new(&mut wire, MUX, 0).write(0x23, &[7]), Err(ABSENT));
        assert_eq!(wire.messages.last(), Some(&(MUX, vec![0])));
    }

    #[test]
    fn a_missing_multiplexer_is_told_from_a_missing_device() {
        for silent_at in [1, 3] {
            let mut wire = Wire { silent_at: Some(silent_at), ..Wire::default() };
            let result = Port::new(&mut wire, MUX, 0).write(0x23, &[7]);
            assert_eq!(result, Err(BusError::new(BusFault::MultiplexerAbsent)));
            assert_eq!(wire.messages.len(), silent_at);
        }
    }

    /// Illuminance from a BH1750 behind the ports of `path`, the outermost first.
    fn illuminance(bus: &mut Bus, path: &[(u8, u8)]) -> Option<f64> {
        let mut driver = bh1750();
        let mut out = Measurements::new();
        through(bus, path, &mut |port| driver.start(port).map(|_| ())).ok()?;
        bus.advance(Duration::from_millis(180));
        through(bus, path, &mut |port| driver.read(port, &mut out)).ok()?;
        out.first().map(|measurement| measurement.value)
    }

    fn bh1750() -> crate::bh1750::Bh1750 {
        crate::bh1750::Bh1750::new(0x23)
    }

    type Talk<'a> = dyn FnMut(&mut crate::I2c) -> Result<(), crate::Error> + 'a;

    fn through(bus: &mut crate::I2c, path: &[(u8, u8)], talk: &mut Talk) -> Result<(), crate::Error> {
        match path {
            [] => talk(bus),
            [(multiplexer, port), inner @ ..] => through(&mut Port::new(bus, *multiplexer, *port), inner, talk),
        }
    }

    #[test]
    fn sensors_of_one_address_are_kept_apart() {
        let mut bus = Bus::new(400_000);
        bus.attach(tca9548a::tca9548a(0x70));
        bus.attach_behind(&[(0x70, 7)], tca9548a::pca9546(0x71));
        let places = [&[(0x70, 0)][..], &[(0x70, 1)], &[(0x70, 7), (0x71, 2)]];
        for (path, lux) in places.into_iter().zip([120.0, 240.0, 360.0]) {
            bus.attach_behind(path, bh1750::bh1750(0x23));
            assert!(bus.set(Place::behind(path, 0x23), "illuminance", lux));
        }
        assert_eq!(places.map(|path| illuminance(&mut bus, path)), [Some(120.0), Some(240.0), Some(360.0)]);
        assert_eq!(illuminance(&mut bus, &[]), None, "all ports are closed again");
        assert_eq!(illuminance(&mut bus, &[(0x70, 2)]), None, "nobody is behind this port");
    }
}
