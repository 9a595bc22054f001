//! The values of the policy language: patterns with wildcards and variables, ARNs, numbers, dates, addresses.

pub(crate) mod address;
pub(crate) mod arn;
pub(crate) mod date;
pub(crate) mod glob;
pub(crate) mod number;
pub(crate) mod spanning;
pub(crate) mod template;
