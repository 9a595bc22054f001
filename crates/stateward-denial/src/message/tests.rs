use super::*;
use crate::principal::PrincipalType;
use crate::problem::{Effect, Part};

fn parse(text: &str) -> Option<Message> {
    let squeezed = Squeezed::new(text, &[]);
    let verb = squeezed.find(0..squeezed.len(), VERB)?;
    read(&squeezed, verb.start, 0)
}

fn denial(text: &str) -> Denial {
    parse(text).unwrap_or_else(|| panic!("no message in {text:?}")).denial
}

const USER: &str = "arn:aws:iam::111122223333:user/ci";
const TABLE: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/locks";

#[test]
fn every_context_has_its_layer_and_effect() {
    use Layer::{
        Boundary, Identity, Kms, Rcp, Resource, S3BlockPublicAccess, Scp, Session, Trust, Unknown, VpcEndpoint,
    };
    let contexts = [
        ("because no identity-based policy allows the dynamodb:PutItem action", Identity, Effect::Implicit),
        ("with an explicit deny in an identity-based policy", Identity, Effect::Explicit),
        ("because no resource-based policy allows the dynamodb:PutItem action", Resource, Effect::Implicit),
        ("with an explicit deny in a resource-based policy", Resource, Effect::Explicit),
        ("because no permissions boundary allows the dynamodb:PutItem action", Boundary, Effect::Implicit),
        ("with an explicit deny in a permissions boundary", Boundary, Effect::Explicit),
        ("because no session policy allows the dynamodb:PutItem action", Session, Effect::Implicit),
        ("with an explicit deny in a sessions policy", Session, Effect::Explicit),
        ("because no service control policy allows the dynamodb:PutItem action", Scp, Effect::Implicit),
        ("with an explicit deny in a service control policy", Scp, Effect::Explicit),
        ("with an explicit deny in a resource control policy", Rcp, Effect::Explicit),
        ("because no VPC endpoint policy allows the dynamodb:PutItem action", VpcEndpoint, Effect::Implicit),
        ("with an explicit deny in a VPC endpoint policy", VpcEndpoint, Effect::Explicit),
        ("because no role trust policy allows the sts:AssumeRole action", Trust, Effect::Implicit),
        ("with an explicit deny in the role trust policy", Trust, Effect::Explicit),
        (
            "because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
            S3BlockPublicAccess,
            Effect::Explicit,
        ),
        (
            "because public ACLs are prevented by the BlockPublicAcls setting in S3 Block Public Access.",
            S3BlockPublicAccess,
            Effect::Explicit,
        ),
        (
            "because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
            Kms,
            Effect::Unknown,
        ),
        ("with an explicit deny", Unknown, Effect::Explicit),
        ("", Unknown, Effect::Unknown),
        ("because of the weather", Unknown, Effect::Unknown),
        ("because no constellation allows the dynamodb:PutItem action", Unknown, Effect::Implicit),
    ];
    for (context, layer, effect) in contexts {
        let text =
            format!("User: {USER} is not authorized to perform: dynamodb:PutItem on resource: {TABLE} {context}");
        let denial = denial(&text);
        assert_eq!((denial.layer, denial.effect), (layer, effect), "{context}");
        assert_eq!(denial.principal.arn.as_deref(), Some(USER), "{context}");
        assert_eq!(denial.action.as_deref(), Some("dynamodb:PutItem"), "{context}");
        assert_eq!(denial.resource.as_deref(), Some(TABLE), "{context}");
    }
}

#[test]
fn resources_are_named_in_many_ways() {
    for (named, expected) in [
        ("on resource: \"arn:aws:s3:::b/a key with, spaces\"", Some("arn:aws:s3:::b/a key with, spaces")),
        ("on resource: role deploy", Some("role deploy")),
        ("on resource: policy path /x", Some("policy path /x")),
        ("on resource: *", Some("*")),
        ("on resource: arn:aws:iam::111122223333:role/a", Some("arn:aws:iam::111122223333:role/a")),
        (
            "on resource `arn:aws:ses:eu-west-1:111122223333:identity/x`",
            Some("arn:aws:ses:eu-west-1:111122223333:identity/x"),
        ),
        ("on this resource", None),
        ("on resource: arn:aws:s3:::b\nError: another", Some("arn:aws:s3:::b")),
        ("", None),
    ] {
        let text = format!("User: {USER} is not authorized to perform: s3:GetObject {named}");
        assert_eq!(denial(&text).resource.as_deref(), expected, "{named}");
        let text = format!("{text} because no identity-based policy allows the s3:GetObject action");
        let denial = denial(&text);
        if !named.contains('\n') {
            assert_eq!((denial.resource.as_deref(), denial.layer), (expected, Layer::Identity), "{named}");
        }
    }
}

