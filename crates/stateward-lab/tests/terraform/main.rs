//! Real Terraform with nothing but a generated policy: what the policy is for goes, and with any one action less it does
//! not, and the text that Terraform prints then is read as the lack of that action.
#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

mod bench;
mod cases;

use std::collections::BTreeSet;

use stateward_iam::Purpose;

use bench::{Bench, Variant};
use cases::Case;

#[test]
fn a_lock_file_and_an_encrypted_bucket() {
    check(&Bench::new(Variant { lockfile: true, table: false, key: true }));
}

#[test]
fn a_lock_table() {
    check(&Bench::new(Variant { lockfile: false, table: true, key: false }));
}

/// On the way from a lock table to a lock file a backend takes both.
#[test]
fn both_locks_at_once() {
    let bench = Bench::new(Variant { lockfile: true, table: true, key: true });
    let mut cases = cases::of_everything();
    // The other rights are those of the lock file alone or the table alone.
    let of_locks = bench.lessened().into_iter().filter(|lessened| lessened.sid.starts_with("Lock"));
    cases.extend(of_locks.map(Case::Lessened));
    bench.together(cases);
}

/// All that the policies are for, and every policy with one action less.
fn check(bench: &Bench) {
    let mut cases = cases::of_everything();
    cases.extend(bench.lessened().into_iter().map(Case::Lessened));
    bench.together(cases);
    every_right_was_used(bench);
}

/// No right is granted that nothing needs, but those to look at versions, which Terraform does not do.
fn every_right_was_used(bench: &Bench) {
    let granted: BTreeSet<String> = bench.granted(Purpose::Admin).into_iter().map(|(_, action)| action).collect();
    let used: BTreeSet<String> = bench.decisions().into_iter().map(|decision| decision.action).collect();
    let unused: Vec<&str> = granted.difference(&used).map(String::as_str).collect();
    assert_eq!(unused, Vec::<&str>::new());
}
