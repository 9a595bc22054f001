//! How fast large states go through. Run in release: `cargo test --release -p stateward-server -- --ignored --nocapture large`.

#![expect(clippy::disallowed_methods, reason = "durations for people")]

use std::fmt::Write;
use std::time::Instant;

use stateward_testkit::Body;

use crate::fixture::{Server, md5_of};

/// 100,000 instances of a kilobyte each.
fn large_state(serial: u64) -> Vec<u8> {
    let mut text = format!(
        r#"{{"version":4,"terraform_version":"1.15.5","serial":{serial},"lineage":"x","outputs":{{}},"resources":["#
    );
    for n in 0..100_000u64 {
        let comma = if n > 0 { "," } else { "" };
        write!(text, r#"{comma}{{"mode":"managed","type":"aws_instance","name":"i{n}","provider":"p","instances":[{{"schema_version":1,"attributes":{{"#).unwrap();
        for attribute in 0..24u64 {
            let value = (n * 24 + attribute).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            write!(text, r#""attribute_{attribute}":"{value:016x}","#).unwrap();
        }
        text.push_str(r#""id":"i"},"dependencies":[]}]}"#);
    }
    text.push_str(r#"],"check_results":null}"#);
    text.into_bytes()
}

#[test]
#[ignore = "a measurement"]
fn large_states() {
    let server = Server::start();
    for serial in 1..=3 {
        let body = large_state(serial);
        let md5 = md5_of(&body);
        let start = Instant::now();
        server.http.request("POST", "/state/large", &[("Content-MD5", &md5)], &body).expect_status(200);
        println!("POST {} MB: {:?}", body.len() / 1_000_000, start.elapsed());
        let mut connection = server.connect();
        let start = Instant::now();
        let answer = connection.request("GET", "/state/large", &[], Body::None).unwrap();
        println!("GET {} MB: {:?}", answer.body.len() / 1_000_000, start.elapsed());
        assert!(answer.body == body);
    }
}
