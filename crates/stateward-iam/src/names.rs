//! Names that AWS takes.

/// Why AWS does not take a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NameError {
    why: String,
    next: &'static str,
}

impl NameError {
    /// What to do about it.
    pub fn next(&self) -> &'static str {
        self.next
    }
}

type Result = std::result::Result<(), NameError>;

fn unless(good: bool, why: String, next: &'static str) -> Result {
    if good { Ok(()) } else { Err(NameError { why, next }) }
}

/// All partitions of AWS.
pub const PARTITIONS: [&str; 8] =
    ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"];

/// A bucket that is to be made. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub fn bucket(name: &str) -> Result {
    let next = "give a bucket 3 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends";
    let is_taken = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    bucket_of(name, 63, is_taken, next)
}

/// A bucket that may be there: in Northern Virginia those made before March 2018 may have longer names, with `_` and upper-case letters.
pub fn bucket_there(name: &str) -> Result {
    let next = "give the bucket's own name: 3 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends";
    bucket_of(name, 255, is_word, next)
}

fn bucket_of(name: &str, longest: usize, is_taken: fn(u8) -> bool, next: &'static str) -> Result {
    const BEGINNINGS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
    const ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    let broken = broken(name, longest, is_taken);
    unless(broken.is_none(), format!("`{name}` is no name of a bucket: {}", broken.unwrap_or_default()), next)?;
    let kept = BEGINNINGS.iter().any(|start| name.starts_with(start)) || ENDS.iter().any(|end| name.ends_with(end));
    let other = "give the bucket's own name, not that of an access point or a directory";
    unless(!kept, format!("names such as `{name}` are kept by S3 for other things"), other)
}

/// The first of S3's rules that a name breaks.
fn broken(name: &str, longest: usize, is_taken: fn(u8) -> bool) -> Option<String> {
    if name.len() < 3 {
        return Some("it has less than 3 characters".to_owned());
    }
    if name.len() > longest {
        return Some(format!("it has more than {longest} characters"));
    }
    if let Some(odd) = name.chars().find(|one| !u8::try_from(*one).is_ok_and(is_taken)) {
        let of = if odd.is_uppercase() { "upper-case letter" } else { "character" };
        return Some(format!("it has the {of} `{}`", odd.escape_debug()));
    }
    if !has_plain_ends(name) {
        return Some("it has no letter or digit at one of its ends".to_owned());
    }
    if name.contains("..") {
        return Some("it has two dots in a row".to_owned());
    }
    name.parse::<std::net::Ipv4Addr>().is_ok().then(|| "it is an IP address".to_owned())
}

/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
pub fn table(name: &str) -> Result {
    let good = (3..=255).contains(&name.len()) && name.bytes().all(is_word);
    unless(good, format!("`{name}` is no name of a table"), "give a table 3 to 255 letters, digits, `-`, `_` and `.`")
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-trail-naming-requirements.html>
pub fn trail(name: &str) -> Result {
    let apart = name.as_bytes().windows(2).all(|pair| pair.iter().any(u8::is_ascii_alphanumeric));
    let good = (3..=128).contains(&name.len()) && name.bytes().all(is_word) && has_plain_ends(name) && apart;
    let next = "give a trail 3 to 128 letters and digits, with single `-`, `_` and `.` between them";
    unless(good, format!("`{name}` is no name of a trail"), next)
}

/// Words with hyphens between them, and a number: Regions are added all the time.
pub fn region(name: &str) -> Result {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let good = name.rsplit_once('-').is_some_and(|(place, number)| {
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number && place.contains('-') && place.split('-').all(is_word)
    });
    unless(good, format!("`{name}` is no Region"), "give one such as `eu-west-1`")
}

/// One of [`PARTITIONS`].
pub fn partition(name: &str) -> Result {
    let next = "give `aws`, `aws-cn`, `aws-us-gov`, `aws-eusc`, `aws-iso`, `aws-iso-b`, `aws-iso-e` or `aws-iso-f`";
    unless(PARTITIONS.contains(&name), format!("`{name}` is no partition"), next)
}

/// The partition of a Region.
pub fn partition_of(region: &str) -> &'static str {
    const BY_BEGINNING: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("eusc-", "aws-eusc"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
    ];
    BY_BEGINNING.iter().find(|(start, _)| region.starts_with(start)).map_or("aws", |(_, partition)| partition)
}

