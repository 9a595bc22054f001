//! The plan for who may do what: for each environment a policy for its states alone, and a role that carries it.
//!
//! A policy that set-up made says what it says now, unless somebody has made it stricter since; who has widened it sees what is taken back.
//! To tell one from the other the policy's tags have a fingerprint of what set-up put last.

mod apart;
mod let_in;
mod rights;
mod written;

use serde_json::{Value, json};
use stateward_iam::{Keeping, KeepingError, Layout, Purpose, generate};

use self::rights::Rights;
pub use self::written::{IsolationFile, isolation_files};
use super::emit::unknown;
use super::item::EXISTENCE;
use super::key::{KeyIs, KeysInUse};
use super::policy::{self, Statements, principals, statements, trusts};
use super::{Access, Act, Environment, Found, Item, ManagedPolicy, Namesake, Resource, Role, Trusted, Wanted, tags};

const GRANTS: &str = "It lets plan, apply and open locks by force, by Terraform and by stateward, on what stands below the prefix of the environment, \
                      and nothing beside it.";
const MADE: &str = "Set in the call that makes it.";
const LATER: &str = "The key's ARN is added, which is known once the key is made.";
const CARRIES: &str = "The role may do what its policy says.";
const LETS_IN: &str = "Those who were asked for may take the role; who could before, can.";
const NOTED: &str = "By this it is seen whether somebody has changed the policy since.";
/// The tag of a policy with the fingerprint of what it was made to say.
const FINGERPRINT: &str = "stateward:rights";
/// As long as IAM lets it take to say who may take a role, and as long as it can where the account's quota was raised.
const TRUST: usize = 2048;
const RAISED_TRUST: usize = 4096;
/// As many versions of a policy as IAM keeps.
const VERSIONS: usize = 5;

/// An environment, with what is there of it and what its policy shall say.
struct Side<'a> {
    wanted: &'a Wanted,
    environment: &'a Environment,
    bucket: &'a str,
    /// Of the policy and of the role.
    name: String,
    keeping: Keeping,
    /// What the policy shall say.
    document: Value,
    /// The same, right by right.
    rights: Option<Rights>,
    found: Access,
    key: KeyIs<'a>,
}

pub(super) fn plan(wanted: &Wanted, found: &Found) -> Vec<Item> {
    match sides(wanted, found) {
        Ok(sides) => {
            let items = |side: &Side<'_>| side.policy().into_iter().chain(side.role()).chain(let_in::plan(side, found));
            sides.iter().flat_map(|side| items(side).collect::<Vec<_>>()).collect()
        }
        Err(obstacle) => vec![*obstacle],
    }
}

/// The item that says that the environments are kept apart, or what reaches over; `None` where there are none.
pub(super) fn apart(wanted: &Wanted, found: &Found) -> Option<Item> {
    apart::plan(&sides(wanted, found).ok()?, found)
}

fn sides<'a>(wanted: &'a Wanted, found: &'a Found) -> Result<Vec<Side<'a>>, Box<Item>> {
    let side = |(bucket, environment): (&'a str, &'a Environment)| {
        Side::new(wanted, bucket, environment, found).map_err(|error| {
            let of = Resource { kind: "policy", name: &environment.access(bucket) };
            let why = format!("No policy can be made: {error}.");
            Box::new(of.refuse(EXISTENCE, (Value::Null, json!(environment.name)), why))
        })
    };
    wanted.environments().map(side).collect()
}

/// What is to be said where a name may be taken.
fn unseen(namesake: &Namesake) -> String {
    match namesake {
        Namesake::Unseen(obstacle) => format!(
            " If IAM has one whose name differs in capital letters or in its path alone, it will not make this one: that cannot be seen \
             ({obstacle})."
        ),
        Namesake::None | Namesake::Other(_) => String::new(),
    }
}

/// The statements by which a policy refuses something.
fn refusals(document: &Value) -> Vec<Value> {
    let all = statements(document).unwrap_or_default().iter();
    all.filter(|statement| statement["Effect"] == "Deny").cloned().collect()
}

fn with(document: &Value, refusals: &[Value]) -> Value {
    let mut document = document.clone();
    if let Some(statements) = document["Statement"].as_array_mut() {
        statements.extend(refusals.iter().cloned());
    }
    document
}

fn refused(statement: &Value) -> String {
    statement["Sid"].as_str().map_or_else(|| "what a statement refuses".to_owned(), |sid| format!("what {sid} refuses"))
}

