//! The server as its clients see it: real connections, byte by byte.

#[cfg(test)]
mod access;
#[cfg(test)]
mod api;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod waiting;
