//! The conformance suite, whole: on each server with small blobs kept in records, as usual, and on the faster one also with all blobs
//! in packs.

use crate::world::{Somewhere, on_moto, on_versitygw};

mod moto {
    use super::*;
    stateward_store::conformance_suite!(Somewhere::usual(on_moto()));
}

mod versitygw {
    use super::*;
    stateward_store::conformance_suite!(Somewhere::usual(on_versitygw()));
}

mod versitygw_packs {
    use super::*;
    stateward_store::conformance_suite!(Somewhere::packed(on_versitygw()));
}
