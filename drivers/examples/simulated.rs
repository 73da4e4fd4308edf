//! A driver reads a simulated chip: `cargo run -p weir-drivers --example simulated`

use weir_drivers::{Driver, Error, Measurements, bh1750::Bh1750, sim};

fn main() -> Result<(), Error> {
    let mut bus = sim::Bus::new(100_000);
    bus.attach(sim::bh1750::bh1750(0x23));
    bus.set(0x23, "illuminance", 480.0);

    let mut driver = Bh1750::new(0x23);
    driver.init(&mut bus)?;
    let conversion = driver.start(&mut bus)?;
    bus.advance(conversion);

    let mut out = Measurements::new();
    driver.read(&mut bus, &mut out)?;
    println!("{} lx, {} transactions, {:?} on the wire", out[0].value, bus.transactions(), bus.busy());
    Ok(())
}
