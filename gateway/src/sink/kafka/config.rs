//! The keys of `[sink.NAME]` with `kind = "kafka"`, as the head of `kafka.rs` shows them, and what librdkafka makes of them.

use crate::identity::Gateway;
use crate::record::Kind;
use crate::secret::Login;
use crate::section::{Section, Span};
use crate::sink::LINGER;
use crate::tls;
use rdkafka::ClientConfig;
use std::collections::BTreeMap;
use std::time::Duration;

/// `[sink.NAME]` with `kind = "kafka"`.
pub(super) struct Config {
    pub(super) brokers: Vec<String>,
    pub(super) topics: Topics,
    pub(super) client_id: String,
    pub(super) tls: Option<tls::Files>,
    pub(super) login: Option<Login>,
    pub(super) mechanism: &'static str,
    pub(super) linger: Duration,
    pub(super) timeout: Duration,
}

/// Where each kind of record goes.
pub(super) struct Topics {
    pub(super) default: String,
    pub(super) by_kind: BTreeMap<Kind, String>,
}

impl Config {
    /// Takes all keys; problems are reported.
    pub(super) fn read(section: &mut Section<'_, '_>, gateway: &Gateway) -> Option<Self> {
        let brokers = read_brokers(section);
        let topics = Topics::read(section);
        let files = tls::Files::take(section);
        let use_tls = section.take("tls").unwrap_or(!files.is_empty());
        if !use_tls && !files.is_empty() {
            section.report(section.place(), "certificates are of no use without TLS", "`tls` is false", None);
        }
        let mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"].map(|word| (word, word));
        let mechanism = section.take_word("mechanism", &mechanisms).unwrap_or("SCRAM-SHA-256");
        let login = Login::take(section);
        let linger = section.take_checked("linger", "must be at most 10m", |s: &Span| s.0.as_secs() <= 600);
        let timeout =
            section.take_checked("timeout", "must be 5s to 5m", |s: &Span| (5..=300).contains(&s.0.as_secs()));
        Some(Self {
            brokers: brokers?,
            topics: topics?,
            client_id: format!("weir-{}-{}", gateway.id, section.key()),
            tls: use_tls.then_some(files),
            login,
            mechanism,
            linger: linger.map_or(LINGER, |s| s.0),
            timeout: timeout.map_or(Duration::from_secs(30), |s| s.0),
        })
    }

    /// librdkafka's configuration; the password is read anew.
    pub(super) fn client(&self) -> Result<ClientConfig, String> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", &self.client_id)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("compression.codec", "lz4")
            // The slowest and smallest: a gateway has few records and a metered link.
            .set("compression.level", "12")
            .set("linger.ms", "5")
            .set("batch.size", "16384")
            .set("queue.buffering.max.kbytes", "4096")
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", self.timeout.as_millis().to_string())
            .set("reconnect.backoff.max.ms", "2000")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("log.connection.close", "false");
        let (tls, sasl) = (self.tls.is_some(), self.login.is_some());
        let protocol = match (tls, sasl) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        if let Some(files) = &self.tls {
            set_tls(&mut client, files);
        }
        if let Some(login) = &self.login {
            client.set("sasl.mechanism", self.mechanism);
            client.set("sasl.username", &login.user).set("sasl.password", login.password()?);
        }
        Ok(client)
    }
}

fn set_tls(client: &mut ClientConfig, files: &tls::Files) {
    let authorities = files.ca.as_ref().map_or("probe".into(), |ca| ca.display().to_string());
    client.set("ssl.ca.location", authorities);
    if let Some((cert, key)) = &files.identity {
        client.set("ssl.certificate.location", cert.display().to_string());
        client.set("ssl.key.location", key.display().to_string());
    }
}

fn read_brokers(section: &mut Section<'_, '_>) -> Option<Vec<String>> {
    const EXAMPLE: &str = "[\"127.0.0.1:9092\"]";
    if !section.has("brokers") {
        return section.require("brokers", EXAMPLE);
    }
    // A comma would be a second broker, a scheme is another product's habit.
    let is_address = |b: &String| !b.is_empty() && !b.contains([',', '/', ' ']) && b.contains(':');
    section.take_checked("brokers", "must be a list of \"HOST:PORT\"", |all: &Vec<String>| {
        !all.is_empty() && all.iter().all(is_address)
    })
}

impl Topics {
    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let Some(mut table) = section.take_section("topics") else {
            if !section.has("topics") {
                let help =
                    Some("add a line such as: topics = { default = \"sensor-readings\", event = \"alerts\" }".into());
                section.report(section.place(), format!("[{}] has no `topics`", section.name()), "missing here", help);
            }
            return None;
        };
        const RULE: &str = "topics have 1 to 249 of the characters a-z A-Z 0-9 . _ -";
        let mut by_kind = BTreeMap::new();
        for (word, kind) in Kind::WORDS {
            if let Some(topic) = table.take_checked(word, RULE, is_topic) {
                by_kind.insert(*kind, topic);
            }
        }
        let default = match table.has("default") {
            true => table.take_checked("default", RULE, is_topic),
            false => table.require("default", "\"sensor-readings\""),
        };
        table.finish();
        Some(Self { default: default?, by_kind })
    }

    /// The topic of this kind's records.
    pub(super) fn of(&self, kind: Kind) -> &str {
        self.by_kind.get(&kind).unwrap_or(&self.default)
    }
}

fn is_topic(name: &String) -> bool {
    let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    is_word && (1..=249).contains(&name.len()) && name != "." && name != ".."
}