/// A tag. <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>
pub fn tag(key: &str, value: &str) -> Result {
    let next = "give the tag another key or value";
    let own = key.to_ascii_lowercase().starts_with("aws:");
    unless(!own, format!("tags such as `{key}` are AWS's own"), next)?;
    let short = key.chars().count() <= 128 && value.chars().count() <= 256;
    let long = format!("the tag `{key}` is too long: AWS takes 128 characters for a key and 256 for a value");
    unless(short, long, next)?;
    let taken = |one: char| {
        one.is_alphanumeric()
            || one.is_whitespace() && !one.is_control()
            || matches!(one, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
    };
    let Some(odd) = key.chars().chain(value.chars()).find(|one| !taken(*one)) else { return Ok(()) };
    let odd = odd.escape_debug();
    let why = format!("AWS takes no `{odd}` in a tag: letters, digits, spaces and `_ . : / = + - @`");
    unless(false, why, next)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn has_plain_ends(name: &str) -> bool {
    let is_plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    is_plain(name.as_bytes().first()) && is_plain(name.as_bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: fn(&str) -> Result, taken: &[&str], refused: &[&str]) {
        for (names, good) in [(taken, true), (refused, false)] {
            for name in names {
                assert_eq!(rule(name).is_ok(), good, "{name}");
            }
        }
    }

    #[test]
    fn names_that_aws_takes() {
        let (long, longest) = ("b".repeat(64), "b".repeat(256));
        let never =
            ["ab", "a b", "a..b", "ab-", "-ab", "192.168.1.1", "abc--x-s3", "abc-s3alias", "xn--abc", "", &longest];
        check(bucket, &["acme-states", "a.b.c", "123", "states.acme-2"], &never);
        check(bucket, &[], &["a_b", "Acme", &long]);
        check(bucket_there, &["acme-states", "a_b", "Acme", &long], &never);
        check(table, &["locks", "a.b_c-D"], &["a", "a b", "", "tables/x"]);
        check(trail, &["acme-states", "a1b"], &["tr", "a--b", "-ab", "ab.", "a b"]);
        let regions = ["eu-west-1", "us-gov-east-1", "us-isob-east-1", "eusc-de-east-1", "ap-southeast-10"];
        check(
            region,
            &regions,
            &["", "-", "eu-", "eu-west", "eu-1", "eu--1", "eu west-1", "Eu-west-1", "ireland", "eu-west-1a"],
        );
        check(partition, &PARTITIONS, &["mars", "", "AWS", "aws-gov"]);
    }

    #[test]
    fn the_rule_that_a_buckets_name_breaks_is_told() {
        let long = "b".repeat(64);
        for (name, broken) in [
            ("Bad_Name", "the upper-case letter `B`"),
            ("bad_name", "the character `_`"),
            ("a b", "the character ` `"),
            ("grün", "the character `ü`"),
            ("ab", "less than 3"),
            ("", "less than 3"),
            (long.as_str(), "more than 63"),
            ("-abc", "at one of its ends"),
            ("a..b", "two dots"),
            ("192.168.1.1", "an IP address"),
        ] {
            let told = bucket(name).unwrap_err().to_string();
            assert!(
                told.starts_with(&format!("`{name}` is no name of a bucket: it ")) && told.contains(broken),
                "{told}"
            );
        }
    }

    #[test]
    fn regions_are_of_a_partition() {
        for (region, partition) in [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            assert_eq!(partition_of(region), partition, "{region}");
        }
    }

    #[test]
    fn tags_that_aws_takes() {
        let long = "k".repeat(129);
        for (key, value, problem) in [
            ("team", "a", None),
            ("cost-center:x/y", "Größe 1 = 2+3", None),
            ("名前", "", None),
            ("aws:x", "y", Some("AWS's own")),
            (long.as_str(), "", Some("too long")),
            ("team", "a,b", Some("AWS takes no `,` in a tag")),
            ("te#am", "", Some("AWS takes no `#` in a tag")),
            ("team", "a\nb", Some("AWS takes no `\\n` in a tag")),
        ] {
            let why = tag(key, value).err().map(|error| error.to_string());
            assert_eq!(why.is_some(), problem.is_some(), "{key} {value}: {why:?}");
            assert!(why.unwrap_or_default().contains(problem.unwrap_or_default()), "{key} {value}");
        }
    }
}
