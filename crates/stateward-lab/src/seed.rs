//! The world's principals, as requests that make them upstream: so that what reads IAM there finds them.

use serde_json::Value;

use crate::world::{Stored, World, account_of, name_of, resource_of};

/// A request of IAM's protocol, and the account that it is for.
pub(crate) type Made = (String, Vec<(&'static str, String)>);

/// What makes users and roles with their policies, in order.
pub(crate) fn requests(world: &World) -> Vec<Made> {
    let mut made = Vec::new();
    for user in world.users.iter().filter(|user| resource_of(&user.arn) != "root") {
        let mut maker = Maker::new("User", &user.arn, &mut made);
        let path = maker.path();
        maker.ask("CreateUser", [("Path", path)]);
        user.policies.iter().for_each(|policy| maker.policy(policy));
    }
    for role in &world.roles {
        let mut maker = Maker::new("Role", &role.arn, &mut made);
        let trust = role.trust.as_ref().map_or_else(|| "{}".to_owned(), |trust| trust.document.to_string());
        let path = maker.path();
        maker.ask("CreateRole", [("Path", path), ("AssumeRolePolicyDocument", trust)]);
        role.policies.iter().for_each(|policy| maker.policy(policy));
        if let Some(boundary) = &role.boundary {
            maker.boundary(boundary);
        }
    }
    made
}

/// What a request makes, and of whom.
pub(crate) fn told(parameters: &[(&str, String)]) -> String {
    let said = parameters.iter().filter(|(name, _)| name.ends_with("Name") || *name == "Action");
    said.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ")
}

struct Maker<'a> {
    kind: &'static str,
    arn: &'a str,
    made: &'a mut Vec<Made>,
}

impl<'a> Maker<'a> {
    fn new(kind: &'static str, arn: &'a str, made: &'a mut Vec<Made>) -> Self {
        Self { kind, arn, made }
    }

    /// `/` and what stands before its name.
    fn path(&self) -> String {
        let name = resource_of(self.arn).split_once('/').map_or("", |(_, name)| name);
        format!("/{}", name.strip_suffix(name_of(name)).unwrap_or_default())
    }

    fn ask<const N: usize>(&mut self, action: &str, parameters: [(&'static str, String); N]) {
        let name = if self.kind == "User" { "UserName" } else { "RoleName" };
        let mut all = vec![("Action", action.to_owned()), ("Version", "2010-05-08".to_owned())];
        all.push((name, name_of(self.arn).to_owned()));
        all.extend(parameters);
        self.made.push((account_of(self.arn).unwrap_or_default().to_owned(), all));
    }

    /// A managed policy where it has an ARN, else an inline one. AWS's own ones are not to be had behind the lab.
    fn policy(&mut self, policy: &Stored) {
        match policy.arn.as_ref().filter(|arn| account_of(arn) != Some("aws")) {
            Some(arn) => {
                self.managed(arn, &policy.document);
                self.ask(&format!("Attach{}Policy", self.kind), [("PolicyArn", arn.clone())]);
            }
            None => {
                let parameters = [("PolicyName", plain(&policy.name)), ("PolicyDocument", current(&policy.document))];
                self.ask(&format!("Put{}Policy", self.kind), parameters);
            }
        }
    }

    fn boundary(&mut self, policy: &Stored) {
        let own = format!("arn:aws:iam::{}:policy/{}", account_of(self.arn).unwrap_or_default(), plain(&policy.name));
        let arn = policy.arn.clone().filter(|arn| account_of(arn) != Some("aws")).unwrap_or(own);
        self.managed(&arn, &policy.document);
        self.ask("PutRolePermissionsBoundary", [("PermissionsBoundary", arn)]);
    }

    fn managed(&mut self, arn: &str, document: &Value) {
        let parameters = [("PolicyName", name_of(arn).to_owned()), ("PolicyDocument", current(document))];
        self.ask("CreatePolicy", parameters);
    }
}

/// The same in the policy language's current version, the only one that moto takes. An older one knows no variables: what looks like
/// one is text there.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html>
fn current(document: &Value) -> String {
    const VERSION: &str = "2012-10-17";
    let mut document = document.clone();
    if document.get("Version").and_then(Value::as_str) != Some(VERSION) {
        plain_text(&mut document);
        document["Version"] = VERSION.into();
    }
    document.to_string()
}

/// Writes the `$` of what would be a variable as one itself.
fn plain_text(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("${", "${$}{"),
        Value::Array(all) => all.iter_mut().for_each(plain_text),
        Value::Object(all) => all.values_mut().for_each(plain_text),
        _ => {}
    }
}

/// A name that IAM takes for a policy.
fn plain(name: &str) -> String {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "+=,.@_-".contains(char);
    name.chars().map(|char| if allowed(char) { char } else { '-' }).take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_of_an_older_version_say_the_same() {
        let policy = |version: Option<&str>, resource: &str| {
            let mut policy = serde_json::json!({ "Statement": { "Resource": [resource], "Effect": "Allow" } });
            if let Some(version) = version {
                policy["Version"] = version.into();
            }
            policy
        };
        let (variable, new) = ("arn:aws:s3:::b/${aws:username}", Some("2012-10-17"));
        assert_eq!(current(&policy(new, variable)), policy(new, variable).to_string());
        let text = policy(new, "arn:aws:s3:::b/${$}{aws:username}").to_string();
        assert_eq!(current(&policy(None, variable)), text);
        assert_eq!(current(&policy(Some("2008-10-17"), variable)), text);
    }

    #[test]
    fn names_and_paths_are_as_iam_takes_them() {
        assert_eq!(plain("users[0].policies[1]"), "users-0-.policies-1-");
        let mut made = Vec::new();
        for (arn, expected) in
            [("arn:aws:iam::123456789012:role/deploy", "/"), ("arn:aws:iam::123456789012:role/a/b/deploy", "/a/b/")]
        {
            assert_eq!(Maker::new("Role", arn, &mut made).path(), expected);
        }
    }
}
