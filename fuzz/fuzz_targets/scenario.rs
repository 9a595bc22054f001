//! Any text as a scenario: a decision with its reasons, or an error; never a panic, and the same each time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stateward_iam::{Outcome, evaluate_json};

fuzz_target!(|text: &str| {
    let Ok(answer) = evaluate_json(text) else { return };
    assert_eq!(evaluate_json(text).as_ref(), Ok(&answer));
    assert_eq!(answer.layer.is_none(), answer.decision == Outcome::Allowed, "{answer:?}");
    assert_eq!(answer.possible.is_empty(), answer.decision != Outcome::Depends, "{answer:?}");
});
