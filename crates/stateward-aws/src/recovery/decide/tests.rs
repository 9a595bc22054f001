use super::*;
use crate::recovery::facts::md5_of;

fn state(serial: u64, lineage: &str, content: &str) -> String {
    format!(
        r#"{{"version":4,"serial":{serial},"lineage":"{lineage}","outputs":{{"o":{{"value":"{content}","type":"string"}}}},"resources":[]}}"#
    )
}

fn encrypted(serial: u64) -> String {
    format!(
        r#"{{"serial":{serial},"lineage":"l","meta":{{}},"encrypted_data":"AAA{serial}","encryption_version":"v0"}}"#
    )
}

fn copy(version: &str, body: &str) -> StateCopy {
    StateCopy::of(Some(version.to_owned()), None, body.as_bytes())
}

/// What stands there, what stood there before (latest first), and the bytes whose digest the table has.
fn facts(current: Option<&str>, older: &[&str], digest: Option<&str>) -> Facts {
    Facts {
        bucket: "states".to_owned(),
        object: "net".to_owned(),
        table: Some("locks".to_owned()),
        digest: digest.map(|body| md5_of(body.as_bytes())),
        current: current.map(|body| copy("now", body)),
        older: older.iter().enumerate().map(|(n, body)| copy(&format!("old{n}"), body)).collect(),
        older_unread: 0,
        older_unseen: None,
        mark: None,
    }
}

/// A decision in short: what is written with which serial, and what becomes of the digest.
fn short(decision: &Decision) -> String {
    match decision {
        Decision::Fits { .. } => "fits".to_owned(),
        Decision::Repair(plan) => plan_in_short(plan),
        Decision::Choose { choices, .. } => {
            let each = |choice: &Choice| choice.plan.as_ref().map_or("-".to_owned(), plan_in_short);
            format!("choose: {}", choices.iter().map(each).collect::<Vec<_>>().join(" or "))
        }
        Decision::Refused { .. } => "refused".to_owned(),
    }
}

fn plan_in_short(plan: &Plan) -> String {
    let write = plan.write.as_ref().map(|write| {
        let from = write.version.as_deref().unwrap_or("itself");
        write.serial.map_or_else(|| format!("{from}, "), |serial| format!("{from} as {serial}, "))
    });
    let digest = if plan.digest == DigestStep::Remove { "remove digest" } else { "digest" };
    format!("{}{digest}", write.unwrap_or_default())
}

#[track_caller]
fn check(facts: &Facts, alone: &str, object: &str, digest: &str) {
    let wish = |keep| Wish { keep, version: None };
    assert_eq!(short(&decide(facts, wish(None))), alone);
    assert_eq!(short(&decide(facts, wish(Some(Keep::Object)))), object);
    assert_eq!(short(&decide(facts, wish(Some(Keep::Digest)))), digest);
}

#[test]
fn what_fits_is_left_alone() {
    let s = state(3, "l", "a");
    check(&facts(Some(&s), &[], Some(&s)), "fits", "fits", "fits");
    check(&facts(Some(&s), &[], None), "fits", "fits", "fits");
    check(&facts(None, &[], None), "fits", "fits", "fits");
    check(&Facts { table: None, ..facts(Some(&s), &[], None) }, "fits", "fits", "fits");
}

/// What was not looked at may be what is looked for.
#[test]
fn nothing_is_said_of_versions_that_were_not_read() {
    let (s, other) = (state(3, "l", "a"), state(4, "l", "b"));
    let told = |older_unread, current: Option<&str>| {
        let facts = Facts { older_unread, ..facts(current, &[&s], Some("no such")) };
        let Decision::Choose { why, choices } = decide(&facts, Wish::default()) else { panic!("it is not decided") };
        format!("{why}; {}", choices.into_iter().find_map(|choice| choice.not).unwrap())
    };
    for current in [Some(other.as_str()), None] {
        let (all, some) = (told(0, current), told(7, current));
        assert!(all.ends_with("with this digest is kept"), "{all}");
        assert!(some.contains("7 older ones were not read") && some.ends_with("was found"), "{some}");
    }
}

#[test]
fn a_digest_of_an_older_version_was_left_behind() {
    let (old, new) = (state(3, "l", "a"), state(4, "l", "b"));
    check(&facts(Some(&new), &[&old], Some(&old)), "digest", "digest", "old0 as 5, digest");
    // Lower, and still not the highest there was: the evidence contradicts itself.
    let highest = state(9, "l", "c");
    let mixed = facts(Some(&new), &[&old, &highest], Some(&old));
    check(&mixed, "choose: itself as 10, digest or old0 as 10, digest", "itself as 10, digest", "old0 as 10, digest");
}

#[test]
fn an_old_copy_that_was_put_back_by_hand_is_somebody_s_choice() {
    let (old, new) = (state(3, "l", "a"), state(4, "l", "b"));
    let f = facts(Some(&old), &[&new, &old], Some(&new));
    check(&f, "choose: itself as 5, digest or old0, digest", "itself as 5, digest", "old0, digest");
    // Two with one serial: no one knows which was meant.
    let twin = state(4, "l", "c");
    let f = facts(Some(&twin), &[&new], Some(&new));
    check(&f, "choose: itself as 5, digest or old0 as 5, digest", "itself as 5, digest", "old0 as 5, digest");
}

