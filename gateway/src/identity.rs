//! `[gateway]` and `[clock]`: who this gateway is. What it is connected to is not said here.

use crate::section::{NAME_RULE, Section, Span, is_name};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Labels that leave with every record.
pub type Labels = BTreeMap<Box<str>, Box<str>>;

/// `[gateway]` and `[clock]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// Names this gateway among all others, on every record.
    pub id: Box<str>,
    /// On everything that leaves.
    pub labels: Labels,
    /// Where the store, the socket and everything else that lasts is kept.
    pub state: PathBuf,
    /// How long data waits for the clock to be synchronised before it leaves with a guess. Events never wait.
    pub clock_hold: Duration,
}

impl Gateway {
    /// Reads both tables.
    pub fn read(root: &mut Section<'_, '_>) -> Option<Self> {
        let clock_hold = root.take_section("clock").and_then(|mut clock| {
            let hold = clock.take::<Span>("hold");
            clock.finish();
            hold
        });
        let Some(mut section) = root.take_section("gateway") else {
            root.report(
                0..0,
                "there is no [gateway]",
                "missing here",
                Some(format!("begin the file with:\n[gateway]\nid = \"{}\"", suggested_id())),
            );
            return None;
        };
        let id = section.require::<String>("id", &format!("\"{}\"", suggested_id()));
        if let Some(bad) = id.as_deref().filter(|id| !is_name(id)) {
            section.report(section.place(), format!("`id` in [gateway] cannot be \"{bad}\""), NAME_RULE, None);
        }
        let labels = section.take("labels").unwrap_or_default();
        let state = section.take("state").unwrap_or_else(|| PathBuf::from("/var/lib/weir"));
        section.finish();
        Some(Self { id: id?.into(), labels, state, clock_hold: clock_hold.map_or(Duration::from_secs(120), |s| s.0) })
    }
}

/// An id that nobody else is likely to have: host name and board serial.
fn suggested_id() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let serial = std::fs::read_to_string("/sys/firmware/devicetree/base/serial-number").unwrap_or_default();
    let serial = serial.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    let tail = serial.get(serial.len().saturating_sub(8)..).unwrap_or_default();
    let id = [host.trim(), tail].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join("-");
    if is_name(&id) { id } else { "gateway-1".into() }
}
