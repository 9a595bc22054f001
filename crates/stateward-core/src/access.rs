//! Who may do what: tokens, rules on state globs, and callers. Pure.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, Kind};
use crate::name::StateId;

/// What a caller may be allowed to do with a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Read root outputs only (`?view=outputs`).
    Outputs,
    /// Read states, history and differences.
    Read,
    /// Store versions and restore them.
    Write,
    /// Take locks and give them back.
    Lock,
    /// Break somebody else's lock.
    ForceUnlock,
    /// Delete states and bring them back.
    Delete,
    /// Everything, the audit log and maintenance too.
    Admin,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outputs => "outputs",
            Self::Read => "read",
            Self::Write => "write",
            Self::Lock => "lock",
            Self::ForceUnlock => "force_unlock",
            Self::Delete => "delete",
            Self::Admin => "admin",
        })
    }
}

/// Who sends a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Shown as author where no lock says better: a token's name, or `user@host`.
    pub name: String,
    /// The token's name; absent without tokens.
    pub token: Option<String>,
    /// Where the request came from.
    pub source: Option<String>,
    /// The tool, as it says itself (`User-Agent`).
    pub tool: Option<String>,
    access: Access,
}

impl Caller {
    /// Somebody who may do everything: the operator at the store itself, or anybody where no tokens are in use.
    pub fn trusted(name: impl Into<String>) -> Self {
        Self { name: name.into(), token: None, source: None, tool: None, access: Access::Everything }
    }

    /// The bearer of a token.
    pub fn bearer(token: &str, access: Access) -> Self {
        Self { name: token.to_owned(), token: Some(token.to_owned()), source: None, tool: None, access }
    }

    /// Adds where the request came from and with what tool.
    #[must_use]
    pub fn from(mut self, source: Option<String>, tool: Option<String>) -> Self {
        (self.source, self.tool) = (source, tool);
        self
    }

    /// Whether the caller has a right on a state.
    pub fn may(&self, right: Right, state: &StateId) -> bool {
        self.access.allows(right, Some(state))
    }

    /// Refuses unless the caller has one of the rights on the state.
    pub fn demand(&self, rights: &[Right], state: &StateId) -> Result<(), Error> {
        self.check(rights, Some(state))
    }

    /// Refuses unless the caller has `admin` on everything.
    pub fn demand_admin(&self) -> Result<(), Error> {
        self.check(&[Right::Admin], None)
    }

    fn check(&self, rights: &[Right], state: Option<&StateId>) -> Result<(), Error> {
        if rights.iter().any(|right| self.access.allows(*right, state)) {
            return Ok(());
        }
        let wanted = rights.iter().map(|right| format!("`{right}`")).collect::<Vec<_>>().join(" or ");
        let object = state.map_or_else(|| "the whole store".to_owned(), |state| format!("`{state}`"));
        Err(Error::new(
            Kind::Denied,
            format!(
                "{} may not do this",
                self.token.as_ref().map_or_else(|| self.name.clone(), |token| format!("token `{token}`"))
            ),
            format!("it lacks the right {wanted} on {object}"),
            "ask whoever keeps the tokens file for a rule that allows it, or use another token",
        ))
    }
}

/// What a token may do.
#[derive(Debug, Clone)]
pub enum Access {
    /// Everything.
    Everything,
    /// What the rules allow and no rule denies.
    Rules(Arc<[Rule]>),
}

impl Access {
    fn allows(&self, right: Right, state: Option<&StateId>) -> bool {
        let Self::Rules(rules) = self else { return true };
        let meets = |rule: &Rule, list: &[Right]| {
            list.iter().any(|listed| covers(*listed, right)) && rule.states.iter().any(|glob| glob_meets(glob, state))
        };
        !rules.iter().any(|rule| meets(rule, &rule.deny)) && rules.iter().any(|rule| meets(rule, &rule.allow))
    }
}

/// `admin` covers every right, `read` covers `outputs`. In a deny likewise: who may not read may not read outputs.
fn covers(listed: Right, asked: Right) -> bool {
    listed == asked || listed == Right::Admin || (listed == Right::Read && asked == Right::Outputs)
}

/// A rule on the states that its globs meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Rights that it gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Right>,
    /// Rights that it takes, whatever other rules give.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Right>,
    /// Globs on `name` or `name@workspace`: `*` is any run of characters but `/` and `@`, `**` any run but `@`. Without `@`
    /// every workspace is meant.
    pub states: Vec<String>,
}

