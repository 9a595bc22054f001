//! Which side of a contradiction is right, as far as the evidence goes. Pure.

use serde::Serialize;

use super::facts::{Content, Facts, StateCopy};
use crate::doctor::typed;

/// What whoever asks has said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish<'a> {
    /// Which side counts.
    pub keep: Option<Keep>,
    /// The version of the object that is to stand there again.
    pub version: Option<&'a str>,
}

/// A side of a contradiction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// What stands there, also where that is nothing.
    Object,
    /// What the digest names.
    Digest,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    /// Nothing.
    Fits {
        /// What was found.
        why: String,
    },
    /// This.
    Repair(Plan),
    /// The evidence does not decide it.
    Choose {
        /// What was found.
        why: String,
        /// What there is to choose from.
        choices: Vec<Choice>,
    },
    /// What was asked for cannot be done.
    Refused {
        /// Why not.
        why: String,
        /// What would do.
        next: String,
    },
}

/// A way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The side that is kept.
    pub keep: Keep,
    /// What that comes to.
    pub plan: Option<Plan>,
    /// Why it cannot be done; null where it can.
    pub not: Option<String>,
}

/// What is written where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What was found.
    pub why: String,
    /// The bytes that are written first.
    pub write: Option<Write>,
    /// What becomes of the digest then.
    pub digest: DigestStep,
}

/// Bytes that are to stand at the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Write {
    /// The version that they come from; null for those that stand there now.
    pub version: Option<String>,
    /// Their MD5, before they get another serial.
    pub md5: String,
    /// The serial that they get; null where they are written as they are.
    pub serial: Option<u64>,
}

/// What becomes of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DigestStep {
    /// It is made that of the object.
    OfObject,
    /// It is removed.
    Remove,
}

/// A contradiction, with what each side comes to, or why it cannot be kept.
struct Case {
    why: String,
    object: Result<Plan, String>,
    digest: Result<Plan, String>,
    /// Which side the evidence shows to be right.
    decided: Option<Keep>,
}

/// Says what is to be done.
pub fn decide(facts: &Facts, wish: Wish<'_>) -> Decision {
    if let Some(version) = wish.version {
        return restore(facts, version);
    }
    let unreadable_object = facts.current.as_ref().filter(|current| current.serial().is_none());
    let Some(digest) = facts.digest.as_ref().or(unreadable_object.map(|current| &current.md5)) else {
        let why = match &facts.table {
            None => "the backend has no lock table, and without one a state has no digest",
            Some(_) => {
                "the table has no digest of this state: Terraform takes the state as it is, and writes one with the next"
            }
        };
        return Decision::Fits { why: why.to_owned() };
    };
    let case = match &facts.current {
        Some(current) if current.md5 == *digest && unreadable_object.is_none() => {
            return Decision::Fits { why: format!("the digest is that of the state: {digest}") };
        }
        Some(current) => match current.serial() {
            Some((serial, lineage)) => contradiction(facts, current, (serial, lineage), digest),
            None => unreadable(facts, current, digest),
        },
        None => absent(facts, digest),
    };
    let Some(keep) = wish.keep.or(case.decided) else {
        let choice = |keep, side: Result<Plan, String>| match side {
            Ok(plan) => Choice { keep, plan: Some(plan), not: None },
            Err(not) => Choice { keep, plan: None, not: Some(not) },
        };
        let choices = vec![choice(Keep::Object, case.object), choice(Keep::Digest, case.digest)];
        return Decision::Choose { why: case.why, choices };
    };
    let side = if keep == Keep::Object { case.object } else { case.digest };
    side.map_or_else(|why| Decision::Refused { why, next: OTHERWISE.to_owned() }, Decision::Repair)
}

const OTHERWISE: &str = "keep the other side, or name a version with `--object-version`; `aws s3api list-object-versions` lists all of them";

