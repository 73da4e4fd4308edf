//! InfluxDB's line protocol over HTTP: 1.x `/write`, 2.x and 3.x `/api/v2/write` (VictoriaMetrics takes both).
//!
//! Guaranteed: an accepted record is in a request that the server answered with 2xx; a record sent twice is one point, and
//! no two records share a point (how: see `influxdb/line.rs`). Not guaranteed: that a server which answers 204 to anything
//! (VictoriaMetrics does) has understood it; and a point of a channel is not ordered, only stamped.
//!
//! When the server refuses a part of a batch (a field of another type, a time beyond the retention policy), the batch is
//! halved until the refused records are found: exactly those are rejected. Whatever points to the configuration (401, 403, 404, an
//! answer that no InfluxDB gives) is tried again until somebody has put it right: nothing is lost by a wrong password.
//!
//! ```toml
//! [sink.tsdb]
//! kind = "influxdb"
//! url = "http://127.0.0.1:8086"          # https:// with ca_file, cert_file, key_file
//! database = "edge"                      # 1.x; with username, password_file (or password_env)
//! rp = { sample = "realtime", summary = "downsampled" }   # retention policy per kind; default: the database's
//! # org = "acme", bucket = "edge", token_file = "influx-token" (or token_env)             # 2.x, 3.x
//! measurement = "sensor_readings"
//! linger = "250ms"                       # data waits so long for company; events never
//! timeout = "10s"                        # for one request
//! ```

mod config;
mod line;
mod reply;
#[cfg(test)]
mod tests;

use super::{Entry, Limits, Outcome, Outgoing, Sending, Sink, Then};
use crate::identity::Gateway;
use crate::record::{Channel, Seq};
use crate::section::Section;
use config::{Config, Credentials};
use flate2::Compression;
use flate2::write::GzEncoder;
use reply::Reply;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Url};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The row of [`super::TABLE`].
pub(super) const ENTRY: Entry =
    Entry { name: "influxdb", summary: "InfluxDB 1.x, 2.x, 3.x and VictoriaMetrics, line protocol over HTTP", open };

/// Verdicts kept for records that come again behind a refused one.
const REMEMBERED: usize = 8192;

fn open(section: &mut Section<'_, '_>, gateway: &Gateway) -> Option<Box<dyn Sink>> {
    let config = Config::read(section)?;
    let (client, known) = (Mutex::default(), Mutex::default());
    Some(Box::new(Influx { gateway: gateway.id.clone(), config, client, known }))
}

/// The sink.
struct Influx {
    gateway: Box<str>,
    config: Config,
    client: Mutex<Option<Client>>,
    /// What the server has already said of records behind one that was not taken: they need not be sent again.
    known: Mutex<HashMap<(Arc<str>, Seq), Verdict>>,
}

/// What the server said of one record.
#[derive(Debug, Clone, PartialEq)]
enum Verdict {
    Accepted,
    Refused(String),
}

/// A record as it is written, and its place in the batch.
struct Point<'a> {
    index: usize,
    channel: &'a Channel,
    line: String,
}

impl Influx {
    async fn write(&self, batch: &[Outgoing]) -> Outcome {
        let mut verdicts = self.recall(batch);
        let mut later = None;
        for (target, points) in self.encode(batch, &mut verdicts) {
            if let Err(then) = self.write_to(target, &points, &mut verdicts).await {
                later = Some(then);
                break;
            }
        }
        let accepted = verdicts.iter().take_while(|v| **v == Some(Verdict::Accepted)).count();
        let then = match (verdicts.get(accepted).cloned().flatten(), later) {
            (Some(Verdict::Refused(why)), _) => Then::Reject { why },
            (_, Some(later)) => later,
            _ => Then::Done,
        };
        self.remember(batch, verdicts, accepted);
        Outcome { accepted, then }
    }

