//! From a caller and a check to a decision by all policies that have a say.
//!
//! What is decided about is a scenario, as `stateward policy evaluate` takes it: it can be looked at, and given to
//! others for a second opinion.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use stateward_iam::{Answer, Scenario, ScenarioError};

use crate::ask::Check;
use crate::caller::{Caller, second};
use crate::config::compile::default_key_policy;
use crate::incoming::Incoming;
use crate::key_state::KeyState;
use crate::world::{Account, Stored, World, account_of};

/// A decision, and what it was made of.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) scenario: Value,
    pub(crate) answer: Answer,
}

pub(crate) struct Judge<'a> {
    pub(crate) world: &'a World,
    pub(crate) caller: &'a Caller,
    pub(crate) request: &'a Incoming,
    pub(crate) region: &'a str,
    pub(crate) now: Timestamp,
}

impl Judge<'_> {
    pub(crate) fn decide(&self, check: &Check) -> Result<Judged, ScenarioError> {
        let scenario = self.scenario(check);
        let answer = Scenario::parse(&scenario.to_string())?.evaluate();
        Ok(Judged { scenario, answer })
    }

    /// The account that owns the resource of a check; the caller's, where nothing says so.
    pub(crate) fn owner<'c>(&'c self, check: &'c Check) -> Option<&'c str> {
        account_of(&check.resource).or(check.account.as_deref()).or(self.caller.account.as_deref())
    }

    fn scenario(&self, check: &Check) -> Value {
        let owner = self.owner(check);
        let mut asked = json!({
            "principal": self.caller.arn,
            "action": check.action,
            "resource": check.resource,
            "context": self.context(check, owner),
        });
        if let Some(owner) = owner {
            asked["resource_account"] = owner.into();
        }
        let mut scenario = Map::from_iter([("request".to_owned(), asked)]);
        scenario.insert("identity".to_owned(), all(&self.caller.identity));
        let mut put = |part: &str, value: Option<Value>| {
            if let Some(value) = value {
                scenario.insert(part.to_owned(), value);
            }
        };
        put("boundary", self.caller.boundary.as_ref().map(|policy| all(std::slice::from_ref(policy))));
        put("session", self.caller.session.as_deref().map(all));
        put("resource_policy", self.resource_policy(check).map(|policy| policy.to_json()));
        put("scps", self.organization(self.caller.account.as_deref(), |account| account.scps.as_ref()));
        put("rcps", self.organization(owner, |account| account.rcps.as_ref()));
        let endpoint = self.world.vpc_endpoint.as_ref().filter(|_| self.by_endpoint(check));
        let endpoint = endpoint.and_then(|endpoint| endpoint.policy.as_ref());
        put("vpc_endpoint", endpoint.map(|policy| all(std::slice::from_ref(policy))));
        Value::Object(scenario)
    }

    /// Whether the request goes through the VPC endpoint. A service that uses a key for somebody does not.
    fn by_endpoint(&self, check: &Check) -> bool {
        let service = check.action.split(':').next().unwrap_or_default();
        let endpoint = self.world.vpc_endpoint.as_ref();
        !check.via_service && endpoint.is_some_and(|endpoint| endpoint.services.iter().any(|own| own == service))
    }

    fn organization(
        &self,
        account: Option<&str>,
        levels: impl Fn(&Account) -> Option<&Vec<Vec<Stored>>>,
    ) -> Option<Value> {
        let account = self.world.accounts.get(account?).filter(|account| !account.management)?;
        levels(account).map(|levels| levels.iter().map(|level| all(level)).collect())
    }

    /// The resource's own policy: of the bucket, the table, the key, or the role to be assumed.
    pub(crate) fn resource_policy(&self, check: &Check) -> Option<Stored> {
        let (service, _) = check.action.split_once(':')?;
        match service {
            "s3" => {
                let bucket = check.resource.strip_prefix("arn:aws:s3:::")?.split('/').next()?;
                self.world.buckets.get(bucket)?.policy.clone()
            }
            "dynamodb" => self.world.tables.get(check.resource.split("/index/").next()?)?.policy.clone(),
            "kms" if check.resource.contains(":key/") => match self.world.keys.get(&check.resource) {
                Some(key) => key.policy_at(self.known_since(check)).cloned(),
                // What nobody described is taken to be as AWS makes it.
                None => account_of(&check.resource).map(default_key_policy),
            },
            "sts" => self.world.role(&check.resource)?.trust.clone(),
            _ => None,
        }
    }

    /// Until when changes of a key are known to whoever uses it.
    fn known_since(&self, check: &Check) -> Timestamp {
        let delay = if check.via_service { self.world.answers.key_delay_s } else { 0 };
        let delay = SignedDuration::from_secs(i64::try_from(delay).unwrap_or(i64::MAX));
        self.now.checked_sub(delay).unwrap_or(Timestamp::MIN)
    }

    /// The state of the key that a check is about, as far as it is known.
    pub(crate) fn key_state(&self, check: &Check) -> Option<KeyState> {
        let key = self.world.keys.get(&check.resource).filter(|_| check.action.starts_with("kms:"))?;
        Some(key.state_at(self.known_since(check)))
    }

    fn context(&self, check: &Check, owner: Option<&str>) -> Value {
        let mut context = check.context.clone();
        for (key, value) in &self.caller.context {
            context.entry(key.as_str()).or_insert_with(|| value.clone());
        }
        let network = &self.world.network;
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                context.insert(key.to_owned(), value);
            }
        };
        put("aws:SecureTransport", Some(network.secure_transport.to_string().into()));
        put("aws:CurrentTime", Some(second(self.now).into()));
        put("aws:EpochTime", Some(self.now.as_second().to_string().into()));
        put("aws:RequestedRegion", Some(self.region.into()));
        put("aws:ViaAWSService", Some(check.via_service.to_string().into()));
        put("aws:PrincipalIsAWSService", Some("false".into()));
        put("aws:UserAgent", self.request.header("user-agent").map(Value::from));
        put("aws:ResourceAccount", owner.map(Value::from));
        put("aws:PrincipalOrgID", self.organization_of(self.caller.account.as_deref()).map(Value::from));
        put("aws:ResourceOrgID", self.organization_of(owner).map(Value::from));
        let ip = network.source_ip.as_ref().unwrap_or(&self.request.from);
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-network-properties
        match self.world.vpc_endpoint.as_ref().filter(|_| self.by_endpoint(check)) {
            Some(endpoint) => {
                put("aws:SourceVpce", Some(endpoint.id.as_str().into()));
                put("aws:SourceVpc", endpoint.vpc.as_deref().map(Value::from));
                put("aws:VpcSourceIp", Some(ip.as_str().into()));
            }
            None => put("aws:SourceIp", Some(ip.as_str().into())),
        }
        if check.action.starts_with("kms:") {
            put("kms:CallerAccount", self.caller.account.as_deref().map(Value::from));
        }
        if check.action.starts_with("s3:") {
            put("s3:ResourceAccount", owner.map(Value::from));
        }
        Value::Object(context)
    }

    fn organization_of(&self, account: Option<&str>) -> Option<&str> {
        self.world.accounts.get(account?)?.organization.as_deref()
    }

    /// The ARN of the policy whose statement denies, where it has one.
    pub(crate) fn denying_arn(&self, answer: &Answer) -> Option<String> {
        let at = answer.statements.first()?;
        let own = self.caller.identity.iter().chain(&self.caller.boundary).chain(self.caller.session.iter().flatten());
        let levels = self.world.accounts.values().flat_map(|account| account.scps.iter().chain(&account.rcps));
        let mut all = own.chain(levels.flatten().flatten());
        all.find(|policy| policy.name == at.policy && policy.arn.is_some())?.arn.clone()
    }
}

fn all(policies: &[Stored]) -> Value {
    policies.iter().map(Stored::to_json).collect()
}
