//! `stateward trail` on the command line.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config;

#[derive(Debug, Args)]
pub(crate) struct TrailArgs {
    /// Log files, directories of them, `-`, or `s3://BUCKET/PREFIX` with the options of a store in S3.
    #[arg(required_unless_present = "lookup", value_name = "SOURCE")]
    pub(crate) source: Vec<String>,
    /// Ask CloudTrail for what it keeps of the last 90 days: management events of one Region, and no data events.
    #[arg(long, conflicts_with = "source")]
    pub(crate) lookup: bool,
    /// From then on: a time (`2026-03-01T10:00:00Z`), a day in UTC (`2026-03-01`), or how long ago (`24h`) [default: all in files,
    /// else `24h`].
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    pub(crate) since: Option<Moment>,
    /// Before then, in the same way [default: now].
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    pub(crate) until: Option<Moment>,
    /// Only what this user, role or session asked for: its ARN or name; `*` and `?` are wildcards.
    #[arg(long, value_name = "GLOB")]
    pub(crate) principal: Option<String>,
    /// Only these actions, such as `dynamodb:*`; without a service those of every service.
    #[arg(long, value_name = "GLOB")]
    pub(crate) action: Option<String>,
    /// Print policies that would have allowed exactly what was refused, where that is safe to give, and what is left out and why.
    #[arg(long)]
    pub(crate) fix: bool,
    /// The Region to look up in, or of the bucket; unless told, that of the AWS configuration.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

/// A time, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    At(Timestamp),
    Ago(Duration),
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(time) = text.parse() {
        return Ok(Moment::At(time));
    }
    // In UTC, as the times of records are; a day begins at midnight.
    if let Ok(day) = text.parse::<DateTime>() {
        return day.to_zoned(TimeZone::UTC).map(|day| Moment::At(day.timestamp())).map_err(|error| error.to_string());
    }
    // As other tools write how long ago it was.
    let length = text.strip_prefix('-').unwrap_or(text);
    let fault = || {
        "is no time: write it as `2026-03-01T10:00:00Z` or `2026-03-01`, or how long ago as `90m`, `24h` or `7d`"
            .to_owned()
    };
    config::duration(length).map(Moment::Ago).map_err(|_| fault())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_days_or_lengths() {
        let at = |text: &str| Moment::At(text.parse().unwrap());
        let ago = |hours: u64| Moment::Ago(Duration::from_secs(hours * 3600));
        for (text, expected) in [
            ("2026-03-01T10:00:00Z", at("2026-03-01T10:00:00Z")),
            ("2026-03-01T10:00:00+02:00", at("2026-03-01T08:00:00Z")),
            ("2026-03-01", at("2026-03-01T00:00:00Z")),
            ("2026-03-01T10:30", at("2026-03-01T10:30:00Z")),
            ("24h", ago(24)),
            ("-1h", ago(1)),
        ] {
            assert_eq!(moment(text), Ok(expected), "{text}");
        }
        for text in ["yesterday", "2026-13-01", "--1h", "-", ""] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
