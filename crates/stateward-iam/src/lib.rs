//! The AWS policy language: parse, evaluate, explain, lint and generate. Pure: no I/O, no async.

mod account;
mod check;
pub mod data;
mod endpoint;
mod eval;
mod generate;
mod isolation;
mod json;
mod lint;
pub mod names;
mod needs;
mod place;
mod policy;
mod printed;
mod request;
mod scenario;
mod size;
mod value;

pub use account::{AccountError, account_policies, is_account_details};
pub use check::{CheckError, CheckItem, check};
pub use endpoint::{EndpointError, endpoint_policies};
pub use eval::{Decision, Layer, Named, Outcome, PolicySet, StatementRef};
pub use generate::{Document, generate, generate_split};
pub use isolation::{Environment, IsolationError, Tried, Verdict, is_managed_policy, isolation};
pub use json::{JsonError, JsonErrorKind};
pub use lint::{Finding, Rule, Severity, lint};
pub use needs::{Keeping, KeepingError, Layout, Purpose, UnknownName};
pub use place::Place;
pub use policy::principal::Principal;
pub use policy::{Effect, Policy, PolicyError, PolicyErrorKind, PolicyKind, Statement, Version};
pub use printed::decode_sent;
pub use request::{Context, Request, RequestError};
pub use scenario::{Answer, AnswerStatement, Line, Scenario, ScenarioError, evaluate_json, evaluate_line};
pub use size::limit as size_limit;
pub use value::glob::is_like;
