//! `driver = "mqtt"`: what other nodes publish to a broker, as channels of one sensor.
//!
//! ```toml
//! [sensor.nodes]
//! driver = "mqtt"
//! url = "mqtt://127.0.0.1:1883"          # user, password, certificates: as of an MQTT sink
//! topic = "site/{room}/{quantity}"       # each {name} is one level of the topic and part of the channel's name:
//!                                        # site/hall/temperature becomes hall.temperature; + and # match without naming
//! format = "json"                        # or "plain", or `match`, `columns`, `path` of a channel as for serial lines
//! channel.temperature.unit = "Cel"       # what is known of hall.temperature, office.temperature, …
//! ```
//!
//! After a broken connection it subscribes anew; what was published meanwhile is not asked for. Retained messages are old
//! values of unknown age: they count only with `retained = true`. Messages over 64 KiB are not taken, nor channels beyond
//! those that a sensor can have.

use super::delivery::Delivery;
use super::extract::{Extract, Found, of_text, word_of};
use super::trouble::Trouble;
use super::{Closed, Draft, Entry, Feed, Life, Open, Running, Source};
use crate::broker::{Broker, explain};
use crate::registry::{Declared, Quantity};
use crate::section::Section;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, RetainForwardRule, SubAck, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event};
use std::borrow::Cow;
use std::time::Duration;

pub(super) const ENTRY: Entry =
    Entry { name: "mqtt", summary: "what other nodes publish to an MQTT broker", open: Open::Alone(open) };

/// No reading of a sensor is larger.
const LARGEST_PACKET: u32 = 64 << 10;

/// First wait before connecting again.
const RETRY: Duration = Duration::from_millis(500);

fn open(draft: Draft<'_, '_>) -> Option<Box<dyn Source>> {
    let Draft { mut section, channels, .. } = draft;
    let name: Box<str> = section.key().into();
    let broker = Broker::read(&mut section, format!("weir-source-{name}-{}", std::process::id()));
    let pattern = read_pattern(&mut section);
    let retained = section.take("retained").unwrap_or(false);
    let extract = Extract::read(&mut section, channels);
    section.finish();
    Some(Box::new(Subscription { name, broker: broker?, pattern: pattern?, retained, extract: extract? }))
}

fn read_pattern(section: &mut Section<'_, '_>) -> Option<Pattern> {
    let topic = section.require::<toml::Spanned<String>>("topic", "\"site/{room}/{quantity}\"")?;
    let refuse =
        |why| section.report(topic.span(), format!("`topic` in [{}] cannot be used", section.name()), why, None);
    Pattern::read(topic.get_ref()).map_err(refuse).ok()
}

struct Subscription {
    name: Box<str>,
    broker: Broker,
    pattern: Pattern,
    retained: bool,
    extract: Extract,
}

impl Source for Subscription {
    /// Channels whose names come from topics appear with their first message.
    fn channels(&self) -> Vec<Vec<Declared>> {
        let known = if self.pattern.has_names() { &[] } else { self.extract.channels.as_slice() };
        vec![known.to_vec()]
    }

    fn run(self: Box<Self>, feeds: Vec<Feed>, life: Life) -> Running {
        Box::pin(async move {
            let Some(feed) = feeds.into_iter().next() else { return };
            let mut delivery = Delivery::new(feed);
            let mut trouble = Trouble::new(self.name.clone(), RETRY);
            loop {
                let end = life.until_over(self.listen(&mut delivery, &mut trouble)).await;
                let Some(Ok(why)) = end else { return };
                let wait = trouble.failed(&why, delivery.now());
                if delivery.fail(&why).await == Err(Closed) || !life.sleep(wait).await {
                    return;
                }
            }
        })
    }
}

