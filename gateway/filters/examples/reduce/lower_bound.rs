//! O'Rourke's lower bound (1981): no set of points joined by lines can be smaller.

use weir_filters::Reading;

/// Fewest straight segments, each within `bound` of a run of readings, plus one.
pub(crate) fn lower_bound(readings: &[Reading], bound: f64) -> usize {
    let bound = bound * (1.0 + 3e-10);
    let (mut segments, mut rest) = (0, readings);
    while !rest.is_empty() {
        rest = &rest[longest(rest, bound)..];
        segments += 1;
    }
    segments + 1
}

/// How many readings from the first one on a single line can pass within the bound.
fn longest(readings: &[Reading], bound: f64) -> usize {
    let place = |reading: &Reading, by: f64| ((reading.at - readings[0].at) as f64, reading.value + by);
    let (mut tops, mut bottoms): (Vec<Place>, Vec<Place>) = (Vec::new(), Vec::new());
    // The steepest and the flattest line that pass all bars so far: contact and slope.
    let (mut steepest, mut flattest): (Option<Line>, Option<Line>) = (None, None);
    for (n, reading) in readings.iter().enumerate() {
        let (top, bottom) = (place(reading, bound), place(reading, -bound));
        if steepest.is_some_and(|line| bottom.1 > line.at(top.0)) || flattest.is_some_and(|line| top.1 < line.at(top.0))
        {
            return n;
        }
        if n > 0 && steepest.is_none_or(|line| top.1 < line.at(top.0)) {
            steepest = bottoms.iter().map(|&from| Line::through(from, top)).min_by(|a, b| a.slope.total_cmp(&b.slope));
        }
        if n > 0 && flattest.is_none_or(|line| bottom.1 > line.at(top.0)) {
            flattest = tops.iter().map(|&from| Line::through(from, bottom)).max_by(|a, b| a.slope.total_cmp(&b.slope));
        }
        bend(&mut tops, top, 1.0);
        bend(&mut bottoms, bottom, -1.0);
    }
    readings.len()
}

/// Nanoseconds since the first reading, value.
type Place = (f64, f64);

#[derive(Clone, Copy)]
struct Line {
    contact: Place,
    slope: f64,
}

impl Line {
    fn through(from: Place, to: Place) -> Self {
        Self { contact: to, slope: (to.1 - from.1) / (to.0 - from.0) }
    }

    fn at(&self, t: f64) -> f64 {
        self.contact.1 + self.slope * (t - self.contact.0)
    }
}

/// Adds a corner to the side of a convex hull that faces the lines.
fn bend(hull: &mut Vec<Place>, corner: Place, side: f64) {
    while let [.., a, b] = hull.as_slice()
        && ((b.1 - a.1) * (corner.0 - b.0) - (corner.1 - b.1) * (b.0 - a.0)) * side >= 0.0
    {
        hull.pop();
    }
    hull.push(corner);
}