/// With stand-ins again for what is not known.
fn unspelled(document: &Value) -> Value {
    serde_json::from_str(&unknown::unspelled(&document.to_string())).unwrap_or_default()
}

impl<'a> Side<'a> {
    fn new(
        wanted: &'a Wanted,
        bucket: &'a str,
        environment: &'a Environment,
        found: &'a Found,
    ) -> Result<Self, KeepingError> {
        let key = KeyIs::in_use(wanted, found);
        let name = environment.access(bucket);
        let [arn, of_table] = {
            let KeysInUse { state, lock_table } = KeysInUse::of(wanted, found);
            [state, lock_table].map(|arn| arn.map(|arn| unknown::spelled(&arn)))
        };
        // stateward keeps records of its own beside the states, which takes all that Terraform takes, and that.
        let keeping = Keeping {
            workspaces: true,
            workspace_prefix: Some(environment.name.clone()),
            lock_table: wanted.lock_table.clone(),
            use_lockfile: wanted.use_lockfile(),
            lock_table_key: of_table,
            kms_key: arn,
            partition: unknown::spelled(&wanted.partition),
            region: unknown::spelled(&wanted.region),
            account: unknown::spelled(&wanted.account),
            ..Keeping::new(Layout::Stateward, bucket, &environment.name)
        };
        let document = json!(generate(&keeping, Purpose::Apply)?);
        let is_on_paper = unknown::is_in(&wanted.account);
        let document = if is_on_paper { unspelled(&document) } else { document };
        let rights = Rights::of(&document);
        let found = found.access.get(&name).cloned().unwrap_or_default();
        Ok(Self { wanted, environment, bucket, name, keeping, document, rights, found, key })
    }

    /// The fingerprint of what the policy shall say.
    fn mark(&self) -> Option<String> {
        self.rights.as_ref().map(Rights::fingerprint)
    }

    fn prefix(&self) -> Value {
        json!(format!("{}/{}/", self.bucket, self.environment.name))
    }

    /// The role of its name, as far as it has to do with the policy: set-up made it, or it carries the policy.
    fn own_role(&self) -> Option<&Role> {
        let is_ours = |role: &&Role| role.carries || self.environment.is_maker(self.bucket, &role.tags);
        self.found.role.as_ref().filter(is_ours)
    }

    fn foreign(&self, of: &Resource<'_>) -> Item {
        let why = format!(
            "There is a {} of this name, which no set-up of this environment made: whoever has it would get other rights. \
             Give the environment another name, or delete the {0} yourself.",
            of.kind
        );
        of.refuse(EXISTENCE, (json!("somebody's"), self.prefix()), why)
    }

    /// What has a name that is the same to IAM.
    fn taken(&self, of: &Resource<'_>, by: &Namesake) -> Option<Item> {
        let Namesake::Other(arn) = by else { return None };
        let why = format!(
            "There is {arn}, and IAM takes no other {} of that name: it tells neither capital letters from small ones nor one path from \
             another. Call the environment as that one is called, if it is the one that is meant, or give it another name.",
            of.kind
        );
        Some(of.refuse(EXISTENCE, (json!(arn), self.prefix()), why))
    }

    fn policy(&self) -> Vec<Item> {
        let of = Resource { kind: "policy", name: &self.name };
        let Some(found) = &self.found.policy else { return self.new_policy(&of) };
        if !self.environment.is_maker_of(self.bucket, found) {
            return vec![self.foreign(&of)];
        }
        let mut items = vec![of.keep(EXISTENCE, self.prefix(), "The policy is there, and set-up made it.")];
        items.extend(self.rights(&of, found));
        items.extend(tags::plan(&of, &self.wanted.tags, &found.tags, |_| Act::TagPolicy(self.wanted.tags.clone())));
        items
    }

    fn new_policy(&self, of: &Resource<'_>) -> Vec<Item> {
        if let Some(obstacle) = self.taken(of, &self.found.policy_namesake) {
            return vec![obstacle];
        }
        let unseen = unseen(&self.found.policy_namesake);
        let (values, why) =
            ((Value::Null, self.prefix()), format!("There is no policy of this name. {GRANTS}{unseen}"));
        let rights = of.keep("rights", self.document.clone(), MADE);
        if self.key == KeyIs::NotMade {
            return vec![of.later(EXISTENCE, values, format!("{why} {LATER}")), rights];
        }
        let mut tags = self.environment.tags(self.wanted, self.bucket);
        // What code will say in the end is not known here.
        if !unknown::is_in(&self.wanted.account) {
            tags.extend(self.mark().map(|mark| (FINGERPRINT.to_owned(), mark)));
        }
        let description = self.environment.description(self.bucket);
        let act = Act::CreatePolicy { document: self.document.to_string(), tags, description };
        vec![of.put(EXISTENCE, values, why, act), rights]
    }

