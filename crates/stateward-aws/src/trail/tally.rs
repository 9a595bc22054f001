//! What was refused, counted by who asked for what.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use stateward_denial::{Effect, Kind, Layer, Principal, PrincipalType, Problem};
use stateward_iam::is_like;
use stateward_knowledge::{advice, entry_for};

/// More different refusals than this are only counted.
const REFUSALS_MAX: usize = 50_000;
/// Events that are remembered, so that one that two trails recorded counts once.
const EVENTS_MAX: usize = 1_000_000;
/// IDs, addresses and sessions that are kept of one refusal, the latest of each.
const KEPT: usize = 20;

/// Which calls are wanted. What is `None` is not limited.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
    /// The ARN of whoever asked, or of its role, or the last part of one: `*` and `?` are wildcards.
    pub principal: Option<String>,
    /// The action (`s3:Get*`); without a service, that of any.
    pub action: Option<String>,
}

/// A call that was refused.
#[derive(Debug, Clone)]
pub struct Denied {
    problem: Problem,
    /// Of a session, its role.
    principal: String,
    action: String,
    time: Option<Timestamp>,
}

/// Calls that were refused in the same way, in the shape of `stateward trail --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refusal {
    /// When last.
    pub time: Option<Timestamp>,
    /// Who asked: an ARN, of a session that of its role; a service's name; `anonymous`; `unknown`.
    pub principal: String,
    /// The action, or where only that is known the operation.
    pub action: String,
    /// What it was to be done to.
    pub resource: Option<String>,
    /// The layer that refused.
    pub layer: Layer,
    /// How it refused.
    pub effect: Effect,
    /// From where, the last time.
    pub source_ip: Option<String>,
    /// The error's code.
    pub error_code: Option<String>,
    /// How often.
    pub count: u64,
    /// The IDs of the latest events.
    pub event_ids: VecDeque<String>,
    /// The entry of the knowledge base that explains it.
    pub entry: Option<String>,
    /// When first.
    pub first_time: Option<Timestamp>,
    /// From where: at most 20 addresses or names of services.
    pub source_ips: BTreeSet<String>,
    /// How many sessions of the role it was refused to; at most 20 are told apart.
    pub sessions: usize,
    /// Their names.
    pub session_names: BTreeSet<String>,
    /// What the names in a bucket begin with that were to be listed, each; none where they are not known, or all were to be listed. At
    /// most 20 are told apart.
    pub prefixes: BTreeSet<String>,
    /// Whether the text leaves no doubt about the layer.
    pub certain: bool,
    /// The other layers that AWS prints this text for.
    pub also_possible: Vec<Layer>,
    /// The first one in full.
    #[serde(skip)]
    pub problem: Problem,
    /// Which names were to be listed.
    #[serde(skip)]
    pub(super) listed: Listed,
}

/// Which names in a bucket were to be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    /// Those that begin with one of the prefixes.
    Some,
    /// All of them, at least once, or the record does not say.
    All,
    /// Those of more prefixes than are told apart.
    Many,
}

type Key = (String, String, Option<String>, Layer, Effect);

/// What was refused, counted.
#[derive(Debug, Default)]
pub struct Tally {
    refusals: HashMap<Key, Refusal>,
    events: HashSet<u128>,
    left_out: u64,
}

impl Wanted {
    /// The refused call that a record tells of, if it is wanted.
    pub fn denied(&self, record: &Value) -> Option<Denied> {
        let denied = Denied::of(record)?;
        self.has(&denied).then_some(denied)
    }

    fn has(&self, denied: &Denied) -> bool {
        let time = |is_in: fn(Timestamp, Timestamp) -> bool, limit: Option<Timestamp>| {
            limit.is_none_or(|limit| denied.time.is_some_and(|time| is_in(time, limit)))
        };
        let of_principal = |pattern: &String| {
            let names = [Some(denied.principal.as_str()), denied.arn()];
            names.into_iter().flatten().any(|name| {
                is_like(pattern, name) || name.rsplit(['/', ':']).next().is_some_and(|last| is_like(pattern, last))
            })
        };
        time(|time, limit| time >= limit, self.since)
            && time(|time, limit| time < limit, self.until)
            && self.principal.as_ref().is_none_or(of_principal)
            && self.action.as_ref().is_none_or(|pattern| is_action(pattern, &denied.action))
    }
}

/// Whether a pattern names an action, with its service or without.
fn is_action(pattern: &str, action: &str) -> bool {
    let name = if pattern.contains(':') { action } else { action.rsplit(':').next().unwrap_or_default() };
    is_like(pattern, name)
}

