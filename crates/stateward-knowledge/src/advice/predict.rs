//! What the policies that are known say to a refused request: which layer refuses next.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};
use stateward_denial::{PrincipalType, Problem};
use stateward_iam::{
    Answer, AnswerStatement, Context, Effect, Layer, Named, Outcome, Policy, PolicyError, PolicyKind, PolicySet,
    Request, account_policies, is_account_details,
};

use super::asked::Asked;

/// Policies that are known. A layer without any is taken to be open.
#[derive(Debug, Clone, Default)]
pub struct Given {
    set: PolicySet,
    /// Details of accounts, in which each principal's own policies are found.
    details: Vec<String>,
    /// The condition keys that the policies ask for.
    keys: BTreeSet<String>,
}

/// AWS would not take a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy `{name}` is malformed: {error}")]
pub struct MalformedPolicy {
    /// The policy's name.
    pub name: String,
    /// What is wrong with it.
    pub error: Box<PolicyError>,
}

/// What the policies of one layer say to a refused request, where all other layers are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prediction {
    /// The layer.
    pub layer: Layer,
    /// Whether it lets the request through.
    pub decision: Outcome,
    /// The statements that made the decision.
    pub statements: Vec<AnswerStatement>,
    /// The condition keys on which it depends.
    pub depends_on: Vec<String>,
    /// What of the policies was not understood.
    pub notes: Vec<String>,
}

impl Given {
    /// Adds what `aws iam get-account-authorization-details` prints; false, and nothing is added, where a document is not that.
    pub fn add_details(&mut self, text: &str) -> bool {
        let document = Some(text).filter(|text| is_account_details(text));
        let Some(document) = document.and_then(|text| serde_json::from_str::<Value>(text).ok()) else { return false };
        collect(&document, &mut self.keys);
        self.details.push(text.to_owned());
        true
    }

    /// All policies that have a say about what somebody asks.
    fn of(&self, principal: &str) -> PolicySet {
        let mut set = self.set.clone();
        for found in self.details.iter().filter_map(|details| account_policies(details, principal).ok()) {
            set.identity.extend(found.identity);
            set.boundary = set.boundary.or(found.boundary);
        }
        set
    }

    /// Adds policies, each with its name, to the layer that their kind is for. Service and resource control policies that are added
    /// together are of one level.
    pub fn add(&mut self, kind: PolicyKind, policies: &[(&str, &str)]) -> Result<(), MalformedPolicy> {
        let mut added = Vec::new();
        for (name, text) in policies {
            let malformed = |error| MalformedPolicy { name: (*name).to_owned(), error: Box::new(error) };
            let policy = Policy::parse(text, kind).map_err(malformed)?;
            if let Ok(document) = serde_json::from_str::<Value>(text) {
                collect(&document, &mut self.keys);
            }
            added.push(Named { name: (*name).to_owned(), policy });
        }
        let set = &mut self.set;
        match kind {
            PolicyKind::Identity => set.identity.extend(added),
            PolicyKind::Boundary => set.boundary.get_or_insert_default().extend(added),
            PolicyKind::Session => set.session.get_or_insert_default().extend(added),
            PolicyKind::Resource | PolicyKind::Trust => set.resource = added.pop().or_else(|| set.resource.take()),
            PolicyKind::Scp => set.scps.get_or_insert_default().push(added),
            PolicyKind::Rcp => set.rcps.get_or_insert_default().push(added),
            PolicyKind::VpcEndpoint => set.vpc_endpoint.get_or_insert_default().extend(added),
        }
        Ok(())
    }

    /// What each layer says, for a refusal whose text names action and resource; else nothing.
    pub(super) fn predict(&self, problem: &Problem) -> Vec<Prediction> {
        let Some(asked) = Asked::of(problem) else { return Vec::new() };
        let (Some(action), Some(open)) = (asked.actions.first(), Open::new(&asked)) else { return Vec::new() };
        let context = self.context(problem, &asked);
        let Ok(request) = Request::new(&asked.someone(), action, &asked.resource, None, context) else {
            return Vec::new();
        };
        let mut own = self.of(&asked.someone());
        let beside = with_full_access(&mut own);
        open.each_alone(&own)
            .into_iter()
            .map(|(layer, set)| {
                let mut notes = if layer == Layer::Scp { beside.clone() } else { Vec::new() };
                let decision = set.evaluate(&request);
                if decision.outcome == Outcome::Allowed && refused_by(problem) == Some(layer) {
                    notes.push(
                        "AWS's text says that this layer refused: another policy is in force than the one given, or it has changed since"
                            .to_owned(),
                    );
                }
                let answer = Answer::new(&set, decision, notes);
                Prediction {
                    layer,
                    decision: answer.decision,
                    statements: answer.statements.into_iter().filter(|made| made.policy != ALL_ELSE).collect(),
                    depends_on: answer.depends_on,
                    notes: answer.errors,
                }
            })
            .collect()
    }

