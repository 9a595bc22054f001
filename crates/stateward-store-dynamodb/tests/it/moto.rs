//! The engine against another server than Amazon's own.

use stateward_testkit::Moto;

use crate::place::InTable;

/// Every order in which a session and the collector take their steps: it is the engine that has to hold there, whatever the server, and
/// on Amazon's own server it does (`suite`). It takes as long here as all other cases together.
const LEFT_OUT: [&str; 1] = ["sweep_never_takes_what_a_session_holds"];

/// The suite, one case after the other: moto does one thing at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_passes() {
    stateward_store::conformance::run_without(&LEFT_OUT, || InTable::on(Moto::shared().url())).await;
}
