//! The funnel: the fewest free points, joined by lines, that pass every reading within the bound, in one pass.
//!
//! The optimal continuous piecewise-linear approximation (Imai & Iri 1986; Hakimi & Schmeichel 1991), made streaming, with two
//! restrictions: no point lies outside the two readings around it widened by the bound (the unrestricted optimum overshoots
//! wildly), and a point is forced when readings have waited too long.
//!
//! For the open link we keep every line that stabs all bars `value ± bound` since the link began: the steepest, the flattest,
//! and the two convex hulls that limit them. When the next bar lies wholly beyond one of the two, that limiting line *is* the
//! link, for every polyline with as few links must cross it between its right contact and the new reading. Where it meets the
//! limiting line of the link before is the point to send.

use serde::{Deserialize, Serialize};

use super::reducer::{Emit, Knot, Leeway};
use super::round;
use crate::Nanos;

/// Corners that a hull can have; one more forces a point, so the bound never depends on it. Real data needs 8 at a bound of 1 %.
const CORNERS: usize = 8;
/// Readings that may wait for the point that decides on them.
pub(crate) const PATIENCE: u64 = 512;
/// Beyond so many nanoseconds from the origin an `f64` no longer tells every one apart.
const FAR: f64 = 4e15;

/// A place in the plane: nanoseconds since the origin, value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Place {
    t: f64,
    v: f64,
}

/// A line through its right contact, which is the reading of number `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Line {
    contact: Place,
    slope: f64,
    n: u64,
}

impl Line {
    fn at(&self, t: f64) -> f64 {
        self.contact.v + self.slope * (t - self.contact.t)
    }

    /// Where two lines meet, computed relative to a contact: nothing cancels out.
    fn cross(&self, other: &Self) -> Place {
        let Place { t, v } = self.contact;
        let t = t + (other.at(t) - v) / (self.slope - other.slope);
        Place { t, v: self.at(t) }
    }
}

/// One side of a convex hull: the one that faces the lines. `SIDE` = 1: upper ends of the bars, -1: lower ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hull<const SIDE: i8> {
    corners: heapless::Vec<Place, CORNERS>,
}

impl<const SIDE: i8> Hull<SIDE> {
    const SIGN: f64 = SIDE as f64;

    fn start(&mut self, place: Place) {
        self.corners.clear();
        self.push(place);
    }

    /// Slope of the limiting line through `place` and this hull on its left. Drops the corners that can no longer touch.
    fn tangent(&mut self, place: Place) -> f64 {
        let slope = |corner: &Place| (place.v - corner.v) / (place.t - corner.t) * Self::SIGN;
        let passed = self.corners.windows(2).take_while(|pair| slope(&pair[1]) >= slope(&pair[0])).count();
        self.drop_first(passed);
        self.corners.first().map_or(0.0, slope) * Self::SIGN
    }

    fn add(&mut self, place: Place) {
        while let [.., before, last] = self.corners.as_slice()
            && ((last.v - before.v) * (place.t - last.t) - (place.v - last.v) * (last.t - before.t)) * Self::SIGN >= 0.0
        {
            self.corners.pop();
        }
        self.push(place);
    }

    /// Callers cut before a hull is full.
    fn push(&mut self, place: Place) {
        let fits = self.corners.push(place);
        debug_assert!(fits.is_ok());
    }

    fn forget_before(&mut self, t: f64) {
        let old = self.corners.iter().take_while(|corner| corner.t < t).count();
        self.drop_first(old);
    }

    fn drop_first(&mut self, count: usize) {
        if count > 0 {
            let left = self.corners.len() - count;
            self.corners.copy_within(count.., 0);
            self.corners.truncate(left);
        }
    }

    fn is_full(&self) -> bool {
        self.corners.is_full()
    }
}

/// State of the funnel of one run of readings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Funnel {
    origin: Nanos,
    upper: Hull<1>,
    lower: Hull<-1>,
    /// Limiting lines of the open link; none as long as nothing limits it.
    steepest: Option<Line>,
    flattest: Option<Line>,
    /// The link before, whose end is still open. None: the open link starts at the point sent last.
    fixed: Option<Line>,
    last: Place,
    /// How far a point may be moved for the sake of shorter numbers.
    grain: f64,
    /// Readings so far; readings that the points sent rebuild.
    n: u64,
    covered: u64,
}

impl Funnel {
    /// Begins a run with its first reading, which the caller sends: a receiver sees the channel from the start.
    pub(crate) fn start(knot: Knot) -> Self {
        let last = Place { t: 0.0, v: knot.value };
        let mut funnel = Self { origin: knot.at, n: 1, last, ..Self::default() };
        funnel.begin_at(last);
        funnel
    }

