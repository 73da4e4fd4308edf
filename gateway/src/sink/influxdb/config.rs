//! The keys of `[sink.NAME]` with `kind = "influxdb"`, as the head of `influxdb.rs` shows them.

use crate::record::Kind;
use crate::secret::{self, Login, Secret};
use crate::section::{Section, Span};
use crate::sink::LINGER;
use crate::tls;
use reqwest::Url;
use std::collections::BTreeMap;
use std::time::Duration;

/// `[sink.NAME]` with `kind = "influxdb"`.
pub(super) struct Config {
    /// Where each kind is written to.
    pub(super) targets: Targets,
    pub(super) credentials: Credentials,
    pub(super) tls: tls::Files,
    pub(super) measurement: String,
    pub(super) linger: Duration,
    pub(super) timeout: Duration,
}

/// Who we are to the server.
pub(super) enum Credentials {
    Nobody,
    User(Login),
    Token(Secret),
}

impl Config {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let url = read_url(section);
        let targets = Targets::read(section, url);
        let user = Login::take(section).map_or(Credentials::Nobody, Credentials::User);
        let credentials = Secret::take(section, "token_file", "token_env").map_or(user, Credentials::Token);
        let tls = tls::Files::take(section);
        let named = |name: &String| !name.is_empty() && !name.starts_with('_') && !name.contains(char::is_control);
        let measurement = section.take_checked("measurement", "must be a name that does not begin with `_`", named);
        let linger = section.take_checked("linger", "must be at most 10m", |s: &Span| s.0.as_secs() <= 600);
        let timeout =
            section.take_checked("timeout", "must be 1s to 5m", |s: &Span| (1..=300).contains(&s.0.as_secs()));
        Some(Self {
            targets: targets?,
            credentials,
            tls,
            measurement: measurement.unwrap_or_else(|| "sensor_readings".into()),
            linger: linger.map_or(LINGER, |s| s.0),
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
    let url = Url::parse(text.get_ref()).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
    match &url {
        Some(url) => secret::refuse_in_url(section, text.span(), url),
        None => {
            let message = format!("`url` in [{}] is not the address of an InfluxDB", section.name());
            section.report(text.span(), message, "not of the form http://HOST:PORT or https://HOST:PORT", None);
        }
    }
    url
}

/// The address for each kind of record: they differ in 1.x, where each can have its retention policy.
pub(super) struct Targets {
    default: Url,
    by_kind: BTreeMap<Kind, Url>,
}

impl Targets {
    /// 1.x writes into `database` and a retention policy, 2.x and 3.x into `bucket`.
    fn read(section: &mut Section<'_, '_>, url: Option<Url>) -> Option<Self> {
        let database = section.take::<String>("database");
        let bucket = section.take::<String>("bucket");
        let org = section.take::<String>("org");
        let policies = section.take_spanned::<BTreeMap<Kind, String>>("rp");
        match (database, bucket) {
            (Some(database), None) => {
                let policies = policies.map(toml::Spanned::into_inner).unwrap_or_default();
                let (url, db) = (url?, ("db", Some(database.as_str())));
                let by_kind =
                    policies.into_iter().map(|(kind, rp)| (kind, target(&url, "write", [db, ("rp", Some(&rp))])));
                Some(Self { by_kind: by_kind.collect(), default: target(&url, "write", [db, ("rp", None)]) })
            }
            (None, Some(bucket)) => {
                if let Some(policies) = policies {
                    let message = format!("[{}] writes into a bucket, which has no retention policies", section.name());
                    section.report(policies.span(), message, "only for 1.x", Some("take `rp` out".into()));
                }
                let place = [("bucket", Some(bucket.as_str())), ("org", org.as_deref())];
                Some(Self { by_kind: BTreeMap::new(), default: target(&url?, "api/v2/write", place) })
            }
            (database, _) => {
                let (name, words) = (section.name(), "`database` (1.x) and `bucket` (2.x, 3.x)");
                let message = match database {
                    Some(_) => format!("[{name}] has both {words}"),
                    None => format!("[{name}] has neither of {words}"),
                };
                let help = Some("it needs one of them, such as: database = \"edge\"".into());
                section.report(section.place(), message, "where shall it write to?", help);
                None
            }
        }
    }

    /// Where records of this kind are written to.
    pub(super) fn of(&self, kind: Kind) -> &Url {
        self.by_kind.get(&kind).unwrap_or(&self.default)
    }
}

fn target(url: &Url, path: &str, parameters: [(&str, Option<&str>); 2]) -> Url {
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
