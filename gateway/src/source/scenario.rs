//! What happens around simulated sensors: values over time, and faults at times. The same seed gives the same story.
//!
//! ```toml
//! seed = 7
//! [value.boiler]                                             # sensor, then quantity = sum of terms
//! temperature = [70, { sine = 5, period = "2m" }, { noise = 0.1 }]
//! pressure    = 101325
//! humidity    = { csv = "day.csv", column = "humidity", every = "1s" }
//! [[fault]]
//! sensor = "boiler"
//! kind   = "unplug"
//! at     = "20s"
//! for    = "5s"
//! every  = "1m"                                              # again and again
//! ```
//!
//! Terms: a plain number; `sine` with `period` (and `phase` as a share of it); `ramp` rises by so much `over` a time and stays
//! there; `drift` goes on; `step` is added from `at` on, or only `for` a time (a spike is a short step), again `every` so often;
//! `noise` is normal with that deviation; `csv` plays a column, a value `every` so often, over and over. Times count from the
//! start of the source. This file knows neither chips nor ports.

use super::dice::Dice;
use crate::section::{Section, Span};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Spanned;

/// Everything that happens, by sensor name.
#[derive(Debug, Default)]
pub(super) struct Scenario {
    worlds: BTreeMap<String, World>,
    /// What happens to the bus or port itself.
    pub(super) everywhere: Vec<Fault>,
}

/// What happens around one sensor.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Quantities over time.
    pub(super) signals: Vec<(String, Signal)>,
    /// What goes wrong.
    pub(super) faults: Vec<Fault>,
}

/// One thing that goes wrong, at times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// What it is.
    pub(super) kind: FaultKind,
    /// How many times slower; only of [`FaultKind::Slow`].
    pub(super) times: u32,
    when: Window,
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FaultKind {
    /// Off the bus, or the port closed.
    Unplug,
    /// Random bytes instead of answers.
    Garbage,
    /// Answers with a wrong checksum, or lines cut in half.
    Damage,
    /// Measures nothing new.
    Frozen,
    /// Answers late, by the factor `times`.
    Slow,
    /// Holds the whole bus; needs no sensor.
    BusStuck,
}

/// When something is the case: from `at`, `lasting` so long, again `every` so often.
#[derive(Debug, Clone, Copy)]
struct Window {
    at: f64,
    lasting: f64,
    every: f64,
}

/// A quantity over time: the sum of its terms.
#[derive(Debug, Clone)]
pub(super) struct Signal {
    terms: Vec<Term>,
    dice: Dice,
}

#[derive(Debug, Clone)]
enum Term {
    Constant(f64),
    Sine { amplitude: f64, period: f64, phase: f64 },
    Ramp { rise: f64, at: f64, over: f64 },
    Drift { rise: f64, at: f64, over: f64 },
    Step { height: f64, when: Window },
    Noise { deviation: f64 },
    Column { values: Vec<f64>, every: f64 },
}

impl Scenario {
    /// Takes `seed`, `value` and `fault`, or the file named by `scenario`, out of a simulated bus.
    pub(super) fn read(bus: &mut Section<'_, '_>) -> Self {
        let Some(path) = bus.take_spanned::<PathBuf>("scenario") else { return Self::read_inline(bus) };
        let place = path.span();
        let path = path.into_inner();
        let complain = |message: String| {
            bus.report(place.clone(), format!("the scenario {} cannot be used", path.display()), message, None);
        };
        let text = std::fs::read_to_string(&path).map_err(|e| complain(e.to_string())).unwrap_or_default();
        let problems = crate::section::Problems::default();
        let scenario = match toml::de::DeTable::parse(&text) {
            Ok(table) => {
                let mut root = Section::new("scenario", 0..0, table.into_inner(), &problems);
                let scenario = Self::read_inline(&mut root);
                root.finish();
                scenario
            }
            Err(error) => {
                complain(error.to_string());
                Self::default()
            }
        };
        for problem in problems.into_sorted() {
            let line = 1 + text.bytes().take(problem.place.start).filter(|b| *b == b'\n').count();
            complain(format!("line {line}: {}: {}", problem.message, problem.label));
        }
        scenario
    }

