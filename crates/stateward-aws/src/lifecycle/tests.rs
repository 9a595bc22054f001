use aws_sdk_s3::types::{LifecycleExpiration, LifecycleRuleAndOperator, LifecycleRuleFilter, Tag};

use super::*;

fn rule(filter: Option<LifecycleRuleFilter>) -> LifecycleRule {
    let end = LifecycleExpiration::builder().days(30).build();
    let rule = LifecycleRule::builder().id("r").status(ExpirationStatus::Enabled).set_filter(filter).expiration(end);
    rule.build().expect("a rule")
}

/// A rule that does something else.
fn with(filter: Option<LifecycleRuleFilter>, set: impl FnOnce(&mut LifecycleRule)) -> LifecycleRule {
    let mut rule = rule(filter);
    rule.expiration = None;
    set(&mut rule);
    rule
}

fn filter() -> aws_sdk_s3::types::builders::LifecycleRuleFilterBuilder {
    LifecycleRuleFilter::builder()
}

fn told(rule: LifecycleRule) -> Vec<String> {
    let told = |danger: &Danger| format!("`{}` {:?} {}", danger.prefix, danger.sizes, danger.deed.to("it"));
    dangers(&[rule], None, &[]).iter().map(told).collect()
}

#[test]
fn a_rule_holds_for_what_its_filter_lets_through() {
    let of = |filter: LifecycleRuleFilter| told(rule(Some(filter)));
    let deletes = "deletes it 30 days after the last write";
    assert_eq!(told(rule(None)), [format!("`` (None, None) {deletes}")]);
    assert_eq!(of(filter().build()), [format!("`` (None, None) {deletes}")]);
    assert_eq!(of(filter().prefix("a/").build()), [format!("`a/` (None, None) {deletes}")]);
    let tag = Tag::builder().key("k").value("v").build().expect("a tag");
    let tagged = rule(Some(filter().tag(tag.clone()).build()));
    let has = [("k".to_owned(), "v".to_owned())];
    assert_eq!(dangers(std::slice::from_ref(&tagged), None, &has).len(), 1);
    assert_eq!(told(tagged), [""; 0], "Terraform's states have no tags");
    let and = LifecycleRuleAndOperator::builder().prefix("a/");
    assert_eq!(of(filter().and(and.clone().tags(tag).build()).build()), [""; 0]);
    let sized = and.object_size_greater_than(5000).object_size_less_than(9000).build();
    assert_eq!(of(filter().and(sized).build()), [format!("`a/` (Some(5000), Some(9000)) {deletes}")]);
    assert_eq!(of(filter().object_size_greater_than(0).build()), [format!("`` (None, None) {deletes}")]);
    assert_eq!(of(filter().object_size_less_than(1).build()), [""; 0], "no state is so small");
    let mut old = rule(None);
    #[expect(deprecated, reason = "as rules were written once")]
    let prefix = &mut old.prefix;
    *prefix = Some("old/".to_owned());
    assert_eq!(told(old), [format!("`old/` (None, None) {deletes}")]);
    let mut off = rule(None);
    off.status = ExpirationStatus::Disabled;
    assert_eq!(told(off), [""; 0]);
}

#[test]
fn what_takes_nothing_from_anybody_is_no_danger() {
    let end = LifecycleExpiration::builder().expired_object_delete_marker(true).build();
    assert_eq!(told(with(None, |rule| rule.expiration = Some(end))), [""; 0]);
    let moved = |class: TransitionStorageClass| {
        let moved = Transition::builder().days(90).storage_class(class).build();
        told(with(None, |rule| rule.transitions = Some(vec![moved])))
    };
    for class in [TransitionStorageClass::GlacierIr, TransitionStorageClass::StandardIa] {
        assert_eq!(moved(class), [""; 0]);
    }
    assert_eq!(
        moved(TransitionStorageClass::Glacier),
        ["`` (None, None) moves it to GLACIER 90 days after the last write"]
    );
}

