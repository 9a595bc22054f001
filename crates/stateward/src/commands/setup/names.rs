//! Names that AWS takes.

/// Why a name is not taken, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) why: String,
    pub(super) next: &'static str,
}

fn unless(good: bool, why: String, next: &'static str) -> Option<Wrong> {
    (!good).then_some(Wrong { why, next })
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub(super) fn bucket(name: &str) -> Option<Wrong> {
    const BEGINNINGS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
    const ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let good = (3..=63).contains(&name.len())
        && bytes.iter().all(|&byte| plain(byte) || byte == b'-' || byte == b'.')
        && bytes.first().is_some_and(|&first| plain(first))
        && bytes.last().is_some_and(|&last| plain(last))
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err();
    let kept = BEGINNINGS.iter().any(|start| name.starts_with(start)) || ENDS.iter().any(|end| name.ends_with(end));
    let next = "give a bucket 3 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends";
    let other = "give the bucket another name";
    unless(good, format!("`{name}` is no name of a bucket"), next)
        .or_else(|| unless(!kept, format!("names such as `{name}` are kept by S3 for other things"), other))
}

/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
pub(super) fn table(name: &str) -> Option<Wrong> {
    let good = (3..=255).contains(&name.len()) && name.bytes().all(is_word);
    unless(good, format!("`{name}` is no name of a table"), "give a table 3 to 255 letters, digits, `-`, `_` and `.`")
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-trail-naming-requirements.html>
pub(super) fn trail(name: &str) -> Option<Wrong> {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    let apart = bytes.windows(2).all(|pair| pair.iter().any(u8::is_ascii_alphanumeric));
    let good = (3..=128).contains(&name.len())
        && name.bytes().all(is_word)
        && ends(bytes.first())
        && ends(bytes.last())
        && apart;
    let next = "give a trail 3 to 128 letters and digits, with single `-`, `_` and `.` between them";
    unless(good, format!("`{name}` is no name of a trail"), next)
}

pub(super) fn region(name: &str) -> Option<Wrong> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = name.contains('-') && name.bytes().all(plain);
    unless(good, format!("`{name}` is no Region"), "give one such as `eu-west-1`")
}

/// What is wrong with a tag.
pub(super) fn tag(key: &str, value: &str) -> Option<String> {
    let start = key.to_ascii_lowercase();
    if start.starts_with("aws:") {
        return Some(format!("tags such as `{key}` are AWS's own"));
    }
    if start.starts_with("stateward:") {
        return Some(format!("by tags such as `{key}` set-up knows what it made"));
    }
    let long = key.chars().count() > 128 || value.chars().count() > 256;
    long.then(|| format!("the tag `{key}` is too long: AWS takes 128 characters for a key and 256 for a value"))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_takes() {
        for name in ["acme-states", "a.b.c", "123", "states.acme-2"] {
            assert_eq!(bucket(name), None, "{name}");
        }
        let long = "b".repeat(64);
        for name in
            ["ab", "a_b", "a..b", "ab-", "-ab", "Acme", "192.168.1.1", "abc--x-s3", "abc-s3alias", "xn--abc", "", &long]
        {
            assert!(bucket(name).is_some(), "{name}");
        }
        assert!(["locks", "a.b_c-D"].iter().all(|name| table(name).is_none()));
        assert!(["a", "a b", "", "tables/x"].iter().all(|name| table(name).is_some()));
        assert!(["acme-states", "a1b"].iter().all(|name| trail(name).is_none()));
        assert!(["tr", "a--b", "-ab", "ab.", "a b"].iter().all(|name| trail(name).is_some()));
        assert!(["eu-west-1", "us-gov-east-1"].iter().all(|name| region(name).is_none()));
        assert!(["", "eu west", "Eu-west-1", "ireland"].iter().all(|name| region(name).is_some()));
        assert!(tag("team", "a").is_none() && tag("aws:x", "y").is_some() && tag("Stateward:made-by", "x").is_some());
    }
}