#[test]
fn a_digest_of_nothing_that_is_kept_is_somebody_s_choice() {
    let (a, b) = (state(3, "l", "a"), state(4, "l", "b"));
    check(&facts(Some(&a), &[], Some(&b)), "choose: digest or -", "digest", "refused");
    let f = facts(Some(&a), &[&state(7, "l", "x"), &state(9, "other", "y")], Some(&b));
    check(&f, "choose: itself as 8, digest or -", "itself as 8, digest", "refused");
}

#[test]
fn another_state_is_never_taken_for_this_one() {
    let (mine, other) = (state(4, "l", "a"), state(3, "m", "a"));
    let f = facts(Some(&mine), &[&other], Some(&other));
    check(&f, "choose: digest or old0, digest", "digest", "old0, digest");
}

#[test]
fn what_is_no_state_gives_way_to_what_the_digest_names() {
    let good = state(3, "l", "a");
    check(&facts(Some("{"), &[&good], Some(&good)), "old0, digest", "refused", "old0, digest");
    check(&facts(Some("{"), &["[]"], Some("[]")), "choose: - or -", "refused", "refused");
    check(&facts(Some("{"), &[], Some(&good)), "choose: - or -", "refused", "refused");
    check(&facts(Some("{"), &[&good], Some("{")), "choose: - or -", "refused", "refused");
    check(&facts(Some("{"), &[&good], None), "choose: - or -", "refused", "refused");
    check(&facts(Some(&good), &["[]"], Some("[]")), "choose: digest or -", "digest", "refused");
}

#[test]
fn a_digest_without_a_state_is_somebody_s_choice() {
    let s = state(3, "l", "a");
    check(&facts(None, &[&s], Some(&s)), "choose: remove digest or old0, digest", "remove digest", "old0, digest");
    check(&facts(None, &[], Some(&s)), "choose: remove digest or -", "remove digest", "refused");
}

#[test]
fn an_encrypted_state_keeps_its_serial() {
    let (old, new) = (encrypted(3), encrypted(4));
    check(&facts(Some(&new), &[&old], Some(&old)), "digest", "digest", "refused");
    check(&facts(Some(&old), &[&new], Some(&new)), "choose: - or old0, digest", "refused", "old0, digest");
}

#[test]
fn a_repair_that_was_cut_off_before_the_digest_goes_on_with_it() {
    let (old, new) = (state(3, "l", "a"), state(4, "l", "b"));
    // The old copy was kept, and written with serial 5; the digest is still that of the one before.
    let kept = state(5, "l", "a");
    check(&facts(Some(&kept), &[&old, &new, &old], Some(&new)), "digest", "digest", "old1 as 6, digest");
    // The other way round: what the digest names was brought back, under a new serial.
    let back = state(5, "l", "a");
    check(&facts(Some(&back), &[&new, &old], Some(&old)), "digest", "digest", "digest");
}

#[test]
fn a_version_that_is_named_is_brought_back_under_a_new_serial() {
    let (old, new) = (state(3, "l", "a"), state(4, "l", "b"));
    let back = |facts: &Facts, version| short(&decide(facts, Wish { keep: None, version: Some(version) }));
    let f = facts(Some(&new), &[&old, &state(1, "m", "z"), "{", &encrypted(2)], Some(&new));
    assert_eq!(back(&f, "old0"), "old0 as 5, digest");
    assert_eq!(back(&f, "now"), "fits");
    for refused in ["old1", "old2", "old3", "nowhere"] {
        assert_eq!(back(&f, refused), "refused", "{refused}");
    }
    for (version, tool) in [("old1", "terraform"), ("old3", "tofu")] {
        let Decision::Refused { next, .. } = decide(&f, Wish { keep: None, version: Some(version) }) else {
            unreachable!()
        };
        let fetch = format!("aws s3api get-object --bucket states --key net --version-id {version} restored.tfstate");
        assert!(
            next.contains(&fetch) && next.contains(&format!("{tool} state push -force restored.tfstate")),
            "{next}"
        );
    }
    // Whatever the digest says, and without a table.
    assert_eq!(back(&facts(Some(&new), &[&old], Some("x")), "old0"), "old0 as 5, digest");
    assert_eq!(back(&facts(None, &[&old], None), "old0"), "old0, digest");
    assert_eq!(back(&Facts { table: None, ..facts(Some(&new), &[&old], None) }, "old0"), "old0 as 5, digest");
    // Once more, when it is done, and when it was cut off before the digest.
    let done = state(5, "l", "a");
    assert_eq!(back(&facts(Some(&done), &[&new, &old], Some(&done)), "old1"), "fits");
    assert_eq!(back(&facts(Some(&done), &[&new, &old], Some(&new)), "old1"), "digest");
}