    /// What the policy says, and the fingerprint of it.
    fn rights(&self, of: &Resource<'_>, found: &ManagedPolicy) -> Vec<Item> {
        let there: Value = serde_json::from_str(&found.document).unwrap_or(Value::Null);
        if self.key == KeyIs::NotMade {
            return vec![of.later("rights", (there, self.document.clone()), LATER)];
        }
        let refusals = refusals(&there);
        let left = statements(&there).map(|all| all.iter().filter(|one| !refusals.contains(one)));
        let (Some(is), noted) = (left.and_then(Rights::of_all), found.tags.get(FINGERPRINT)) else {
            let why = "It was changed since, by what cannot be compared.";
            return self.other_rights(of, found, (there, &refusals), why);
        };
        let (Some(shall), Some(mark)) = (&self.rights, self.mark()) else { return Vec::new() };
        let (more, mut less) = (is.beyond(shall), shall.beyond(&is));
        less.extend(refusals.iter().map(refused));
        let told = |what: &str, rights: &[String]| match rights {
            [] => String::new(),
            rights => format!(" {what}: {}.", rights.join(", ")),
        };
        if more.is_empty() && less.is_empty() {
            let kept = of.keep("rights", there, GRANTS);
            // Where nothing is noted the policy was made by code that set-up wrote, which would take a note away.
            let mark = noted.is_some_and(|noted| *noted != mark).then(|| note(of, noted, mark));
            return [kept].into_iter().chain(mark).collect();
        }
        if refusals.is_empty() && noted == Some(&is.fingerprint()) {
            let why = format!(
                "It is as an earlier set-up made it.{}{}",
                told("Given back", &less),
                told("Taken away", &more)
            );
            return self.other_rights(of, found, (there, &refusals), &why);
        }
        if more.is_empty() {
            let why = format!(
                "Somebody made it stricter since, and so it stays.{} To undo that, put the version before it in force \
                 (`aws iam set-default-policy-version`).",
                told("Not allowed", &less)
            );
            return vec![of.stays("rights", (there, self.document.clone()), why)];
        }
        let given = shall.beyond(&is);
        let why =
            format!("It was changed since set-up made it.{}{}", told("Given back", &given), told("Taken away", &more));
        self.other_rights(of, found, (there, &refusals), &why)
    }

    /// Puts what the policy shall say, beside what somebody has it refuse.
    fn other_rights(
        &self,
        of: &Resource<'_>,
        found: &ManagedPolicy,
        (there, refusals): (Value, &[Value]),
        why: &str,
    ) -> Vec<Item> {
        let document = with(&self.document, refusals);
        let stays = if refusals.is_empty() { "" } else { " What it refuses stays." };
        let values = (there, document.clone());
        if let Some(oldest) = found.versions.first().filter(|_| found.versions.len() + 1 >= VERSIONS) {
            let why = format!(
                "{why} IAM keeps {VERSIONS} versions of a policy, and all are in use. Look at the oldest, and delete it if nobody needs it: \
                 `aws iam delete-policy-version --policy-arn {} --version-id {oldest}`.",
                self.wanted.iam_arn("policy", &self.name)
            );
            return vec![of.refuse("rights", values, why)];
        }
        let why = format!("{why}{stays} What is in force now stays as a version of the policy.");
        let put = of.put("rights", values, why, Act::PolicyVersion(document.to_string()));
        let noted = found.tags.get(FINGERPRINT);
        // Noted when it is in force: else what is in force would be taken for changed by hand.
        let mark = self.mark().filter(|mark| noted != Some(mark));
        [put].into_iter().chain(mark.map(|mark| of.later("fingerprint", (json!(noted), json!(mark)), NOTED))).collect()
    }

