//! The fixtures themselves: servers that stop and come back keep what they were given.

use weir_tests::server::{Kind, Server};
use weir_tests::{influx, kafka};

#[test]
fn influxdb_keeps_its_databases_through_a_restart() {
    let _machine = crate::beside_others();
    let Some(mut server) = Server::start(Kind::Influxd, "influxdb_keeps_its_databases_through_a_restart") else {
        return;
    };
    influx::create(server.port(), "kept");
    server.down();
    server.up();
    let databases = influx::query(server.port(), "", "SHOW DATABASES");
    assert!(databases.iter().any(|row| row["name"] == "kept"), "{databases:?}");
}

#[test]
fn kafka_comes_back_and_an_unused_topic_is_empty() {
    let _machine = crate::beside_others();
    let Some(mut server) = Server::start(Kind::Kafka, "kafka_comes_back_and_an_unused_topic_is_empty") else {
        return;
    };
    server.kill();
    server.up();
    assert!(kafka::read_all(server.port(), &["nothing"]).is_empty());
}
