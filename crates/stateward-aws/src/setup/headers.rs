//! What writes have to say about encryption, so that a bucket takes them: its policy may refuse those that say nothing, or that say what it
//! does not want.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stateward_iam::{Context, Named, Outcome, Policy, PolicyKind, PolicySet, Request};

use super::key::KeyIs;
use super::policy::{ALGORITHM, BROUGHT, KEY, KMS, TWO_LAYERS, is_everybody, statements};
use super::{Bucket, Found, Settings, Wanted};

/// What a write says about how it is to be encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// Nothing: the bucket's default is what it gets.
    None,
    /// S3's own key, `AES256`.
    S3,
    /// This key.
    Key(String),
}

/// What those who write say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// Terraform, by its backend block.
    pub terraform: Header,
    /// stateward, by its store.
    pub store: Header,
}

impl Headers {
    /// What is best said of what the bucket takes.
    pub fn of(wanted: &Wanted, found: &Found) -> Self {
        let settings = match &found.bucket {
            Some(Bucket::There(settings)) => Some(settings.as_ref()),
            _ => None,
        };
        let policy = settings.and_then(|settings| settings.policy.as_deref());
        let bucket = wanted.bucket.as_deref().unwrap_or_default();
        let takes = |header: &Header| policy.is_none_or(|policy| refusing(policy, wanted, bucket, header).is_empty());
        let first = |all: [Header; 2]| {
            let [best, other] = all;
            if !takes(&best) && takes(&other) { other } else { best }
        };
        match KeyIs::in_use(wanted, found) {
            KeyIs::Made(key) => {
                let key = Header::Key(key.to_owned());
                // By the key's name Terraform asks for one layer: two are had by saying nothing.
                if settings.and_then(default_of) == Some(TWO_LAYERS) {
                    let header = first([Header::None, key]);
                    return Self { terraform: header.clone(), store: header };
                }
                Self { terraform: first([key.clone(), Header::None]), store: first([Header::None, key]) }
            }
            // Terraform can ask for S3's own key or for one by its name: what is stricter than the one is had by saying nothing.
            KeyIs::NotWanted | KeyIs::NotMade
                if settings.and_then(default_of).is_some_and(|default| default.starts_with(KMS)) =>
            {
                let header = first([Header::None, Header::S3]);
                Self { terraform: header.clone(), store: header }
            }
            KeyIs::NotWanted | KeyIs::NotMade => {
                Self { terraform: first([Header::S3, Header::None]), store: first([Header::None, Header::S3]) }
            }
        }
    }
}

/// How the bucket encrypts what says nothing.
pub(super) fn default_of(settings: &Settings) -> Option<&str> {
    let rule = &settings.encryption.as_ref()?.rule;
    Some(rule.apply_server_side_encryption_by_default.as_ref()?.sse_algorithm.as_str())
}

/// What is said about a bucket's policy: whether each write has to say how it is encrypted, and whether there is anything left to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Demand {
    /// Nothing.
    None,
    /// That it is said; the statements that refuse else.
    Said(Vec<String>),
    /// That a key is named, and none is known; the statements that refuse else.
    Key(Vec<String>),
    /// What nobody can say: the statements that refuse one thing or the other.
    Impossible(Vec<String>),
}

/// What the policy of a bucket demands of those who write with this key.
pub(super) fn demand(policy: &str, wanted: &Wanted, bucket: &str, key: Option<&str>) -> Demand {
    let refusing = |header: &Header| refusing(policy, wanted, bucket, header);
    let silent = refusing(&Header::None);
    if silent.is_empty() {
        return Demand::None;
    }
    let said = refusing(&key.map_or(Header::S3, |key| Header::Key(key.to_owned())));
    let takes_a_key = || key.is_none() && refusing(&Header::Key(not_made(wanted))).is_empty();
    match said.is_empty() {
        true => Demand::Said(silent),
        false if takes_a_key() => Demand::Key(said),
        false => Demand::Impossible(silent.into_iter().chain(said).collect::<BTreeSet<_>>().into_iter().collect()),
    }
}

