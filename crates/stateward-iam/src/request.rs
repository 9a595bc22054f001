//! What is asked: who wants to do what with which resource, and what else the request says.

use crate::data;
use crate::policy::principal::{Principal, is_account};
use crate::value::arn::Segments;
use crate::value::template::{Filled, Variable};

/// The values of a context key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContextValue {
    Values {
        values: Vec<String>,
        /// Given as a list, and so one of several values.
        list: bool,
    },
    /// Any value, or none.
    Unknown,
}

impl ContextValue {
    pub(crate) fn one(value: String) -> Self {
        Self::Values { values: vec![value], list: false }
    }

    pub(crate) fn several(values: Vec<String>) -> Self {
        Self::Values { values, list: true }
    }
}

/// The context keys of a request. Their names do not tell case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// In order of the keys, which are in lower case.
    entries: Vec<(String, ContextValue)>,
}

impl Context {
    /// A key with one value. Gives false, and changes nothing, where the key is there already.
    pub fn value(&mut self, key: &str, value: impl Into<String>) -> bool {
        self.insert(key, ContextValue::Values { values: vec![value.into()], list: false })
    }

    /// A key with several values, or none.
    pub fn values(&mut self, key: &str, values: Vec<String>) -> bool {
        self.insert(key, ContextValue::Values { values, list: true })
    }

    /// A key that may have any value, or none.
    pub fn unknown(&mut self, key: &str) -> bool {
        self.insert(key, ContextValue::Unknown)
    }

    fn insert(&mut self, key: &str, value: ContextValue) -> bool {
        let key = key.to_ascii_lowercase();
        match self.entries.binary_search_by(|(own, _)| own.as_str().cmp(&key)) {
            Ok(_) => false,
            Err(at) => {
                self.entries.insert(at, (key, value));
                true
            }
        }
    }

    /// Puts a value, or nothing, in place of whatever the key has.
    pub(crate) fn replace(&mut self, key: &str, value: Option<ContextValue>) {
        self.entries.retain(|(own, _)| own != key);
        if let Some(value) = value {
            self.insert(key, value);
        }
    }

    /// By its name in lower case.
    pub(crate) fn get(&self, key: &str) -> Option<&ContextValue> {
        let at = self.entries.binary_search_by(|(own, _)| own.as_str().cmp(key)).ok()?;
        self.entries.get(at).map(|(_, value)| value)
    }

    pub(crate) fn has_unknown(&self) -> bool {
        self.entries.iter().any(|(_, value)| *value == ContextValue::Unknown)
    }

    /// What a variable stands for.
    pub(crate) fn fill<'a>(&'a self, variable: &'a Variable) -> Filled<'a> {
        match self.get(&variable.key) {
            Some(ContextValue::Unknown) => Filled::Unknown,
            Some(ContextValue::Values { values, list: false }) => match values.first() {
                Some(value) => Filled::Text(value),
                None => Filled::Missing,
            },
            Some(ContextValue::Values { .. }) => Filled::Missing,
            None => variable.default.as_deref().map_or(Filled::Missing, Filled::Text),
        }
    }
}

/// Why a request makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Not an ARN of someone, a service, or `*`.
    #[error(
        "`{0}` is no principal: it must be the ARN of a root, user, role or session, a service's name, or `*` for nobody"
    )]
    Principal(String),
    /// Not one action.
    #[error("`{0}` is no action: it must be a service's prefix, a colon and a name, such as `s3:GetObject`")]
    Action(String),
    /// Neither an ARN nor `*`.
    #[error("`{0}` is no resource: it must be an ARN of six parts, or `*`")]
    Resource(String),
    /// Not twelve digits.
    #[error("`{0}` is no account: it must have twelve digits")]
    Account(String),
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) principal: Principal,
    /// As it was given.
    pub(crate) action_name: String,
    /// In lower case.
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) resource_account: Option<String>,
    pub(crate) context: Context,
}

