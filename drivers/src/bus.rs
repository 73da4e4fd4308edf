//! The one shape of an I2C bus that every driver accepts, and the bridge to buses with an error type of their own.
//! Opening a bus, retrying and timing are the caller's.

use embedded_hal::i2c::{ErrorType, Operation, SevenBitAddress};

use crate::BusError;

/// Any I2C bus: Linux, simulator, mock, multiplexer port.
///
/// A driver sends each message as one contiguous buffer and reads last in a transaction, because Linux adapters
/// (and the kernel's SMBus emulation) can do no more than that.
pub type I2c<'a> = dyn embedded_hal::i2c::I2c<Error = BusError> + 'a;

/// A bus whose own errors are turned into [`BusError`].
///
/// ```
/// use embedded_hal_mock::eh1::i2c::Mock;
/// use weir_drivers::{BusError, Mapped};
///
/// let mut bus = Mapped::new(Mock::new(&[]), BusError::from);
/// # bus.inner().done();
/// ```
#[derive(Debug)]
pub struct Mapped<B: ErrorType> {
    bus: B,
    map: fn(B::Error) -> BusError,
}

impl<B: ErrorType> Mapped<B> {
    /// Wraps `bus`; `map` should keep the operating system's error number if there is one.
    pub fn new(bus: B, map: fn(B::Error) -> BusError) -> Self {
        Self { bus, map }
    }

    /// The wrapped bus.
    pub fn inner(&mut self) -> &mut B {
        &mut self.bus
    }
}

impl<B: ErrorType> ErrorType for Mapped<B> {
    type Error = BusError;
}

impl<B: embedded_hal::i2c::I2c> embedded_hal::i2c::I2c for Mapped<B> {
    fn read(&mut self, address: SevenBitAddress, buffer: &mut [u8]) -> Result<(), BusError> {
        self.bus.read(address, buffer).map_err(self.map)
    }

    fn write(&mut self, address: SevenBitAddress, bytes: &[u8]) -> Result<(), BusError> {
        self.bus.write(address, bytes).map_err(self.map)
    }

    fn write_read(&mut self, address: SevenBitAddress, bytes: &[u8], buffer: &mut [u8]) -> Result<(), BusError> {
        self.bus.write_read(address, bytes, buffer).map_err(self.map)
    }

    fn transaction(&mut self, address: SevenBitAddress, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        self.bus.transaction(address, operations).map_err(self.map)
    }
}
