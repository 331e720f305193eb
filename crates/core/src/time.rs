//! Time as the whole system stores it: UTC milliseconds.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// 0000-01-01T00:00:00.000Z, the first moment that RFC 3339 can say.
const YEAR_0_MS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z, the last one.
const YEAR_9999_MS: i64 = 253_402_300_799_999;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment and `duration` more.
    pub fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Time from `earlier` to this moment; zero when it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As HTTP headers say it, in whole seconds: `Wed, 25 Jun 2014 16:00:00 GMT`.
    pub fn http_date(self) -> String {
        let shown = self.0.clamp(YEAR_0_MS, YEAR_9999_MS);
        let t = OffsetDateTime::from_unix_timestamp_nanos(i128::from(shown) * 1_000_000)
            .expect("years 0 to 9999 are dates");
        let (day, month) = (t.weekday().to_string(), t.month().to_string());
        format!(
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
            &day[..3],
            t.day(),
            &month[..3],
            t.year(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }

    /// Reads an RFC 3339 date and time.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let t = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(t.unix_timestamp_nanos().div_euclid(1_000_000))
            .ok()
            .map(Self)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds, as every API answer shows it. The format ends with the
    /// year 9999; what lies beyond shows as its last millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.clamp(YEAR_0_MS, YEAR_9999_MS);
        let t = OffsetDateTime::from_unix_timestamp_nanos(i128::from(shown) * 1_000_000)
            .expect("years 0 to 9999 are dates");
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}