    /// What is known of the request; what else the policies ask for may have any value.
    fn context(&self, problem: &Problem, asked: &Asked) -> Context {
        let mut context = asked.context();
        // SDKs do not go without it unless they are told to.
        context.value("aws:SecureTransport", "true");
        if let Some(region) = asked.resource.split(':').nth(3).filter(|region| !region.is_empty()) {
            context.value("aws:RequestedRegion", region);
        }
        if let Some(denial) = problem.denial.as_ref().filter(|denial| denial.principal.kind == PrincipalType::User)
            && let Some(name) = denial.principal.arn.as_deref().and_then(|arn| arn.rsplit('/').next())
        {
            context.value("aws:username", name);
        }
        if let Some(event) = &problem.event {
            let known = [("aws:SourceIp", &event.source_ip), ("aws:SourceVpce", &event.vpc_endpoint)];
            for (key, value) in known {
                if let Some(value) = value {
                    context.value(key, value.as_str());
                }
            }
        }
        let settled = ["aws:principalarn", "aws:principalaccount", "aws:principaltype"];
        for key in self.keys.iter().filter(|key| !settled.contains(&key.as_str())) {
            context.unknown(key);
        }
        context
    }
}

/// Service control policies that only deny stand beside `FullAWSAccess`, which AWS attaches to every level; what was taken so.
fn with_full_access(set: &mut PolicySet) -> Vec<String> {
    let full = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}).to_string();
    let mut notes = Vec::new();
    let only_denies = |named: &Named| named.policy.statements().iter().all(|one| one.effect() == Effect::Deny);
    for level in set.scps.iter_mut().flatten().filter(|level| level.iter().all(only_denies)) {
        let Ok(policy) = Policy::parse(&full, PolicyKind::Scp) else { continue };
        let names: Vec<String> = level.iter().map(|named| format!("`{}`", named.name)).collect();
        notes.push(format!(
            "{} only denies: taken that `FullAWSAccess` is attached beside it, as AWS does",
            names.join(", ")
        ));
        level.push(Named { name: "FullAWSAccess".to_owned(), policy });
    }
    notes
}

/// The layer that refused, where the text leaves no doubt.
fn refused_by(problem: &Problem) -> Option<Layer> {
    use stateward_denial::Layer as Told;
    match problem.denial.as_ref().filter(|_| problem.certain)?.layer {
        Told::Identity => Some(Layer::Identity),
        Told::Boundary => Some(Layer::Boundary),
        Told::Session => Some(Layer::Session),
        Told::Scp => Some(Layer::Scp),
        Told::Rcp => Some(Layer::Rcp),
        Told::VpcEndpoint => Some(Layer::VpcEndpoint),
        _ => None,
    }
}

/// The name of what stands for the layers that are taken to be open.
const ALL_ELSE: &str = "all else";

/// Policies that let everything through.
struct Open {
    identity: Named,
    resource: Named,
}

impl Open {
    fn new(asked: &Asked) -> Option<Self> {
        let named = |kind, document: Value| {
            let policy = Policy::parse(&document.to_string(), kind).ok()?;
            Some(Named { name: ALL_ELSE.to_owned(), policy })
        };
        let everything = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
        let resource = if asked.service() == "sts" {
            let document =
                json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": asked.account}, "Action": "*"}});
            named(PolicyKind::Trust, document)?
        } else {
            let document = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": asked.account}, "Action": "*", "Resource": "*"}});
            named(PolicyKind::Resource, document)?
        };
        Some(Self { identity: named(PolicyKind::Identity, everything)?, resource })
    }

    fn set(&self) -> PolicySet {
        PolicySet {
            identity: vec![self.identity.clone()],
            resource: Some(self.resource.clone()),
            ..PolicySet::default()
        }
    }

    /// Each layer that is given, with all others open. Whom a resource's policy names may do so without more, which a boundary and a
    /// session see: there it stands beside them, as it is.
    fn each_alone(&self, own: &PolicySet) -> Vec<(Layer, PolicySet)> {
        let beside = PolicySet { resource: own.resource.clone().or_else(|| Some(self.resource.clone())), ..self.set() };
        let identity = (!own.identity.is_empty())
            .then(|| (Layer::Identity, PolicySet { identity: own.identity.clone(), ..beside.clone() }));
        let resource = own.resource.is_some().then(|| (Layer::Resource, beside.clone()));
        let boundary = own.boundary.clone();
        let boundary = boundary.map(|given| (Layer::Boundary, PolicySet { boundary: Some(given), ..beside.clone() }));
        let session = own.session.clone();
        let session = session.map(|given| (Layer::Session, PolicySet { session: Some(given), ..beside.clone() }));
        let scp = own.scps.clone().map(|given| (Layer::Scp, PolicySet { scps: Some(given), ..self.set() }));
        let rcp = own.rcps.clone().map(|given| (Layer::Rcp, PolicySet { rcps: Some(given), ..self.set() }));
        let endpoint = own.vpc_endpoint.clone();
        let endpoint =
            endpoint.map(|given| (Layer::VpcEndpoint, PolicySet { vpc_endpoint: Some(given), ..self.set() }));
        [identity, resource, boundary, session, scp, rcp, endpoint].into_iter().flatten().collect()
    }
}

/// The condition keys and variables of a policy, in lower case.
fn collect(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "Condition" {
                    let operators = member.as_object().into_iter().flat_map(serde_json::Map::values);
                    let names = operators.filter_map(Value::as_object).flat_map(serde_json::Map::keys);
                    keys.extend(names.map(|key| key.to_ascii_lowercase()));
                }
                collect(member, keys);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        Value::String(text) => {
            for variable in text.split("${").skip(1) {
                let key = variable.split(['}', ',']).next().unwrap_or_default().trim();
                if key.contains(':') {
                    keys.insert(key.to_ascii_lowercase());
                }
            }
        }
        _ => {}
    }
}