/// The state can be read, and has another digest.
fn contradiction(facts: &Facts, current: &StateCopy, (serial, lineage): (u64, &str), digest: &str) -> Case {
    let here = format!("the object has serial {serial} and the MD5 {}", current.md5);
    let named = facts.older.iter().find(|copy| copy.md5 == digest);
    let Some(named) = named else {
        let why =
            format!("{here}, and the digest {digest} is that of no version of it that could be read{}", unseen(facts));
        let not = format!("no version with this digest {}", seen(facts));
        return Case { object: keep(facts, current, &why), digest: Err(not), why, decided: None };
    };
    let named_is = format!("the digest {digest} is that of its older version {}", shown(named));
    let (relation, decided) = match named.serial() {
        Some((_, other)) if other != lineage => ("which is another state: its lineage is another".to_owned(), None),
        Some((old, _)) if old >= serial => {
            let words = "with serial {old}, which is not lower: the object is an old copy that was put back by hand, or two wrote at once";
            (words.replace("{old}", &old.to_string()), None)
        }
        Some((old, _)) if higher(facts, current, serial, lineage).is_some() => {
            (format!("with serial {old}, and other versions have serials that are not lower than the object's"), None)
        }
        Some((old, _)) => {
            let words =
                format!("with serial {old}: the object is newer, and its writer did not get to write the digest");
            (words, Some(Keep::Object))
        }
        None => ("which is no state".to_owned(), None),
    };
    let why = format!("{here}; {named_is} {relation}");
    let object = keep(facts, current, &why);
    let digest = match &named.content {
        Content::State { .. } => bring_back(facts, named, &why),
        Content::Other { why } => Err(format!("what the digest names is no state: {why}")),
    };
    Case { why, object, digest, decided }
}

/// What stands there is no state.
fn unreadable(facts: &Facts, current: &StateCopy, digest: &str) -> Case {
    let what = match &current.content {
        Content::Other { why } => why.as_str(),
        Content::State { .. } => "",
    };
    let here = format!("the object is no state ({what})");
    let object = Err("what stands there is no state, and Terraform could not read it".to_owned());
    match readable(facts, digest) {
        Some(named) => {
            let why = format!("{here}, and the digest {digest} is that of its older version {}", shown(named));
            Case { object, digest: bring_back(facts, named, &why), why, decided: Some(Keep::Digest) }
        }
        None => {
            let why = match &facts.digest {
                Some(digest) if *digest == current.md5 => format!("{here}, and the digest is its own"),
                Some(_) => {
                    format!("{here}, and the digest {digest} is that of no state among its versions{}", unseen(facts))
                }
                None => format!("{here}, and there is no digest that would say which version was the right one"),
            };
            Case { why, object, digest: Err(format!("no state with this digest {}", seen(facts))), decided: None }
        }
    }
}

/// There is a digest and nothing that could have it.
fn absent(facts: &Facts, digest: &str) -> Case {
    let here = "there is no object: it was deleted by hand, or a workspace was deleted and the digest was not";
    let why = match readable(facts, digest) {
        Some(named) => format!("{here}; the digest {digest} is that of its older version {}", shown(named)),
        None => format!("{here}; the digest {digest} is that of no state among its versions{}", unseen(facts)),
    };
    let object = Ok(Plan { why: why.clone(), write: None, digest: DigestStep::Remove });
    let digest = match readable(facts, digest) {
        Some(named) => bring_back(facts, named, &why),
        None => Err(format!("no state with this digest {}", seen(facts))),
    };
    Case { why, object, digest, decided: None }
}

/// The older version that is a state and has this digest.
fn readable<'a>(facts: &'a Facts, digest: &str) -> Option<&'a StateCopy> {
    facts.older.iter().find(|copy| copy.md5 == digest && copy.serial().is_some())
}

/// The version that was asked for by its name.
fn restore(facts: &Facts, version: &str) -> Decision {
    let refused = |why: String, next: &str| Decision::Refused { why, next: next.to_owned() };
    let is_it = |copy: &&StateCopy| copy.version.as_deref() == Some(version);
    let Some(wanted) = facts.current.iter().chain(&facts.older).find(is_it) else {
        let looked = facts.older.len() + usize::from(facts.current.is_some());
        let why = format!("`{}` has no version `{version}` among its latest {looked}{}", facts.object, unseen(facts));
        return refused(why, "without `--object-version`, and with `--dry-run`, the versions are listed");
    };
    let lineage = match &wanted.content {
        Content::State { lineage, .. } => lineage,
        Content::Other { why } => return refused(format!("this version is no state: {why}"), "name another version"),
    };
    if let Some((_, other)) = facts.current.as_ref().and_then(StateCopy::serial)
        && other != lineage
    {
        let why = "this version is of another state than the present one: its lineage is another".to_owned();
        let next = by_hand(facts, version, "terraform");
        return refused(why, &format!("if it is to take the place all the same, {next}"));
    }
    let why = format!("version {} is to stand there again", shown(wanted));
    match bring_back(facts, wanted, &why) {
        Ok(plan) if plan.write.is_none() && fits(facts) => {
            Decision::Fits { why: "what this version says stands there already, and the digest fits".to_owned() }
        }
        Ok(plan) => Decision::Repair(plan),
        Err(why) => refused(why, &format!("{}, with the same encryption", by_hand(facts, version, "tofu"))),
    }
}

