//! What a Modbus unit's registers mean: which channel stands where, in which form, and which reads fetch them all.
//!
//! Addresses count from 0, as on the wire; the data sheet's 40013 is `holding = 12`. Nothing is sent from here.

use crate::registry::{Declared, Quantity};
use crate::section::Section;
use crate::source::{Measured, extract};

/// One of the four tables of a unit (Modbus Application Protocol V1.1b3, 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Coil,
    Discrete,
    Input,
    Holding,
}

const TABLES: [(&str, Table); 4] =
    [("holding", Table::Holding), ("input", Table::Input), ("coil", Table::Coil), ("discrete", Table::Discrete)];

impl Table {
    /// Bits, not words.
    pub(super) fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }

    /// The most that one request may ask for (same document, 6.1 to 6.4).
    fn limit(self) -> u16 {
        if self.is_bits() { 2000 } else { 125 }
    }
}

/// How a value is put into registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    U16,
    I16,
    U32,
    I32,
    F32,
    U64,
    I64,
    F64,
}

const FORMS: &[(&str, Form)] = &[
    ("u16", Form::U16),
    ("i16", Form::I16),
    ("u32", Form::U32),
    ("i32", Form::I32),
    ("f32", Form::F32),
    ("u64", Form::U64),
    ("i64", Form::I64),
    ("f64", Form::F64),
];

impl Form {
    fn words(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 | Self::F64 => 4,
        }
    }
}

const ORDERS: &[(&str, bool)] = &[("big", false), ("little", true)];

/// A channel and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub(super) declared: Declared,
    table: Table,
    address: u16,
    form: Form,
    /// The word with the lowest digits comes first.
    words_reversed: bool,
    /// The byte with the lowest digits comes first in each word.
    bytes_reversed: bool,
    /// Only these bits of the value: the lowest one and how many.
    bits: Option<(u32, u32)>,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) table: Table,
    pub(super) start: u16,
    pub(super) count: u16,
}

impl Place {
    /// Takes `holding`, `input`, `coil` or `discrete`, `type`, `word_order`, `byte_order`, `bit` or `bits`, `kind`, `unit`.
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let found: Vec<_> =
            TABLES.iter().filter_map(|(key, table)| Some((*table, section.take::<u16>(key)?))).collect();
        let form = section.take_word("type", FORMS);
        let words_reversed = section.take_word("word_order", ORDERS).unwrap_or(false);
        let bytes_reversed = section.take_word("byte_order", ORDERS).unwrap_or(false);
        let bit = section.take_checked("bit", "must be 0 to 63; 0 is the lowest", |b: &u32| *b < 64).map(|b| (b, 1));
        let bits = section.take_checked("bits", "must be [lowest, how many], within 64", |(at, n): &(u32, u32)| {
            *n > 0 && at.checked_add(*n).is_some_and(|end| end <= 64)
        });
        let has_kind = section.has("kind");
        let mut declared = extract::declared(&mut section);
        let [(table, address)] = found[..] else {
            let label = "exactly one of holding, input, coil, discrete says where it stands";
            let help = Some("such as: holding = 12, counted from 0 (the data sheet's 40013)".into());
            section.report(section.place(), format!("[{}] has no place", section.name()), label, help);
            section.finish();
            return None;
        };
        section.finish();
        if !has_kind && (table.is_bits() || bit.is_some()) {
            declared.quantity = Quantity::State;
        }
        let form = form.unwrap_or(Form::U16);
        Some(Self { declared, table, address, form, words_reversed, bytes_reversed, bits: bit.or(bits) })
    }

    fn width(&self) -> u16 {
        if self.table.is_bits() { 1 } else { self.form.words() }
    }

    fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.width())
    }

    /// Whether a block fetches it.
    pub(super) fn is_in(&self, block: &Block) -> bool {
        let within = u32::from(block.start)..u32::from(block.start) + u32::from(block.count);
        self.table == block.table && within.contains(&u32::from(self.address)) && self.end() <= within.end
    }

    /// The value within what a block has brought; bits are words of 0 or 1.
    pub(super) fn value(&self, block: &Block, words: &[u16]) -> Result<Measured, String> {
        let at = usize::from(self.address.saturating_sub(block.start));
        let own = words.get(at..at + usize::from(self.width())).ok_or("is not in the answer")?;
        let raw = self.raw(own);
        let number = match self.form {
            _ if self.bits.is_some() || self.table.is_bits() => Number::Unsigned(self.cut(raw)),
            Form::U16 | Form::U32 | Form::U64 => Number::Unsigned(raw),
            Form::I16 => Number::Signed(i64::from(raw as u16 as i16)),
            Form::I32 => Number::Signed(i64::from(raw as u32 as i32)),
            Form::I64 => Number::Signed(raw as i64),
            Form::F32 => Number::Real(f64::from(f32::from_bits(raw as u32))),
            Form::F64 => Number::Real(f64::from_bits(raw)),
        };
        number.into_measured(self.declared.quantity)
    }

    /// All words as one number, the most significant first.
    fn raw(&self, words: &[u16]) -> u64 {
        let order = |word: &u16| if self.bytes_reversed { word.swap_bytes() } else { *word };
        let shift = |number: u64, word: u16| number << 16 | u64::from(word);
        if self.words_reversed {
            words.iter().rev().map(order).fold(0, shift)
        } else {
            words.iter().map(order).fold(0, shift)
        }
    }

    fn cut(&self, raw: u64) -> u64 {
        let (lowest, count) = self.bits.unwrap_or((0, 64));
        (raw >> lowest) & (u64::MAX >> (64 - count))
    }
}

