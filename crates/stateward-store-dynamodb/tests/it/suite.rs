//! The engine passes the suite.

use stateward_testkit::Moto;

use crate::place::InTable;

mod on_dynamodb_local {
    use stateward_testkit::DynamoDbLocal;

    use crate::place::InTable;

    stateward_store::conformance_suite!(InTable::on(DynamoDbLocal::shared().url()));
}

/// With the bytes in a bucket.
mod with_blobs {
    use crate::blobs::here;
    use crate::place::InTable;

    stateward_store::conformance_suite!(InTable::with_blobs(here()));
}

/// One case after the other: a transaction of moto's copies all that its server holds, so each case removes the table of the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_moto() {
    stateward_store::conformance::run(|| InTable::alone_on(Moto::shared().url())).await;
}
