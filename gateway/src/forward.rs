//! x
use crate::config::{Gateway, Section};
/// A configured sink
pub struct Route;
impl Route {
    /// x
    pub fn read(_s: Section<'_, '_>, _g: &Gateway) -> Option<Self> {
        None
    }
}
