//! Against a unit written from the specification, over TCP and on a real pseudo-terminal.

use crate::source::Measured;
use crate::source::pty::Pty;
use crate::source::testing::Bench;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// Holding register n holds 1000 + n, input register n holds 2000 + n, even coils are on; registers from 500 on are missing.
fn answer(request: &[u8]) -> Vec<u8> {
    let [function, a, b, c, d] = request[..5] else { panic!("not a reading request: {request:?}") };
    let (start, count) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if start >= 500 {
        return vec![function | 0x80, 2];
    }
    let words = |base: u16| (start..start + count).flat_map(|n| (base + n).to_be_bytes()).collect::<Vec<u8>>();
    let data = match function {
        3 => words(1000),
        4 => words(2000),
        1 => (0..count.div_ceil(8)).map(|_| if start.is_multiple_of(2) { 0x55 } else { 0xAA }).collect(),
        _ => return vec![function | 0x80, 1],
    };
    [vec![function, data.len() as u8], data].concat()
}

/// CRC-16 of Modbus over Serial Line V1.02, 6.2.2.
fn crc(bytes: &[u8]) -> [u8; 2] {
    let mut crc = 0xFFFFu16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
        }
    }
    crc.to_le_bytes()
}

/// How a unit on a line behaves.
#[derive(Default)]
struct Manners {
    silent: AtomicBool,
    /// Milliseconds before each answer.
    late: AtomicU64,
    damaged: AtomicBool,
}

/// Unit 17 on a line; it ends with the test.
fn unit(mut line: Pty) -> Arc<Manners> {
    let manners = Arc::new(Manners::default());
    let own = Arc::clone(&manners);
    std::thread::spawn(move || {
        let mut request = Vec::new();
        let mut buffer = [0; 64];
        while Arc::strong_count(&own) > 1 {
            let count = line.receive(&mut buffer);
            request.extend_from_slice(&buffer[..count]);
            if request.len() < 8 {
                sleep(Duration::from_millis(1));
                continue;
            }
            let question: Vec<u8> = request.drain(..8).collect();
            if question[0] != 17 || own.silent.load(Ordering::Relaxed) {
                continue;
            }
            let mut telegram = [vec![17], answer(&question[1..])].concat();
            telegram.extend(crc(&telegram));
            if own.damaged.load(Ordering::Relaxed) {
                *telegram.last_mut().unwrap() ^= 0xFF;
            }
            sleep(Duration::from_millis(own.late.load(Ordering::Relaxed)));
            line.send(&telegram);
        }
    });
    manners
}

fn rtu(more: &str) -> (Arc<Manners>, Bench) {
    let line = Pty::open().unwrap();
    let config = format!(
        "[bus.rs485]\nkind = \"serial\"\ndevice = {:?}\nbaud = 115200\n{}{more}",
        line.path(),
        sensor("drive", 17)
    );
    (unit(line), Bench::start(&config))
}

fn sensor(name: &str, unit: u8) -> String {
    format!(
        r#"
        [sensor.{name}]
        driver = "modbus"
        bus = "rs485"
        unit = {unit}
        every = "50ms"
        timeout = "100ms"
        channel.speed.holding = 12
        channel.load.holding = 13
        channel.flow.input = 7
        channel.running.coil = 4
        "#
    )
}

/// A host with the unit, until the test ends.
fn host() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 12];
            while stream.read_exact(&mut request).is_ok() {
                let pdu = answer(&request[7..]);
                let length = (pdu.len() as u16 + 1).to_be_bytes();
                let telegram = [&request[..4], &length, &request[6..7], &pdu].concat();
                if stream.write_all(&telegram).is_err() {
                    break;
                }
            }
        }
    });
    port
}

const SPEED: f64 = 1012.0;

fn all_values_are_right(bench: &Bench) -> bool {
    let only = |name: &str, value: f64| bench.values(name).iter().all(|v| *v == value);
    only("drive/speed", SPEED) && only("drive/load", 1013.0) && only("drive/flow", 2007.0)
}