const ENCRYPTED: &str = "it is encrypted, and would need a higher serial, which only OpenTofu can give it";

/// How a version is brought back without us.
fn by_hand(facts: &Facts, version: &str, tool: &str) -> String {
    let [bucket, key, version] = [&facts.bucket, &facts.object, version].map(typed);
    format!(
        "in the directory of its configuration: aws s3api get-object --bucket {bucket} --key {key} --version-id {version} restored.tfstate \
         && {tool} state push -force restored.tfstate"
    )
}

fn fits(facts: &Facts) -> bool {
    let md5 = facts.current.as_ref().map(|current| &current.md5);
    facts.table.is_none() || (facts.digest.is_some() && facts.digest.as_ref() == md5)
}

/// Makes a copy the current one, and the digest its own.
fn bring_back(facts: &Facts, wanted: &StateCopy, why: &str) -> Result<Plan, String> {
    let plan = |write| Plan { why: why.to_owned(), write, digest: DigestStep::OfObject };
    let Content::State { serial, lineage, encrypted, essence } = &wanted.content else {
        return Err("it is no state".to_owned());
    };
    // An earlier run may have got so far.
    if let Some(current) = &facts.current
        && let Content::State { serial, lineage, essence: there, .. } = &current.content
        && there == essence
        && higher(facts, current, *serial, lineage).is_none()
    {
        return Ok(plan(None));
    }
    match higher(facts, wanted, *serial, lineage) {
        Some(_) if *encrypted => Err(ENCRYPTED.to_owned()),
        serial => Ok(plan(Some(Write { version: wanted.version.clone(), md5: wanted.md5.clone(), serial }))),
    }
}

/// Keeps what stands there; under a new serial, where what it is newer than has one as high.
fn keep(facts: &Facts, current: &StateCopy, why: &str) -> Result<Plan, String> {
    let Content::State { serial, lineage, encrypted, .. } = &current.content else {
        return Err("it is no state".to_owned());
    };
    let plan = |write| Plan { why: why.to_owned(), write, digest: DigestStep::OfObject };
    match higher(facts, current, *serial, lineage) {
        None => Ok(plan(None)),
        Some(_) if *encrypted => Err(ENCRYPTED.to_owned()),
        serial => Ok(plan(Some(Write { version: None, md5: current.md5.clone(), serial }))),
    }
}

/// The serial that a copy needs to be newer than all others of its lineage; `None` where it is.
fn higher(facts: &Facts, copy: &StateCopy, serial: u64, lineage: &str) -> Option<u64> {
    let others = facts.current.iter().chain(&facts.older).filter(|other| other.md5 != copy.md5);
    let highest = others.filter_map(StateCopy::serial).filter(|(_, other)| *other == lineage).map(|(serial, _)| serial);
    highest.max().filter(|highest| *highest >= serial).map(|highest| highest.saturating_add(1))
}

fn shown(copy: &StateCopy) -> String {
    let id = copy.version.as_deref().unwrap_or("null");
    let serial = copy.serial().map(|(serial, _)| format!("serial {serial}"));
    let written = copy.written.map(|written| format!("written {written}"));
    let facts: Vec<String> = serial.into_iter().chain(written).collect();
    if facts.is_empty() { id.to_owned() } else { format!("{id} ({})", facts.join(", ")) }
}

fn unseen(facts: &Facts) -> String {
    match &facts.older_unseen {
        Some(why) => format!(" (older versions could not be looked at: {why})"),
        None if facts.older_unread > 0 => format!(" (and {} older ones were not read)", facts.older_unread),
        None if facts.older.is_empty() => " (no older versions are kept)".to_owned(),
        None => String::new(),
    }
}

/// How far it is known that there is none.
fn seen(facts: &Facts) -> &'static str {
    if facts.older_unseen.is_none() && facts.older_unread == 0 { "is kept" } else { "was found" }
}

#[cfg(test)]
mod tests;