    fn read_inline(section: &mut Section<'_, '_>) -> Self {
        let seed = section.take("seed").unwrap_or(1);
        let values: Values = section.take("value").unwrap_or_default();
        let faults: Vec<WrittenFault> = section.take("fault").unwrap_or_default();
        let mut scenario = Self::default();
        for (sensor, quantities) in values {
            let world = scenario.worlds.entry(sensor.clone()).or_default();
            for (quantity, written) in quantities {
                let place = written.span();
                match Signal::new(written.into_inner(), Dice::new(seed, &format!("{sensor}/{quantity}"))) {
                    Ok(signal) => world.signals.push((quantity, signal)),
                    Err(why) => section.report(place, format!("{sensor}/{quantity} cannot be simulated"), why, None),
                }
            }
        }
        for written in faults {
            let faults = match &written.sensor {
                Some(sensor) => &mut scenario.worlds.entry(sensor.clone()).or_default().faults,
                None => &mut scenario.everywhere,
            };
            faults.push(written.into());
        }
        scenario
    }

    /// Takes the world of one sensor.
    pub(super) fn take(&mut self, sensor: &str) -> World {
        self.worlds.remove(sensor).unwrap_or_default()
    }

    /// Reports worlds that no sensor has taken.
    pub(super) fn finish(self, bus: &Section<'_, '_>) -> Vec<Fault> {
        for name in self.worlds.keys() {
            bus.report(
                bus.place(),
                format!("the scenario of [{}] speaks of `{name}`", bus.name()),
                "no sensor of that name is on this bus",
                None,
            );
        }
        self.everywhere
    }
}

impl World {
    /// The fault at `t` seconds; the last one written wins.
    pub(super) fn fault(&self, t: f64) -> Option<&Fault> {
        active(&self.faults, t)
    }
}

/// The fault at `t` seconds; the last one written wins.
pub(super) fn active(faults: &[Fault], t: f64) -> Option<&Fault> {
    faults.iter().rev().find(|fault| fault.when.holds(t))
}

impl Window {
    fn holds(&self, t: f64) -> bool {
        let since = t - self.at;
        since >= 0.0 && since % self.every < self.lasting
    }
}

impl Signal {
    fn new(written: WrittenSignal, dice: Dice) -> Result<Self, String> {
        let terms = match written {
            WrittenSignal::One(term) => vec![term],
            WrittenSignal::Sum(terms) => terms,
        };
        let terms = terms.into_iter().map(Term::new).collect::<Result<_, _>>()?;
        Ok(Self { terms, dice })
    }

    /// The value at `t` seconds. Noise is another one each time.
    pub(super) fn at(&mut self, t: f64) -> f64 {
        let dice = &mut self.dice;
        self.terms.iter().map(|term| term.at(t, dice)).sum()
    }
}

impl Term {
    fn new(written: WrittenTerm) -> Result<Self, String> {
        let keys = match written {
            WrittenTerm::Constant(value) => return Ok(Self::Constant(value)),
            WrittenTerm::Keys(keys) => *keys,
        };
        let seconds = |span: Option<Span>, default: f64| span.map_or(default, |s| s.0.as_secs_f64());
        let at = seconds(keys.at, 0.0);
        let over = || positive("over", keys.over);
        let mut terms = Vec::new();
        terms.extend(keys.constant.map(|value| Ok(Self::Constant(value))));
        terms.extend(keys.noise.map(|deviation| Ok(Self::Noise { deviation })));
        terms.extend(keys.sine.map(|amplitude| {
            Ok(Self::Sine { amplitude, period: positive("period", keys.period)?, phase: keys.phase.unwrap_or(0.0) })
        }));
        terms.extend(keys.ramp.map(|rise| Ok(Self::Ramp { rise, at, over: over()? })));
        terms.extend(keys.drift.map(|rise| Ok(Self::Drift { rise, at, over: over()? })));
        terms.extend(keys.step.map(|height| {
            let when =
                Window { at, lasting: seconds(keys.lasting, f64::INFINITY), every: seconds(keys.every, f64::INFINITY) };
            Ok(Self::Step { height, when })
        }));
        terms.extend(keys.csv.map(|path| {
            let column = keys.column.ok_or("`csv` needs `column`, the name in the first line of the file")?;
            Ok(Self::Column { values: read_column(&path, &column)?, every: seconds(keys.every, 1.0).max(1e-6) })
        }));
        match (terms.pop(), terms.pop()) {
            (Some(term), None) => term,
            _ => Err("a term has exactly one of constant, sine, ramp, drift, step, noise, csv".into()),
        }
    }

