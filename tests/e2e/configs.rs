//! A broken configuration: exit code 78 and a message that a technician can act on.

use weir_tests::gateway::Gateway;

const WHOLE: &str = r#"
[gateway]
id = "press-line-4"
state = "{folder}/state"

[bus.bench]
kind = "sim"

[sensor.boiler]
driver = "bme280"
bus = "bench"
address = 0x76
every = "1s"

[sink.local]
kind = "file"
path = "{folder}/out"
"#;

#[test]
fn the_whole_one_is_right() {
    let gateway = Gateway::new(WHOLE);
    let output = gateway.command(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Breaks the configuration by replacing `right` with `wrong`; what `weir run` says then, with the folder blotted out.
fn message(right: &str, wrong: &str) -> String {
    assert!(WHOLE.contains(right), "{right} is not in the configuration");
    let gateway = Gateway::new(&WHOLE.replace(right, wrong));
    let check = gateway.command(&["check"]);
    let said = String::from_utf8(check.stderr).unwrap();
    assert_eq!(check.status.code(), Some(78), "{said}");
    let run = gateway.command(&["run"]);
    assert_eq!((run.status.code(), run.stderr), (Some(78), said.clone().into_bytes()), "run says the same as check");
    assert!(!gateway.folder().join("state").exists(), "nothing is made for a configuration that cannot run");
    said.replace(&*gateway.folder().to_string_lossy(), "DIR")
}

#[test]
fn a_missing_id() {
    let said = message("id = \"press-line-4\"\n", "");
    // The suggestion is made of this machine's name.
    let (before, suggestion) = said.split_once("such as: id = \"").unwrap();
    insta::assert_snapshot!(format!("{before}such as: id = \"NAME{}", suggestion.trim_start_matches(|c| c != '"')));
}

macro_rules! broken {
    ($name:ident, $right:expr, $wrong:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(message($right, $wrong));
        }
    };
}

broken!(a_misspelt_key, "every =", "evry =");
broken!(a_misspelt_driver, "\"bme280\"", "\"bme80\"");
broken!(a_bus_that_is_not_there, "bus = \"bench\"", "bus = \"bank\"");
broken!(a_bus_of_an_unknown_kind, "\"sim\"", "\"i3c\"");
broken!(an_impossible_address, "0x76", "0x176");
broken!(an_address_the_chip_cannot_have, "0x76", "0x21");
broken!(a_duration_without_a_unit, "\"1s\"", "\"1\"");
broken!(a_number_for_a_duration, "\"1s\"", "1");
broken!(a_missing_driver, "driver = \"bme280\"\n", "");
broken!(an_id_that_cannot_be_a_topic, "press-line-4", "press/line");
broken!(a_sink_of_an_unknown_kind, "\"file\"", "\"files\"");
broken!(a_sink_without_a_place, "path = \"{folder}/out\"\n", "");
broken!(a_quote_that_is_not_closed, "\"sim\"", "\"sim");
broken!(a_table_that_does_not_exist, "[sink.local]", "[snk.local]");
broken!(two_sensors_of_one_name, "[sink.local]", "[sensor.boiler]\ndriver = \"bme280\"\n[sink.local]");
broken!(a_filter_that_cannot_be, "[sink.local]", "[filter]\nreport = { deadbnd = 1 }\n[sink.local]");
broken!(
    several_at_once,
    "driver = \"bme280\"\nbus = \"bench\"",
    "driver = \"bme281\"\nbus = \"bnch\"\ncolour = \"red\""
);

#[test]
fn a_file_that_is_not_there() {
    let gateway = Gateway::new(WHOLE);
    std::fs::remove_file(gateway.config()).unwrap();
    let output = gateway.command(&["run"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    insta::assert_snapshot!(said);
}
