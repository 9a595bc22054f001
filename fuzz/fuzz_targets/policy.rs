//! Any text as a policy of each kind: read, judged, and told where it is wrong; never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stateward_iam::{Policy, PolicyKind, lint};

const KINDS: [PolicyKind; 8] = [
    PolicyKind::Identity,
    PolicyKind::Boundary,
    PolicyKind::Session,
    PolicyKind::Resource,
    PolicyKind::Trust,
    PolicyKind::Scp,
    PolicyKind::Rcp,
    PolicyKind::VpcEndpoint,
];

fuzz_target!(|text: &str| {
    let kind = PolicyKind::of(text);
    for kind in KINDS.into_iter().filter(|one| *one != kind).take(2).chain([kind]) {
        let findings = lint(text, kind);
        match Policy::parse(text, kind) {
            Ok(policy) => assert!(policy.size() <= text.chars().count()),
            Err(error) => {
                assert!(error.place.offset <= text.len() && !error.message().is_empty());
                assert_eq!(findings.len(), 1, "what is malformed is not judged further");
            }
        }
        assert!(findings.iter().all(|finding| finding.place.offset <= text.len()));
        let _any = Policy::parse_printed(text, kind);
    }
});
