//! The rules of the policy language, one by one; laws that hold for all policies; and a second opinion.
#![expect(clippy::expect_used, reason = "tests fail by panicking, in helpers too")]
#![expect(clippy::needless_pass_by_value, reason = "policies are written where they are passed")]

mod account;
mod case;
mod combining;
mod conditions;
mod endpoint;
mod isolation;
mod laws;
mod lint;
mod malformed;
mod matching;
mod needs;
mod oracle;
mod printed;
mod random;
mod unknown;
