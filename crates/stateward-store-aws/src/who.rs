//! Which of all that says who one is counts: in the order of Go's SDK, as Terraform uses it.
//!
//! <https://github.com/aws/aws-sdk-go-v2/blob/main/config/resolve_credentials.go>

use std::fmt;

use aws_credential_types::Credentials;

use crate::access::{Access, WebIdentity};

const KEY: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"];
const SECRET: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"];
const TOKEN: [&str; 1] = ["AWS_WEB_IDENTITY_TOKEN_FILE"];
const PROFILE: [&str; 1] = ["AWS_PROFILE"];
const BY_DEFAULT: [&str; 1] = ["AWS_DEFAULT_PROFILE"];

/// A variable of the environment. Whoever prints it sees its name alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is set to.
    pub value: String,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source<'a> {
    /// Keys that are named with the place.
    Keys(&'a Credentials),
    /// A web identity that is named with it.
    WebIdentity(&'a WebIdentity),
    /// A profile that is named with it.
    Profile(&'a str),
    /// Keys of the environment: ID and secret.
    Environment(Variable, Variable),
    /// A web identity of the environment: the file of its token.
    TokenFile(Variable),
    /// The profile of the environment, or `default`; then the container's own role, and the machine's.
    Usual,
}

/// Who one is, and what was to be seen beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who<'a> {
    /// What counts.
    pub source: Source<'a>,
    /// The profile, whoever counts: Region and endpoints are looked for there, too.
    pub profile: Option<String>,
    /// Whether that profile has to be there, whoever counts. One of `AWS_DEFAULT_PROFILE` may be missing.
    pub is_profile_required: bool,
    /// A variable with half of a pair of keys, and the one that is not set with it.
    pub half: Option<(&'static str, &'static str)>,
    /// Variables of the environment that are set and do not count.
    pub passed_over: Vec<&'static str>,
}

impl<'a> Who<'a> {
    /// What the options and the environment say; `variable` gives what one of its variables is set to.
    pub fn of(access: &'a Access, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name)?.trim().to_owned();
                (!value.is_empty()).then_some(Variable { name, value })
            })
        };
        let (key, secret, token) = (set(&KEY), set(&SECRET), set(&TOKEN));
        let half = match (&key, &secret) {
            (Some(key), None) => Some((key.name, SECRET[0])),
            (None, Some(secret)) => Some((secret.name, KEY[0])),
            _ => None,
        };
        let required = set(&PROFILE);
        let is_profile_required = access.profile.is_some() || required.is_some();
        let of_environment = required.or_else(|| set(&BY_DEFAULT));
        let others = |others: &[&Option<Variable>]| -> Vec<&'static str> {
            let is_named = |other: &&Variable| {
                PROFILE.contains(&other.name) && access.keys.is_none() && access.profile.as_ref() == Some(&other.value)
            };
            others.iter().copied().flatten().filter(|other| !is_named(other)).map(|other| other.name).collect()
        };
        let all = || others(&[&key, &of_environment, &token]);
        let (source, passed_over) = match (&access.keys, &access.web_identity, &access.profile) {
            (Some(keys), ..) => (Source::Keys(keys), all()),
            (None, Some(identity), _) => (Source::WebIdentity(identity), all()),
            (None, None, Some(profile)) => (Source::Profile(profile), all()),
            (None, None, None) => match (key.clone().zip(secret), &token) {
                (Some((key, secret)), _) => (Source::Environment(key, secret), others(&[&of_environment, &token])),
                (None, Some(file)) => (Source::TokenFile(file.clone()), others(&[&of_environment])),
                (None, None) => (Source::Usual, Vec::new()),
            },
        };
        let profile = access.profile.clone().or(of_environment.map(|profile| profile.value));
        Self { source, profile, is_profile_required, half, passed_over }
    }

    /// Whether a token says who one is.
    pub fn is_token(&self) -> bool {
        matches!(self.source, Source::WebIdentity(_) | Source::TokenFile(_))
    }

    /// A profile that does not count, and has to be there all the same.
    pub fn required_beside(&self) -> Option<&str> {
        match self.source {
            Source::Profile(_) | Source::Usual => None,
            _ => self.profile.as_deref().filter(|_| self.is_profile_required),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(access: &'a Access, pairs: &[(&str, &str)]) -> Who<'a> {
        Who::of(access, |wanted| {
            let found = pairs.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "hidden")];
    const FILE: [(&str, &str); 1] = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")];
    const CI: [(&str, &str); 1] = [("AWS_PROFILE", "ci")];

    fn variable(name: &'static str, value: &str) -> Variable {
        Variable { name, value: value.to_owned() }
    }

    #[test]
    fn the_environment_in_the_order_of_go() {
        let access = Access::default();
        let keys = |key, id: &str, secret| Source::Environment(variable(key, id), variable(secret, "hidden"));
        let file = Source::TokenFile(variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"));
        let who = |pairs: &[&[(&str, &str)]]| of(&access, &pairs.concat());
        let (ci, beside) = (Some("ci".to_owned()), Some("ci"));

        assert_eq!(who(&[]).source, Source::Usual);
        let profile = who(&[&CI]);
        assert_eq!((&profile.source, profile.required_beside()), (&Source::Usual, None));
        assert_eq!((profile.profile, profile.passed_over), (ci.clone(), vec![]));
        let token = who(&[&CI, &FILE]);
        assert_eq!((&token.source, token.required_beside()), (&file, beside));
        assert_eq!(token.passed_over, ["AWS_PROFILE"]);
        let all = who(&[&CI, &FILE, &KEYS]);
        assert_eq!(all.source, keys("AWS_ACCESS_KEY_ID", "AKIA1", "AWS_SECRET_ACCESS_KEY"));
        assert_eq!((all.passed_over, all.profile), (vec!["AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"], ci));
        assert_eq!(all.half, None);
        assert_eq!(who(&[&KEYS[..1]]).half, Some(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")));
        assert_eq!(who(&[&KEYS[1..]]).half, Some(("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")));
        // Half of them are none, and empty ones are not set.
        assert_eq!(who(&[&KEYS[..1], &FILE]).source, file);
        assert_eq!(who(&[&[("AWS_PROFILE", " ")], &FILE]).passed_over, Vec::<&str>::new());
        let older = who(&[&[("AWS_ACCESS_KEY", "AKIA2"), ("AWS_SECRET_KEY", "hidden")]]);
        assert_eq!(older.source, keys("AWS_ACCESS_KEY", "AKIA2", "AWS_SECRET_KEY"));
        // One that is the default may be missing.
        let older = who(&[&[("AWS_DEFAULT_PROFILE", "old")], &KEYS]);
        assert_eq!((older.profile.as_deref(), older.required_beside()), (Some("old"), None));
        assert_eq!(older.passed_over, ["AWS_DEFAULT_PROFILE"]);
        assert_eq!(who(&[&[("AWS_DEFAULT_PROFILE", "old")], &CI]).profile.as_deref(), Some("ci"));
    }

    #[test]
    fn what_is_named_counts_more() {
        let all = [&KEYS[..], &FILE, &CI].concat();
        let profile = Access { profile: Some("ci".into()), ..Access::default() };
        let who = of(&profile, &all);
        assert_eq!((&who.source, who.required_beside()), (&Source::Profile("ci"), None));
        // The environment names the same one.
        assert_eq!(who.passed_over, ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"]);
        let other = Access { profile: Some("prod".into()), ..Access::default() };
        assert_eq!(of(&other, &CI).passed_over, ["AWS_PROFILE"]);

        let keys = Access { keys: Some(Credentials::for_tests()), ..other };
        let who = of(&keys, &CI);
        assert!(matches!(who.source, Source::Keys(_)) && !who.is_token(), "{who:?}");
        assert_eq!((who.required_beside(), &who.passed_over), (Some("prod"), &vec!["AWS_PROFILE"]));
    }

    #[test]
    fn nobody_sees_a_secret() {
        let access = Access::default();
        let shown = format!("{:?}", of(&access, &KEYS));
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("hidden"), "{shown}");
    }
}
