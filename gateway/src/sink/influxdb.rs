//! InfluxDB's line protocol over HTTP: 1.x `/write`, 2.x and 3.x `/api/v2/write` (VictoriaMetrics takes both).
//!
//! Guaranteed: an accepted record is in a request that the server answered with 2xx; a record sent twice is one point, and
//! no two records share a point (how: see `influxdb/line.rs`). Not guaranteed: that a server which answers 204 to anything
//! (VictoriaMetrics does) has understood it; and a point of a channel is not ordered, only stamped.
//!
//! When the server refuses a part of a batch (a field of another type, a time beyond the retention policy), the batch is
//! halved until the refused record is found: exactly that one is rejected. Whatever points to the configuration (401, 403, 404, an
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
//! linger = "10s"                         # data waits so long for company; events never
//! timeout = "10s"                        # for one request
//! ```

mod line;
#[cfg(test)]
mod tests;

use super::secret::Secret;
use super::{Entry, Limits, Outcome, Outgoing, Sending, Sink, Then, tls};
use crate::identity::Gateway;
use crate::record::Kind;
use crate::section::{Section, Span};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The row of [`super::TABLE`].
pub(super) const ENTRY: Entry =
    Entry { name: "influxdb", summary: "InfluxDB 1.x, 2.x, 3.x and VictoriaMetrics, line protocol over HTTP", open };

/// As much of an error's text as is read.
const LONGEST_ANSWER: usize = 8 << 10;

/// The longest wish to wait that is granted.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// `[sink.NAME]` with `kind = "influxdb"`.
struct Config {
    /// Where each kind is written to.
    targets: BTreeMap<Kind, Url>,
    login: Login,
    tls: tls::Files,
    measurement: String,
    linger: Duration,
    timeout: Duration,
}

/// Who we are to the server.
enum Login {
    Nobody,
    User(String, Option<Secret>),
    Token(Secret),
}

impl Config {
    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let url = read_url(section);
        let targets = read_targets(section, url);
        let user = section.take::<String>("username");
        let password = Secret::take(section, "password_file", "password_env");
        let token = Secret::take(section, "token_file", "token_env");
        let login = match (token, user) {
            (Some(token), _) => Login::Token(token),
            (None, Some(user)) => Login::User(user, password),
            (None, None) => Login::Nobody,
        };
        let tls = tls::Files::take(section);
        let named = |name: &String| !name.is_empty() && !name.starts_with('_') && !name.contains(char::is_control);
        let measurement = section.take_checked("measurement", "must be a name that does not begin with `_`", named);
        let linger = section.take_checked("linger", "must be at most 10m", |s: &Span| s.0.as_secs() <= 600);
        let timeout =
            section.take_checked("timeout", "must be 1s to 5m", |s: &Span| (1..=300).contains(&s.0.as_secs()));
        Some(Self {
            targets: targets?,
            login,
            tls,
            measurement: measurement.unwrap_or_else(|| "sensor_readings".into()),
            linger: linger.map_or(Duration::from_secs(10), |s| s.0),
            timeout: timeout.map_or(Duration::from_secs(10), |s| s.0),
        })
    }
}

fn read_url(section: &mut Section<'_, '_>) -> Option<Url> {
    if !section.has("url") {
        section.require::<String>("url", "\"http://127.0.0.1:8086\"");
        return None;
    }
    let text = section.take_spanned::<String>("url")?;
    match Url::parse(text.get_ref()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => {
            if !url.username().is_empty() || url.password().is_some() {
                let help = Some("use `username` and `password_file`".into());
                section.report(text.span(), "a password in `url` would show up in logs", "user or password", help);
            }
            Some(url)
        }
        _ => {
            let message = format!("`url` in [{}] is not the address of an InfluxDB", section.name());
            section.report(text.span(), message, "not of the form http://HOST:PORT or https://HOST:PORT", None);
            None
        }
    }
}