    fn role(&self) -> Vec<Item> {
        if !self.environment.has_role() {
            return Vec::new();
        }
        let of = Resource { kind: "role", name: &self.name };
        if let Some(obstacle) = self.of_another_partition(&of) {
            return vec![obstacle];
        }
        let carries = |there: bool| match there {
            true => of.keep("policy", json!(self.name), CARRIES),
            false => of.put("policy", (Value::Null, json!(self.name)), CARRIES, Act::AttachPolicy),
        };
        let Some(found) = &self.found.role else {
            if let Some(obstacle) = self.taken(&of, &self.found.role_namesake) {
                return vec![obstacle];
            }
            let trust = self.trust().unwrap_or_default();
            let long = match long_trust(&of, &trust) {
                Ok(long) => long,
                Err(obstacle) => return vec![*obstacle],
            };
            let act = Act::CreateRole {
                trust,
                tags: self.environment.tags(self.wanted, self.bucket),
                description: "Works with Terraform state in one environment",
            };
            let names: Vec<String> = self.environment.trusted.iter().map(Trusted::name).collect();
            let why = format!("There is no role of this name.{}{long}", unseen(&self.found.role_namesake));
            let first = of.put(EXISTENCE, (Value::Null, self.prefix()), why, act);
            return vec![first, of.keep("trust", json!(names), MADE), carries(false)];
        };
        if !self.environment.is_maker(self.bucket, &found.tags) {
            return vec![self.foreign(&of)];
        }
        let mut items = vec![
            of.keep(EXISTENCE, self.prefix(), "The role is there, and set-up made it."),
            self.lets_in(&of, found),
            carries(found.carries),
        ];
        items.extend(tags::plan(&of, &self.wanted.tags, &found.tags, |_| Act::TagRole(self.wanted.tags.clone())));
        items
    }

    /// That somebody who was asked for cannot be let in. Where no partition is known it is whichever those are of.
    fn of_another_partition(&self, of: &Resource<'_>) -> Option<Item> {
        let own = self.wanted.partition.as_str();
        let mut others = self.environment.trusted.iter().filter(|who| !unknown::is_in(own) && who.partition() != own);
        let who = others.next()?;
        let why = format!(
            "{} is of the partition {}, and the role of {own}: IAM takes nobody of another partition in the policy of who may take a role. \
             Leave it out of `--trust`, or give one of {own}.",
            who.name(),
            who.partition()
        );
        Some(of.refuse("trust", (Value::Null, json!(who.name())), why))
    }

    /// Who may take the role: those that may already, under whatever conditions, and those that were asked for.
    fn lets_in(&self, of: &Resource<'_>, found: &Role) -> Item {
        let current = principals(&found.trust);
        match self.trust() {
            Some(trust) if trust == found.trust => of.keep("trust", json!(current), LETS_IN),
            Some(trust) => match long_trust(of, &trust) {
                Ok(long) => {
                    let wanted = principals(&trust);
                    of.put("trust", (json!(current), json!(wanted)), format!("{LETS_IN}{long}"), Act::Trust(trust))
                }
                Err(obstacle) => *obstacle,
            },
            None => {
                let why = "Who may take the role cannot be read, so nobody can be added. Mend its trust policy first.";
                let names: Vec<String> = self.environment.trusted.iter().map(Trusted::name).collect();
                of.refuse("trust", (Value::Null, json!(names)), why)
            }
        }
    }

    /// The role's trust policy: what is there, and a statement for each who is not let in by it; `None` where it cannot be read.
    fn trust(&self) -> Option<String> {
        let there = self.found.role.as_ref().map(|role| role.trust.as_str());
        let missing = self.environment.trusted.iter().filter(|who| !there.is_some_and(|there| trusts(there, who)));
        let merged = policy::with(there, &Statements::of_trust(missing)).ok()?;
        merged.or_else(|| there.map(str::to_owned))
    }
}

/// What is to be said of a trust policy that IAM may not take, for its length; or that it takes none of that length.
fn long_trust(of: &Resource<'_>, trust: &str) -> Result<String, Box<Item>> {
    let count = trust.chars().filter(|char| !char.is_whitespace()).count();
    let told = format!("To say who may take it takes {count} characters, and IAM takes {TRUST}");
    let next = "Name fewer in `--trust`: an owner's subjects by a `*`, such as `repo:OWNER/*`, or an account and in its own policies who of it.";
    if count <= TRUST {
        return Ok(String::new());
    }
    if count <= RAISED_TRUST {
        return Ok(format!(" Warning: {told}, unless the quota of this account was raised. {next}"));
    }
    let why = format!("{told}, and {RAISED_TRUST} where the quota was raised. {next}");
    Err(Box::new(of.refuse("trust", (Value::Null, json!(count)), why)))
}

/// The tag that says what the policy was made to say.
fn note(of: &Resource<'_>, found: Option<&String>, mark: String) -> Item {
    let values = (json!(found), json!(mark));
    of.put("fingerprint", values, NOTED, Act::TagPolicy([(FINGERPRINT.to_owned(), mark)].into()))
}

#[cfg(test)]
mod tests;
