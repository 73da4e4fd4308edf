//! Broken configurations of every kind, and what a technician reads about them.

use super::*;

const HEAD: &str = "[gateway]\nid = \"press-line-4\"\n";

fn shown(text: &str) -> String {
    match Config::parse(text, "weir.toml") {
        Ok(_) => "fine".to_owned(),
        Err(report) => report.render(false),
    }
}

fn with_head(rest: &str) -> String {
    shown(&format!("{HEAD}{rest}"))
}

/// One snapshot for each kind of mistake; each is a whole message as `weir check` prints it.
macro_rules! says {
    ($($name:ident: $text:expr;)*) => {
        $(#[test] fn $name() { insta::assert_snapshot!(with_head($text)); })*
    };
}

says! {
    no_toml_at_all: "[sensor.boiler\ndriver = ";
    an_unknown_table: "[sensors.boiler]\ndriver = \"bme280\"\n";
    an_unknown_key: "[buffer]\nmaxsize = \"1GiB\"\n";
    a_number_without_unit: "[buffer]\nmax_size = 256\n";
    a_duration_that_is_none: "[buffer]\ncommit_every = \"1 sec\"\n";
    an_impossible_value: "[buffer]\nmax_size = \"1MiB\"\n";
    a_table_that_is_a_word: "filter = \"hampel\"\n";
    a_sensor_without_driver: "[sensor.boiler]\nevery = \"1s\"\n";
    an_unknown_driver: "[bus.i]\nkind = \"sim\"\n[sensor.boiler]\ndriver = \"bme208\"\nbus = \"i\"\naddress = 0x76\n";
    an_unknown_bus: "[bus.i2c-1]\nkind = \"i2c\"\ndevice = \"/dev/i2c-1\"\n[sensor.boiler]\ndriver = \"bme280\"\nbus = \"i2c1\"\naddress = 0x76\n";
    an_unknown_kind_of_bus: "[bus.a]\nkind = \"i2s\"\n";
    two_sensors_at_one_address: "[bus.i]\nkind = \"sim\"\n[sensor.a]\ndriver = \"bme280\"\nbus = \"i\"\naddress = 0x76\nevery = \"1s\"\n[sensor.b]\ndriver = \"bme280\"\nbus = \"i\"\naddress = 0x76\nevery = \"1s\"\n";
    an_address_the_chip_cannot_have: "[bus.i]\nkind = \"sim\"\n[sensor.a]\ndriver = \"bme280\"\nbus = \"i\"\naddress = 0x12\nevery = \"1s\"\n";
    a_bus_asked_for_too_much: "[bus.i]\nkind = \"sim\"\n[sensor.a]\ndriver = \"bme280\"\nbus = \"i\"\naddress = 0x76\nevery = \"1ms\"\n";
    a_channel_the_device_does_not_have: "[bus.i]\nkind = \"sim\"\n[sensor.a]\ndriver = \"bme280\"\nbus = \"i\"\naddress = 0x76\nevery = \"1s\"\nchannel.temprature = { offset = 1 }\n";
    a_name_that_cannot_be_one: "[sensor.\"boiler one\"]\ndriver = \"host\"\nevery = \"1s\"\n";
    the_gateways_own_name: "[sensor.weir]\ndriver = \"host\"\nevery = \"1s\"\n";
    an_alarm_that_can_never_be: "[bus.i]\nkind = \"sim\"\n[sensor.a]\ndriver = \"bme280\"\nbus = \"i\"\naddress = 0x76\nevery = \"1s\"\nchannel.temperature = { alarm = { high = 200 } }\n";
    an_unknown_aggregate: "[filter]\naggregate = [\"count\", \"avg\"]\n";
    an_unknown_kind_of_sink: "[sink.cloud]\nkind = \"kafak\"\n";
    a_sink_without_kind: "[sink.cloud]\nurl = \"mqtt://127.0.0.1\"\n";
    a_file_sink_without_path: "[sink.local]\nkind = \"file\"\n";
    an_mqtt_address_that_is_none: "[sink.plant]\nkind = \"mqtt\"\nurl = \"http://127.0.0.1:1883\"\n";
    a_topic_with_a_wildcard: "[sink.plant]\nkind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:1883\"\ntopic = \"weir/#\"\n";
    an_influxdb_without_database: "[sink.tsdb]\nkind = \"influxdb\"\nurl = \"http://127.0.0.1:8086\"\n";
    a_record_kind_nobody_knows: "[sink.local]\nkind = \"file\"\npath = \"/tmp/x\"\nonly = { kind = [\"alarms\"] }\n";
    many_mistakes_in_one_go: "[bufer]\n[sensor.a]\ndriver = \"bme281\"\n[sink.x]\nkind = \"file\"\npth = \"/tmp/x\"\n";
}

#[test]
fn an_empty_file() {
    let report = Config::parse("", "weir.toml").err().unwrap();
    assert!(report.problems()[0].help.as_ref().unwrap().contains("[gateway]\nid = "), "{report}");
}

#[test]
fn a_file_that_is_not_there_says_how_to_name_one() {
    let report = Config::load(Path::new("/nonexistent/weir.toml")).err().unwrap();
    insta::assert_snapshot!(report.render(false));
}

#[test]
fn shipped_examples_are_configurations_that_work() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for entry in std::fs::read_dir(root.join("systemd")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let shipped = Config::load(&path);
            assert!(shipped.is_ok(), "{}", shipped.err().unwrap());
        }
    }
    for page in ["README.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let examples: Vec<_> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(!examples.is_empty(), "{page} shows no configuration");
        for example in examples {
            let parsed = Config::parse(example, page);
            assert!(parsed.is_ok(), "{}", parsed.err().unwrap());
        }
    }
}