enum Number {
    Unsigned(u64),
    Signed(i64),
    Real(f64),
}

impl Number {
    fn into_measured(self, quantity: Quantity) -> Result<Measured, String> {
        match (quantity, self) {
            (Quantity::Gauge, number) => number.as_float().map(Measured::Gauge),
            (Quantity::Counter, Self::Unsigned(count)) => Ok(Measured::Counter(count)),
            (Quantity::Counter, number) => {
                let count = number.as_float()?;
                if count >= 0.0 {
                    Ok(Measured::Counter(count as u64))
                } else {
                    Err("is below zero, and no count".into())
                }
            }
            (Quantity::State, number) => Ok(Measured::State(number.as_float()? as i64)),
            (Quantity::Text, number) => Ok(Measured::Text(number.as_float()?.to_string().into())),
        }
    }

    fn as_float(&self) -> Result<f64, String> {
        match self {
            Self::Unsigned(number) => Ok(*number as f64),
            Self::Signed(number) => Ok(*number as f64),
            Self::Real(number) if number.is_finite() => Ok(*number),
            Self::Real(_) => Err("holds no number: check `type`, `word_order` and `byte_order`".into()),
        }
    }
}

/// The fewest requests that fetch every place, without asking for registers that nobody wants: devices refuse those that
/// they do not have.
pub(super) fn blocks(places: &[Place]) -> Vec<Block> {
    let mut sorted: Vec<_> = places.iter().collect();
    sorted.sort_by_key(|p| (p.table, p.address));
    let mut blocks: Vec<Block> = Vec::new();
    for place in sorted {
        match blocks.last_mut().and_then(|last| Some((widened(last, place)?, last))) {
            Some((count, last)) => last.count = count,
            None => blocks.push(Block { table: place.table, start: place.address, count: place.width() }),
        }
    }
    blocks
}