/// 1.x writes into `database` and a retention policy per kind, 2.x and 3.x into `bucket`.
fn read_targets(section: &mut Section<'_, '_>, url: Option<Url>) -> Option<BTreeMap<Kind, Url>> {
    let database = section.take::<String>("database");
    let bucket = section.take::<String>("bucket");
    let org = section.take::<String>("org");
    let policies = section.take_spanned::<BTreeMap<Kind, String>>("rp");
    let kinds = Kind::WORDS.iter().map(|(_, kind)| *kind);
    match (database, bucket) {
        (Some(database), None) => {
            let policies = policies.map(toml::Spanned::into_inner).unwrap_or_default();
            let url = url?;
            let target = |kind| target(&url, "write", [("db", Some(&database)), ("rp", policies.get(&kind))]);
            Some(kinds.map(|kind| (kind, target(kind))).collect())
        }
        (None, Some(bucket)) => {
            if let Some(policies) = policies {
                let message = format!("[{}] writes into a bucket, which has no retention policies", section.name());
                section.report(policies.span(), message, "only for 1.x", Some("take `rp` out".into()));
            }
            let target = target(&url?, "api/v2/write", [("bucket", Some(&bucket)), ("org", org.as_ref())]);
            Some(kinds.map(|kind| (kind, target.clone())).collect())
        }
        (both, _) => {
            let name = section.name();
            let message = match both {
                Some(_) => format!("[{name}] has both `database` (1.x) and `bucket` (2.x, 3.x)"),
                None => format!("[{name}] has neither `database` (1.x) nor `bucket` (2.x, 3.x)"),
            };
            section.report(
                section.place(),
                message,
                "where shall it write to?",
                Some("add database = \"edge\"".into()),
            );
            None
        }
    }
}

fn target(url: &Url, path: &str, parameters: [(&str, Option<&String>); 2]) -> Url {
    let mut target = url.clone();
    target.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
    target.query_pairs_mut().clear().append_pair("precision", "ns");
    for (name, value) in parameters {
        if let Some(value) = value {
            target.query_pairs_mut().append_pair(name, value);
        }
    }
    target
}

fn open(section: &mut Section<'_, '_>, gateway: &Gateway) -> Option<Box<dyn Sink>> {
    let config = Config::read(section)?;
    Some(Box::new(Influx { gateway: gateway.id.clone(), config, client: Mutex::new(None) }))
}

/// The sink.
struct Influx {
    gateway: Box<str>,
    config: Config,
    client: Mutex<Option<Client>>,
}

/// A record as it is written, and its place in the batch.
struct Point {
    index: usize,
    line: String,
}

/// Where a batch stops, and why.
struct Stop {
    index: usize,
    then: Then,
}

/// What the server said to some points.
enum Reply {
    Accepted,
    /// Some of the points, or all of them together, will never be taken.
    Refused(String),
    Later {
        after: Option<Duration>,
        why: String,
    },
}

impl Influx {
    /// One request per target; the outcome is that of the first record that was not taken.
    async fn write(&self, batch: &[Outgoing]) -> Outcome {
        let (by_target, mut outcome) = self.encode(batch);
        for (target, points) in by_target {
            // What comes after the first failure is sent again anyway.
            let before = points.partition_point(|point| point.index < outcome.accepted);
            if let Err(stop) = self.write_to(target, &points[..before]).await {
                outcome = Outcome { accepted: stop.index, then: stop.then };
            }
        }
        outcome
    }

    /// The points for each target, up to the first record that has none; and the outcome if all of them are taken.
    fn encode(&self, batch: &[Outgoing]) -> (BTreeMap<&Url, Vec<Point>>, Outcome) {
        let mut by_target = BTreeMap::<&Url, Vec<Point>>::new();
        for (index, outgoing) in batch.iter().enumerate() {
            let Some(target) = self.config.targets.get(&outgoing.kind()) else { continue };
            match line::point(&self.config.measurement, &self.gateway, outgoing) {
                Ok(line) => by_target.entry(target).or_default().push(Point { index, line }),
                Err(why) => return (by_target, Outcome::reject(index, why)),
            }
        }
        (by_target, Outcome::done(batch.len()))
    }

