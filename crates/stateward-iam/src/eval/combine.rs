//! How the layers are combined.
//!
//! By <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html>
//! and the pages it leads to: an explicit deny anywhere refuses; beyond that a request needs an allow of each layer that
//! applies, where within one account the policy of a resource can stand in for what the principal's own policies lack.

use super::statement::{self, Facts};
use super::tri::Tri;
use super::{Cause, Decision, Layer, Named, Outcome, PolicySet, StatementRef, Trace, speak_for};
use crate::policy::Effect;
use crate::policy::principal::{Grant, Principal};
use crate::request::Request;

/// A statement that applies, or may.
struct Hit {
    at: StatementRef,
    certain: bool,
    /// Where its causes end in the trace.
    causes: usize,
}

/// What the statements of a layer come to.
#[derive(Clone, Copy)]
struct Tally {
    deny: Tri,
    /// By how directly they name the principal.
    account: Tri,
    role: Tri,
    direct: Tri,
}

impl Tally {
    const NOTHING: Self = Self { deny: Tri::False, account: Tri::False, role: Tri::False, direct: Tri::False };

    fn allow(self) -> Tri {
        self.account.or(self.role).or(self.direct)
    }
}

struct Evaluator<'a> {
    facts: Facts<'a>,
    trace: Trace<'a>,
    hits: Vec<Hit>,
}

impl<'a> Evaluator<'a> {
    fn policies(&mut self, layer: Layer, level: usize, policies: &'a [Named]) -> Tally {
        let mut tally = Tally::NOTHING;
        for (policy, named) in policies.iter().enumerate() {
            if !named.policy.counts_for(self.facts.request.service()) {
                continue;
            }
            for (number, statement) in named.policy.statements.iter().enumerate() {
                let start = self.trace.len();
                let (applies, grant) = statement::applies(statement, &self.facts, &mut self.trace);
                let place = match (statement.effect, grant) {
                    (Effect::Deny, _) => &mut tally.deny,
                    (Effect::Allow, Grant::Account) => &mut tally.account,
                    (Effect::Allow, Grant::Role) => &mut tally.role,
                    (Effect::Allow, Grant::Direct) => &mut tally.direct,
                };
                *place = place.or(applies);
                if applies != Tri::False || self.trace.len() > start {
                    let at = StatementRef { layer, level, policy, statement: number, effect: statement.effect };
                    self.hits.push(Hit { at, certain: applies == Tri::True, causes: self.trace.len() });
                }
            }
        }
        tally
    }

    fn optional(&mut self, layer: Layer, policies: Option<&'a Vec<Named>>) -> Option<Tally> {
        policies.map(|policies| self.policies(layer, 0, policies))
    }

    /// Every level must allow.
    fn levels(&mut self, layer: Layer, levels: Option<&'a Vec<Vec<Named>>>) -> Option<Tally> {
        let levels = levels?;
        let mut all = Tally { direct: Tri::True, ..Tally::NOTHING };
        for (number, level) in levels.iter().enumerate() {
            let tally = self.policies(layer, number, level);
            all.deny = all.deny.or(tally.deny);
            all.direct = all.direct.and(tally.allow());
        }
        Some(all)
    }
}

/// The layers' say, those that do not apply left out.
struct Layers {
    identity: Option<Tally>,
    boundary: Option<Tally>,
    session: Option<Tally>,
    resource: Option<Tally>,
    scp: Option<Tally>,
    rcp: Option<Tally>,
    vpc_endpoint: Option<Tally>,
}

impl Layers {
    /// In the order in which a refusal is reported.
    fn each(&self) -> [(Layer, Option<Tally>); 7] {
        [
            (Layer::Rcp, self.rcp),
            (Layer::Scp, self.scp),
            (Layer::Resource, self.resource),
            (Layer::Identity, self.identity),
            (Layer::Boundary, self.boundary),
            (Layer::Session, self.session),
            (Layer::VpcEndpoint, self.vpc_endpoint),
        ]
    }
}

