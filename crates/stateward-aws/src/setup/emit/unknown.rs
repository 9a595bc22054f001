//! What is not known as long as nobody is asked, and what stands in for it.

use super::super::Wanted;

/// What nobody but AWS can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    Account,
    Partition,
    Region,
    /// The id of the key that is made, or that an alias stands for.
    KeyId,
}

impl Unknown {
    pub(super) const ALL: [Self; 4] = [Self::Account, Self::Partition, Self::Region, Self::KeyId];

    /// Whether the text is what stands in for it, and nothing more.
    pub(super) fn is(self, text: &str) -> bool {
        text.strip_prefix(self.mark()) == Some("")
    }

    /// What stands in for it: characters for private use, which no name and no tag on AWS has.
    fn mark(self) -> char {
        match self {
            Self::Account => '\u{E000}',
            Self::Partition => '\u{E001}',
            Self::Region => '\u{E002}',
            Self::KeyId => '\u{E003}',
        }
    }
}

/// The same, with stand-ins for what it does not say.
pub(super) fn stand_in(wanted: &Wanted) -> Wanted {
    let or = |said: &str, unknown: Unknown| match said {
        "" => unknown.mark().to_string(),
        said => said.to_owned(),
    };
    Wanted {
        account: or(&wanted.account, Unknown::Account),
        partition: or(&wanted.partition, Unknown::Partition),
        region: or(&wanted.region, Unknown::Region),
        ..wanted.clone()
    }
}

/// The ARN of a key whose id is not known.
pub(super) fn key_arn(wanted: &Wanted) -> String {
    let Wanted { partition, region, account, .. } = wanted;
    format!("arn:{partition}:kms:{region}:{account}:key/{}", Unknown::KeyId.mark())
}

pub(super) fn is_in(text: &str) -> bool {
    Unknown::ALL.iter().any(|unknown| text.contains(unknown.mark()))
}

/// The text with `told` in the place of each stand-in.
pub(super) fn told(text: &str, told: impl Fn(Unknown) -> String) -> String {
    Unknown::ALL.iter().fold(text.to_owned(), |text, unknown| text.replace(unknown.mark(), &told(*unknown)))
}
