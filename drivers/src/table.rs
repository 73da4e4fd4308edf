//! The table of drivers: everything about a device that is not code. A new device is one new file, its `mod` line
//! and its row here.

use alloc::boxed::Box;

use crate::sim::{Chip, Talker};
use crate::{Channel, Driver, Error, Framing, I2c, OptionError, Options, Setting};
use crate::{
    ads1115, adxl345, bh1750, bme280, bme680, bmp280, ina219, ina226, lm75, mcp9808, mhz19, nmea, pms5003, scd4x,
    sgp40, sht3x, sht4x, sim, tmp117,
};

/// Every device that Weir knows, in alphabetical order.
pub const TABLE: &[Entry] = &[
    Entry {
        name: "ads1015",
        title: "Texas Instruments ADS1015",
        channels: ads1115::CHANNELS,
        settings: ads1115::SETTINGS_ADS1015,
        connection: Connection::I2c {
            addresses: &[0x48, 0x49, 0x4A, 0x4B],
            open: |address, options| {
                let config = ads1115::Config::from_options(options)?;
                Ok(Box::new(ads1115::Ads1115::new(address, ads1115::Part::Ads1015, config)))
            },
            identify: None,
            simulate: sim::ads1115::ads1015,
        },
        accuracy: "0.05 % of the reading, 12 bits",
        datasheet: "https://www.ti.com/lit/ds/symlink/ads1015.pdf",
        tested: SIMULATED,
    },
    Entry {
        name: "ads1115",
        title: "Texas Instruments ADS1115",
        channels: ads1115::CHANNELS,
        settings: ads1115::SETTINGS,
        connection: Connection::I2c {
            addresses: &[0x48, 0x49, 0x4A, 0x4B],
            open: |address, options| {
                let config = ads1115::Config::from_options(options)?;
                Ok(Box::new(ads1115::Ads1115::new(address, ads1115::Part::Ads1115, config)))
            },
            identify: None,
            simulate: sim::ads1115::ads1115,
        },
        accuracy: "0.01 % of the reading, 16 bits",
        datasheet: "https://www.ti.com/lit/ds/symlink/ads1115.pdf",
        tested: ORACLE,
    },
    Entry {
        name: "adxl345",
        title: "Analog Devices ADXL345",
        channels: adxl345::CHANNELS,
        settings: adxl345::SETTINGS,
        connection: Connection::I2c {
            addresses: &[0x53, 0x1D],
            open: |address, options| {
                Ok(Box::new(adxl345::Adxl345::new(address, adxl345::Config::from_options(options)?)))
            },
            identify: Some(adxl345::identify),
            simulate: sim::adxl345::adxl345,
        },
        accuracy: "10 % of the acceleration",
        datasheet: "https://www.analog.com/media/en/technical-documentation/data-sheets/adxl345.pdf",
        tested: SIMULATED,
    },
    Entry {
        name: "bh1750",
        title: "ROHM BH1750FVI",
        channels: bh1750::CHANNELS,
        settings: &[],
        connection: Connection::I2c {
            addresses: &[0x23, 0x5C],
            open: |address, _| Ok(Box::new(bh1750::Bh1750::new(address))),
            identify: None,
            simulate: sim::bh1750::bh1750,
        },
        accuracy: "20 %",
        datasheet: "https://www.mouser.com/datasheet/2/348/bh1750fvi-e-186247.pdf",
        tested: SIMULATED,
    },
    Entry {
        name: "bme280",
        title: "Bosch BME280",
        channels: bme280::CHANNELS,
        settings: bme280::SETTINGS,
        connection: Connection::I2c {
            addresses: &[0x76, 0x77],
            open: |address, options| Ok(Box::new(bme280::Bme280::new(address, bme280::Config::from_options(options)?))),
            identify: Some(bme280::identify),
            simulate: sim::bme280::bme280,
        },
        accuracy: "1 °C, 100 Pa, 3 %",
        datasheet: "https://www.bosch-sensortec.com/media/boschsensortec/downloads/datasheets/bst-bme280-ds002.pdf",
        tested: ORACLE,
    },
    Entry {
        name: "bme680",
        title: "Bosch BME680, BME688",
        channels: bme680::CHANNELS,
        settings: bme680::SETTINGS,
        connection: Connection::I2c {
            addresses: &[0x76, 0x77],
            open: |address, options| Ok(Box::new(bme680::Bme680::new(address, bme680::Config::from_options(options)?))),
            identify: Some(bme680::identify),
            simulate: sim::bme680::bme680,
        },
        accuracy: "0.5 °C, 60 Pa, 3 %, 15 % of the resistance",
        datasheet: "https://www.bosch-sensortec.com/media/boschsensortec/downloads/datasheets/bst-bme680-ds001.pdf",
        tested: ORACLE,
    },
    Entry {
        name: "bmp280",
        title: "Bosch BMP280",
        channels: bmp280::CHANNELS,
        settings: bme280::SETTINGS,
        connection: Connection::I2c {
            addresses: &[0x76, 0x77],
            open: |address, options| Ok(Box::new(bmp280::Bmp280::new(address, bme280::Config::from_options(options)?))),
            identify: Some(bmp280::identify),
            simulate: sim::bme280::bmp280,
        },
        accuracy: "1 °C, 100 Pa",
        datasheet: "https://www.bosch-sensortec.com/media/boschsensortec/downloads/datasheets/bst-bmp280-ds001.pdf",
        tested: SIMULATED,
    },
    Entry {
        name: "ina219",
        title: "Texas Instruments INA219",
        channels: ina219::CHANNELS,
        settings: ina219::SETTINGS,
        connection: Connection::I2c {
            addresses: INA_ADDRESSES,
            open: |address, options| Ok(Box::new(ina219::Ina219::new(address, ina219::Config::from_options(options)?))),
            identify: None,
            simulate: sim::ina219::ina219,
        },
        accuracy: "0.5 % (A version: 1 %) and that of the shunt",
        datasheet: "https://www.ti.com/lit/ds/symlink/ina219.pdf",
        tested: ORACLE,
    },
    Entry {
        name: "ina226",
        title: "Texas Instruments INA226",
        channels: ina226::CHANNELS,
        settings: ina226::SETTINGS,
        connection: Connection::I2c {
            addresses: INA_ADDRESSES,
            open: |address, options| Ok(Box::new(ina226::Ina226::new(address, ina226::Config::from_options(options)?))),
            identify: Some(ina226::identify),
            simulate: sim::ina226::ina226,
        },
        accuracy: "0.1 % and that of the shunt",
        datasheet: "https://www.ti.com/lit/ds/symlink/ina226.pdf",
        tested: SIMULATED,
    },
    Entry {
        name: "lm75",
        title: "LM75 and likenesses",
        channels: lm75::CHANNELS,
        settings: &[],
        connection: Connection::I2c {
            addresses: LM75_ADDRESSES,
            open: |address, _| Ok(Box::new(lm75::Lm75::new(address, lm75::Part::Lm75))),
            identify: None,
            simulate: sim::lm75::lm75,
        },
        accuracy: "2 °C",
        datasheet: "https://www.ti.com/lit/ds/symlink/lm75b.pdf",
        tested: ORACLE,
    },
    Entry {
        name: "mcp9808",
        title: "Microchip MCP9808",
        channels: mcp9808::CHANNELS,
        settings: &[],
        connection: Connection::I2c {
            addresses: &[0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F],
            open: |address, _| Ok(Box::new(mcp9808::Mcp9808::new(address))),
            identify: Some(mcp9808::identify),
            simulate: sim::mcp9808::mcp9808,
        },
        accuracy: "0.25 °C",
        datasheet: "https://ww1.microchip.com/downloads/en/DeviceDoc/25095A.pdf",
        tested: SIMULATED,
    },
    Entry {
        name: "mhz19",
        title: "Winsen MH-Z19",
        channels: mhz19::CHANNELS,
        settings: &[],
        connection: Connection::Serial {
            baud: 9600,
            open: |_| Ok(Box::new(mhz19::Mhz19::default())),
            simulate: sim::mhz19,
        },
        accuracy: "50 ppm + 5 %",
        datasheet: "https://www.winsen-sensor.com/d/files/infrared-gas-sensor/mh-z19b-co2-ver1_0.pdf",
        tested: RECORDED,
    },
    Entry {
        name: "nmea",
        title: "NMEA 0183 receivers (GPS)",
        channels: nmea::CHANNELS,
        settings: &[],
        connection: Connection::Serial {
            baud: 9600,
            open: |_| Ok(Box::new(nmea::Nmea::default())),
            simulate: sim::nmea,
        },
        accuracy: "the receiver's",
        datasheet: "https://content.u-blox.com/sites/default/files/products/documents/u-blox8-M8_ReceiverDescrProtSpec_UBX-13003221.pdf",
        tested: RECORDED_AND_ORACLE,
    },
    Entry {
        name: "pms5003",
        title: "Plantower PMS5003, PMS7003, PMSA003",
        channels: pms5003::CHANNELS,
        settings: &[],
        connection: Connection::Serial {
            baud: 9600,
            open: |_| Ok(Box::new(pms5003::Pms5003::default())),
            simulate: sim::pms5003,
        },
        accuracy: "10 µg/m³ or 10 %",
        datasheet: "https://www.aqmd.gov/docs/default-source/aq-spec/resources-page/plantower-pms5003-manual_v2-3.pdf",
        tested: FRAMES,
    },
    Entry {
        name: "scd4x",
        title: "Sensirion SCD40, SCD41",
        channels: scd4x::CHANNELS,
        settings: &[],
        connection: Connection::I2c {
            addresses: &[0x62],
            open: |address, _| Ok(Box::new(scd4x::Scd4x::new(address))),
            identify: None,
            simulate: sim::scd4x::scd4x,
        },
        accuracy: "50 ppm + 5 %, 0.8 °C, 6 % (SCD40)",
        datasheet: "https://sensirion.com/media/documents/E0F04247/631EF271/CD_DS_SCD40_SCD41_Datasheet_D1.pdf",
        tested: ORACLE,
    },
    Entry {
        name: "sgp40",
        title: "Sensirion SGP40",
        channels: sgp40::CHANNELS,
        settings: sgp40::SETTINGS,
        connection: Connection::I2c {
            addresses: &[0x59],
            open: |address, options| Ok(Box::new(sgp40::Sgp40::new(address, sgp40::Config::from_options(options)?))),
            identify: None,
            simulate: sim::sgp40::sgp40,
        },
        accuracy: "an index, not calibrated",
        datasheet: "https://sensirion.com/media/documents/296373BB/6203C5DF/Sensirion_Gas_Sensors_Datasheet_SGP40.pdf",
        tested: SIMULATED,
    },
    Entry {
        name: "sht3x",
        title: "Sensirion SHT30, SHT31, SHT35",
        channels: sht3x::CHANNELS,
        settings: &[],
        connection: Connection::I2c {
            addresses: &[0x44, 0x45],
            open: |address, _| Ok(Box::new(sht3x::Sht3x::new(address))),
            identify: Some(sht3x::identify),
            simulate: sim::sht3x::sht3x,
        },
        accuracy: "0.2 °C, 2 % (SHT31)",
        datasheet: "https://sensirion.com/media/documents/213E6A3B/63A5A569/Datasheet_SHT3x_DIS.pdf",
        tested: SIMULATED,
    },
    Entry {
        name: "sht4x",
        title: "Sensirion SHT40, SHT41, SHT45",
        channels: sht4x::CHANNELS,
        settings: &[],
        connection: Connection::I2c {
            addresses: &[0x44, 0x45, 0x46],
            open: |address, _| Ok(Box::new(sht4x::Sht4x::new(address))),
            identify: None,
            simulate: sim::sht4x::sht4x,
        },
        accuracy: "0.2 °C, 1.8 % (SHT40)",
        datasheet: "https://sensirion.com/media/documents/33FD6951/662A593A/HT_DS_Datasheet_SHT4x.pdf",
        tested: SIMULATED,
    },
    Entry {
        name: "tmp105",
        title: "Texas Instruments TMP105, TMP75, TMP175",
        channels: lm75::CHANNELS_TMP105,
        settings: &[],
        connection: Connection::I2c {
            addresses: LM75_ADDRESSES,
            open: |address, _| Ok(Box::new(lm75::Lm75::new(address, lm75::Part::Tmp105))),
            identify: None,
            simulate: sim::lm75::tmp105,
        },
        accuracy: "2 °C",
        datasheet: "https://www.ti.com/lit/ds/symlink/tmp105.pdf",
        tested: SIMULATED,
    },
    Entry {
        name: "tmp117",
        title: "Texas Instruments TMP117",
        channels: tmp117::CHANNELS,
        settings: tmp117::SETTINGS,
        connection: Connection::I2c {
            addresses: &[0x48, 0x49, 0x4A, 0x4B],
            open: |address, options| Ok(Box::new(tmp117::Tmp117::new(address, tmp117::Config::from_options(options)?))),
            identify: Some(tmp117::identify),
            simulate: sim::tmp117::tmp117,
        },
        accuracy: "0.1 °C",
        datasheet: "https://www.ti.com/lit/ds/symlink/tmp117.pdf",
        tested: SIMULATED,
    },
];

