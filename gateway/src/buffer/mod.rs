//! x
use crate::config::Section;
/// x
pub struct Config;
impl Config {
    /// x
    pub fn read(_s: Option<Section<'_, '_>>) -> Self {
        Self
    }
}
