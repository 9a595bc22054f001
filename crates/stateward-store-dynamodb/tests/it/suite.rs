//! The engine passes the suite.

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