/// Pins A0 and A1, each to ground, supply, SDA or SCL.
const INA_ADDRESSES: &[u8] =
    &[0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F];
/// Pins A0 to A2.
const LM75_ADDRESSES: &[u8] = &[0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F];
/// Wire transcripts, the datasheet's examples, every error path, arbitrary bytes, and the simulated twin.
const SIMULATED: &str = "transcripts, datasheet values, simulated twin";
/// The same, and against another crate on the same registers.
const ORACLE: &str = "transcripts, datasheet values, simulated twin, another crate";
/// Frames or sentences of real devices, damaged ones, arbitrary bytes, and the simulated twin.
const RECORDED: &str = "recorded frames, simulated twin";
/// The same, and against another crate.
const RECORDED_AND_ORACLE: &str = "recorded sentences, simulated twin, another crate";
/// The same with frames laid out from the datasheet.
const FRAMES: &str = "frames laid out by hand, simulated twin";

/// One kind of device.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As in `driver = "bme280"`.
    pub name: &'static str,
    /// Maker and part.
    pub title: &'static str,
    /// What it measures; the ranges are those with default options.
    pub channels: &'static [Channel],
    /// The options it accepts beside those of every sensor.
    pub settings: &'static [Setting],
    /// How it is connected, and how to talk to it.
    pub connection: Connection,
    /// Typical accuracy, from the datasheet.
    pub accuracy: &'static str,
    /// Where the datasheet is.
    pub datasheet: &'static str,
    /// How the driver has been tested.
    pub tested: &'static str,
}

