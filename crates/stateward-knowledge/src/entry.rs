//! An entry of the knowledge base, whole: what it includes and refers to is in place.

use serde::{Deserialize, Serialize};
use stateward_denial::{Effect, Kind, Layer, Reason};

/// All that is known of one error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `domain/slug`; never changes.
    pub id: String,
    /// What went wrong.
    pub title: Text,
    /// Texts as they are printed, each matched by this entry; empty where [`Entry::same_text_as`] is set.
    pub signature: Vec<String>,
    /// What a problem must be to be this one: all of any of these. Empty where [`Entry::same_text_as`] is set.
    #[serde(rename = "match")]
    pub matches: Vec<Match>,
    /// The entry that this one's text leads to, because no text tells the two apart.
    pub same_text_as: Option<String>,
    /// Why it happens.
    pub cause: Text,
    /// What of Terraform it happens with.
    pub versions: Versions,
    /// What helps, the best first.
    pub workarounds: Vec<Step>,
    /// What does not help.
    pub dead_ends: Vec<DeadEnd>,
    /// What is often said of it and wrong.
    pub corrections: Vec<Correction>,
    /// What it rests on.
    pub documents: Vec<Document>,
    /// Tests of stateward's own repository that show it with real programs.
    pub tests: Vec<Test>,
    /// What comes next once this is mended, or comes of it.
    pub leads_to: Vec<String>,
    /// What looks like it.
    pub confused_with: Vec<Likeness>,
}

/// The same in each language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// 中文.
    pub zh: String,
}

/// Languages of the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    En,
    /// 中文.
    Zh,
}

impl Text {
    /// What it says in a language.
    pub fn get(&self, language: Language) -> &str {
        match language {
            Language::En => &self.en,
            Language::Zh => &self.zh,
        }
    }
}

/// What a problem must be; whatever is empty or absent may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Its kind.
    pub kind: Kind,
    /// The services that answered, by their IAM prefix.
    #[serde(default)]
    pub service: Vec<String>,
    /// The operations that were called.
    #[serde(default)]
    pub operation: Vec<String>,
    /// The actions that were refused; letter case does not matter, `*` stands for anything.
    #[serde(default)]
    pub action: Vec<String>,
    /// What it was to be done to, or what else it is about; `*` stands for anything.
    #[serde(default)]
    pub resource: Vec<String>,
    /// The layers that refused.
    #[serde(default)]
    pub layer: Vec<Layer>,
    /// How they refused.
    #[serde(default)]
    pub effect: Vec<Effect>,
    /// The error's codes.
    #[serde(default)]
    pub code: Vec<String>,
    /// What failed, closer than the kind.
    #[serde(default)]
    pub reason: Vec<Reason>,
    /// The settings that refused.
    #[serde(default)]
    pub setting: Vec<String>,
    /// Whether who asked and what it was to be done to are of different accounts; needs both to be known.
    #[serde(default)]
    pub other_account: Option<bool>,
    /// Whether the text leaves no doubt.
    #[serde(default)]
    pub certain: Option<bool>,
    /// Whether there is an encoded message.
    #[serde(default)]
    pub encoded_message: Option<bool>,
    /// Whether the state of a digest that does not match is missing.
    #[serde(default)]
    pub state_missing: Option<bool>,
}

/// What of Terraform, OpenTofu and their providers it happens with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// `all`, `none` (it has no part in it) or a range such as `>=1.10`.
    pub terraform: String,
    /// The same.
    pub opentofu: String,
    /// The same.
    pub providers: String,
}

/// Something that helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who can do it.
    pub who: Who,
    /// What to do, and what it costs.
    pub what: Text,
    /// What the laboratory does to try it.
    pub remedy: Option<Remedy>,
    /// Commands to run.
    pub run: Option<String>,
    /// A policy that can be attached as it is, but for its names.
    pub policy: Option<String>,
}

/// Who can do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Whoever met the error.
    You,
    /// Who may change IAM, buckets, tables and endpoints of the account.
    AccountAdmin,
    /// Who may change the organization's policies.
    OrganizationAdmin,
    /// Who may change the policy of the KMS key.
    KeyOwner,
    /// Who may change the policies of the other account's bucket, table or role.
    ResourceOwner,
}

/// What can be done to the policies behind a refusal, one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Their policies stay as they are: waiting, `force-unlock`, deleting the lock.
    Nothing,
    /// An Allow for the action on the resource, in an identity policy.
    IdentityAllow,
    /// No Deny in identity policies any more.
    IdentityUndeny,
    /// `AdministratorAccess`.
    Administrator,
    /// The resource's own policy allows the caller and denies nothing.
    Resource,
    /// The boundary allows the action and denies nothing.
    Boundary,
    /// No boundary any more.
    NoBoundary,
    /// The session policy allows the action and denies nothing.
    Session,
    /// No session policy any more.
    NoSession,
    /// A service control policy at each level allows the action.
    ScpAllow,
    /// No Deny in service control policies any more.
    ScpUndeny,
    /// No Deny in resource control policies any more.
    Rcp,
    /// The policy of the VPC endpoint allows the action and denies nothing.
    VpcEndpoint,
    /// Multi-factor sign-in.
    SignIn,
}

impl Remedy {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Nothing,
        Self::IdentityAllow,
        Self::IdentityUndeny,
        Self::Administrator,
        Self::Resource,
        Self::Boundary,
        Self::NoBoundary,
        Self::Session,
        Self::NoSession,
        Self::ScpAllow,
        Self::ScpUndeny,
        Self::Rcp,
        Self::VpcEndpoint,
        Self::SignIn,
    ];
}

/// Something that is tried and does not help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadEnd {
    /// What is tried.
    pub tried: Text,
    /// Why it fails, and what harm it does.
    pub why: Text,
    /// What the laboratory does to try it.
    pub remedy: Option<Remedy>,
}

/// Something that is said and wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// What is said.
    pub said: Text,
    /// What is true.
    pub is: Text,
}

/// A document that somebody else is responsible for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Its title, in its own language.
    pub title: String,
    /// Where it is.
    pub url: String,
    /// The day on which it was last read for this: `2026-11-20`.
    pub read: String,
}

/// A test of this repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Its file, from the root of the repository.
    pub file: String,
    /// Its name.
    pub name: String,
    /// What it shows.
    pub shows: Text,
}

/// An entry that is taken for this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Likeness {
    /// Its ID.
    pub entry: String,
    /// How the two differ.
    pub differs: Text,
}
