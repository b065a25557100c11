//! Quantities as they are written in the configuration: durations, sizes, rates and shares.

use std::fmt;
use std::time::Duration;

use super::decode::FromText;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// So many in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// At least 1, at most `Rate::MAX_COUNT`.
    pub count: u32,
    /// At least 1 ms.
    pub window: Duration,
}

/// A part of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(pub f64);

/// A name without spaces, such as a method or a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(pub String);

impl Rate {
    /// The counters have 24 bits.
    pub const MAX_COUNT: u32 = (1 << 24) - 1;
}

/// Reads `250ms`, `10s`, `2m`, `1h` or `30d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err("the unit is missing: `ms`, `s`, `m`, `h` or `d`".to_owned()),
        other => return Err(format!("`{other}` is not one of `ms`, `s`, `m`, `h`, `d`")),
    };
    number
        .checked_mul(millis)
        .filter(|millis| *millis <= LONGEST.as_millis() as u64)
        .map(Duration::from_millis)
        .ok_or_else(|| "longer than ten years".to_owned())
}

/// A time as people and programs read it (RFC 3339, UTC).
pub fn show_time(unix_millis: u64) -> String {
    let millis = i64::try_from(unix_millis).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    time.to_string()
}

/// Writes a duration the way that `duration` reads it.
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
    ];
    match units
        .iter()
        .find(|(size, _)| millis >= *size && millis.is_multiple_of(*size))
    {
        Some((size, unit)) => format!("{}{unit}", millis / size),
        None => format!("{millis}ms"),
    }
}

impl FromText for ByteSize {
    const EXPECTED: &'static str = "a size such as `16KiB` or `1MiB`";
    const PATTERN: &'static str = r"[0-9]+(B|KiB|MiB|GiB)?";

    fn from_text(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text)?;
        let shift = match unit {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            other => return Err(format!("`{other}` is not one of `B`, `KiB`, `MiB`, `GiB`")),
        };
        number
            .checked_mul(1 << shift)
            .map(Self)
            .ok_or_else(|| "too large".to_owned())
    }

    fn to_text(&self) -> Option<String> {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let whole = |shift: u32| self.0 > 0 && self.0.trailing_zeros() >= shift;
        let unit = units.into_iter().find(|(shift, _)| whole(*shift));
        let (shift, unit) = unit.unwrap_or((0, "B"));
        Some(format!("{}{unit}", self.0 >> shift))
    }
}

impl FromText for Word {
    const EXPECTED: &'static str = "a name without spaces";
    const PATTERN: &'static str = "[!-~]+";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned())).ok_or_else(|| {
            "it is empty, or holds a space or a character that is not ASCII".to_owned()
        })
    }
}

impl FromText for Rate {
    const EXPECTED: &'static str = "a rate such as `20/2m`";
    const PATTERN: &'static str = r"0*[1-9][0-9]*/0*[1-9][0-9]*(ms|s|m|h|d)";

    fn from_text(text: &str) -> Result<Self, String> {
        let (count, window) = text.split_once('/').ok_or("it has no slash")?;
        let is_whole = count.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = count.parse().ok().filter(|_| is_whole);
        let count: u32 = parsed.ok_or_else(|| format!("`{count}` is not a whole number"))?;
        if count == 0 || count > Self::MAX_COUNT {
            return Err(format!("the count must be from 1 to {}", Self::MAX_COUNT));
        }
        let window = duration(window)?;
        if window.is_zero() {
            return Err("the time must not be zero".to_owned());
        }
        Ok(Self { count, window })
    }
}

impl FromText for Share {
    const EXPECTED: &'static str = "a share such as `20%`";
    const PATTERN: &'static str = r"0*(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?)%";

    fn from_text(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').ok_or("the `%` is missing")?;
        // The library reads `1e1`, `+5`, `.5` and `inf`, too.
        let is_plain = number.starts_with(|first: char| first.is_ascii_digit())
            && number
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let parsed = number.parse().ok().filter(|_| is_plain);
        let number: f64 = parsed.ok_or_else(|| format!("`{number}` is not a number"))?;
        match (0.0..=100.0).contains(&number) {
            true => Ok(Self(number / 100.0)),
            false => Err("it must be from 0% to 100%".to_owned()),
        }
    }

    fn to_text(&self) -> Option<String> {
        // 7% is not 7.000000000000001%: the fewest digits that are read as the same share.
        let shortest = (0..=17)
            .map(|digits| format!("{:.*}%", digits, self.0 * 100.0))
            .find(|text| Self::from_text(text).as_ref() == Ok(self));
        shortest.or_else(|| Some(format!("{}%", self.0 * 100.0)))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.count, show_duration(self.window))
    }
}

fn split(text: &str) -> Result<(u64, &str), String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if number.is_empty() {
        return Err("it does not begin with a whole number".to_owned());
    }
    let number = number
        .parse()
        .map_err(|_| "the number is too large".to_owned())?;
    Ok((number, unit))
}

const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_alike() {
        for text in ["250ms", "10s", "2m", "1h", "30d", "90s", "0ms"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        for wrong in [
            "",
            "s",
            "10",
            "1.5s",
            "-1s",
            "10 s",
            "10S",
            "99999999999999999999s",
            "4000d",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_need_a_count_and_a_time() {
        let rate = Rate::from_text("20/2m").unwrap();
        assert_eq!((rate.count, rate.window.as_secs()), (20, 120));
        for wrong in [
            "20",
            "0/1m",
            "x/1m",
            "20/0s",
            "20/2",
            "16777216/1s",
            "/1s",
            "+5/1s",
        ] {
            assert!(Rate::from_text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_shares() {
        assert_eq!(ByteSize::from_text("16KiB"), Ok(ByteSize(16_384)));
        assert!(ByteSize::from_text("16KB").is_err());
        assert!(ByteSize::from_text("99999999999GiB").is_err());
        assert_eq!(Share::from_text("20%"), Ok(Share(0.2)));
        for wrong in [
            "101%", "1e1%", "+5%", "-0%", "inf%", "nan%", "%", ".%", ".5%",
        ] {
            assert!(Share::from_text(wrong).is_err(), "{wrong}");
        }
        for text in ["7%", "0.07%", "33.3%", "100%", "0%"] {
            let share = Share::from_text(text).unwrap();
            assert_eq!(share.to_text().as_deref(), Some(text));
        }
    }
}