impl Denied {
    fn of(record: &Value) -> Option<Self> {
        let problems = stateward_denial::read_record(record)?;
        let problem = problems.into_iter().find(|problem| problem.kind == Kind::AccessDenied)?;
        let denial = problem.denial.as_ref()?;
        let operation = || Some(format!("{}:{}", denial.service.as_deref()?, denial.operation.as_deref()?));
        let action = advice::action(denial).or_else(operation).or_else(|| denial.operation.clone())?;
        let principal = issuer(record).unwrap_or_else(|| name(&denial.principal));
        let time = problem.event.as_ref().and_then(|event| event.time.as_deref()?.parse().ok());
        Some(Self { problem, principal, action, time })
    }

    fn arn(&self) -> Option<&str> {
        self.problem.denial.as_ref()?.principal.arn.as_deref()
    }
}

/// The role of a session, with the path that the session's ARN does not tell.
fn issuer(record: &Value) -> Option<String> {
    let issuer = record.pointer("/userIdentity/sessionContext/sessionIssuer")?;
    let is_role = issuer.get("type").and_then(Value::as_str) == Some("Role");
    issuer.get("arn").and_then(Value::as_str).filter(|arn| is_role && !arn.is_empty()).map(str::to_owned)
}

/// Whoever asked, in a word; of a session its role.
fn name(principal: &Principal) -> String {
    if principal.kind == PrincipalType::Anonymous {
        return "anonymous".to_owned();
    }
    let Some(arn) = &principal.arn else {
        return principal.name.clone().unwrap_or_else(|| "unknown".to_owned());
    };
    let role = || {
        let (partition, rest) = arn.strip_prefix("arn:")?.split_once(":sts::")?;
        let (account, session) = rest.split_once(":assumed-role/")?;
        Some(format!("arn:{partition}:iam::{account}:role/{}", session.split('/').next()?))
    };
    role().unwrap_or_else(|| arn.clone())
}

impl Tally {
    /// Counts a refused call, unless it was counted before.
    pub fn add(&mut self, denied: Denied) {
        let Denied { problem, principal, action, time } = denied;
        let (Some(denial), event) = (problem.denial.clone(), problem.event.clone().unwrap_or_default()) else { return };
        if let Some(id) = &event.id
            && self.events.len() < EVENTS_MAX
            && !self.events.insert(fingerprint(id))
        {
            return;
        }
        let full = self.refusals.len() >= REFUSALS_MAX;
        let key = (principal.clone(), action.clone(), denial.resource.clone(), denial.layer, denial.effect);
        let refusal = match self.refusals.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if full => {
                self.left_out += 1;
                return;
            }
            Entry::Vacant(place) => place.insert(Refusal {
                time: None,
                principal,
                action,
                resource: denial.resource,
                layer: denial.layer,
                effect: denial.effect,
                source_ip: None,
                error_code: None,
                count: 0,
                event_ids: VecDeque::new(),
                entry: entry_for(&problem).map(|entry| entry.id.clone()),
                first_time: time,
                source_ips: BTreeSet::new(),
                sessions: 0,
                session_names: BTreeSet::new(),
                certain: problem.certain,
                also_possible: problem.also_possible.clone(),
                problem,
                prefixes: BTreeSet::new(),
                listed: Listed::Some,
            }),
        };
        refusal.count += 1;
        refusal.first_time = refusal.first_time.min(time).or(time);
        if refusal.count == 1 || time >= refusal.time {
            refusal.time = time;
            refusal.source_ip.clone_from(&event.source_ip);
            refusal.error_code = denial.error_code;
        }
        keep(&mut refusal.source_ips, event.source_ip);
        keep(&mut refusal.session_names, denial.principal.session);
        refusal.sessions = refusal.session_names.len();
        refusal.list(denial.prefix);
        refusal.event_ids.extend(event.id);
        if refusal.event_ids.len() > KEPT {
            refusal.event_ids.pop_front();
        }
    }

    /// What was refused, the latest first, and how many calls are told of no further.
    pub fn finish(self) -> (Vec<Refusal>, u64) {
        let mut refusals: Vec<Refusal> = self.refusals.into_values().collect();
        let order = |refusal: &Refusal| (refusal.principal.clone(), refusal.action.clone(), refusal.resource.clone());
        refusals.sort_by(|one, other| other.time.cmp(&one.time).then_with(|| order(one).cmp(&order(other))));
        (refusals, self.left_out)
    }
}

impl Refusal {
    /// Counts the names that were to be listed; of one prefix or, without, all.
    fn list(&mut self, prefix: Option<String>) {
        match prefix {
            _ if self.listed == Listed::All => {}
            None => {
                self.listed = Listed::All;
                self.prefixes.clear();
            }
            Some(prefix) if self.prefixes.len() < KEPT || self.prefixes.contains(&prefix) => {
                self.prefixes.insert(prefix);
            }
            Some(_) => self.listed = Listed::Many,
        }
    }
}

fn keep(names: &mut BTreeSet<String>, name: Option<String>) {
    if names.len() < KEPT {
        names.extend(name);
    }
}