    /// Takes the next reading of the run, later than the one before.
    pub(crate) fn push(&mut self, knot: Knot, leeway: Leeway, emit: Emit<'_>) {
        let (t, value) = (knot.at.saturating_sub(self.origin) as f64, knot.value);
        let bound = leeway.bound;
        self.grain = leeway.grain;
        let bar = [value - bound, value + bound];
        let overdue = self.waiting() >= PATIENCE && !self.limits(t, bar);
        if self.waiting() > 0 && (overdue || self.upper.is_full() || self.lower.is_full() || t > FAR) {
            self.cut(emit);
            return self.push(knot, leeway, emit);
        }
        if let Some(line) = self.steepest.filter(|line| bar[0] > line.at(t)) {
            self.fix(line, emit);
            self.upper.forget_before(line.contact.t);
            self.lower.corners.clear();
            let edge = self.last.v - bound;
            if let Some(exit) = self.exit(line, edge, t).filter(|_| line.slope < 0.0 && line.at(t) < edge) {
                self.lower.push(exit);
            }
        } else if let Some(line) = self.flattest.filter(|line| bar[1] < line.at(t)) {
            self.fix(line, emit);
            self.lower.forget_before(line.contact.t);
            self.upper.corners.clear();
            let edge = self.last.v + bound;
            if let Some(exit) = self.exit(line, edge, t).filter(|_| line.slope > 0.0 && line.at(t) > edge) {
                self.upper.push(exit);
            }
        }
        self.n += 1;
        self.tighten(t, bar);
        self.last = Place { t, v: value };
    }

    /// Ends the open link at the newest reading, now; the next one starts at that very point.
    pub(crate) fn cut(&mut self, emit: Emit<'_>) {
        if self.waiting() == 0 {
            return;
        }
        let link = self.middle();
        if let Some(fixed) = self.fixed.take() {
            emit(self.meeting(&fixed, &link));
        }
        self.origin = self.time(self.last.t);
        let value = round::decimal(link.at(self.last.t), self.grain);
        emit(Knot { at: self.origin, value });
        self.last.t = 0.0;
        self.begin_at(Place { t: 0.0, v: value });
    }

    /// Readings that the points sent rebuild.
    pub(crate) const fn covered(&self) -> u64 {
        self.covered
    }

    const fn waiting(&self) -> u64 {
        self.n - self.covered
    }

    /// Whether the bar ends the open link by itself.
    fn limits(&self, t: f64, [low, high]: [f64; 2]) -> bool {
        self.steepest.is_some_and(|line| low > line.at(t)) || self.flattest.is_some_and(|line| high < line.at(t))
    }

    fn begin_at(&mut self, place: Place) {
        self.covered = self.n;
        self.upper.start(place);
        self.lower.start(place);
        (self.steepest, self.flattest, self.fixed) = (None, None, None);
    }

    /// The open link is `line`: sends the point where it begins, unless that one was sent already.
    fn fix(&mut self, line: Line, emit: Emit<'_>) {
        if let Some(before) = self.fixed {
            emit(self.meeting(&before, &line));
            self.covered = before.n;
        }
        self.fixed = Some(line);
        (self.steepest, self.flattest) = (None, None);
    }

    /// Where the line leaves the range of the readings before the one at `t`: the crossing with the next link must come first.
    fn exit(&self, line: Line, edge: f64, t: f64) -> Option<Place> {
        let exit = line.contact.t + (edge - line.contact.v) / line.slope;
        let place = Place { t: exit.max(self.last.t), v: edge };
        (place.t < t).then_some(place)
    }

    fn tighten(&mut self, t: f64, [low, high]: [f64; 2]) {
        let (n, top, bottom) = (self.n, Place { t, v: high }, Place { t, v: low });
        if !self.lower.corners.is_empty() && self.steepest.is_none_or(|line| high < line.at(t)) {
            self.steepest = Some(Line { contact: top, slope: self.lower.tangent(top), n });
        }
        if !self.upper.corners.is_empty() && self.flattest.is_none_or(|line| low > line.at(t)) {
            self.flattest = Some(Line { contact: bottom, slope: self.upper.tangent(bottom), n });
        }
        self.upper.add(top);
        self.lower.add(bottom);
    }

    /// A line well inside the open link's choice.
    fn middle(&self) -> Line {
        match (self.steepest, self.flattest) {
            (Some(a), Some(b)) if a.slope - b.slope > 1e-300 => {
                Line { contact: a.cross(&b), slope: (a.slope + b.slope) / 2.0, n: self.n }
            }
            (Some(line), _) | (_, Some(line)) => line,
            (None, None) => Line { contact: self.last, slope: 0.0, n: self.n },
        }
    }

    /// Where two links meet. Parallel ones, which only rounding makes, meet at the first one's contact.
    fn meeting(&self, before: &Line, after: &Line) -> Knot {
        let between = |t: f64| t >= before.contact.t && t <= self.last.t;
        let exact = Some(before.cross(after)).filter(|place| between(place.t)).unwrap_or(before.contact);
        let knot = Knot { at: self.time(exact.t), value: exact.v };
        if self.grain <= 0.0 {
            return knot;
        }
        // Half the grain for the time: that much the links are apart then. Half for the value, between them.
        let at = round::time(knot.at, self.grain / 2.0 / (before.slope - after.slope).abs());
        let t = at.saturating_sub(self.origin) as f64;
        let value = round::decimal((before.at(t) + after.at(t)) / 2.0, self.grain / 2.0);
        if between(t) && (value - before.at(t)).abs() <= self.grain { Knot { at, value } } else { knot }
    }

    fn time(&self, t: f64) -> Nanos {
        self.origin.saturating_add(libm::round(t) as Nanos)
    }
}
