//! Texts that come in pieces, and ones too long to be kept.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use stateward_denial::Reader;

use crate::corpus::{found, texts, uncut};

/// What is found in a text that comes in pieces.
fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Value> {
    let mut reader = Reader::new();
    for piece in pieces {
        reader.push(piece);
    }
    reader.finish().problems.iter().map(|problem| serde_json::to_value(problem).expect("JSON")).collect()
}

#[test]
fn it_does_not_matter_in_which_pieces_a_text_comes() {
    for text in texts() {
        for size in [1, 3, 64] {
            assert_eq!(in_pieces(text.body.as_bytes().chunks(size)), text.problems, "{} by {size}", text.id);
        }
    }
}

/// Lines that tell nothing.
const NOISE: &str =
    "aws_iam_role.ci[\"web\"]: Refreshing state... [id=ci-role-for-the-deployment]\nmodule.x {\n  y = [1, 2]\n}\n";

#[test]
fn a_denial_is_found_and_counted_wherever_it_stands_in_a_long_log() {
    let names = [
        "identity-explicit-policy-arn",
        "lock-table-denied-twice",
        "lookup-events",
        "digest-with-both-sums",
        "cut-in-its-message",
    ];
    for text in texts().iter().filter(|text| names.iter().any(|name| text.id.ends_with(name))) {
        // So that it stands at each of many places in what is read at a time.
        for shift in 0..24 {
            let before = NOISE.repeat(2560 + shift * 5 + shift);
            let after = NOISE.repeat(600);
            let log = format!("{before}\n{}\n\n{after}", text.body);
            let mut expected = uncut(text.problems.clone());
            if text.id.ends_with("cut-in-its-message") {
                // Nobody can know where a record ends that does not.
                expected = found(text.body.as_bytes());
            }
            assert_eq!(in_pieces([log.as_bytes()]).len(), expected.len(), "{} behind {} bytes", text.id, before.len());
            if !text.id.ends_with("cut-in-its-message") {
                assert_eq!(
                    in_pieces(log.as_bytes().chunks(10_007)),
                    expected,
                    "{} behind {} bytes",
                    text.id,
                    before.len()
                );
            }
        }
    }
}

#[test]
fn what_is_told_again_and_again_is_told_once() {
    const TIMES: u64 = 3000;
    let texts = texts();
    let text = texts.iter().find(|text| text.id == "context/scp-explicit").expect("a text");
    let lines: Vec<String> = (0..TIMES).map(|number| format!("{number} {NOISE}\n{}\n", text.body)).collect();
    let mut expected = text.problems.clone();
    expected[0]["count"] = TIMES.into();
    assert_eq!(in_pieces(lines.iter().map(String::as_bytes)), expected);
}

#[test]
fn binaries_and_other_encodings_are_read() {
    let texts = texts();
    let text = texts.iter().find(|text| text.id == "terraform/lock-table-denied-by-scp").expect("a text");
    let utf_16: Vec<u8> = format!("\u{feff}{}", text.body).encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(found(&utf_16), text.problems);
    let binary: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let around = [&binary, text.body.as_bytes(), &binary].concat();
    assert_eq!(found(&around).len(), text.problems.len());
}

#[test]
fn what_fuzzing_has_kept_is_the_same_in_pieces() {
    let kept = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/denial")).expect("a corpus");
    let mut count = 0;
    for entry in kept {
        let path = entry.expect("an entry").path();
        // As the fuzz target takes it: how long the pieces are, and the text.
        let case = fs::read(&path).expect("a file");
        let (size, text) = case.split_first().map_or((0, &[][..]), |(size, text)| (usize::from(*size), text));
        assert_eq!(in_pieces(text.chunks(size + 1)), found(text), "{}", path.display());
        count += 1;
    }
    assert!(count >= 100, "{count}");
}

proptest! {
    #[test]
    fn the_cuts_between_pieces_do_not_matter(
        text in prop::sample::select(texts()),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let bytes = text.body.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&bytes[from..cut]);
            from = cut;
        }
        pieces.push(&bytes[from..]);
        prop_assert_eq!(in_pieces(pieces), text.problems);
    }
}