#[test]
fn a_day_counts_from_then_on() {
    let end = LifecycleExpiration::builder().date(DateTime::from_secs(1_800_000_000)).build();
    let told = told(with(None, |rule| rule.expiration = Some(end)));
    assert_eq!(told, ["`` (None, None) deletes it from 2027-01-15 on"]);
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html>
#[test]
fn small_objects_are_moved_where_a_rule_or_the_bucket_says_so() {
    use TransitionDefaultMinimumObjectSize::{AllStorageClasses128K, VariesByStorageClass};

    let moved = Transition::builder().days(1).storage_class(TransitionStorageClass::DeepArchive).build();
    let sizes = |filter: Option<LifecycleRuleFilter>, smallest: Option<TransitionDefaultMinimumObjectSize>| {
        let rule = with(filter, |rule| rule.transitions = Some(vec![moved.clone()]));
        dangers(&[rule], smallest.as_ref(), &[])[0].sizes
    };
    assert_eq!(sizes(None, Some(AllStorageClasses128K)), (Some((128 << 10) - 1), None));
    assert_eq!(sizes(None, Some(VariesByStorageClass)), (None, None));
    assert_eq!(sizes(None, None), (None, None), "others than AWS do not say");
    let small = filter().object_size_greater_than(500).build();
    assert_eq!(sizes(Some(small), Some(AllStorageClasses128K)), (Some(500), None));
    assert_eq!(dangers(&[rule(None)], Some(&AllStorageClasses128K), &[])[0].sizes, (None, None), "it deletes all");
}

#[test]
fn old_versions_that_go_soon() {
    let told = |days: Option<i32>, newest: Option<i32>| {
        let end =
            NoncurrentVersionExpiration::builder().set_noncurrent_days(days).set_newer_noncurrent_versions(newest);
        told(with(None, |rule| rule.noncurrent_version_expiration = Some(end.build())))
    };
    assert_eq!(told(Some(1), None), ["`` (None, None) deletes old versions of it after 1 day"]);
    assert_eq!(told(Some(3), Some(2)), ["`` (None, None) deletes old versions of it but the newest 2 after 3 days"]);
    for (days, newest) in [(7, None), (365, Some(1)), (1, Some(10))] {
        assert_eq!(told(Some(days), newest), [""; 0], "{days} {newest:?}");
    }
}

#[test]
fn which_names_a_prefix_reaches() {
    let one = Names::One("net/prod.tfstate".to_owned());
    let under = Names::Under("team/.stateward/".to_owned());
    let workspaces = Names::Between("env:/".to_owned(), "net/prod.tfstate".to_owned());
    for (prefix, expected) in [
        ("", [true, true, true]),
        ("net", [true, false, false]),
        ("net/prod.tfstate", [true, false, false]),
        ("net/prod.tfstate.tflock", [false, false, false]),
        ("team/", [false, true, false]),
        ("team/.stateward/packs/", [false, true, false]),
        ("env", [false, false, true]),
        ("env:/pr-", [false, false, true]),
        ("env:/pr-1/", [false, false, true]),
        ("env:/pr-1/net/", [false, false, true]),
        ("env:/pr-1/app/", [false, false, false]),
        ("env://net", [false, false, false]),
        ("logs/", [false, false, false]),
    ] {
        assert_eq!([&one, &under, &workspaces].map(|names| names.any_begins(prefix)), expected, "{prefix}");
    }
}

#[test]
fn which_names_of_a_store_in_workspaces() {
    let workspaces = Names::Between("env:/".to_owned(), "team/".to_owned());
    for (prefix, expected) in [("env:/a/team/net", true), ("env:/a/te", true), ("env:/a/other", false), ("te", false)] {
        assert_eq!(workspaces.any_begins(prefix), expected, "{prefix}");
    }
}

#[test]
fn whether_an_object_is_of_the_sizes() {
    let danger = |sizes| Danger { id: "r".into(), prefix: String::new(), deed: Deed::Deletes(When::After(1)), sizes };
    assert_eq!(danger((None, None)).takes(None), Some(true));
    let sized = danger((Some(500), Some(900)));
    assert_eq!(
        [None, Some(500), Some(501), Some(900)].map(|size| sized.takes(size)),
        [None, Some(false), Some(true), Some(false)]
    );
    assert_eq!(sized.of_sizes().as_deref(), Some("objects of more than 500 and less than 900 bytes"));
}
