//! The lab itself: what it knows, and what it does with a request.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Response;
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use stateward_iam::PolicyKind;

use crate::addressed::Addressed;
use crate::answer::{self, Answer, Refused};
use crate::ask::{self, Assume, Call, Check, Effect, Known, Query, Service, Then};
use crate::authenticate::{authenticate, malformed};
use crate::caller::Caller;
use crate::config::check::missing_principal;
use crate::config::compile::parsed;
use crate::decision::Decision;
use crate::incoming::Incoming;
use crate::judge::Judge;
use crate::sign::Claim;
use crate::tell::tell;
use crate::upstream::{Reply, Upstreams};
use crate::world::{Credentials, Session, Stored, World};
use crate::{learn, refusal, seed};

/// Older decisions than these are forgotten.
const REMEMBERED: usize = 10_000;

/// What the lab takes from outside.
#[derive(Clone)]
pub struct Surroundings {
    /// The clock.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// What the credentials of sessions are made from.
    pub seed: [u8; 32],
    /// Called with each decision.
    pub on_decision: Arc<dyn Fn(&Decision) + Send + Sync>,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

/// AWS, as far as access control goes.
#[derive(Debug)]
pub struct Lab {
    live: Mutex<Live>,
    surroundings: Surroundings,
    upstreams: Upstreams,
    /// One at a time puts the principals into IAM upstream; the others wait for it.
    seeding: tokio::sync::Mutex<()>,
}

/// What changes.
#[derive(Debug)]
struct Live {
    world: Arc<World>,
    sessions: Vec<Session>,
    /// The key that an object is encrypted with, by bucket and key.
    sealed: HashMap<(String, String), String>,
    /// By table, as requests name it and by the account.
    partition_keys: HashMap<(Option<String>, String), String>,
    decisions: VecDeque<Decision>,
    /// Whether the principals of this world stand in IAM upstream.
    seeded: bool,
    /// How many decisions there were.
    count: u64,
    /// How many fresh words were given out.
    fresh: u64,
}

/// A request that is being answered.
struct Asked<'a> {
    service: Service,
    request: &'a Incoming,
    claim: Option<&'a Claim>,
    caller: &'a Caller,
    world: &'a World,
    now: Timestamp,
}

impl Asked<'_> {
    fn region(&self) -> &str {
        self.claim.map_or("us-east-1", |claim| claim.region.as_str())
    }

    fn judge(&self) -> Judge<'_> {
        let Self { world, caller, request, .. } = self;
        Judge { world, caller, request, region: self.region(), now: self.now }
    }
}

impl Lab {
    /// A lab in this world. Nothing is sent yet.
    pub fn new(world: World, surroundings: Surroundings) -> Self {
        let upstreams = Upstreams::new(world.upstream.clone());
        let live = Live {
            world: Arc::new(world),
            sessions: Vec::new(),
            sealed: HashMap::new(),
            partition_keys: HashMap::new(),
            decisions: VecDeque::new(),
            seeded: false,
            count: 0,
            fresh: 0,
        };
        Self { live: Mutex::new(live), surroundings, upstreams, seeding: tokio::sync::Mutex::default() }
    }

    /// Goes on in another world. Sessions stay, and buckets, tables and keys of which it says nothing; what changed of a key's
    /// policy is noticed late by the services that use the key. The servers that do what is allowed stay the same.
    pub fn change(&self, mut world: World) {
        let now = self.now();
        let mut live = self.live();
        world.follow(&live.world, now);
        live.world = Arc::new(world);
        live.seeded = false;
    }

    /// The decisions so far, the newest last; of very many the oldest are gone.
    pub fn decisions(&self) -> Vec<Decision> {
        self.live().decisions.iter().cloned().collect()
    }

    /// Forgets the decisions so far.
    pub fn forget_decisions(&self) {
        self.live().decisions.clear();
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        (self.surroundings.now)()
    }