/// What an event's ID, mostly a UUID, is remembered by.
fn fingerprint(id: &str) -> u128 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, id).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(id: usize, session: &str, time: &str) -> Value {
        json!({
            "eventID": format!("e{id}"), "eventTime": time, "eventSource": "dynamodb.amazonaws.com", "eventName": "PutItem",
            "sourceIPAddress": "192.0.2.7", "errorCode": "AccessDenied",
            "errorMessage": format!("User: arn:aws:sts::111122223333:assumed-role/ci/{session} is not authorized to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:eu-west-1:111122223333:table/locks because no identity-based policy allows the dynamodb:PutItem action"),
            "userIdentity": {"type": "AssumedRole", "arn": format!("arn:aws:sts::111122223333:assumed-role/ci/{session}"),
                "sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/team/ci"}}},
        })
    }

    fn refusals(wanted: &Wanted, records: &[Value]) -> Vec<Refusal> {
        let mut tally = Tally::default();
        records.iter().filter_map(|record| wanted.denied(record)).for_each(|denied| tally.add(denied));
        tally.finish().0
    }

    #[test]
    fn sessions_of_one_role_are_one_refusal() {
        let records = [
            record(1, "run-1", "2026-03-01T10:00:00Z"),
            record(2, "run-2", "2026-03-01T12:00:00Z"),
            record(3, "run-2", "2026-03-01T11:00:00Z"),
            // By another trail.
            record(2, "run-2", "2026-03-01T12:00:00Z"),
        ];
        let refusals = refusals(&Wanted::default(), &records);
        let [refusal] = refusals.as_slice() else { panic!("{refusals:?}") };
        assert_eq!((refusal.count, refusal.sessions), (3, 2));
        assert_eq!(refusal.principal, "arn:aws:iam::111122223333:role/team/ci");
        assert_eq!(refusal.time.unwrap().to_string(), "2026-03-01T12:00:00Z");
        assert_eq!(refusal.first_time.unwrap().to_string(), "2026-03-01T10:00:00Z");
        assert_eq!(refusal.event_ids, ["e1", "e2", "e3"]);
        assert_eq!((refusal.layer, refusal.effect), (Layer::Identity, Effect::Implicit));
        assert!(refusal.entry.is_some());
    }

    #[test]
    fn wanted_ones() {
        let at = |hour: u32| record(1, "run-1", &format!("2026-03-01T{hour:02}:00:00Z"));
        let count = |wanted: &Wanted| refusals(wanted, &[at(10)]).len();
        let time = |text: &str| Some(text.parse().unwrap());
        let all = Wanted::default;
        assert_eq!(count(&Wanted { since: time("2026-03-01T10:00:00Z"), ..all() }), 1);
        assert_eq!(count(&Wanted { since: time("2026-03-01T10:00:01Z"), ..all() }), 0);
        assert_eq!(count(&Wanted { until: time("2026-03-01T10:00:00Z"), ..all() }), 0);
        for (principal, expected) in
            [("ci", 1), ("run-?", 1), ("*:role/team/*", 1), ("arn:aws:sts::*/CI/run-1", 1), ("c", 0), ("*user*", 0)]
        {
            let principal = Some(principal.to_owned());
            assert_eq!(count(&Wanted { principal: principal.clone(), ..all() }), expected, "{principal:?}");
        }
        for (action, expected) in [
            ("dynamodb:*", 1),
            ("DynamoDB:putitem", 1),
            ("dynamodb:Get*", 0),
            ("*", 1),
            ("PutItem", 1),
            ("put*", 1),
            ("GetItem", 0),
            ("dynamodb", 0),
        ] {
            assert_eq!(count(&Wanted { action: Some(action.to_owned()), ..all() }), expected, "{action}");
        }
    }

    #[test]
    fn only_denials_count() {
        let mut success = record(1, "a", "2026-03-01T10:00:00Z");
        success.as_object_mut().unwrap().retain(|name, _| !name.starts_with("error"));
        let mut throttled = record(2, "a", "2026-03-01T10:00:00Z");
        throttled["errorCode"] = json!("ThrottlingException");
        throttled["errorMessage"] = json!("Rate exceeded");
        let mut ec2 = record(3, "a", "2026-03-01T10:00:00Z");
        ec2["eventSource"] = json!("ec2.amazonaws.com");
        ec2["eventName"] = json!("RunInstances");
        ec2["errorCode"] = json!("Client.UnauthorizedOperation");
        ec2["errorMessage"] = json!("You are not authorized to perform this operation.");
        let found = refusals(&Wanted::default(), &[success, throttled, ec2]);
        assert_eq!(found.iter().map(|one| one.action.as_str()).collect::<Vec<_>>(), ["ec2:RunInstances"]);
    }
}