    /// Writes points in order; what is refused is halved until the refused record is alone.
    async fn write_to(&self, target: &Url, points: &[Point]) -> Result<(), Stop> {
        let mut parts = vec![points];
        while let Some(part) = parts.pop() {
            let Some(first) = part.first() else { continue };
            match self.post(target, part).await {
                Reply::Accepted => {}
                Reply::Later { after, why } => {
                    return Err(Stop { index: first.index, then: Then::Retry { after, why } });
                }
                Reply::Refused(why) if part.len() == 1 => {
                    return Err(Stop { index: first.index, then: Then::Reject { why } });
                }
                Reply::Refused(_) => {
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([right, left]);
                }
            }
        }
        Ok(())
    }

    async fn post(&self, target: &Url, points: &[Point]) -> Reply {
        let sent = match self.request(target, points) {
            Ok(request) => request.send().await,
            Err(why) => return Reply::Later { after: None, why },
        };
        match sent {
            Ok(response) => understand(response).await,
            Err(error) => {
                // The next attempt reads certificates again.
                *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Reply::Later { after: None, why: unreachable(&error) }
            }
        }
    }

    fn request(&self, target: &Url, points: &[Point]) -> Result<reqwest::RequestBuilder, String> {
        let body = compress(points).map_err(|e| format!("gzip: {e}"))?;
        let request = self.client()?.post(target.clone()).header(CONTENT_TYPE, "text/plain; charset=utf-8");
        let request = request.header(CONTENT_ENCODING, "gzip").body(body);
        Ok(match &self.config.login {
            Login::Nobody => request,
            Login::User(user, password) => request.basic_auth(user, password.as_ref().map(Secret::read).transpose()?),
            Login::Token(token) => request.header(AUTHORIZATION, format!("Token {}", token.read()?)),
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

fn compress(points: &[Point]) -> std::io::Result<Vec<u8>> {
    let mut body = GzEncoder::new(Vec::new(), Compression::default());
    for point in points {
        body.write_all(point.line.as_bytes())?;
        body.write_all(b"\n")?;
    }
    body.finish()
}

/// What an answer means.
async fn understand(mut response: Response) -> Reply {
    let status = response.status();
    if status.is_success() {
        return Reply::Accepted;
    }
    let after = retry_after(&response);
    let said = error_text(&mut response).await;
    let later = |why: &str| Reply::Later { after, why: format!("InfluxDB answers {status}: {}; {why}", said.text()) };
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => match said {
            Said::Influx(why) => Reply::Refused(why),
            Said::Other(_) => later("is `url` right? No InfluxDB says this"),
        },
        StatusCode::PAYLOAD_TOO_LARGE => Reply::Refused(format!("larger than the server takes: {}", said.text())),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            later("check `username` and `password_file`, or `token_file`, and their rights")
        }
        StatusCode::NOT_FOUND => later("create the database or bucket, or check `database`, `org` and `bucket`"),
        StatusCode::TOO_MANY_REQUESTS => later("it wants fewer requests"),
        status if status.is_redirection() => later("it wants another address: check `url`"),
        _ => later("look into its log"),
    }
}

/// An error's text: as every InfluxDB words it, or from something else on the way.
enum Said {
    Influx(String),
    Other(String),
}

impl Said {
    fn text(&self) -> &str {
        match self {
            Self::Influx(text) | Self::Other(text) => text,
        }
    }
}

async fn error_text(response: &mut Response) -> Said {
    let is_influx = response.headers().keys().any(|name| name.as_str().starts_with("x-influxdb-"));
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= LONGEST_ANSWER {
            break;
        }
    }
    let json = serde_json::from_slice::<serde_json::Value>(&body).ok();
    let field = |name| json.as_ref().and_then(|json| json.get(name)?.as_str()).map(shortened);
    // 1.x and 3.x say `error`, 2.x says `message`.
    match field("error").or_else(|| field("message")) {
        Some(text) => Said::Influx(text),
        // 1.x quotes every line that it could not read: too long to be read to its end.
        None if is_influx => Said::Influx(shortened(&String::from_utf8_lossy(&body))),
        None => Said::Other(shortened(&String::from_utf8_lossy(&body))),
    }
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(300).collect()
}

/// Only the form in seconds: no InfluxDB sends a date.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

fn unreachable(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let remedy = match error {
        e if e.is_timeout() => "it does not answer in time",
        e if e.is_connect() => "is it running, are `url` and the certificates right?",
        _ => "the connection broke",
    };
    format!("InfluxDB cannot be reached: {cause}; {remedy}")
}