/// A token in the tokens file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Its name: what history and audit show.
    pub name: String,
    /// SHA-256 of the secret, hexadecimal.
    pub sha256: String,
    /// What it may do.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// The tokens in force.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Vec<(TokenEntry, Access)>);

impl Tokens {
    /// Takes the entries of a tokens file. The error says which entry is wrong and why.
    pub fn new(entries: Vec<TokenEntry>) -> Result<Self, String> {
        let mut tokens: Vec<(TokenEntry, Access)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let fault = if entry.name.is_empty() {
                Some("it has no name")
            } else if entry.sha256.len() != 64 || hex::decode(&entry.sha256).is_err() {
                Some(
                    "`sha256` is not 64 hexadecimal digits: put in what `stateward token new` prints, not the token itself",
                )
            } else if tokens.iter().any(|(known, _)| known.name == entry.name) {
                Some("the name stands twice")
            } else if entry.rules.iter().any(|rule| rule.states.is_empty()) {
                Some("a rule names no states: write `states = [\"**\"]` for all")
            } else {
                None
            };
            let globs = || entry.rules.iter().flat_map(|rule| &rule.states);
            let fault = fault.map(str::to_owned).or_else(|| globs().find_map(|glob| met_by_nothing(glob)));
            if let Some(fault) = fault {
                return Err(format!("token `{}`: {fault}", entry.name));
            }
            let access = Access::Rules(entry.rules.clone().into());
            tokens.push((entry, access));
        }
        Ok(Self(tokens))
    }

    /// Finds who bears a secret. Takes the same time for each token in the file, met or not.
    pub fn bearer(&self, secret: &str) -> Option<Caller> {
        let digest = hex::encode(Sha256::digest(secret.as_bytes()));
        let mut found = None;
        for (entry, access) in &self.0 {
            if bool::from(entry.sha256.to_ascii_lowercase().as_bytes().ct_eq(digest.as_bytes())) {
                found = Some(Caller::bearer(&entry.name, access.clone()));
            }
        }
        found
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where nobody can log in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The SHA-256 of a secret, as the tokens file wants it.
pub fn token_digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

fn glob_meets(glob: &str, state: Option<&StateId>) -> bool {
    let (name, workspace) = glob.split_once('@').unwrap_or((glob, "*"));
    match state {
        // Rights on the store as a whole come only from rules on everything.
        None => name == "**" && workspace == "*",
        Some(state) => wildcard(name, state.name.as_str()) && wildcard(workspace, state.workspace.as_str()),
    }
}

/// Why no state can meet a glob, where that is so: a rule with it would allow nothing, and, worse, deny nothing.
fn met_by_nothing(glob: &str) -> Option<String> {
    let (name, workspace) = glob.split_once('@').unwrap_or((glob, "*"));
    let stray = |signs: &'static str| move |sign: &char| !sign.is_ascii_alphanumeric() && !signs.contains(*sign);
    let stray = name.chars().find(stray("._-*/")).or_else(|| workspace.chars().find(stray("._-*")));
    let why = if let Some(sign) = stray {
        format!("no state's name has a `{}`, and the wildcards are `*` and `**`", sign.escape_debug())
    } else if workspace.is_empty() || name.split('/').any(str::is_empty) {
        "no state's name has an empty part, or a `/` at an end".to_owned()
    } else {
        return None;
    };
    Some(format!("`{glob}` meets no state: {why}"))
}

/// Matches iteratively: on a mismatch only the last `*` and the last `**` can take one character more, so the cost is bounded by
/// the product of the lengths.
fn wildcard(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let mut reach = vec![false; text.len() + 1];
    reach[0] = true;
    let mut at = 0;
    while at < glob.len() {
        let deep = glob[at..].starts_with(b"**");
        if deep || glob[at] == b'*' {
            for end in 1..reach.len() {
                reach[end] |= reach[end - 1] && (deep || text[end - 1] != b'/');
            }
            at += if deep { 2 } else { 1 };
        } else {
            for end in (1..reach.len()).rev() {
                reach[end] = reach[end - 1] && text[end - 1] == glob[at];
            }
            reach[0] = false;
            at += 1;
        }
    }
    reach[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(rules: &[(&[Right], &[Right], &[&str])]) -> Caller {
        let rules = rules.iter().map(|(allow, deny, states)| Rule {
            allow: allow.to_vec(),
            deny: deny.to_vec(),
            states: states.iter().map(|glob| (*glob).to_owned()).collect(),
        });
        Caller::bearer("t", Access::Rules(rules.collect()))
    }

    fn state(text: &str) -> StateId {
        text.parse().unwrap()
    }

    #[test]
    fn globs() {
        for (glob, name, meets) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "a", true),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("prod/*", "prod/net", true),
            ("prod/*", "prod/net/x", false),
            ("prod/**", "prod/net/x", true),
            ("prod/**", "prod", false),
            ("*-dev", "net-dev", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdef", false),
            ("**/net", "eu/prod/net", true),
        ] {
            assert_eq!(wildcard(glob, name), meets, "{glob} on {name}");
        }
        assert!(!wildcard(&"*a".repeat(200), &"a".repeat(400).replace("aaaa", "aaab")));
    }

    #[test]
    fn a_glob_that_no_state_can_meet_is_refused() {
        let sha256 = token_digest("x");
        let tokens = |glob: &str| {
            let rule = Rule { allow: Vec::new(), deny: vec![Right::Write], states: vec!["**".into(), glob.into()] };
            Tokens::new(vec![TokenEntry { name: "ci".into(), sha256: sha256.clone(), rules: vec![rule] }])
        };
        for good in ["**", "*", "prod/**", "a.b_c-d/*-x", "prod/*@dev", "**@*"] {
            assert!(tokens(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("prod/{db,net}", "has a `{`"),
            ("prod/[ab]*", "has a `[`"),
            ("prod/?", "has a `?`"),
            ("prod/db ", "has a ` `"),
            ("a@b@c", "has a `@`"),
            ("a@b/c", "has a `/`"),
            ("prod/", "at an end"),
            ("/prod/**", "at an end"),
            ("prod//db", "empty part"),
            ("", "empty part"),
            ("a@", "empty part"),
        ] {
            let error = tokens(bad).unwrap_err();
            assert!(error.contains(&format!("`{bad}` meets no state")) && error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn deny_wins_and_nothing_is_allowed_by_silence() {
        let caller = access(&[(&[Right::Read, Right::Write], &[], &["prod/**"]), (&[], &[Right::Write], &["prod/db"])]);
        assert!(caller.may(Right::Write, &state("prod/net")));
        assert!(caller.may(Right::Outputs, &state("prod/net")));
        assert!(!caller.may(Right::Write, &state("prod/db")));
        assert!(caller.may(Right::Read, &state("prod/db")));
        assert!(!caller.may(Right::Lock, &state("prod/net")));
        assert!(!caller.may(Right::Read, &state("dev/net")));
        assert!(!access(&[]).may(Right::Outputs, &state("a")));
    }

    #[test]
    fn workspaces_in_globs() {
        let caller = access(&[(&[Right::Read], &[], &["app@dev", "net"])]);
        assert!(caller.may(Right::Read, &state("app@dev")) && !caller.may(Right::Read, &state("app")));
        assert!(caller.may(Right::Read, &state("net")) && caller.may(Right::Read, &state("net@dev")));
    }

    #[test]
    fn admin_of_a_part_is_no_admin_of_the_store() {
        assert!(access(&[(&[Right::Admin], &[], &["dev/**"])]).demand_admin().is_err());
        assert!(access(&[(&[Right::Admin], &[], &["**"])]).demand_admin().is_ok());
        let error = access(&[]).demand(&[Right::Lock], &state("a")).unwrap_err();
        assert_eq!(error.to_string(), "token `t` may not do this: it lacks the right `lock` on `a`");
    }

    #[test]
    fn tokens_are_found_by_their_secret_alone() {
        let entry = |name: &str, secret: &str| TokenEntry {
            name: name.into(),
            sha256: token_digest(secret),
            rules: Vec::new(),
        };
        let tokens = Tokens::new(vec![entry("ci", "s1"), entry("ana", "s2")]).unwrap();
        assert_eq!(tokens.bearer("s2").unwrap().name, "ana");
        assert!(tokens.bearer("s3").is_none() && tokens.bearer("").is_none());
        assert!(Tokens::new(vec![entry("ci", "s1"), entry("ci", "s2")]).is_err());
        assert!(Tokens::new(vec![TokenEntry { sha256: "s1".into(), ..entry("ci", "") }]).is_err());
    }
}
