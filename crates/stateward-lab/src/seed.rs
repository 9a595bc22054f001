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

    /// A managed policy where it has an ARN, else an inline one.
    fn policy(&mut self, policy: &Stored) {
        match &policy.arn {
            Some(arn) => {
                self.managed(arn, &policy.document);
                self.ask(&format!("Attach{}Policy", self.kind), [("PolicyArn", arn.clone())]);
            }
            None => {
                let parameters = [("PolicyName", plain(&policy.name)), ("PolicyDocument", policy.document.to_string())];
                self.ask(&format!("Put{}Policy", self.kind), parameters);
            }
        }
    }

    fn boundary(&mut self, policy: &Stored) {
        let own = format!("arn:aws:iam::{}:policy/{}", account_of(self.arn).unwrap_or_default(), plain(&policy.name));
        let arn = policy.arn.clone().unwrap_or(own);
        self.managed(&arn, &policy.document);
        self.ask("PutRolePermissionsBoundary", [("PermissionsBoundary", arn)]);
    }

    /// AWS's own policies are there already.
    fn managed(&mut self, arn: &str, document: &Value) {
        if account_of(arn).is_some_and(|account| account != "aws") {
            self.ask(
                "CreatePolicy",
                [("PolicyName", name_of(arn).to_owned()), ("PolicyDocument", document.to_string())],
            );
        }
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