pub(super) fn decide(set: &PolicySet, request: &Request) -> Decision {
    if request.action == "sts:getcalleridentity" {
        // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html: no policy can refuse it.
        return decision(Outcome::Allowed, None);
    }
    let mut evaluator = Evaluator { facts: Facts::of(request), trace: Vec::new(), hits: Vec::new() };
    let layers = ask(set, request, &mut evaluator);
    let denied =
        layers.each().iter().filter_map(|(_, tally)| *tally).fold(Tri::False, |deny, tally| deny.or(tally.deny));
    let (permitted, refusing) = permit(request, &layers);
    let refused_by = |wanted: Tri| {
        let denies = |(_, tally): &&(Layer, Option<Tally>)| tally.is_some_and(|tally| tally.deny == wanted);
        layers.each().iter().find(denies).map(|(layer, _)| *layer)
    };
    let mut decision = match (denied, permitted) {
        (Tri::True, _) => decision(Outcome::ExplicitDeny, refused_by(Tri::True)),
        (Tri::False, Tri::True) => decision(Outcome::Allowed, None),
        (Tri::False, Tri::False) => decision(Outcome::ImplicitDeny, refusing),
        _ => {
            let layer = if permitted == Tri::True { refused_by(Tri::Unknown) } else { refusing };
            Decision { possible: possible(denied, permitted), ..decision(Outcome::Depends, layer) }
        }
    };
    explain(&mut decision, &evaluator, denied, permitted);
    decision
}

fn decision(outcome: Outcome, layer: Option<Layer>) -> Decision {
    let (statements, possible, depends_on, notes) = Default::default();
    Decision { outcome, layer, statements, possible, depends_on, notes }
}

fn possible(denied: Tri, permitted: Tri) -> Vec<Outcome> {
    let mut possible = Vec::new();
    if permitted != Tri::False {
        possible.push(Outcome::Allowed);
    }
    if permitted != Tri::True {
        possible.push(Outcome::ImplicitDeny);
    }
    if denied == Tri::Unknown {
        possible.push(Outcome::ExplicitDeny);
    }
    possible
}

fn ask<'a>(set: &'a PolicySet, request: &'a Request, evaluator: &mut Evaluator<'a>) -> Layers {
    let principal = &request.principal;
    // A root user has no policies of its own, and neither has whoever is not of an account.
    let own = !matches!(principal, Principal::Root { .. }) && principal.account().is_some();
    // https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html#scp-effects-on-permissions
    let scps = set.scps.as_ref().filter(|_| principal.account().is_some() && !principal.is_service_linked());
    // https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html
    let rcps = set.rcps.as_ref().filter(|_| crate::data::has_rcps(request.service()) && !principal.is_service_linked());
    let identity = own.then(|| evaluator.policies(Layer::Identity, 0, &set.identity));
    let boundary = evaluator.optional(Layer::Boundary, set.boundary.as_ref().filter(|_| own));
    let session = evaluator.optional(Layer::Session, set.session.as_ref().filter(|_| own));
    // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html: without a session policy a
    // federated user may do nothing but what policies of resources grant.
    let federated = matches!(principal, Principal::FederatedUser { .. });
    let resource = set.resource.as_ref().map(|named| {
        let tally = evaluator.policies(Layer::Resource, 0, std::slice::from_ref(named));
        if survives_bucket_policy(request) { Tally { deny: Tri::False, ..tally } } else { tally }
    });
    // Each service has an endpoint of its own.
    let by_endpoint = |policies: &&Vec<Named>| speak_for(policies, request.service());
    Layers {
        identity,
        boundary,
        session: session.or(federated.then_some(Tally::NOTHING)),
        resource,
        scp: evaluator.levels(Layer::Scp, scps),
        // `RCPFullAWSAccess` is attached to every level and cannot be detached.
        rcp: evaluator.levels(Layer::Rcp, rcps).map(|tally| Tally { direct: Tri::True, ..tally }),
        vpc_endpoint: evaluator.optional(Layer::VpcEndpoint, set.vpc_endpoint.as_ref().filter(by_endpoint)),
    }
}