/// The statements by which the policy surely refuses such a write to everybody.
pub(super) fn refusing(policy: &str, wanted: &Wanted, bucket: &str, header: &Header) -> Vec<String> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let about = statements(&policy).unwrap_or_default().iter().enumerate().filter(|(_, one)| {
        let keys = condition_keys(one);
        one["Effect"] == "Deny" && is_everybody(&one["Principal"]) && keys.iter().any(|key| key.starts_with(ALGORITHM))
    });
    let refuses = about.filter(|(_, one)| denies(one, wanted, bucket, header) == Some(true));
    refuses
        .map(|(at, one)| one["Sid"].as_str().map_or_else(|| format!("statement {}", at + 1), str::to_owned))
        .collect()
}

/// The keys that a statement asks about, in small letters.
fn condition_keys(statement: &Value) -> Vec<String> {
    let operators = statement["Condition"].as_object().into_iter().flatten();
    let keys = operators.flat_map(|(_, keys)| keys.as_object().into_iter().flatten());
    keys.map(|(key, _)| key.to_ascii_lowercase()).collect()
}

/// Some key that is yet to be made.
pub(super) fn not_made(wanted: &Wanted) -> String {
    format!("arn:{}:kms:{}:{}:key/not-made", wanted.partition, wanted.region, wanted.account)
}

