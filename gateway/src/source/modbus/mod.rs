//! `driver = "modbus"`: units on an RS-485 line (RTU) or behind a host (TCP), polled one after the other through tokio-modbus.
//!
//! ```toml
//! [bus.plc]
//! kind = "modbus-tcp"                    # or kind = "serial" for RTU, with device, baud and parity
//! address = "192.168.1.5:502"
//! [sensor.drive]
//! driver = "modbus"
//! bus = "plc"
//! unit = 17
//! every = "500ms"
//! timeout = "300ms"                      # for one answer
//! channel.speed = { holding = 12, type = "f32", unit = "/min", scale = 0.1 }
//! channel.energy = { input = 40, type = "u32", word_order = "little", kind = "counter", unit = "W.h" }
//! channel.running = { coil = 3 }
//! ```
//!
//! After a late or damaged answer the connection is closed, the line is listened to until it is quiet, and everything begins
//! anew, so that an answer is never taken for that to another question. It only reads. The direction of an RS-485 driver is
//! left to the adapter or the kernel.

mod link;
mod registers;

use super::delivery::Delivery;
use super::extract::Found;
use super::grid::Grid;
use super::poll::nanos;
use super::serial::Port;
use super::trouble::Trouble;
use super::{BusKind, Carries, Closed, Draft, Entry, Feed, Life, Open, Running, Source};
use crate::record::Nanos;
use crate::registry::Declared;
use crate::section::{Section, Span};
use link::{Failure, Link, Session};
use registers::{Block, Place, blocks};
use std::borrow::Cow;
use std::time::Duration;

pub(super) const ENTRY: Entry =
    Entry { name: "modbus", summary: "registers of a Modbus unit, RTU or TCP", open: Open::On(Carries::Modbus) };

pub(super) const KIND: BusKind = BusKind {
    name: "modbus-tcp",
    summary: "a Modbus TCP host with its units, `address = \"192.168.1.5:502\"`",
    carries: Carries::Modbus,
    open,
};

const TIMEOUT: Duration = Duration::from_millis(500);

fn open(mut section: Section<'_, '_>, drafts: Vec<Draft<'_, '_>>) -> Option<Box<dyn Source>> {
    let address = section.require::<toml::Spanned<String>>("address", "\"192.168.1.5:502\"");
    let address = address.and_then(|address| {
        let text = address.get_ref();
        let is_complete =
            text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !is_complete {
            let message = format!("`address` in [{}] cannot be used", section.name());
            section.report(address.span(), message, "must be HOST:PORT; the usual port is 502", None);
        }
        is_complete.then(|| address.into_inner())
    });
    section.finish();
    let units = read_units(drafts);
    Some(Box::new(Bus { link: Link::Tcp(address?), units: units? }))
}

/// The units on a serial line.
pub(super) fn open_rtu(port: Port, drafts: Vec<Draft<'_, '_>>) -> Option<Box<dyn Source>> {
    Some(Box::new(Bus { link: Link::Rtu(port), units: read_units(drafts)? }))
}

fn read_units(drafts: Vec<Draft<'_, '_>>) -> Option<Vec<Unit>> {
    let count = drafts.len();
    let units: Vec<_> = drafts.into_iter().filter_map(read_unit).collect();
    (units.len() == count).then_some(units)
}

fn read_unit(draft: Draft<'_, '_>) -> Option<Unit> {
    let every = draft.require_every();
    let Draft { mut section, channels, .. } = draft;
    let number = section.take_checked("unit", "must be 0 to 247", |n: &u8| *n <= 247);
    let timeout = section.take_checked("timeout", "must be 1ms to 1m", |t: &Span| {
        (Duration::from_millis(1)..=Duration::from_secs(60)).contains(&t.0)
    });
    if channels.is_empty() {
        let help = Some("such as: channel.speed = { holding = 12 }".into());
        section.report(
            section.place(),
            format!("[{}] has no channels", section.name()),
            "a unit cannot be asked for them",
            help,
        );
    }
    let count = channels.len();
    let places: Vec<_> = channels.into_iter().filter_map(Place::read).collect();
    let name = section.key().into();
    section.finish();
    let is_complete = count > 0 && places.len() == count;
    is_complete.then_some(())?;
    let blocks = blocks(&places);
    Some(Unit {
        name,
        number: number.unwrap_or(1),
        every: every?,
        timeout: timeout.map_or(TIMEOUT, |t| t.0),
        places,
        blocks,
    })
}