    fn recall(&self, batch: &[Outgoing]) -> Vec<Option<Verdict>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        batch.iter().map(|outgoing| known.remove(&name(outgoing))).collect()
    }

    fn remember(&self, batch: &[Outgoing], verdicts: Vec<Option<Verdict>>, accepted: usize) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + batch.len() > REMEMBERED {
            known.clear(); // Of batches that were given up: they are only sent once more than need be.
        }
        let behind = batch.iter().zip(verdicts).skip(accepted + 1);
        known.extend(behind.filter_map(|(outgoing, verdict)| Some((name(outgoing), verdict?))));
    }

    /// The points for each target of all records of which nothing is known; each channel's side by side, because they compress
    /// better and are refused together.
    fn encode<'a>(&self, batch: &'a [Outgoing], verdicts: &mut [Option<Verdict>]) -> BTreeMap<&Url, Vec<Point<'a>>> {
        let mut by_target = BTreeMap::<&Url, Vec<Point<'a>>>::new();
        let unknown = batch.iter().zip(verdicts).enumerate().filter(|(_, (_, verdict))| verdict.is_none());
        for (index, (outgoing, verdict)) in unknown {
            let channel = &*outgoing.record.draft.channel;
            match line::point(&self.config.measurement, &self.gateway, outgoing) {
                Ok(line) => {
                    let target = self.config.targets.of(outgoing.kind());
                    by_target.entry(target).or_default().push(Point { index, channel, line });
                }
                Err(why) => *verdict = Some(Verdict::Refused(why)),
            }
        }
        for points in by_target.values_mut() {
            points.sort_by_key(|point| (&point.channel.sensor, &point.channel.name));
        }
        by_target
    }

    /// Writes points; what is refused in part is halved until it is accepted or refused as a whole.
    async fn write_to(&self, target: &Url, points: &[Point<'_>], verdicts: &mut [Option<Verdict>]) -> Result<(), Then> {
        let mut parts = vec![points];
        while let Some(part) = parts.pop() {
            let verdict = match self.post(target, part).await {
                Reply::Accepted => Verdict::Accepted,
                Reply::Refused { why, points } if points == Some(part.len()) || part.len() <= 1 => {
                    Verdict::Refused(why)
                }
                Reply::Refused { .. } => {
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([right, left]);
                    continue;
                }
                Reply::Later { after, why } => return Err(Then::Retry { after, why }),
            };
            for point in part {
                verdicts[point.index] = Some(verdict.clone());
            }
        }
        Ok(())
    }

    async fn post(&self, target: &Url, points: &[Point<'_>]) -> Reply {
        let sent = match self.request(target, points) {
            Ok(request) => request.send().await,
            Err(why) => return Reply::Later { after: None, why },
        };
        match sent {
            Ok(response) => reply::understand(response).await,
            Err(error) => {
                // The next attempt reads certificates again.
                *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Reply::Later { after: None, why: reply::unreachable(&error) }
            }
        }
    }

    fn request(&self, target: &Url, points: &[Point<'_>]) -> Result<RequestBuilder, String> {
        let body = compress(points).map_err(|e| format!("gzip: {e}"))?;
        let request = self.client()?.post(target.clone()).header(CONTENT_TYPE, "text/plain; charset=utf-8");
        let request = request.header(CONTENT_ENCODING, "gzip").body(body);
        Ok(match &self.config.credentials {
            Credentials::Nobody => request,
            Credentials::User(login) => request.basic_auth(&login.user, Some(login.password()?)),
            Credentials::Token(token) => request.header(AUTHORIZATION, format!("Token {}", token.read()?)),
        })
    }

    fn client(&self) -> Result<Client, String> {
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*kept {
            return Ok(client.clone());
        }
        let client = Client::builder()
            .tls_backend_preconfigured(self.config.tls.client_config()?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(self.config.timeout)
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| format!("no HTTP client: {e}"))?;
        Ok(kept.insert(client).clone())
    }
}

impl Sink for Influx {
    fn send<'a>(&'a self, batch: &'a [Outgoing]) -> Sending<'a> {
        Box::pin(self.write(batch))
    }

    fn limits(&self) -> Limits {
        Limits { records: 2000, bytes: 1 << 20, linger: self.config.linger }
    }
}

/// The record's name in this epoch's order.
fn name(outgoing: &Outgoing) -> (Arc<str>, Seq) {
    (Arc::clone(&outgoing.epoch), outgoing.record.seq)
}

fn compress(points: &[Point<'_>]) -> std::io::Result<Vec<u8>> {
    let mut body = GzEncoder::new(Vec::new(), Compression::default());
    for point in points {
        body.write_all(point.line.as_bytes())?;
        body.write_all(b"\n")?;
    }
    body.finish()
}