impl Subscription {
    /// One connection, from its beginning to its end; says why it ended.
    async fn listen(&self, delivery: &mut Delivery, trouble: &mut Trouble) -> Result<String, Closed> {
        let mut options = match self.broker.options() {
            Ok(options) => options,
            Err(why) => return Ok(why),
        };
        options.set_max_packet_size(Some(LARGEST_PACKET));
        let client_id = options.client_id();
        let (client, mut connection) = AsyncClient::new(options, 4);
        loop {
            match connection.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) if client.try_subscribe_many([self.filter()]).is_err() => {
                    return Ok("the subscription could not be sent".into());
                }
                Ok(Event::Incoming(Packet::SubAck(answer))) => match refusal(&answer) {
                    Some(why) => return Ok(why),
                    None => trouble.over(),
                },
                Ok(Event::Incoming(Packet::Publish(message))) => self.take(&message, delivery).await?,
                Ok(_) => {}
                Err(error) => return Ok(explain(&error, &client_id)),
            }
        }
    }

    fn filter(&self) -> Filter {
        let mut filter = Filter::new(self.pattern.filter(), QoS::AtLeastOnce);
        if !self.retained {
            filter.retain_forward_rule = RetainForwardRule::Never;
        }
        filter
    }

    async fn take(&self, message: &Publish, delivery: &mut Delivery) -> Result<(), Closed> {
        let at = delivery.now();
        let (Ok(topic), Ok(text)) = (std::str::from_utf8(&message.topic), std::str::from_utf8(&message.payload)) else {
            return delivery.fail("a message that is no text").await;
        };
        let Some(name) = self.pattern.name(topic) else { return Ok(()) };
        match self.find(&name, text) {
            Ok(found) => delivery.send(found, at).await,
            Err(why) => delivery.fail(&format!("the message on {topic} {why}")).await,
        }
    }

    /// The values of a message; `name` is what its topic says.
    fn find<'t>(&'t self, name: &'t str, text: &'t str) -> Result<Vec<Found<'t>>, String> {
        let known = |name: &str| self.extract.channels.iter().find(|c| last_part(name) == &*c.name);
        if name.is_empty() {
            return self.extract.find(text);
        }
        if self.extract.is_plain() {
            let declared = known(name);
            let quantity = declared.map_or(Quantity::Gauge, |d| d.quantity);
            return Ok(vec![Found { name: Cow::Borrowed(name), declared, value: of_text(text, quantity) }]);
        }
        let below = |found: Found<'t>| Found { name: Cow::Owned(format!("{name}.{}", found.name)), ..found };
        Ok(self.extract.find(text)?.into_iter().map(below).collect())
    }
}

/// `hall.temperature` is a temperature.
fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn refusal(answer: &SubAck) -> Option<String> {
    let code = answer.return_codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_)))?;
    let remedy = match code {
        SubscribeReasonCode::NotAuthorized => "the broker's access list must allow this user to read the topic",
        SubscribeReasonCode::TopicFilterInvalid => "check `topic`",
        _ => "look into the broker's log",
    };
    Some(format!("the broker refuses the subscription ({code:?}): {remedy}"))
}

/// Which topics, and which of their levels name the channel.
struct Pattern(Vec<Level>);

enum Level {
    Fixed(String),
    /// `{name}`: part of the channel's name.
    Name,
    /// `+`
    Any,
    /// `#`
    Rest,
}

impl Pattern {
    fn read(text: &str) -> Result<Self, String> {
        let level = |level: &str| match level {
            "+" => Ok(Level::Any),
            "#" => Ok(Level::Rest),
            _ if level.starts_with('{') && level.ends_with('}') => Ok(Level::Name),
            _ if level.contains(['{', '}', '+', '#']) => Err(format!("`{level}` is only a part of a level")),
            _ => Ok(Level::Fixed(level.into())),
        };
        let levels: Vec<_> = text.split('/').map(level).collect::<Result<_, _>>()?;
        let before_last = levels.len().saturating_sub(1);
        match levels.iter().position(|l| matches!(l, Level::Rest)) {
            Some(at) if at < before_last => Err("# can only be the last level".into()),
            _ if text.is_empty() => Err("it is empty".into()),
            _ => Ok(Self(levels)),
        }
    }

    fn has_names(&self) -> bool {
        self.0.iter().any(|level| matches!(level, Level::Name))
    }

    /// As the broker understands it.
    fn filter(&self) -> String {
        let word = |level: &Level| match level {
            Level::Fixed(word) => word.clone(),
            Level::Name | Level::Any => "+".into(),
            Level::Rest => "#".into(),
        };
        self.0.iter().map(word).collect::<Vec<_>>().join("/")
    }

