//! The ways to choose points, behind one face: readings of one run in, points out, and how many readings they decide on.
//!
//! A run has no gap in it, and its readings' times only grow. What begins and ends a run is not decided here.

use serde::{Deserialize, Serialize};

use super::Method;
use super::deadband::Deadband;
use super::door::Door;
use super::funnel::Funnel;
use crate::Nanos;

/// A point of the reduced series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Knot {
    pub(crate) at: Nanos,
    pub(crate) value: f64,
}

/// What a reducer may do.
#[derive(Clone, Copy)]
pub(crate) struct Leeway {
    /// How far its lines may be from the readings …
    pub(super) bound: f64,
    /// … and how much further for the sake of points with fewer digits.
    pub(super) grain: f64,
}

/// Where a reducer's points go.
pub(crate) type Emit<'a> = &'a mut dyn FnMut(Knot);

/// The reducer of the open run; `Idle` between runs.
#[expect(clippy::large_enum_variant, reason = "nothing is allocated: every channel has room for the largest one")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) enum Reducer {
    #[default]
    Idle,
    Every(u64),
    Deadband(Deadband),
    Door(Door),
    Funnel(Funnel),
}

impl Reducer {
    pub(super) fn push(&mut self, method: Method, knot: Knot, leeway: Leeway, emit: Emit<'_>) {
        let bound = leeway.bound;
        match self {
            Self::Idle => self.start(method, knot, emit),
            Self::Every(n) => {
                *n += 1;
                emit(knot);
            }
            Self::Deadband(reducer) => reducer.push(knot, bound, emit),
            Self::Door(reducer) => reducer.push(knot, bound, emit),
            Self::Funnel(reducer) => reducer.push(knot, leeway, emit),
        }
    }

    fn start(&mut self, method: Method, knot: Knot, emit: Emit<'_>) {
        *self = match method {
            Method::None => return,
            Method::Every => Self::Every(1),
            Method::Deadband(_) => Self::Deadband(Deadband::start(knot)),
            Method::SwingingDoor(_) => Self::Door(Door::start(knot)),
            Method::Funnel(_) => Self::Funnel(Funnel::start(knot)),
        };
        emit(knot);
    }

    pub(super) fn cut(&mut self, emit: Emit<'_>) {
        match self {
            Self::Idle | Self::Every(_) => {}
            Self::Deadband(reducer) => reducer.cut(emit),
            Self::Door(reducer) => reducer.cut(emit),
            Self::Funnel(reducer) => reducer.cut(emit),
        }
    }

    /// Readings of this run that the points sent so far rebuild.
    pub(super) const fn decided(&self) -> u64 {
        match self {
            Self::Idle => 0,
            Self::Every(n) => *n,
            Self::Deadband(reducer) => reducer.covered(),
            Self::Door(reducer) => reducer.covered(),
            Self::Funnel(reducer) => reducer.covered(),
        }
    }
}