/// How long a block gets when it takes in a place that begins in it or right after it.
fn widened(block: &Block, place: &Place) -> Option<u16> {
    let end = u32::from(block.start) + u32::from(block.count);
    let touches = block.table == place.table && u32::from(place.address) <= end;
    let count = u16::try_from(place.end().max(end) - u32::from(block.start)).ok()?;
    (touches && count <= block.table.limit()).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::Problems;
    use proptest::prelude::*;
    use rstest::rstest;
    use toml::de::DeTable;

    fn read(keys: &str) -> Result<Place, String> {
        let problems = Problems::default();
        let section = Section::new("sensor.s.channel.c", 0..0, DeTable::parse(keys).unwrap().into_inner(), &problems);
        let place = Place::read(section);
        let said: Vec<_> = problems.into_sorted().into_iter().map(|p| p.label).collect();
        place.filter(|_| said.is_empty()).ok_or(said.join("; "))
    }

    fn value(keys: &str, words: &[u16]) -> Result<Measured, String> {
        let place = read(keys).unwrap();
        let block = Block { table: place.table, start: place.address, count: place.width() };
        place.value(&block, words)
    }

    // 123456.0 as f32 is 0x47F12000; as f64 0x40FE240000000000 (IEEE 754).
    #[rstest]
    #[case("holding = 0", &[65_535], Measured::Gauge(65_535.0))]
    #[case("holding = 0\ntype = \"i16\"", &[0xFFFE], Measured::Gauge(-2.0))]
    #[case("input = 0\ntype = \"u32\"", &[0x0001, 0x0002], Measured::Gauge(65_538.0))]
    #[case("input = 0\ntype = \"i32\"\nword_order = \"little\"", &[0xFFFE, 0xFFFF], Measured::Gauge(-2.0))]
    #[case("holding = 0\ntype = \"f32\"", &[0x47F1, 0x2000], Measured::Gauge(123_456.0))]
    #[case("holding = 0\ntype = \"f32\"\nword_order = \"little\"", &[0x2000, 0x47F1], Measured::Gauge(123_456.0))]
    #[case("holding = 0\ntype = \"f32\"\nbyte_order = \"little\"", &[0xF147, 0x0020], Measured::Gauge(123_456.0))]
    #[case("holding = 0\ntype = \"f64\"", &[0x40FE, 0x2400, 0, 0], Measured::Gauge(123_456.0))]
    #[case("holding = 0\ntype = \"u64\"\nkind = \"counter\"", &[0xFFFF; 4], Measured::Counter(u64::MAX))]
    #[case("holding = 0\nbit = 3", &[0b1000], Measured::State(1))]
    #[case("holding = 0\nbits = [4, 3]\nkind = \"gauge\"", &[0b0101_0000], Measured::Gauge(5.0))]
    #[case("coil = 0", &[1], Measured::State(1))]
    fn registers_are_read_in_their_form(#[case] keys: &str, #[case] words: &[u16], #[case] expected: Measured) {
        assert_eq!(value(keys, words), Ok(expected));
    }

    #[rstest]
    #[case("holding = 0\ntype = \"f32\"", &[0x7FC0, 0])]
    #[case("holding = 0\ntype = \"i16\"\nkind = \"counter\"", &[0xFFFF])]
    #[case("holding = 0\ntype = \"u32\"", &[1])]
    fn what_cannot_be_is_no_value(#[case] keys: &str, #[case] words: &[u16]) {
        assert!(value(keys, words).is_err());
    }

    #[rstest]
    #[case("", "exactly one of")]
    #[case("holding = 1\ninput = 1", "exactly one of")]
    #[case("holding = 1\ntype = \"u17\"", "expected one of u16")]
    #[case("holding = 1\nbits = [60, 5]", "within 64")]
    fn places_that_cannot_be_are_problems(#[case] keys: &str, #[case] label: &str) {
        let said = read(keys).unwrap_err();
        assert!(said.contains(label), "{said}");
    }

    #[test]
    fn neighbours_are_fetched_together_and_nothing_else() {
        let places: Vec<_> =
            ["holding = 12\ntype = \"f32\"", "holding = 10\ntype = \"u32\"", "holding = 15", "input = 11", "coil = 3"]
                .iter()
                .map(|keys| read(keys).unwrap())
                .collect();
        let found: Vec<_> = blocks(&places).into_iter().map(|b| (b.table, b.start, b.count)).collect();
        assert_eq!(
            found,
            [(Table::Coil, 3, 1), (Table::Input, 11, 1), (Table::Holding, 10, 4), (Table::Holding, 15, 1)]
        );
    }

    proptest! {
        #[test]
        fn every_place_is_in_exactly_one_block_and_no_block_is_too_long(
            addresses in proptest::collection::vec((0u16..=65_535, 0usize..8), 1..300)
        ) {
            let places: Vec<_> = addresses
                .iter()
                .map(|(address, form)| Place { form: FORMS[*form].1, ..read(&format!("holding = {address}")).unwrap() })
                .filter(|p| p.end() <= 65_536)
                .collect();
            let blocks = blocks(&places);
            prop_assert!(blocks.iter().all(|b| b.count <= 125));
            for place in &places {
                prop_assert!(blocks.iter().any(|b| place.is_in(b)));
            }
        }
    }
}
