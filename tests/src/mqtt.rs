//! A subscriber that misses nothing: MQTT 5, QoS 1, with a session that outlives connections and the broker's restart.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{Client, Connection, Event, Incoming, MqttOptions};

use crate::record::Record;
use crate::wait;

/// What a broker delivered.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it was published.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// Whether the broker had kept it from before the subscription.
    pub retained: bool,
    /// When it arrived.
    pub at: Timestamp,
}

/// A subscription to one topic filter, collecting until dropped.
pub struct Subscriber {
    client: Client,
    inbox: Arc<Inbox>,
}

#[derive(Default)]
struct Inbox {
    messages: Mutex<Vec<Message>>,
    subscribed: Mutex<bool>,
}

impl Subscriber {
    /// Subscribes at the broker on `port` of this machine and waits until the subscription stands.
    #[must_use]
    pub fn new(port: u16, filter: &str) -> Self {
        let mut options = MqttOptions::new(format!("weir-test-{}-{port}", std::process::id()), "127.0.0.1", port);
        options.set_clean_start(false).set_session_expiry_interval(Some(3600)).set_receive_maximum(Some(1000));
        options.set_max_packet_size(Some(1 << 20));
        let (client, connection) = Client::new(options, 10);
        let inbox = Arc::new(Inbox::default());
        let (subscribing, filling, filter) = (client.clone(), Arc::clone(&inbox), filter.to_owned());
        thread::spawn(move || collect(connection, &subscribing, &filter, &filling));
        wait::until("the subscription", Duration::from_secs(30), || inbox.subscribed.lock().unwrap().then_some(()));
        Self { client, inbox }
    }

    /// Everything that arrived so far.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.inbox.messages.lock().unwrap().clone()
    }

    /// The records among it, in order of arrival; retained messages and the gateway's presence are not records.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let messages = self.messages();
        let lines =
            messages.iter().filter(|message| !message.retained).map(|message| Record::parse_or_none(&message.payload));
        lines.flatten().collect()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.client.disconnect();
    }
}

fn collect(mut connection: Connection, client: &Client, filter: &str, inbox: &Inbox) {
    for event in connection.iter() {
        match event {
            Ok(Event::Incoming(Incoming::ConnAck(ack))) if !ack.session_present => {
                client.try_subscribe(filter, QoS::AtLeastOnce).expect("an empty request queue");
            }
            Ok(Event::Incoming(Incoming::ConnAck(_) | Packet::SubAck(_))) => *inbox.subscribed.lock().unwrap() = true,
            Ok(Event::Incoming(Incoming::Publish(publish))) => inbox.messages.lock().unwrap().push(Message {
                topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                payload: publish.payload.to_vec(),
                retained: publish.retain,
                at: Timestamp::now(),
            }),
            Ok(Event::Incoming(Incoming::Disconnect(_)) | Event::Outgoing(rumqttc::Outgoing::Disconnect)) => {}
            Err(_) => thread::sleep(Duration::from_millis(100)), // the broker is away: the iterator connects again
            Ok(_) => {}
        }
    }
}
