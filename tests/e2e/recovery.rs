//! One bad device, port or broker hurts nobody else, and everything comes back by itself.

use std::time::Duration;

use weir_tests::gateway::{Gateway, sink};
use weir_tests::mqtt::Subscriber;
use weir_tests::record::Record;
use weir_tests::serial::Device;
use weir_tests::server::{Kind, Server};
use weir_tests::wait;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_device_that_vanishes_and_comes_back_disturbs_no_other() {
    let _machine = crate::beside_others();
    let mut gateway = Gateway::new(
        r#"
[gateway]
id = "bench"
state = "{folder}/state"
[clock]
hold = "0s"
[filter]
report = "every"
detect = []

[bus.bench]
kind = "sim"
[[bus.bench.fault]]
sensor = "loose"
kind = "unplug"
at = "2s"
for = "2s"

[sensor.loose]
driver = "bme280"
bus = "bench"
address = 0x76
every = "50ms"
[sensor.firm]
driver = "sht3x"
bus = "bench"
address = 0x44
every = "50ms"

[sink.local]
kind = "file"
path = "{folder}/out"
"#,
    );
    gateway.run();
    let closed = wait::until("the fault's end", SOON, || {
        gateway.assert_running();
        fault(&gateway.file_records(), "loose", "closed")
    });
    let opened = fault(&gateway.file_records(), "loose", "opened").unwrap();
    wait::until("samples after the fault", SOON, || {
        gateway.file_records().iter().any(|r| is_sample(r, "loose") && r.time() > closed.time()).then_some(())
    });
    assert!(gateway.terminate().success());

    let records = gateway.file_records();
    let between = |record: &&Record| record.time() > opened.time() && record.time() < closed.time();
    let of = |sensor: &str| records.iter().filter(between).filter(|record| is_sample(record, sensor)).count();
    assert_eq!(of("loose"), 0, "nothing is made up for a device that is away");
    assert!(of("firm") > 30, "only {} samples of the other sensor meanwhile", of("firm"));
    assert_eq!(fault(&records, "firm", "opened"), None);
}

#[test]
fn a_serial_port_that_is_unplugged_is_read_again_when_it_is_back() {
    let _machine = crate::beside_others();
    let mut gateway = Gateway::new(
        r#"
[gateway]
id = "bench"
state = "{folder}/state"
[clock]
hold = "0s"
[filter]
report = "every"

[bus.line]
kind = "serial"
device = "{folder}/port"
[sensor.scale]
driver = "text"
bus = "line"
match = 'W=(?<weight>[0-9.]+)'

[bus.bench]
kind = "sim"
[sensor.firm]
driver = "sht3x"
bus = "bench"
address = 0x44
every = "50ms"

[sink.local]
kind = "file"
path = "{folder}/out"
"#,
    );
    let port = gateway.folder().join("port");
    let mut device = Device::plug_in(port.clone());
    gateway.run();
    say_until_read(&mut gateway, &mut device, 21.5);
    drop(device);
    let opened = wait::until("the fault's begin", SOON, || fault(&gateway.file_records(), "scale", "opened"));
    let mut device = Device::plug_in(port);
    say_until_read(&mut gateway, &mut device, 22.5);
    let closed = wait::until("the fault's end", SOON, || fault(&gateway.file_records(), "scale", "closed"));
    assert!(gateway.terminate().success());

    let records = gateway.file_records();
    let meanwhile = |record: &&Record| record.time() > opened.time() && record.time() < closed.time();
    assert!(records.iter().filter(meanwhile).any(|record| is_sample(record, "firm")), "the other sensor went on");
    assert_eq!(fault(&records, "firm", "opened"), None);
}

/// Says the weight again and again, as a scale does, until the gateway has sent it on.
fn say_until_read(gateway: &mut Gateway, device: &mut Device, weight: f64) {
    wait::until(&format!("the weight {weight}"), SOON, || {
        gateway.assert_running();
        device.say(&format!("W={weight}"));
        gateway.file_records().iter().any(|r| is_sample(r, "scale") && r.0["value"] == weight).then_some(())
    });
}

#[test]
fn a_broker_that_is_absent_at_the_start_gets_everything_when_it_comes() {
    let _machine = crate::beside_others();
    let name = "recovery::a_broker_that_is_absent_at_the_start_gets_everything_when_it_comes";
    let Some(mut mosquitto) = Server::start(Kind::Mosquitto, name) else { return };
    let subscriber = Subscriber::new(mosquitto.port(), "weir/#"); // its session outlives the broker's absence
    mosquitto.down();
    let mut gateway = Gateway::new(&two_sinks(mosquitto.port()));
    gateway.run();
    wait::until("records in the file", SOON, || (gateway.file_records().len() > 200).then_some(()));
    gateway.await_status("word of the absent broker", SOON, |status| {
        sink(status, "plant")["health"]["failing"].as_str().map(str::to_owned)
    });

    mosquitto.up();
    let in_file = gateway.file_records().len();
    wait::until("all of it at the broker", SOON, || (subscriber.records().len() > in_file).then_some(()));
    assert!(gateway.terminate().success());

    let data = |records: Vec<Record>| -> Vec<_> {
        records.iter().filter(|record| is_sample(record, "air")).map(Record::id).collect()
    };
    let file = data(gateway.file_records());
    let broker = wait::until("the last sample at the broker", SOON, || {
        let broker = data(subscriber.records());
        (broker.last() == file.last()).then_some(broker)
    });
    assert_eq!(file, broker);
}

fn fault(records: &[Record], sensor: &str, phase: &str) -> Option<Record> {
    let of = |r: &&Record| r.is("event") && r.0["event"] == "fault" && r.0["phase"] == phase && r.0["sensor"] == sensor;
    records.iter().find(of).cloned()
}

fn is_sample(record: &Record, sensor: &str) -> bool {
    record.is("sample") && record.0["sensor"] == sensor
}

fn two_sinks(port: u16) -> String {
    format!(
        r#"
[gateway]
id = "bench"
state = "{{folder}}/state"
[clock]
hold = "0s"
[filter]
report = "every"
[bus.bench]
kind = "sim"
[sensor.air]
driver = "bme280"
bus = "bench"
address = 0x76
every = "20ms"
[sink.plant]
kind = "mqtt"
url = "mqtt://127.0.0.1:{port}"
[sink.local]
kind = "file"
path = "{{folder}}/out"
"#
    )
}