    /// What a topic says about the channel's name: nothing, or its parts; `None` if it does not fit.
    fn name(&self, topic: &str) -> Option<String> {
        let mut words = topic.split('/');
        let mut parts = Vec::new();
        for level in &self.0 {
            match (level, words.next()) {
                (Level::Rest, _) => return Some(parts.join(".")),
                (Level::Name, Some(word)) => parts.push(word_of(word)),
                (Level::Any, Some(_)) => {}
                (Level::Fixed(fixed), Some(word)) if fixed == word => {}
                _ => return None,
            }
        }
        words.next().is_none().then(|| parts.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture::{server, unique};
    use crate::source::Measured;
    use crate::source::testing::Bench;
    use reqwest::Url;
    use rstest::rstest;
    use rumqttc::v5::MqttOptions;

    #[rstest]
    #[case("site/{room}/{quantity}", "site/hall/temp", Some("hall.temp"))]
    #[case("site/{room}/+", "site/hall/temp", Some("hall"))]
    #[case("site/{room}/#", "site/hall/a/b/c", Some("hall"))]
    #[case("site/hall/temp", "site/hall/temp", Some(""))]
    #[case("site/{room}", "site/hall/temp", None)]
    #[case("site/{room}/{quantity}", "site/hall", None)]
    #[case("site/{room}/x", "site/ha ll/x", Some("ha_ll"))]
    fn topics_name_channels(#[case] pattern: &str, #[case] topic: &str, #[case] name: Option<&str>) {
        assert_eq!(Pattern::read(pattern).unwrap().name(topic).as_deref(), name);
    }

    #[rstest]
    #[case("a/#/b", "# can only be the last level")]
    #[case("a/{b", "`{b` is only a part of a level")]
    #[case("a/b+", "`b+` is only a part of a level")]
    #[case("", "it is empty")]
    fn patterns_that_no_broker_takes_are_refused(#[case] pattern: &str, #[case] why: &str) {
        assert_eq!(Pattern::read(pattern).err().as_deref(), Some(why));
    }

    #[test]
    fn the_broker_sees_plain_wildcards() {
        assert_eq!(Pattern::read("site/{room}/+/#").unwrap().filter(), "site/+/+/#");
    }

    /// A node that publishes.
    struct Node {
        client: AsyncClient,
        topic: String,
    }

    impl Node {
        /// Under a topic of its own.
        fn new(bench: &Bench, url: &str, topic: &str) -> Self {
            let url = Url::parse(url).unwrap();
            let mut options = MqttOptions::new(format!("node-{topic}"), url.host_str().unwrap(), url.port().unwrap());
            options.set_keep_alive(Duration::from_secs(5));
            let (client, mut connection) = AsyncClient::new(options, 100);
            bench.spawn(async move { while connection.poll().await.is_ok() {} });
            Self { client, topic: topic.into() }
        }

        fn say(&self, below: &str, payload: &str) {
            let _ =
                self.client.try_publish(format!("{}/{below}", self.topic), QoS::AtLeastOnce, false, payload.to_owned());
        }
    }

    #[test]
    fn what_nodes_publish_becomes_readings() {
        let Some(url) = server("WEIR_TEST_MQTT", "what_nodes_publish_becomes_readings") else { return };
        let topic = unique("nodes");
        let config = format!(
            "[sensor.nodes]\ndriver = \"mqtt\"\nurl = \"{url}\"\ntopic = \"{topic}/{{room}}/{{quantity}}\"\nchannel.door.kind = \"state\""
        );
        let mut bench = Bench::start(&config);
        let node = Node::new(&bench, &url, &topic);
        let say = || {
            node.say("hall/temperature", "21.5");
            node.say("hall/door", "open");
            node.say("attic/temperature", "warm");
        };
        bench.until_nudged(say, |b| !b.values("nodes/hall.temperature").is_empty() && !b.failures("nodes").is_empty());
        assert_eq!(bench.values("nodes/hall.temperature")[0], 21.5);
        assert_eq!(bench.measured("nodes/hall.door")[0], Measured::State(1));
        assert_eq!(bench.failures("nodes")[0], "attic.temperature is no number: \"warm\"");
    }

    #[test]
    fn every_number_of_a_document_is_a_channel() {
        let Some(url) = server("WEIR_TEST_MQTT", "every_number_of_a_document_is_a_channel") else { return };
        let topic = unique("json");
        let config =
            format!("[sensor.n]\ndriver = \"mqtt\"\nurl = \"{url}\"\ntopic = \"{topic}/{{node}}\"\nformat = \"json\"");
        let mut bench = Bench::start(&config);
        let node = Node::new(&bench, &url, &topic);
        bench.until_nudged(
            || node.say("n1", r#"{"temp": 20, "battery": {"volt": 3.1}, "name": "x"}"#),
            |b| !b.values("n/n1.temp").is_empty(),
        );
        assert_eq!(bench.values("n/n1.battery_volt")[0], 3.1);
        assert_eq!(bench.values("n/n1.temp")[0], 20.0);
        assert_eq!(bench.measured("n/n1.name")[0], Measured::Text("x".into()));
    }

    #[test]
    fn a_broker_that_is_absent_at_the_start_is_said_so_and_tried_again() {
        let config = "[sensor.n]\ndriver = \"mqtt\"\nurl = \"mqtt://127.0.0.1:1\"\ntopic = \"a/{b}\"";
        let mut bench = Bench::start(config);
        bench.until(|b| b.failures("n").len() >= 2);
        assert!(bench.failures("n")[0].starts_with("the broker cannot be reached"), "{:?}", bench.failures("n"));
        bench.stop();
    }
}
