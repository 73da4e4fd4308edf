//! The demo: the whole way on a machine with nothing on it, and what a new user sees of it.

use std::collections::BTreeSet;
use std::path::Path;

use weir_tests::gateway::weir;
use weir_tests::record::Record;

#[test]
fn the_demo_shows_everything_and_its_ledger_balances() {
    let _machine = crate::beside_others();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let output = weir(&["demo", "--for", "12s", "--out", &out.to_string_lossy()]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for wanted in ["fault opened cabinet/sensor", "fault closed cabinet/sensor", "alarm opened boiler/temperature"] {
        assert!(said.contains(wanted), "no `{wanted}` in:\n{said}");
    }
    for wanted in ["the link to the destination goes down", "the link is back", "The ledger balances."] {
        assert!(said.contains(wanted), "no `{wanted}` in:\n{said}");
    }
    check_records(&records(&out.join("records")), &said);
    let again = weir(&["check", "--config", &out.join("weir.toml").to_string_lossy()]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
}

/// A folder that holds anything else than an earlier demo is left as it is.
#[test]
fn the_demo_empties_no_folder_of_somebody_elses() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "years of work").unwrap();
    let output = weir(&["demo", "--for", "3s", "--out", &folder.path().to_string_lossy()]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("name another folder with --out"));
    assert_eq!(std::fs::read_to_string(folder.path().join("thesis.tex")).unwrap(), "years of work");
}

/// Every number from the first to the last is there once, of every source and of every kind.
fn check_records(records: &[Record], said: &str) {
    let numbers: BTreeSet<u64> = records.iter().map(|record| record.id().2).collect();
    assert_eq!(numbers.len(), records.len(), "a record came twice although the link answered for every one");
    let (first, last) = (*numbers.first().unwrap(), *numbers.last().unwrap());
    assert_eq!(last - first + 1, numbers.len() as u64, "numbers are missing\n{said}");
    for kind in ["sample", "summary", "event"] {
        assert!(records.iter().any(|record| record.is(kind)), "no {kind}");
    }
    for sensor in ["boiler", "cabinet", "scale", "machine"] {
        assert!(records.iter().any(|record| record.text("sensor") == sensor), "nothing from {sensor}");
    }
}

fn records(folder: &Path) -> Vec<Record> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: Vec<u8> = files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(Record::parse).collect()
}