/// The root user of a bucket's owner can always repair the bucket's policy.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html>
fn survives_bucket_policy(request: &Request) -> bool {
    matches!(request.principal, Principal::Root { .. })
        && !request.is_cross_account()
        && matches!(request.action.as_str(), "s3:putbucketpolicy" | "s3:getbucketpolicy" | "s3:deletebucketpolicy")
}

/// Whether all that must allow does, explicit denies aside; and a layer that does not, or may not.
fn permit(request: &Request, layers: &Layers) -> (Tri, Option<Layer>) {
    let allow = |tally: Option<Tally>| tally.map_or(Tri::True, Tally::allow);
    let resource = layers.resource.unwrap_or(Tally::NOTHING);
    let identity = match layers.identity {
        Some(tally) => tally.allow(),
        None => matches!(request.principal, Principal::Root { .. }).into(),
    };
    let (boundary, session) = (allow(layers.boundary), allow(layers.session));
    let limits = boundary.and(session);
    let around = allow(layers.rcp).and(allow(layers.scp)).and(allow(layers.vpc_endpoint));
    let both_sides = request.is_cross_account();
    let granted = if both_sides {
        identity.and(limits).and(resource.allow())
    } else {
        let own = identity.and(limits);
        let own = if request.needs_resource_policy() { own.and(resource.allow()) } else { own };
        own.or(resource.direct).or(resource.role.and(limits))
    };
    // A layer that refuses by itself, whatever the others say.
    let resource_alone = both_sides || request.needs_resource_policy() || request.principal.account().is_none();
    let stands_in = !both_sides && resource.role != Tri::False;
    let candidates = [
        (Layer::Rcp, allow(layers.rcp)),
        (Layer::Scp, allow(layers.scp)),
        (Layer::Resource, if resource_alone { resource.allow() } else { Tri::True }),
        (Layer::Identity, if stands_in { Tri::True } else { identity }),
        (Layer::Boundary, boundary),
        (Layer::Session, session),
        (Layer::Identity, identity),
        (Layer::VpcEndpoint, allow(layers.vpc_endpoint)),
    ];
    let first = |wanted: Tri| candidates.iter().find(|(_, say)| *say == wanted).map(|(layer, _)| *layer);
    (granted.and(around), first(Tri::False).or(first(Tri::Unknown)))
}

/// Adds the statements that made the decision, and what they depend on.
fn explain(decision: &mut Decision, evaluator: &Evaluator<'_>, denied: Tri, permitted: Tri) {
    let mut start = 0;
    for hit in &evaluator.hits {
        let causes = evaluator.trace.get(start..hit.causes).unwrap_or_default();
        start = hit.causes;
        let open = !hit.certain && causes.iter().any(|cause| cause.is_open());
        let matters = match (decision.outcome, hit.at.effect) {
            (Outcome::ExplicitDeny, effect) => hit.certain && effect == Effect::Deny,
            (Outcome::Allowed, effect) => hit.certain && effect == Effect::Allow,
            (Outcome::ImplicitDeny, _) => false,
            (Outcome::Depends, Effect::Deny) => open && denied == Tri::Unknown,
            (Outcome::Depends, Effect::Allow) => open && permitted == Tri::Unknown,
        };
        if matters {
            decision.statements.push(hit.at);
        }
        let said = decision.outcome != Outcome::Depends || matters || !open;
        for cause in causes.iter().filter(|_| said) {
            add_cause(decision, *cause, matters);
        }
    }
}

fn add_cause(decision: &mut Decision, cause: Cause<'_>, matters: bool) {
    let depends = decision.outcome == Outcome::Depends;
    if let Cause::Unknown(key) = cause {
        if depends && matters && !decision.depends_on.iter().any(|own| own.eq_ignore_ascii_case(key)) {
            decision.depends_on.push(key.to_owned());
        }
    } else if (!cause.is_open() || depends)
        && let Some(note) = cause.note()
        && !decision.notes.contains(&note)
    {
        decision.notes.push(note);
    }
}
