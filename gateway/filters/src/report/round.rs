//! Shorter numbers, where the last digits say nothing: a free point's place is arbitrary within the bound, and digits that
//! carry no information cost bytes on every wire.

use crate::Nanos;

/// Whole numbers beyond this are not all in an `f64`.
const EXACT: f64 = 9e15;

/// The value on the coarsest decimal grid that moves it by at most `most`.
pub(super) fn decimal(value: f64, most: f64) -> f64 {
    if most <= 0.0 || !most.is_finite() {
        return value;
    }
    let digits = libm::ceil(-libm::log10(2.0 * most));
    let grid = libm::exp10(libm::fabs(digits));
    // Dividing by a whole number gives the double nearest to the decimal; multiplying by a fraction would not.
    let (up, down) = if digits >= 0.0 { (grid, 1.0) } else { (1.0, grid) };
    let scaled = value * up / down;
    if scaled.abs() < EXACT && grid < EXACT { libm::round(scaled) / up * down } else { value }
}

/// The time on the coarsest power of ten of nanoseconds, up to a second, that moves it by at most `most` nanoseconds.
pub(super) fn time(at: Nanos, most: f64) -> Nanos {
    let mut grid: Nanos = 1;
    while grid < 1_000_000_000 && (grid * 10) as f64 <= 2.0 * most {
        grid *= 10;
    }
    at.saturating_add(grid / 2).div_euclid(grid).saturating_mul(grid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    #[test]
    fn numbers_become_as_short_as_the_leeway_lets_them() {
        assert_eq!(decimal(71.412_345, 0.006).to_string(), "71.41");
        assert_eq!(decimal(0.1 + 0.2, 1e-9).to_string(), "0.3");
        assert_eq!(decimal(123_456.0, 600.0), 123_000.0);
        assert_eq!(decimal(5.0, 0.0), 5.0);
        assert_eq!(time(1_234_567_891, 6_000_000.0), 1_230_000_000);
        assert_eq!(time(-7, 0.2), -7);
    }

    proptest! {
        #[test]
        fn nothing_moves_by_more_than_it_may(value in -1e6f64..1e6, at: i32, most in 1e-9f64..1e9) {
            prop_assert!((decimal(value, most) - value).abs() <= most * 1.000_001 + 1e-10);
            prop_assert!((time(at.into(), most) - Nanos::from(at)).abs() as f64 <= most.max(0.5));
        }
    }
}