    /// Letters and digits that nobody else has.
    fn fresh(&self, purpose: &str) -> String {
        let count = {
            let mut live = self.live();
            live.fresh += 1;
            live.fresh
        };
        let hash = Sha256::new().chain_update(self.surroundings.seed).chain_update(purpose);
        hex::encode_upper(hash.chain_update(count.to_be_bytes()).finalize())
    }

    /// An ID as KMS gives its answers.
    fn fresh_id(&self) -> String {
        let word = self.fresh("kms").to_lowercase();
        let part = |from: usize, to: usize| word.get(from..to).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, signed: Incoming) -> Response<Full<bytes::Bytes>> {
        let request_id = self.fresh("request").get(..16).unwrap_or_default().to_owned();
        let method = signed.method.clone();
        match self.try_answer(signed, &request_id).await {
            Ok(Done::Own(answer)) => answer.into(),
            Ok(Done::Upstream(reply)) => reply.into(),
            Err((service, refused)) => refused.answer(service, &request_id, &method).into(),
        }
    }

    async fn try_answer(&self, signed: Incoming, request_id: &str) -> Result<Done, (Service, Refused)> {
        let world = Arc::clone(&self.live().world);
        let now = self.now();
        let claim = match Claim::of(&signed) {
            None => None,
            Some(Ok(claim)) => Some(claim),
            Some(Err(_)) => return Err(self.unknown(Service::of_unsigned(&signed), malformed)),
        };
        let service = match &claim {
            None => Service::of_unsigned(&signed),
            Some(claim) => Service::named(&claim.service).ok_or_else(|| {
                let message = format!("the lab knows no requests to `{}`", claim.service);
                self.unknown(Service::of_unsigned(&signed), |_| Refused::not_understood(message))
            })?,
        };
        let sessions = self.live().sessions.clone();
        let caller = authenticate(service, claim.as_ref(), &signed, &world, &sessions, now);
        let caller = caller.map_err(|refused| self.unknown(service, |_| refused))?;
        let request = if service == Service::S3 { signed.with_bucket_in_path() } else { signed };
        let asked = Asked { service, request: &request, claim: claim.as_ref(), caller: &caller, world: &world, now };
        let call = self.understand(&asked).await.map_err(|refused| (service, refused))?;
        self.check_address(&asked, &call).map_err(|refused| (service, refused))?;
        self.check_all(&asked, &call).map_err(|refused| (service, refused))?;
        self.carry_out(&asked, &call, request_id).await.map_err(|refused| (service, refused))
    }

    /// A request that came to no decision.
    fn unknown(&self, service: Service, refused: impl FnOnce(Service) -> Refused) -> (Service, Refused) {
        let refused = refused(service);
        self.record(Decision { error: Some(refused.code.to_owned()), ..self.blank(service) });
        (service, refused)
    }

    fn blank(&self, service: Service) -> Decision {
        Decision {
            number: 0,
            time: self.now(),
            service: service.name(),
            operation: String::new(),
            principal: String::new(),
            action: String::new(),
            resource: String::new(),
            decision: None,
            layer: None,
            statements: Vec::new(),
            error: None,
            scenario: serde_json::Value::Null,
        }
    }

    fn record(&self, mut decision: Decision) {
        {
            let mut live = self.live();
            live.count += 1;
            decision.number = live.count;
            if live.decisions.len() == REMEMBERED {
                live.decisions.pop_front();
            }
            live.decisions.push_back(decision.clone());
        }
        (self.surroundings.on_decision)(&decision);
    }

    async fn understand(&self, asked: &Asked<'_>) -> Result<Call, Refused> {
        if asked.service == Service::Dynamodb {
            self.learn_partition_keys(asked).await;
        }
        let account = asked.caller.account.clone();
        let sealed = |bucket: &str, key: &str| self.live().sealed.get(&(bucket.to_owned(), key.to_owned())).cloned();
        let partition_key = |table: &str| self.live().partition_keys.get(&(account.clone(), table.to_owned())).cloned();
        let known = Known {
            world: asked.world,
            region: asked.region(),
            account: asked.caller.account.as_deref(),
            caller: &asked.caller.arn,
            sealed: &sealed,
            partition_key: &partition_key,
        };
        ask::call(asked.service, asked.request, &known).map_err(|not_understood| {
            let refused = Refused::not_understood(not_understood.0);
            let principal = asked.caller.arn.clone();
            self.record(Decision { principal, error: Some(refused.code.to_owned()), ..self.blank(asked.service) });
            refused
        })
    }

