//! Values of options that are more than a text or a number.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// Where the inspector page is served, if it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspect(Option<SocketAddr>);

impl Inspect {
    /// The address; `None` where it is turned off.
    pub fn addr(self) -> Option<SocketAddr> {
        self.0
    }
}

impl FromStr for Inspect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(switch) = text.parse::<Switch>() {
            return Ok(Inspect(switch.is_on().then(|| SocketAddr::from(([127, 0, 0, 1], 4040)))));
        }
        crate::config::parse_listen(text)
            .map(|addr| Inspect(Some(addr)))
            .map_err(|_| "write an address with a port, such as :4040 or 127.0.0.1:4040".to_owned())
    }
}

/// A flag that the environment and a file can also turn off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch(bool);

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self.0
    }
}

impl FromStr for Switch {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Switch(true)),
            "false" | "0" | "no" | "off" => Ok(Switch(false)),
            _ => Err("use true or false"),
        }
    }
}

/// A stretch of time, such as `30s`, `500ms` or `5m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(Duration);

impl Span {
    /// As a duration.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write a time with its unit, such as 500ms, 30s or 5m";
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| FORM)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return Err(FORM),
        };
        let time = Duration::from_millis(number.checked_mul(millis).ok_or(FORM)?);
        if time.is_zero() || time > Duration::from_secs(7 * 24 * 3600) {
            return Err("use a time between 1ms and 168h");
        }
        Ok(Span(time))
    }
}

/// How long secrets are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Showing(Option<Duration>);

impl Showing {
    /// Where no time is given.
    const USUAL: Duration = Duration::from_secs(600);

    /// As a duration; `None` where they are not.
    pub fn get(self) -> Option<Duration> {
        self.0
    }
}

impl FromStr for Showing {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Switch::from_str(text) {
            Ok(switch) => Ok(Showing(switch.is_on().then_some(Self::USUAL))),
            Err(_) => text.parse().map(|span: Span| Showing(Some(span.get()))).map_err(|_| "use a time, such as 10m"),
        }
    }
}

/// A number of bytes, such as `64KiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(usize);

impl Size {
    /// As a number.
    pub fn bytes(self) -> usize {
        self.0
    }
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write a size such as 4096, 64KiB or 64MiB";
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: usize = number.parse().map_err(|_| FORM)?;
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            _ => return Err(FORM),
        };
        let size = number.checked_mul(factor).ok_or(FORM)?;
        if !(1024..=1 << 32).contains(&size) {
            return Err("use a size between 1KiB and 4GiB");
        }
        Ok(Size(size))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}
