//! What every engine has to pass: the contract of [`Store`] and [`Session`](crate::Session), sentence by sentence.
//!
//! An engine's tests say where a new, empty store is, and get one test for each case:
//!
//! ```ignore
//! stateward_store::conformance_suite!(MyPlace::new());
//! ```

#![expect(clippy::expect_used, reason = "a test suite that other crates run: what does not hold has to panic")]

mod blobs;
mod durability;
mod faults;
mod help;
mod races;
mod records;
mod sweeps;

use std::sync::Arc;

use async_trait::async_trait;

use crate::Store;

pub use blobs::*;
pub use durability::*;
pub use faults::*;
pub use races::*;
pub use records::*;
pub use sweeps::*;

/// Where one store is.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens the store. The first time it is empty. Called again when all handles of an earlier call have been dropped,
    /// it opens the same store with all that was acknowledged.
    async fn open(&self) -> Arc<dyn Store>;
}

/// Hands the names of all cases to a macro, so that they are listed once.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($then:ident [$($arguments:tt)*]) => {
        $crate::$then! {
            [$($arguments)*]
            absent_record_is_none
            expect_absent_creates_once
            expect_revision_replaces_only_that_revision
            expect_any_takes_whatever_is_there
            conflict_reports_what_is_there
            losing_commit_changes_nothing_it_names
            commit_writes_all_and_answers_the_last
            commit_without_value_removes
            commit_without_writes_is_refused
            delete_removes_only_the_expected
            revisions_are_never_used_again
            list_is_ordered_and_bounded
            list_takes_any_key
            values_are_limited
            increments_are_not_lost
            creation_has_one_winner
            later_reads_see_an_acknowledged_commit
            blobs_come_back_as_they_were_put
            missing_blob_is_not_found
            blobs_are_limited
            put_of_a_known_blob_is_fine
            share_finds_only_what_is_there
            dropped_session_leaves_nothing
            session_commits_again_after_a_conflict
            session_takes_many_blobs
            sessions_side_by_side_do_not_mix
            sweep_keeps_what_is_live
            sweep_keeps_what_is_fresh
            sweep_removes_the_dead_in_the_second_round
            sweep_never_takes_what_a_session_holds
            acknowledged_writes_survive_reopening
            store_is_ready_and_finds_nothing_wrong
            backup_is_made_or_refused
            fault_before_has_no_effect_and_after_has_all
            duplicates_do_no_harm
            retries_converge_under_random_faults
        }
    };
}

/// Makes a `#[tokio::test]` of each case. The argument is an expression that gives a new [`Place`](crate::conformance::Place) with
/// an empty store; it is evaluated once for each case.
#[macro_export]
macro_rules! conformance_suite {
    ($place:expr) => {
        $crate::conformance_cases! { conformance_tests [$place] }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ([$place:expr] $($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            $crate::conformance::$case(&$place).await;
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_run {
    ([$make:ident $left_out:ident] $($case:ident)*) => {
        let known = [$(stringify!($case)),*];
        assert!($left_out.iter().all(|name| known.contains(name)), "no such cases: {:?}", $left_out);
        $(
            if !$left_out.contains(&stringify!($case)) {
                $case(&$make()).await;
            }
        )*
    };
}

/// Runs every case one after the other, each in a new place. Panics at the first that does not hold.
pub async fn run<P: Place>(make: impl Fn() -> P) {
    run_without(&[], make).await;
}

/// The same without the cases of these names.
pub async fn run_without<P: Place>(left_out: &[&str], make: impl Fn() -> P) {
    crate::conformance_cases! { conformance_run [make left_out] }
}
