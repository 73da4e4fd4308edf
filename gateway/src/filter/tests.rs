use super::*;
use crate::record::Channel;
use crate::registry::{Declared, SensorIndex};
use crate::section::Problems;
use std::sync::Arc;
use toml::de::DeTable;
use weir_filters::detect::Side;
use weir_filters::report::{Bound, Method};

/// The settings of `boiler/temperature` under a `[filter]`, a `[sensor.boiler.filter]` and a channel table.
fn settings(filter: &str, sensor: &str, channel: &str) -> (Settings, Vec<String>) {
    let problems = Problems::default();
    let section = |name: &str, text: &str| {
        let table = DeTable::parse(text.to_owned().leak()).unwrap();
        Section::new(name, table.span(), table.into_inner(), &problems)
    };
    let mut rules = Rules::read(Some(section("filter", filter)));
    let mut own = section("sensor.boiler", sensor);
    rules.read_sensor("boiler", &mut own);
    own.finish();
    let mut channel = section("sensor.boiler.channel.temperature", channel);
    rules.read_channel("boiler", &mut channel);
    channel.finish();
    let every = Some(std::time::Duration::from_secs(1));
    let sensor = Sensor { name: "boiler".into(), every, ..Sensor::default() };
    let prepared = rules.prepare(&known(), &sensor);
    let Chain::Gauge(settings) = prepared.settings else { panic!("a gauge") };
    (*settings, problems.into_sorted().into_iter().map(|p| format!("{}: {}", p.message, p.label)).collect())
}

fn known() -> Known {
    let channel = Channel { sensor: "boiler".into(), name: "temperature".into(), ..Channel::default() };
    let declared =
        Declared { valid: Some((-40.0, 85.0)), span: Some((0.0, 65.0)), ..Declared::gauge("temperature", "Cel") };
    Known { channel: Arc::new(channel), sensor: SensorIndex(0), declared }
}

#[test]
fn without_a_word_the_defaults_hold_and_the_driver_knows_the_range() {
    let (s, problems) = settings("", "", "");
    assert_eq!(problems, [""; 0]);
    assert_eq!((s.valid.range, s.span, s.period), (Some((-40.0, 85.0)), None, 1_000_000_000));
    assert!(s.detect.auto && s.context == 30 && s.summarise.windows.len() == 1);
    assert_eq!(s.check(), Ok(()));
}

#[test]
fn the_nearer_table_wins_key_by_key() {
    let (s, problems) = settings(
        "context = 5\nwindow = [\"10s\"]\nvalid = [0, 50]",
        "filter = { valid = [0, 60], clean = { hampel = { window = 7, sigma = 5 } } }",
        "alarm = { high = 40, hysteresis = 2, delay = \"5s\" }\nfilter = { valid = [-20, 55], report = { swinging_door = 0.1 } }",
    );
    assert_eq!(problems, [""; 0]);
    assert_eq!((s.context, s.valid.range), (5, Some((-20.0, 55.0))));
    assert_eq!(s.clean, weir_filters::clean::Settings::Hampel { window: 7, sigma: 5.0 });
    assert_eq!(s.report.method, Method::SwingingDoor(Bound::Absolute(0.1)));
    let alarm = s.detect.alarms[0];
    assert_eq!((alarm.side, alarm.limit, alarm.hysteresis, alarm.delay), (Side::High, 40.0, 2.0, 5_000_000_000));
}

#[test]
fn every_form_of_the_documentation_is_understood() {
    let (s, problems) = settings(
        "detect = [\"auto\", { zscore = 6 }, { cusum = { slack = 0.5, limit = 8 } }]\nstuck = \"off\"\n\
         window = [\"1m\", { hop = \"10s\", width = \"1m\" }]\naggregate = [\"count\", \"mean\"]\n\
         report = { funnel = \"1%\", heartbeat = \"off\" }\nstale = \"30s\"\nnoise = 0.1\nrate = 5\ngrace = \"2s\"",
        "",
        "",
    );
    assert_eq!(problems, [""; 0]);
    assert_eq!(s.detect.detectors.len(), 2);
    assert_eq!((s.valid.stuck, s.valid.stale, s.valid.rate), (None, Some(30_000_000_000), Some(5.0)));
    assert_eq!(s.summarise.windows.len(), 2);
    assert_eq!(s.summarise.aggregates.iter().count(), 2);
    assert_eq!((s.report.method, s.report.heartbeat), (Method::Funnel(Bound::Share(0.01)), None));
}

#[test]
fn what_cannot_be_meant_is_said_where_it_stands() {
    let (_, problems) = settings(
        "detect = [\"autp\"]\nwindow = [\"1m\", \"5m\", \"1h\"]\naggregate = [\"avg\"]\nreport = { deadband = \"wide\" }\nvalid = [9, 1]",
        "",
        "alarm = { hysteresis = 1 }",
    );
    assert_eq!(problems.len(), 6, "{problems:#?}");
    assert!(problems.iter().any(|p| p.contains("there is no aggregate `avg`")));
    assert!(problems.iter().any(|p| p.contains("at most 2")));
}

#[test]
fn settings_that_contradict_each_other_are_reported_with_the_reason() {
    let problems = Problems::default();
    let table = DeTable::parse("alarm = { high = 200 }").unwrap();
    let mut channel = Section::new("sensor.boiler.channel.temperature", 3..9, table.into_inner(), &problems);
    let mut rules = Rules::default();
    rules.read_channel("boiler", &mut channel);
    let (place, why) = rules.check(&known(), &Sensor { name: "boiler".into(), ..Sensor::default() }).unwrap_err();
    assert_eq!(place, 3..9);
    assert!(why.contains("can never be passed"), "{why}");
}

#[test]
fn a_correction_moves_the_range_of_the_sensor_with_it() {
    let (s, _) = settings("report = { funnel = \"1%\" }", "", "offset = -0.5\nscale = 2");
    assert_eq!((s.valid.range, s.span), (Some((-80.5, 169.5)), Some(130.0)));
}

#[test]
fn a_share_goes_by_what_the_driver_says_and_auto_by_what_it_sees() {
    let (share, _) = settings("report = { deadband = \"1%\" }", "", "");
    let (auto, _) = settings("report = { swinging_door = \"auto\" }", "", "");
    let (told, _) = settings("report = { swinging_door = \"auto\" }\nspan = [0, 10]", "", "");
    assert_eq!((share.span, auto.span, told.span), (Some(65.0), None, Some(10.0)));
}

#[test]
fn a_window_holds_enough_readings_to_be_worth_its_bytes() {
    let seconds = |period: Nanos| usual_window(period * 1_000_000_000) / 1_000_000_000;
    assert_eq!([0, 1, 10, 11, 300, 600, 7200].map(seconds), [60, 60, 60, 600, 3600, 3600, 86_400]);
}