    /// Items are told apart by the partition key, whose name only the table knows.
    async fn learn_partition_keys(&self, asked: &Asked<'_>) {
        for table in ask::tables(asked.request) {
            let name = (asked.caller.account.clone(), table);
            if self.live().partition_keys.contains_key(&name) {
                continue;
            }
            let found = self.upstreams.partition_key(&name.1, asked.region(), name.0.as_deref(), asked.now).await;
            if let Some(key) = found {
                self.live().partition_keys.insert(name, key);
            }
        }
    }

    /// That a bucket is where it is asked for, and whose it is said to be.
    fn check_address(&self, asked: &Asked<'_>, call: &Call) -> Result<(), Refused> {
        let Asked { service: Service::S3, request, caller, .. } = asked else { return Ok(()) };
        let region = asked.claim.map(|claim| claim.region.as_str());
        let addressed = Addressed { request, operation: &call.operation, region, account: caller.account.as_deref() };
        let Some(refused) = addressed.refused(asked.world) else { return Ok(()) };
        let (operation, principal) = (call.operation.clone(), caller.arn.clone());
        let error = Some(refused.code.to_owned());
        self.record(Decision { operation, principal, error, ..self.blank(asked.service) });
        Err(refused)
    }

    fn check_all(&self, asked: &Asked<'_>, call: &Call) -> Result<(), Refused> {
        call.checks.iter().try_for_each(|check| self.check(asked, &call.operation, check))
    }

    fn check(&self, asked: &Asked<'_>, operation: &str, check: &Check) -> Result<(), Refused> {
        let judge = asked.judge();
        let judged = judge.decide(check).map_err(|error| {
            // Policies were read when they came: what is left are names that the request made up.
            Refused::new(400, "ValidationError", error.to_string())
        })?;
        let answer = judged.answer;
        let allowed = answer.decision == stateward_iam::Outcome::Allowed;
        let refused = (!allowed).then(|| {
            let arn = judge.denying_arn(&answer).filter(|_| asked.world.answers.policy_arns);
            let explained = asked.world.explains(asked.caller.account.as_deref(), judge.owner(check));
            let text = refusal::text(&asked.caller.arn, check, &answer, arn.as_deref(), explained);
            Refused::denied(asked.service, text)
        });
        self.record(Decision {
            operation: operation.to_owned(),
            principal: asked.caller.arn.clone(),
            action: check.action.clone(),
            resource: check.resource.clone(),
            decision: Some(answer.decision),
            layer: answer.layer,
            statements: answer.statements,
            error: refused.as_ref().map(|refused| refused.code.to_owned()),
            scenario: judged.scenario,
            ..self.blank(asked.service)
        });
        refused.map_or_else(|| self.check_key(asked, operation, check), Err)
    }

    /// That a key can be used at all, which KMS looks at once it is allowed.
    fn check_key(&self, asked: &Asked<'_>, operation: &str, check: &Check) -> Result<(), Refused> {
        let Some(state) = asked.judge().key_state(check) else { return Ok(()) };
        let refused = state.refused(asked.service, &check.action, &check.resource, &self.fresh_id());
        let Some(refused) = refused else { return Ok(()) };
        self.record(Decision {
            operation: operation.to_owned(),
            principal: asked.caller.arn.clone(),
            action: check.action.clone(),
            resource: check.resource.clone(),
            error: Some(refused.code.to_owned()),
            ..self.blank(asked.service)
        });
        Err(refused)
    }

