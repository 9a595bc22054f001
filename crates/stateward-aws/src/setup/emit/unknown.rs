//! What is not known as long as nobody is asked, and what stands in for it.

use super::super::key::is_aws_alias;
use super::super::{Trusted, Wanted, WantedKey};

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

/// What a policy has in the place of what is not known, while it is made: its maker takes only what can be a name.
const SPELLED: [(&str, Unknown); 4] = [
    ("000000000000", Unknown::Account),
    ("aws-unknown", Unknown::Partition),
    ("unknown-region-0", Unknown::Region),
    ("00000000-0000-0000-0000-000000000000", Unknown::KeyId),
];

/// The text with names in the place of stand-ins, such as can be in a policy.
pub(in super::super) fn spelled(text: &str) -> String {
    let name = |of| SPELLED.iter().find(|(_, unknown)| *unknown == of).map_or("", |(name, _)| name);
    told(text, |of| name(of).to_owned())
}

/// The text with stand-ins in the place of those names.
pub(in super::super) fn unspelled(text: &str) -> String {
    SPELLED.iter().rev().fold(text.to_owned(), |text, (name, unknown)| text.replace(name, &unknown.mark().to_string()))
}

/// The same, with names that could be real for what it does not say: by these it can be tried.
pub(super) fn known(wanted: &Wanted) -> Wanted {
    let or = |said: &str, else_it_is: &str| if said.is_empty() { else_it_is.to_owned() } else { said.to_owned() };
    // Whoever is trusted is taken to be of the account itself: nobody else comes nearer.
    let trusted = wanted.environments.iter().flat_map(|one| &one.trusted).find_map(|who| {
        let (Trusted::Principal(arn) | Trusted::Subject { provider: arn, .. }) = who;
        let mut parts = arn.split(':').skip(1);
        Some((parts.next()?.to_owned(), parts.nth(2)?.to_owned()))
    });
    let (partition, account) = trusted.unwrap_or_else(|| ("aws".to_owned(), "111122223333".to_owned()));
    let known = Wanted {
        account: or(&wanted.account, &account),
        partition: or(&wanted.partition, &partition),
        region: or(&wanted.region, "us-east-1"),
        ..wanted.clone()
    };
    let key = told(&key_arn(&known), |_| "11111111-2222-4333-8444-555555555555".to_owned());
    let key = known.key.as_ref().map(|wanted| match wanted {
        // Nothing is made with it, whatever its id.
        WantedKey::Given(name) if is_aws_alias(name) => wanted.clone(),
        _ => WantedKey::Given(key),
    });
    Wanted { key, ..known }
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

pub(in super::super) fn is_in(text: &str) -> bool {
    Unknown::ALL.iter().any(|unknown| text.contains(unknown.mark()))
}

/// The text with `told` in the place of each stand-in.
pub(super) fn told(text: &str, told: impl Fn(Unknown) -> String) -> String {
    Unknown::ALL.iter().fold(text.to_owned(), |text, unknown| text.replace(unknown.mark(), &told(*unknown)))
}