    fn at(&self, t: f64, dice: &mut Dice) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Sine { amplitude, period, phase } => amplitude * (std::f64::consts::TAU * (t / period + phase)).sin(),
            Self::Ramp { rise, at, over } => rise * ((t - at) / over).clamp(0.0, 1.0),
            Self::Drift { rise, at, over } => rise * ((t - at) / over).max(0.0),
            Self::Step { height, when } => f64::from(u8::from(when.holds(t))) * height,
            Self::Noise { deviation } => deviation * dice.normal(),
            Self::Column { values, every } => {
                values.get((t / every) as usize % values.len().max(1)).copied().unwrap_or(0.0)
            }
        }
    }
}

fn positive(key: &str, span: Option<Span>) -> Result<f64, String> {
    span.map(|s| s.0.as_secs_f64()).filter(|s| *s > 0.0).ok_or_else(|| format!("`{key}` is missing, such as \"2m\""))
}

/// A column is kept in memory: this much is a day and more at ten values a second.
const LONGEST_COLUMN: usize = 1_000_000;

fn read_column(path: &PathBuf, column: &str) -> Result<Vec<f64>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let at = header.split(',').position(|name| name.trim() == column);
    let at = at.ok_or_else(|| format!("{} has no column `{column}`; its first line is: {header}", path.display()))?;
    let number = |line: &str| line.split(',').nth(at)?.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    let values: Vec<f64> = lines.filter_map(number).take(LONGEST_COLUMN).collect();
    if values.is_empty() {
        Err(format!("column `{column}` of {} holds no numbers", path.display()))
    } else {
        Ok(values)
    }
}