impl Request {
    /// A request of a principal (an ARN, a service, or `*`) for an action on a resource (an ARN or `*`).
    ///
    /// The account that owns the resource is needed where the ARN does not name it; without it the principal's is
    /// taken. Keys that every request of the principal has (`aws:PrincipalArn`, `aws:PrincipalAccount`,
    /// `aws:PrincipalType`) are added where the context says nothing of them. An action that no resource can be named
    /// for is asked about `*`, whatever is given.
    pub fn new(
        principal: &str,
        action: &str,
        resource: &str,
        resource_account: Option<&str>,
        mut context: Context,
    ) -> Result<Self, RequestError> {
        let who = Principal::parse(principal).ok_or_else(|| RequestError::Principal(principal.to_owned()))?;
        if !is_action(action) {
            return Err(RequestError::Action(action.to_owned()));
        }
        let lower = action.to_ascii_lowercase();
        let arn = Segments::of(resource).filter(|_| resource.starts_with("arn:"));
        if resource != "*" && arn.is_none() {
            return Err(RequestError::Resource(resource.to_owned()));
        }
        if let Some(account) = resource_account.filter(|account| !is_account(account)) {
            return Err(RequestError::Account(account.to_owned()));
        }
        let own = arn.map(|arn| arn.account()).filter(|account| is_account(account));
        let resource_account = resource_account.or(own).or(who.account()).map(str::to_owned);
        let everything = data::action(&lower).is_some_and(|action| action.resources.is_empty());
        let resource = if everything { "*" } else { resource }.to_owned();
        for (key, value) in [
            ("aws:principalarn", who.principal_arn()),
            ("aws:principalaccount", who.account().map(str::to_owned)),
            ("aws:principaltype", who.type_name().map(str::to_owned)),
        ] {
            if let Some(value) = value {
                context.value(key, value);
            }
        }
        Ok(Self { principal: who, action_name: action.to_owned(), action: lower, resource, resource_account, context })
    }

    /// The service's prefix in lower case.
    pub(crate) fn service(&self) -> &str {
        self.action.split(':').next().unwrap_or_default()
    }

    /// Whether the resource belongs to another account than the principal.
    pub(crate) fn is_cross_account(&self) -> bool {
        match (self.principal.account(), &self.resource_account) {
            (Some(own), Some(other)) => own != other,
            _ => false,
        }
    }

    /// Whether the resource has a policy of its own that alone can open it: a KMS key, or a role to be assumed.
    pub(crate) fn needs_resource_policy(&self) -> bool {
        let resource = Segments::of(&self.resource).map_or("", |arn| arn.resource());
        match self.service() {
            "kms" => resource.starts_with("key/"),
            "sts" => self.assumes_role(),
            _ => false,
        }
    }

    /// Whether the policy of its resource is a trust policy.
    pub(crate) fn assumes_role(&self) -> bool {
        let resource = Segments::of(&self.resource).map_or("", |arn| arn.resource());
        self.service() == "sts" && resource.starts_with("role/")
    }
}

fn is_action(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.split_once(':').is_some_and(|(service, name)| is_word(service) && is_word(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "arn:aws:iam::111122223333:user/ci";

    fn request(action: &str, resource: &str, account: Option<&str>) -> Result<Request, RequestError> {
        Request::new(USER, action, resource, account, Context::default())
    }

    #[test]
    fn what_is_no_request() {
        for (action, resource, account) in [
            ("s3:Get*", "*", None),
            ("GetObject", "*", None),
            ("s3:GetObject", "bucket", None),
            ("s3:GetObject", "arn:aws:s3:b", None),
            ("s3:GetObject", "arn:aws:s3:::b/k", Some("1234")),
        ] {
            assert!(request(action, resource, account).is_err(), "{action} {resource} {account:?}");
        }
        let nobody = Request::new("ci", "s3:GetObject", "*", None, Context::default());
        assert_eq!(nobody, Err(RequestError::Principal("ci".to_owned())));
    }

    #[test]
    fn the_owner_is_the_arns_or_the_principals() {
        let account = |resource, given| request("s3:GetObject", resource, given).expect("valid").resource_account;
        assert_eq!(account("arn:aws:s3:::b/k", None).as_deref(), Some("111122223333"));
        assert_eq!(account("arn:aws:s3:::b/k", Some("999922223333")).as_deref(), Some("999922223333"));
        assert_eq!(account("arn:aws:sqs:eu-west-1:444422223333:q", None).as_deref(), Some("444422223333"));
    }

    #[test]
    fn keys_of_the_principal_are_there_unless_given() {
        let mut context = Context::default();
        context.value("AWS:PrincipalArn", "given");
        context.unknown("aws:PrincipalType");
        let request = Request::new(USER, "s3:GetObject", "*", None, context).expect("valid");
        let value = |key| request.context.get(key).cloned();
        let one = |text: &str| Some(ContextValue::Values { values: vec![text.to_owned()], list: false });
        assert_eq!(value("aws:principalarn"), one("given"));
        assert_eq!(value("aws:principalaccount"), one("111122223333"));
        assert_eq!(value("aws:principaltype"), Some(ContextValue::Unknown));
    }

    #[test]
    fn an_action_without_resources_is_asked_about_everything() {
        let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/*";
        assert_eq!(request("dynamodb:ListTables", table, None).expect("valid").resource, "*");
        assert_eq!(request("dynamodb:GetItem", table, None).expect("valid").resource, table);
    }
}
