//! The simulated wire: delivers transactions to chips by address, counts them and the time they would take.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use embedded_hal::i2c::{ErrorType, I2c, Operation};

use super::{Chip, Trouble};
use crate::{BusError, BusFault};

/// The error numbers that Linux's adapters use (`errno.h`), so that the simulator's errors read like real ones.
const EREMOTEIO: i32 = 121;
const EBUSY: i32 = 16;

/// An I2C bus with any number of simulated chips.
pub struct Bus {
    slots: Vec<Slot>,
    hertz: u32,
    stuck: bool,
    transactions: u64,
    busy: Duration,
    dice: u32,
}

struct Slot {
    place: Place,
    chip: Box<dyn Chip + Send>,
    trouble: Option<Trouble>,
}

/// Where a chip is: its address, and the multiplexer ports between it and the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    path: Vec<(u8, u8)>,
    address: u8,
}

impl Place {
    /// Behind the ports of `path`, each the address of a multiplexer and a port of it, the outermost first.
    pub fn behind(path: &[(u8, u8)], address: u8) -> Self {
        Self { path: path.into(), address }
    }
}

impl From<u8> for Place {
    fn from(address: u8) -> Self {
        Self::behind(&[], address)
    }
}

impl Bus {
    /// An empty bus at a clock of `hertz` (100 000 and 400 000 are usual).
    pub fn new(hertz: u32) -> Self {
        Self { slots: Vec::new(), hertz: hertz.max(1), stuck: false, transactions: 0, busy: Duration::ZERO, dice: 1 }
    }

    /// Connects a chip; one that was at the same place is taken off.
    pub fn attach(&mut self, chip: Box<dyn Chip + Send>) {
        self.attach_behind(&[], chip);
    }

    /// Connects a chip behind multiplexers; see [`Place::behind`].
    pub fn attach_behind(&mut self, path: &[(u8, u8)], chip: Box<dyn Chip + Send>) {
        let place = Place::behind(path, chip.address());
        self.slots.retain(|slot| slot.place != place);
        self.slots.push(Slot { place, chip, trouble: None });
    }

    /// Lets time pass for every chip.
    pub fn advance(&mut self, by: Duration) {
        for slot in &mut self.slots {
            match slot.trouble {
                Some(Trouble::Unplugged) => {}
                Some(Trouble::Slow(times)) => slot.chip.advance(by / times.max(1)),
                _ => slot.chip.advance(by),
            }
        }
    }

    /// Sets a quantity around the sensor at a place. False if nothing there senses it.
    pub fn set(&mut self, place: impl Into<Place>, quantity: &str, value: f64) -> bool {
        match self.slot(&place.into()) {
            Some(Slot { trouble: Some(Trouble::Frozen), .. }) => true,
            Some(slot) => slot.chip.set(quantity, value),
            None => false,
        }
    }

    /// Breaks the chip at a place, or mends it with `None`. False if there is none.
    pub fn trouble(&mut self, place: impl Into<Place>, trouble: Option<Trouble>) -> bool {
        let Some(slot) = self.slot(&place.into()) else {
            return false;
        };
        if slot.trouble == Some(Trouble::Unplugged) && trouble != slot.trouble {
            slot.chip.power_on();
        }
        slot.trouble = trouble;
        true
    }

    /// Holds SDA low for everybody, or lets it go.
    pub fn stick(&mut self, stuck: bool) {
        self.stuck = stuck;
    }

    /// How many transactions there were, failed ones included.
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// How long the wire was in use at the bus's clock.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    fn slot(&mut self, place: &Place) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.place == *place)
    }

    /// Which chip answers to `address`: all the ports between must be open.
    fn reached(&self, address: u8) -> Option<usize> {
        self.slots.iter().position(|slot| slot.place.address == address && self.open(&slot.place.path))
    }

    fn open(&self, path: &[(u8, u8)]) -> bool {
        let Some((&(multiplexer, port), outer)) = path.split_last() else { return true };
        let place = Place::behind(outer, multiplexer);
        let connects = |slot: &Slot| slot.place == place && slot.powered() && slot.chip.connects(port);
        self.slots.iter().any(connects) && self.open(outer)
    }

    /// Address and bytes take 9 clocks each (acknowledge included), start and stop one each (NXP UM10204, 3.1).
    fn occupy(&mut self, bytes: usize) {
        let clocks = 9 * (bytes as u64 + 1) + 2;
        self.busy += Duration::from_nanos(clocks * 1_000_000_000 / u64::from(self.hertz));
    }

    fn run(&mut self, address: u8, operation: &mut Operation<'_>) -> Result<(), BusError> {
        const ABSENT: BusError = BusError { kind: BusFault::Absent, errno: Some(EREMOTEIO) };
        let Some(at) = self.reached(address) else {
            self.occupy(0);
            return Err(ABSENT);
        };
        self.occupy(match operation {
            Operation::Read(buffer) => buffer.len(),
            Operation::Write(bytes) => bytes.len(),
        });
        let dice = &mut self.dice;
        self.slots[at].run(operation, || roll(dice)).map_err(|super::Nack| ABSENT)
    }
}

impl Slot {
    fn powered(&self) -> bool {
        self.trouble != Some(Trouble::Unplugged)
    }