type Values = BTreeMap<String, BTreeMap<String, Spanned<WrittenSignal>>>;

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number, a term such as { sine = 5, period = \"2m\" }, or a list of these; see `weir demo --help`"
)]
enum WrittenSignal {
    One(WrittenTerm),
    Sum(Vec<WrittenTerm>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenTerm {
    Constant(f64),
    Keys(Box<TermKeys>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermKeys {
    constant: Option<f64>,
    sine: Option<f64>,
    ramp: Option<f64>,
    drift: Option<f64>,
    step: Option<f64>,
    noise: Option<f64>,
    csv: Option<PathBuf>,
    column: Option<String>,
    period: Option<Span>,
    phase: Option<f64>,
    over: Option<Span>,
    at: Option<Span>,
    #[serde(rename = "for")]
    lasting: Option<Span>,
    every: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFault {
    sensor: Option<String>,
    kind: FaultKind,
    at: Span,
    #[serde(rename = "for")]
    lasting: Option<Span>,
    every: Option<Span>,
    times: Option<u32>,
}

impl From<WrittenFault> for Fault {
    fn from(written: WrittenFault) -> Self {
        let seconds = |span: Option<Span>| span.map_or(f64::INFINITY, |s| s.0.as_secs_f64());
        let when =
            Window { at: written.at.0.as_secs_f64(), lasting: seconds(written.lasting), every: seconds(written.every) };
        Self { kind: written.kind, times: written.times.unwrap_or(10), when }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::Problems;
    use rstest::rstest;
    use toml::de::DeTable;

    fn read(text: &str) -> Result<Scenario, Vec<String>> {
        let problems = Problems::default();
        let mut section = Section::new("bus.sim", 0..0, DeTable::parse(text).unwrap().into_inner(), &problems);
        let scenario = Scenario::read(&mut section);
        section.finish();
        let said: Vec<_> = problems.into_sorted().into_iter().map(|p| format!("{}: {}", p.message, p.label)).collect();
        if said.is_empty() { Ok(scenario) } else { Err(said) }
    }

    fn signal(written: &str) -> Signal {
        let mut world = read(&format!("value.s.q = {written}")).unwrap().take("s");
        world.signals.pop().unwrap().1
    }

    #[rstest]
    #[case("3", &[(0.0, 3.0), (9.0, 3.0)])]
    #[case("{ sine = 2, period = \"4s\" }", &[(0.0, 0.0), (1.0, 2.0), (3.0, -2.0), (5.0, 2.0)])]
    #[case("{ ramp = 10, over = \"10s\", at = \"2s\" }", &[(0.0, 0.0), (7.0, 5.0), (12.0, 10.0), (99.0, 10.0)])]
    #[case("{ drift = 1, over = \"10s\" }", &[(10.0, 1.0), (100.0, 10.0)])]
    #[case("{ step = 5, at = \"2s\" }", &[(1.9, 0.0), (2.0, 5.0), (99.0, 5.0)])]
    #[case("{ step = 5, at = \"2s\", for = \"1s\", every = \"10s\" }", &[(2.5, 5.0), (3.5, 0.0), (12.5, 5.0), (13.5, 0.0)])]
    #[case("[1, { step = 5, at = \"2s\" }, { constant = 2 }]", &[(0.0, 3.0), (2.0, 8.0)])]
    fn terms_add_up_over_time(#[case] written: &str, #[case] expected: &[(f64, f64)]) {
        let mut signal = signal(written);
        for (t, value) in expected {
            assert!((signal.at(*t) - value).abs() < 1e-9, "at {t}: {}", signal.at(*t));
        }
    }

    #[test]
    fn noise_is_the_same_for_the_same_seed_and_another_for_each_quantity() {
        let story = |text: &str| {
            let mut world = read(text).unwrap().take("s");
            world.signals.iter_mut().map(|(_, s)| (s.at(0.0), s.at(1.0))).collect::<Vec<_>>()
        };
        let both = "seed = 5\nvalue.s = { a = { noise = 1 }, b = { noise = 1 } }";
        assert_eq!(story(both), story(both));
        assert_ne!(story(both)[0], story(both)[1]);
    }

    #[test]
    fn a_column_is_played_over_and_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day.csv");
        std::fs::write(&path, "t,level\n0,5\n1,6\n2,oops\n3,7\n").unwrap();
        let mut signal = signal(&format!("{{ csv = {path:?}, column = \"level\", every = \"2s\" }}"));
        assert_eq!([0.0, 2.0, 4.0, 6.0].map(|t| signal.at(t)), [5.0, 6.0, 7.0, 5.0]);
    }

    #[test]
    fn faults_come_at_their_times_and_again() {
        let mut scenario = read(
            "[[fault]]\nsensor = \"s\"\nkind = \"slow\"\ntimes = 3\nat = \"10s\"\nfor = \"5s\"\nevery = \"1m\"\n[[fault]]\nkind = \"bus-stuck\"\nat = \"1s\"",
        )
        .unwrap();
        let world = scenario.take("s");
        let at = |t| world.fault(t).map(|f| (f.kind, f.times));
        assert_eq!(
            [9.0, 10.0, 15.0, 71.0].map(at),
            [None, Some((FaultKind::Slow, 3)), None, Some((FaultKind::Slow, 3))]
        );
        assert!(active(&scenario.everywhere, 1e6).is_some());
    }

    #[rstest]
    #[case("{ sine = 2 }", "`period` is missing")]
    #[case("{ sine = 2, noise = 1, period = \"1s\" }", "exactly one of")]
    #[case("{ csv = \"/nowhere.csv\", column = \"a\" }", "/nowhere.csv cannot be read")]
    #[case("{ csv = \"/nowhere.csv\" }", "needs `column`")]
    #[case("{ sinus = 2 }", "expected a number, a term")]
    fn what_cannot_be_simulated_is_said(#[case] written: &str, #[case] message: &str) {
        let said = read(&format!("value.s.q = {written}")).unwrap_err();
        assert!(said[0].contains(message), "{said:?}");
    }

    #[test]
    fn problems_of_a_file_name_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plant.toml");
        std::fs::write(&path, "seed = 1\nsed = 2\n").unwrap();
        let said = read(&format!("scenario = {path:?}")).unwrap_err();
        assert!(said[0].contains("plant.toml cannot be used: line 2: [scenario] has no key `sed`"), "{said:?}");
    }
}