/// Whether a statement refuses a write, to somebody who may do everything; `None` where that cannot be told.
fn denies(statement: &Value, wanted: &Wanted, bucket: &str, header: &Header) -> Option<bool> {
    let named = |document: Value, kind| {
        let policy = Policy::parse(&document.to_string(), kind).ok()?;
        Some(Named { name: String::new(), policy })
    };
    let everything = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    let mut context = Context::default();
    context.value("aws:SecureTransport", "true");
    match header {
        Header::None => {}
        Header::S3 => _ = context.value(ALGORITHM, "AES256"),
        Header::Key(key) => {
            context.value(ALGORITHM, KMS);
            context.value(KEY, key.as_str());
        }
    }
    // Neither Terraform, as the block is printed, nor the store brings a key.
    let known = |key: &str| [ALGORITHM, KEY, BROUGHT, "aws:securetransport"].contains(&key);
    condition_keys(statement).iter().filter(|key| !known(key)).for_each(|key| _ = context.unknown(key));
    let set = PolicySet {
        identity: vec![named(everything, PolicyKind::Identity)?],
        resource: Some(named(json!({"Statement": statement}), PolicyKind::Resource)?),
        ..PolicySet::default()
    };
    let who = wanted.iam_arn("role", "terraform");
    let object = format!("{}/terraform.tfstate", wanted.bucket_arn(bucket));
    let request = Request::new(&who, "s3:PutObject", &object, Some(&wanted.account), context).ok()?;
    Some(set.evaluate(&request).outcome == Outcome::ExplicitDeny)
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionRule};

    use super::super::{Encryption, UsedKey};
    use super::*;

    const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555";

    fn wanted() -> Wanted {
        let [region, account, partition] = ["eu-west-1", "111122223333", "aws"].map(str::to_owned);
        Wanted { bucket: Some("states".to_owned()), region, account, partition, ..Wanted::default() }
    }

    fn deny(sid: &str, condition: &Value) -> Value {
        json!({"Sid": sid, "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::states/*", "Condition": condition})
    }

    fn policy(statements: &[Value]) -> String {
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    /// As many write them, and the module of Cloud Posse.
    fn nothing_unsaid() -> Value {
        deny("DenyUnEncryptedObjectUploads", &json!({"Null": {ALGORITHM: "true"}}))
    }

    fn only(algorithms: &[&str]) -> Value {
        deny("DenyIncorrectEncryptionHeader", &json!({"StringNotEquals": {ALGORITHM: algorithms}}))
    }

    fn headers(statements: &[Value], algorithm: ServerSideEncryption, key: Option<(&str, bool)>) -> Headers {
        let default = ServerSideEncryptionByDefault::builder().sse_algorithm(algorithm).build().expect("an algorithm");
        let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default).build();
        let key = key.map(|(arn, by_aws)| UsedKey { arn: arn.to_owned(), by_aws, unusable: None });
        let policy = (!statements.is_empty()).then(|| policy(statements));
        let settings = Settings { encryption: Some(Encryption { rule, key }), policy, ..Settings::default() };
        Headers::of(&wanted(), &Found { bucket: Some(Bucket::There(Box::new(settings))), ..Found::default() })
    }

    #[test]
    fn what_a_bucket_takes_is_said() {
        let key = || Header::Key(ARN.to_owned());
        let (aes, kms) = (|| ServerSideEncryption::Aes256, || ServerSideEncryption::AwsKms);
        let two_layers = || ServerSideEncryption::AwsKmsDsse;
        let both = [only(&["AES256", "aws:kms"]), nothing_unsaid()];
        for (statements, algorithm, used, terraform, store) in [
            (&[][..], aes(), None, Header::S3, Header::None),
            (&both, aes(), None, Header::S3, Header::S3),
            (&[], kms(), Some((ARN, false)), key(), Header::None),
            (&both, kms(), Some((ARN, false)), key(), key()),
            // Terraform cannot ask for two layers, which it gets where it asks for nothing.
            (&[], two_layers(), Some((ARN, false)), Header::None, Header::None),
            (&both, two_layers(), Some((ARN, false)), key(), key()),
            (&[], two_layers(), None, Header::None, Header::None),
            // KMS with AWS's key is stricter than what Terraform could ask for.
            (&[], kms(), None, Header::None, Header::None),
            (&[], kms(), Some(("alias/aws/s3", true)), Header::None, Header::None),
            (&both, kms(), None, Header::S3, Header::S3),
            // What is refused in part only, or to some, is not known to be refused.
            (
                &[deny("Some", &json!({"Null": {ALGORITHM: "true"}, "Bool": {"aws:MultiFactorAuthPresent": "true"}}))],
                aes(),
                None,
                Header::S3,
                Header::None,
            ),
        ] {
            let expected = Headers { terraform, store };
            assert_eq!(headers(statements, algorithm, used), expected, "{statements:?} {used:?}");
        }
    }

    #[test]
    fn what_cannot_be_written_at_all_is_seen() {
        let says = |statements: &[Value], key| demand(&policy(statements), &wanted(), "states", key);
        let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(says(&[], None), Demand::None);
        assert_eq!(says(&[nothing_unsaid()], Some(ARN)), Demand::Said(named(&["DenyUnEncryptedObjectUploads"])));
        assert_eq!(says(&[only(&["AES256"])], None), Demand::Said(named(&["DenyIncorrectEncryptionHeader"])));
        assert_eq!(
            says(&[only(&["AES256"])], Some(ARN)),
            Demand::Impossible(named(&["DenyIncorrectEncryptionHeader"]))
        );
        assert_eq!(says(&[only(&["aws:kms"])], None), Demand::Key(named(&["DenyIncorrectEncryptionHeader"])));
        assert_eq!(says(&[only(&["aws:kms"])], Some(ARN)), Demand::Said(named(&["DenyIncorrectEncryptionHeader"])));
        let brought = deny("KeysAreBrought", &json!({"Null": {BROUGHT: "true"}}));
        assert_eq!(says(&[brought], Some(ARN)), Demand::Impossible(named(&["KeysAreBrought"])));
        let none_brought = deny("NoKeyIsBrought", &json!({"Null": {BROUGHT: "false"}}));
        assert_eq!(says(&[none_brought], Some(ARN)), Demand::None);
        let of_somebody = json!({"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:user/bob"}, "Action": "s3:PutObject", "Resource": "*", "Condition": {"Null": {ALGORITHM: "true"}}});
        assert_eq!(says(&[of_somebody], None), Demand::None);
    }
}