    async fn carry_out(&self, asked: &Asked<'_>, call: &Call, request_id: &str) -> Result<Done, Refused> {
        match &call.then {
            Then::CallerIdentity => {
                let Caller { arn, id, account, .. } = asked.caller;
                let account = account.as_deref().unwrap_or_default();
                Ok(Done::Own(answer::caller_identity(arn, id, account, request_id)))
            }
            Then::AssumeRole(assume) => self.assume(asked, assume, request_id).map(Done::Own),
            Then::Tell(told) => {
                let account = asked.caller.account.as_deref().unwrap_or_default();
                tell(&self.live().world, told, account).map(Done::Own)
            }
            Then::BucketPolicy { bucket, method } => self.bucket_policy(asked, bucket, method).map(Done::Own),
            Then::Forward => {
                if asked.service == Service::Iam {
                    trusts_who_is_there(asked)?;
                    self.seed(asked).await?;
                }
                let reply = self.forward(asked, call).await?;
                if reply.is_success() {
                    self.learn(asked, call, &reply);
                }
                Ok(Done::Upstream(reply))
            }
            Then::Object { bucket, key, effect, listing } => {
                let reply = self.forward(asked, call).await?;
                // https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html: who may not list does not learn it.
                if reply.status() == 404 && matches!(call.operation.as_str(), "GetObject" | "HeadObject") {
                    self.check(asked, &call.operation, listing)?;
                }
                if reply.is_success() {
                    self.note_object(bucket, key, effect);
                }
                Ok(Done::Upstream(reply))
            }
        }
    }

    async fn forward(&self, asked: &Asked<'_>, call: &Call) -> Result<Reply, Refused> {
        let service = asked.service;
        let reply =
            self.upstreams.forward(service, asked.request, asked.claim, call.account.as_deref(), asked.now).await;
        reply.map_err(|error| Refused::new(503, "ServiceUnavailable", error.to_string()))
    }

    /// What reads IAM is to find the principals. Before anybody asks they need not be there.
    async fn seed(&self, asked: &Asked<'_>) -> Result<(), Refused> {
        let unavailable = |why: String| Refused::new(503, "ServiceUnavailable", why);
        let _turn = self.seeding.lock().await;
        if self.live().seeded {
            return Ok(());
        }
        for (account, parameters) in seed::requests(asked.world) {
            let reply = self.upstreams.iam(&account, &parameters, asked.now).await;
            let reply = reply.map_err(|error| unavailable(error.to_string()))?;
            // 409 says that it is there already.
            if !reply.is_success() && reply.status() != 409 {
                let (what, answer) = (seed::told(&parameters), String::from_utf8_lossy(reply.body()));
                return Err(unavailable(format!("IAM behind the lab does not take {what}: {answer}")));
            }
        }
        self.live().seeded = true;
        Ok(())
    }

    fn note_object(&self, bucket: &str, key: &str, effect: &Effect) {
        let object = (bucket.to_owned(), key.to_owned());
        let mut live = self.live();
        match effect {
            Effect::Nothing => {}
            Effect::Sealed(Some(kms)) => {
                live.sealed.insert(object, kms.clone());
            }
            Effect::Sealed(None) | Effect::Deleted => {
                live.sealed.remove(&object);
            }
        }
    }

    /// What was done changes what is known.
    fn learn(&self, asked: &Asked<'_>, call: &Call, reply: &Reply) {
        let mut live = self.live();
        if matches!(call.operation.as_str(), "CreateTable" | "DeleteTable") {
            live.partition_keys.clear();
        }
        let world = Arc::make_mut(&mut live.world);
        learn::from(world, call, asked.request, reply.body(), asked.now);
    }