#[test]
fn units_on_a_line_are_read() {
    let (_unit, mut bench) = rtu("");
    bench.until(|b| b.values("drive/flow").len() >= 5);
    assert!(all_values_are_right(&bench));
    assert_eq!(bench.measured("drive/running")[0], Measured::State(1));
    bench.stop();
}

#[test]
fn units_behind_a_host_are_read() {
    let config = sensor("drive", 17).replace("rs485", "plc");
    let mut bench =
        Bench::start(&format!("[bus.plc]\nkind = \"modbus-tcp\"\naddress = \"127.0.0.1:{}\"\n{config}", host()));
    bench.until(|b| b.values("drive/flow").len() >= 5);
    assert!(all_values_are_right(&bench));
}

#[test]
fn a_missing_register_fails_alone() {
    let (_unit, mut bench) = rtu("channel.ghost.holding = 600\n");
    bench.until(|b| b.values("drive/speed").len() >= 3);
    let why = bench.failures("drive");
    assert!(why.iter().all(|why| why.starts_with("ghost was not read: unit 17 refuses (exception 2")), "{why:?}");
    assert!(!why.is_empty() && why[0].contains("addresses count from 0"));
}

#[test]
fn a_silent_unit_fails_alone_and_is_found_again() {
    let (unit, mut bench) = rtu(&sensor("absent", 18));
    bench.until(|b| b.values("drive/speed").len() >= 5 && b.failures("absent").len() >= 4);
    assert_eq!(bench.failures("drive"), Vec::<String>::new());
    assert!(bench.failures("absent")[0].contains("unit 18 does not answer within 100ms: check `unit`"));
    unit.silent.store(true, Ordering::Relaxed);
    bench.until(|b| !b.failures("drive").is_empty());
    unit.silent.store(false, Ordering::Relaxed);
    let before = bench.values("drive/speed").len();
    bench.until(|b| b.values("drive/speed").len() > before + 2);
}

#[test]
fn a_late_answer_is_never_taken_for_another() {
    let (unit, mut bench) = rtu("");
    bench.until(|b| b.values("drive/speed").len() >= 2);
    unit.late.store(150, Ordering::Relaxed);
    bench.until(|b| b.failures("drive").len() >= 8);
    unit.late.store(0, Ordering::Relaxed);
    let before = bench.values("drive/flow").len();
    bench.until(|b| b.values("drive/flow").len() > before + 5);
    assert!(all_values_are_right(&bench));
}

#[test]
fn a_damaged_answer_is_no_value() {
    let (unit, mut bench) = rtu("");
    unit.damaged.store(true, Ordering::Relaxed);
    bench.until(|b| b.failures("drive").len() >= 8);
    unit.damaged.store(false, Ordering::Relaxed);
    let before = bench.values("drive/flow").len();
    bench.until(|b| b.values("drive/flow").len() > before + 2);
    assert!(all_values_are_right(&bench));
}

#[test]
fn a_host_that_is_not_there_is_said_so() {
    let config = sensor("drive", 1).replace("rs485", "plc");
    let mut bench = Bench::start(&format!("[bus.plc]\nkind = \"modbus-tcp\"\naddress = \"127.0.0.1:1\"\n{config}"));
    bench.until(|b| b.failures("drive").len() >= 4);
    assert!(bench.failures("drive")[0].contains("127.0.0.1:1 cannot be reached"), "{:?}", bench.failures("drive"));
}

#[test]
fn a_unit_without_channels_and_a_host_without_port_are_problems() {
    let problems = Bench::problems(
        "[bus.plc]\nkind = \"modbus-tcp\"\naddress = \"plc\"\n[sensor.a]\ndriver = \"modbus\"\nbus = \"plc\"\nevery = \"1s\"\n",
    );
    let labels: Vec<_> = problems.iter().map(|p| p.label.as_str()).collect();
    assert_eq!(labels, ["must be HOST:PORT; the usual port is 502", "a unit cannot be asked for them"]);
}