#[test]
fn who_asked_may_be_anybody_or_nobody() {
    for (who, arn, kind) in [
        ("User: arn:aws:iam::111122223333:user/ci is ", Some(USER), PrincipalType::User),
        ("user `arn:aws:iam::111122223333:user/ci` is ", Some(USER), PrincipalType::User),
        ("arn:aws:iam::111122223333:user/ci is ", Some(USER), PrincipalType::User),
        ("User: anonymous is ", None, PrincipalType::Anonymous),
        ("You are ", None, PrincipalType::Unknown),
        ("", None, PrincipalType::Unknown),
    ] {
        let denial = denial(&format!("{who}not authorized to perform: s3:ListBucket"));
        assert_eq!((denial.principal.arn.as_deref(), denial.principal.kind), (arn, kind), "{who}");
    }
    // Others refuse in these words, too.
    assert!(parse("You are not authorized to perform this action").is_none());
    assert!(parse("Bob is not authorized to perform: the dance").is_none());
}

#[test]
fn what_follows_the_context_is_read_and_is_not_part_of_it() {
    let core = format!("User: {USER} is not authorized to perform: iam:CreateRole on resource: {TABLE}");
    let policy = "arn:aws:iam::111122223333:policy/p";
    let text = format!(
        "{core} with an explicit deny in an identity-based policy: {policy}. Go to https://eu-west-1.console.aws.amazon.com/iam/home?region=eu-west-1#/authorization-details/0a1b2c for complete details, or call the GetRequestAuthorizationDetails API with the following authorization id: 0a1b2c."
    );
    let found = denial(&text);
    assert_eq!(found.policy_arn.as_deref(), Some(policy));
    assert!(found.has_authorization_id);
    assert_eq!(found.authorization_id.as_deref(), Some("0a1b2c"));
    let text = format!(
        "{core} because no identity-based policy allows the iam:CreateRole action. Encoded authorization failure message: abc-DEF_123"
    );
    let found = denial(&text);
    assert!(found.has_encoded_message);
    assert_eq!(found.encoded_message.as_deref(), Some("abc-DEF_123"));
    assert_eq!(found.policy_arn, None);
}

#[test]
fn a_name_goes_on_until_something_shows_that_it_ends() {
    let core = format!("User: {USER} is not authorized to perform: dynamodb:PutItem");
    for (end, cut) in [
        ("", Some(Part::Action)),
        ("...", Some(Part::Action)),
        (" on reso", Some(Part::Action)),
        (" on resource: *", Some(Part::Resource)),
        (" on resource: arn:aws:dynamodb:eu-west-1:111122223333:table/tf-lo", Some(Part::Resource)),
        (" on resource: arn:aws:dynamodb:eu-west-1:111122223333:table/tf.\n\n", Some(Part::Resource)),
        (" on resource: arn:aws:dynamodb:eu-west-1:111122223333:t", Some(Part::Resource)),
        (" on resource: arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12a", Some(Part::Resource)),
        (" on resource: arn:aws:kms:eu-west-1:111122223333:key/1234abcd… and so on", Some(Part::Resource)),
        (" on resource: arn:aws:dynamodb:eu-west-1:111122223333:table/locks because no", None),
        (" on resource: arn:aws:dynamodb:eu-west-1:111122223333:table/locks\nnext", None),
        (" on resource: arn:aws:dynamodb:eu-west-1:111122223333:table/locks\"", None),
        (" on resource: \"arn:aws:s3:::bucket/key\"", None),
        (" on resource: \"arn:aws:s3:::bucket/k", None),
        (
            " on resource: * with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-a/p",
            Some(Part::Policy),
        ),
        (
            " on resource: * with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-a/p\"",
            None,
        ),
    ] {
        assert_eq!(denial(&format!("{core}{end}")).cut, cut, "{end}");
    }
}

#[test]
fn half_a_word_is_no_layer() {
    let core = format!("User: {USER} is not authorized to perform: s3:GetObject on resource: {TABLE}");
    for cut in
        ["with an explicit deny in a resource", "with an explicit deny in a service", "with an explicit deny in a s"]
    {
        let found = denial(&format!("{core} {cut}"));
        assert_eq!((found.layer, found.effect), (Layer::Unknown, Effect::Explicit), "{cut}");
    }
    assert_eq!(denial(&format!("{core} because no resource")).layer, Layer::Unknown);
}