    fn bucket_policy(&self, asked: &Asked<'_>, bucket: &str, method: &str) -> Result<Answer, Refused> {
        let mut live = self.live();
        let world = Arc::make_mut(&mut live.world);
        match method {
            "PUT" => {
                let text = String::from_utf8_lossy(&asked.request.body);
                let document = parsed(&text, PolicyKind::Resource)
                    .map_err(|error| Refused::new(400, "MalformedPolicy", error.to_string()))?;
                if missing_principal(&document, world).is_some() {
                    return Err(Refused::new(400, "MalformedPolicy", "Invalid principal in policy"));
                }
                let policy = Stored { name: format!("the policy of {bucket}"), arn: None, document };
                world.buckets.entry(bucket.to_owned()).or_default().policy = Some(policy);
                Ok(answer::nothing())
            }
            "DELETE" => {
                if let Some(bucket) = world.buckets.get_mut(bucket) {
                    bucket.policy = None;
                }
                Ok(answer::nothing())
            }
            _ => match world.buckets.get(bucket).and_then(|bucket| bucket.policy.as_ref()) {
                Some(policy) => Ok(answer::policy(&policy.document.to_string())),
                None => Err(Refused::new(404, "NoSuchBucketPolicy", "The bucket policy does not exist")),
            },
        }
    }

    fn assume(&self, asked: &Asked<'_>, assume: &Assume, request_id: &str) -> Result<Answer, Refused> {
        if !(ask::SESSION_MIN_S..=ask::SESSION_MAX_S).contains(&assume.duration_s) {
            let message = format!(
                "1 validation error detected: Value '{}' at 'durationSeconds' failed to satisfy constraint: Member must have value between {} and {}",
                assume.duration_s,
                ask::SESSION_MIN_S,
                ask::SESSION_MAX_S
            );
            return Err(Refused::new(400, "ValidationError", message));
        }
        let policy = assume.policy.as_deref().map(|text| match parsed(text, PolicyKind::Session) {
            Ok(document) => Ok(vec![Stored { name: "the session policy".to_owned(), arn: None, document }]),
            Err(error) => Err(Refused::new(400, "MalformedPolicyDocument", error.to_string())),
        });
        let secret = self.fresh("session");
        let (key, rest) = secret.split_at_checked(16).unwrap_or((&secret, ""));
        let session = Session {
            role: assume.role.clone(),
            name: assume.name.clone(),
            credentials: Credentials {
                access_key: format!("ASIA{key}"),
                secret_key: rest.to_owned(),
                token: Some(self.fresh("token")),
            },
            policies: policy.transpose()?,
            tags: assume.tags.iter().cloned().collect(),
            identity: assume.token.as_ref().map(|token| token.context(&assume.role)).unwrap_or_default(),
            issued: asked.now,
            expires: asked.now.saturating_add(SignedDuration::from_secs(assume.duration_s)).unwrap_or(Timestamp::MAX),
        };
        // Its trust policy has just allowed it.
        let Some(caller) = Caller::session(&session, asked.world) else {
            return Err(Refused::denied(Service::Sts, format!("there is no role {}", assume.role)));
        };
        let answer = answer::assumed(&session, &caller.id, assume.token.as_ref(), request_id);
        let mut live = self.live();
        live.sessions.retain(|session| session.expires > asked.now);
        live.sessions.push(session);
        Ok(answer)
    }
}

/// IAM takes no trust policy that names somebody who is not there.
fn trusts_who_is_there(asked: &Asked<'_>) -> Result<(), Refused> {
    let query = Query::of(asked.request);
    let trust = match query.get("Action") {
        Some("CreateRole") => query.get("AssumeRolePolicyDocument"),
        Some("UpdateAssumeRolePolicy") => query.get("PolicyDocument"),
        _ => None,
    };
    let trust: serde_json::Value = trust.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    match missing_principal(&trust, asked.world) {
        Some(missing) => {
            let kind = if missing.contains(":oidc-provider/") { "Federated" } else { "AWS" };
            let message = format!("Invalid principal in policy: \"{kind}\":\"{missing}\"");
            Err(Refused::new(400, "MalformedPolicyDocument", message))
        }
        None => Ok(()),
    }
}

/// An answer of the lab's own, or one from upstream.
enum Done {
    Own(Answer),
    Upstream(Reply),
}
