//! Any bytes as what a tool has printed: read without a panic, and the same in whatever pieces they come.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use stateward_denial::{Reader, read};

#[derive(Debug, Arbitrary)]
struct Case<'a> {
    piece: u8,
    text: &'a [u8],
}

fuzz_target!(|case: Case<'_>| {
    let whole = read(case.text);
    let mut reader = Reader::new();
    for piece in case.text.chunks(usize::from(case.piece) + 1) {
        reader.push(piece);
    }
    assert_eq!(reader.finish().problems, whole, "in pieces of {}", usize::from(case.piece) + 1);
});