/// How a device is connected.
#[derive(Clone, Copy, Debug)]
pub enum Connection {
    /// An I2C chip.
    I2c {
        /// The 7-bit addresses it can be set to; the first is the usual one.
        addresses: &'static [u8],
        /// A driver for the chip at an address. Touches no bus; fails only for options that do not go together.
        open: fn(address: u8, &Options) -> Opened<dyn Driver + Send>,
        /// Whether the chip at an address is one of these, changing nothing. `None` if it has nothing to tell by.
        identify: Option<Identify>,
        /// The simulated twin at an address.
        simulate: fn(address: u8) -> Box<dyn Chip + Send>,
    },
    /// A device on a serial line of its own.
    Serial {
        /// Its usual speed, 8 data bits, no parity, 1 stop bit.
        baud: u32,
        /// A framing for its bytes.
        open: fn(&Options) -> Opened<dyn Framing + Send>,
        /// The simulated twin.
        simulate: fn() -> Box<dyn Talker + Send>,
    },
}

/// A driver, or the option that keeps it from being made.
pub type Opened<T> = Result<Box<T>, OptionError>;

/// Asks the chip at an address who it is.
pub type Identify = fn(&mut I2c, address: u8) -> Result<bool, Error>;

/// The device called `name` in the configuration.
pub fn find(name: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.name == name)
}
