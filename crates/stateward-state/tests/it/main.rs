//! Laws that hold over whole states.
#![expect(clippy::expect_used, reason = "tests fail by panicking, in helpers too")]

mod meaning;
mod merging;
mod plans;
mod reading;
mod restoring;

use proptest::prelude::*;
use serde_json::Value;
use stateward_state::generate::{Spec, state};
use stateward_state::{Summary, scan};

const KEY: [u8; 32] = [7; 32];

fn summary(body: &[u8]) -> Summary {
    scan::scan(body, KEY).expect("a valid state")
}

fn parse(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("valid JSON")
}

/// Small states of all layouts.
fn specs() -> impl Strategy<Value = Spec> {
    (0_usize..60, any::<u64>(), any::<bool>(), 0_usize..40).prop_map(|(resources, seed, indented, attribute_bytes)| {
        Spec { resources, seed, indented, attribute_bytes, ..Spec::default() }
    })
}

/// A body, fed in pieces that end at the given positions.
fn pieces<'a>(body: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut at = 0;
    for cut in cuts {
        pieces.push(&body[at..cut]);
        at = cut;
    }
    pieces.push(&body[at..]);
    pieces
}

#[test]
fn a_large_state_in_tiny_pieces_is_the_same() {
    let body = state(&Spec { resources: 40, ..Spec::default() });
    let whole = summary(&body);
    for size in [1, 2, 3, 7, 64] {
        let mut scanner = stateward_state::Scanner::new(KEY);
        for piece in body.chunks(size) {
            scanner.feed(piece).expect("valid");
        }
        assert_eq!(scanner.finish().expect("valid"), whole, "pieces of {size}");
    }
}
