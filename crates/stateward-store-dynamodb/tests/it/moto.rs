//! The engine against another server than Amazon's own.

use stateward_testkit::Moto;

use crate::place::InTable;

/// The suite, on a server of its own and one case after the other: a transaction of moto's copies all that its server holds, so each case
/// removes the table of the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_passes() {
    let moto = Moto::start();
    stateward_store::conformance::run(|| InTable::alone_on(moto.url())).await;
}