    fn run(&mut self, operation: &mut Operation<'_>, mut roll: impl FnMut() -> u8) -> Result<(), super::Nack> {
        if !self.powered() {
            return Err(super::Nack);
        }
        let buffer = match operation {
            Operation::Write(bytes) => return self.chip.write(bytes),
            Operation::Read(buffer) => buffer,
        };
        self.chip.read(buffer)?;
        match self.trouble {
            Some(Trouble::Garbage) => buffer.fill_with(&mut roll),
            Some(Trouble::WrongChecksum) => buffer.iter_mut().last().into_iter().for_each(|last| *last ^= 1),
            _ => {}
        }
        Ok(())
    }
}

/// The next of a repeatable sequence of random bytes (xorshift32, Marsaglia 2003).
fn roll(state: &mut u32) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    state.to_be_bytes()[0]
}

impl ErrorType for Bus {
    type Error = BusError;
}

impl I2c for Bus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        self.transactions += 1;
        if self.stuck {
            return Err(BusError { kind: BusFault::Stuck, errno: Some(EBUSY) });
        }
        operations.iter_mut().try_for_each(|operation| self.run(address, operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Nack;
    use std::vec;

    /// Remembers one byte; `level` is added to every byte it gives; busy for 10 ms after a write.
    #[derive(Default)]
    struct Memory {
        byte: u8,
        level: u8,
        busy: Duration,
    }

    impl Chip for Memory {
        fn address(&self) -> u8 {
            0x10
        }
        fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
            self.byte = *bytes.last().ok_or(Nack)?;
            self.busy = Duration::from_millis(10);
            Ok(())
        }
        fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
            if !self.busy.is_zero() {
                return Err(Nack);
            }
            buffer.fill(self.byte + self.level);
            Ok(())
        }
        fn power_on(&mut self) {
            *self = Self { level: self.level, ..Self::default() };
        }
        fn advance(&mut self, by: Duration) {
            self.busy = self.busy.saturating_sub(by);
        }
        fn set(&mut self, quantity: &str, value: f64) -> bool {
            self.level = value as u8;
            quantity == "level"
        }
    }

    const ABSENT: BusError = BusError { kind: BusFault::Absent, errno: Some(121) };
    const LATER: Duration = Duration::from_millis(10);

    fn bus() -> Bus {
        let mut bus = Bus::new(100_000);
        bus.attach(Box::new(Memory::default()));
        bus.write(0x10, &[7]).unwrap();
        bus
    }

    fn read(bus: &mut Bus) -> Result<[u8; 2], BusError> {
        let mut bytes = [0; 2];
        bus.read(0x10, &mut bytes).map(|()| bytes)
    }

    #[test]
    fn a_chip_answers_when_its_time_has_come() {
        let mut bus = bus();
        assert_eq!(read(&mut bus), Err(ABSENT));
        bus.advance(LATER);
        assert_eq!(read(&mut bus), Ok([7, 7]));
        assert_eq!(bus.write(0x11, &[7]), Err(ABSENT));
    }

    #[test]
    fn transactions_and_their_time_are_counted() {
        let mut bus = bus();
        bus.advance(LATER);
        read(&mut bus).unwrap();
        assert_eq!(bus.transactions(), 2);
        // (1 address + 1 byte) and (1 address + 2 bytes) at 9 clocks, with start and stop, 10 us per clock
        assert_eq!(bus.busy(), Duration::from_micros(10 * (2 * 9 + 2 + 3 * 9 + 2)));
    }

    #[test]
    fn unplugging_takes_the_power_away() {
        let mut bus = bus();
        bus.advance(LATER);
        assert!(bus.set(0x10, "level", 1.0) && bus.trouble(0x10, Some(Trouble::Unplugged)));
        assert_eq!(read(&mut bus), Err(ABSENT));
        bus.trouble(0x10, None);
        assert_eq!(read(&mut bus), Ok([1, 1]), "its memory is gone, the world around it is not");
    }

    #[test]
    fn each_trouble_does_what_it_says() {
        let mut bus = bus();
        bus.trouble(0x10, Some(Trouble::Slow(2)));
        bus.advance(LATER);
        assert_eq!(read(&mut bus), Err(ABSENT));
        bus.advance(LATER);
        assert_eq!(read(&mut bus), Ok([7, 7]));
        bus.trouble(0x10, Some(Trouble::WrongChecksum));
        assert_eq!(read(&mut bus), Ok([7, 6]));
        bus.trouble(0x10, Some(Trouble::Garbage));
        assert_ne!(read(&mut bus), read(&mut bus));
        bus.trouble(0x10, Some(Trouble::Frozen));
        assert!(bus.set(0x10, "level", 5.0));
        assert_eq!(read(&mut bus), Ok([7, 7]));
    }

    #[test]
    fn a_stuck_bus_is_stuck_for_everybody() {
        let mut bus = bus();
        bus.stick(true);
        let stuck = BusError { kind: BusFault::Stuck, errno: Some(16) };
        assert_eq!([bus.write(0x10, &[1]), bus.write(0x11, &[1])], [Err(stuck); 2]);
        bus.stick(false);
        assert_eq!(bus.write(0x10, &[1]), Ok(()));
    }

    #[test]
    fn the_newest_chip_at_an_address_stays() {
        let mut bus = bus();
        bus.attach(Box::new(Memory { byte: 9, ..Memory::default() }));
        assert_eq!(read(&mut bus), Ok([9, 9]));
        assert!(!bus.set(0x11, "level", 1.0) && !bus.set(0x10, "mood", 1.0));
        assert_eq!(vec![bus.slots.len()], [1]);
    }
}