/// A line or host with its units.
struct Bus {
    link: Link,
    units: Vec<Unit>,
}

/// One unit, as configured.
struct Unit {
    name: Box<str>,
    number: u8,
    every: Duration,
    timeout: Duration,
    places: Vec<Place>,
    blocks: Vec<Block>,
}

impl Source for Bus {
    fn channels(&self) -> Vec<Vec<Declared>> {
        self.units.iter().map(|unit| unit.places.iter().map(|p| p.declared.clone()).collect()).collect()
    }

    fn run(self: Box<Self>, feeds: Vec<Feed>, life: Life) -> Running {
        Box::pin(async move {
            let Self { link, units } = *self;
            let mut turns: Vec<_> = units.into_iter().zip(feeds).map(|(unit, feed)| Turn::new(unit, feed)).collect();
            let mut session = Session::new(link);
            while let Some(turn) = turns.iter_mut().min_by_key(|turn| turn.next) {
                let wait = Duration::from_nanos((turn.next - turn.delivery.now()).max(0).unsigned_abs());
                if !life.sleep(wait).await {
                    break;
                }
                match life.until_over(turn.take(&mut session)).await {
                    Some(Ok(())) => {}
                    None => break,
                    Some(Err(Closed)) => return,
                }
            }
            for turn in &mut turns {
                let _ = turn.finish().await;
            }
        })
    }
}

/// A unit and when it is asked.
struct Turn {
    unit: Unit,
    delivery: Delivery,
    grid: Grid,
    trouble: Trouble,
    next: Nanos,
}

impl Turn {
    fn new(unit: Unit, feed: Feed) -> Self {
        let now = feed.clock().now();
        let trouble = Trouble::new(unit.name.clone(), unit.every);
        let grid = Grid::new(now, unit.every);
        Self { unit, delivery: Delivery::new(feed), grid, trouble, next: now }
    }

    /// One poll, and when the next one is.
    async fn take(&mut self, session: &mut Session) -> Result<(), Closed> {
        let missed = self.grid.begin(self.delivery.now());
        self.delivery.miss(missed).await?;
        let mut earliest = Nanos::MIN;
        match self.unit.ask(session, &mut self.delivery).await? {
            Ok(()) => self.trouble.over(),
            Err(why) => {
                let now = self.delivery.now();
                earliest = now + nanos(self.trouble.failed(&why, now));
            }
        }
        self.grid.end();
        self.next = earliest.max(self.grid.due());
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Closed> {
        let missed = self.grid.finish(self.delivery.now());
        self.delivery.miss(missed).await
    }
}

impl Unit {
    /// Asks for every block and delivers it. A unit that does not answer once is not asked for the rest.
    async fn ask(&self, session: &mut Session, delivery: &mut Delivery) -> Result<Result<(), String>, Closed> {
        let mut given_up: Option<String> = None;
        for block in &self.blocks {
            let at = delivery.now();
            let answer = match &given_up {
                Some(why) => Err(why.clone()),
                None => match session.ask(self.number, *block, self.timeout).await {
                    Ok(words) => Ok(words),
                    Err(Failure::Refused(why)) => Err(why),
                    Err(Failure::Broken(why)) => Err(given_up.insert(why).clone()),
                },
            };
            let places = self.places.iter().filter(|place| place.is_in(block));
            delivery.send(places.map(|place| found(place, block, &answer)).collect(), at).await?;
        }
        Ok(given_up.map_or(Ok(()), Err))
    }
}

fn found<'p>(place: &'p Place, block: &Block, answer: &Result<Vec<u16>, String>) -> Found<'p> {
    let value =
        answer.as_ref().map_err(|why| format!("was not read: {why}")).and_then(|words| place.value(block, words));
    Found { name: Cow::Borrowed(&place.declared.name), declared: Some(&place.declared), value }
}

#[cfg(test)]
mod tests;
