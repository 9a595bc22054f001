//! Where versions come from.

use async_trait::async_trait;
use stateward_core::{BodyStream, Original, Result, StateId, Version};

use crate::connection::Connection;

/// Something that has the versions of one state.
#[async_trait]
pub trait Origin: Send + Sync {
    /// What history and messages call it: a URL without secrets, or a file's name.
    fn name(&self) -> String;

    /// Its versions, oldest first.
    async fn versions(&self) -> Result<Vec<Found>>;

    /// The bytes of one of them, by its place in that list.
    async fn open(&self, n: usize) -> Result<BodyStream>;

    /// Whether a version's time belongs to it, so that it can be known by it. That of a file changes with each copy of the file.
    fn keeps_times(&self) -> bool {
        true
    }

    /// Whether it may be the very place that the target shares with others: then what stands there is its current version, and
    /// nobody else's.
    fn may_stand_there(&self) -> bool {
        false
    }
}

/// A version of an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is known of it.
    pub original: Original,
    /// It is the current one.
    pub current: bool,
}

/// A state of a store or server.
#[derive(Debug)]
pub struct Held<'a> {
    connection: &'a dyn Connection,
    state: StateId,
}

impl<'a> Held<'a> {
    /// The state of this name there.
    pub fn new(connection: &'a dyn Connection, state: &StateId) -> Self {
        Self { connection, state: state.clone() }
    }
}

#[async_trait]
impl Origin for Held<'_> {
    fn name(&self) -> String {
        format!("{} in {}", self.state, self.connection.place())
    }

    async fn versions(&self) -> Result<Vec<Found>> {
        let history = self.connection.history(&self.state, None, None).await?;
        let found = history.items.into_iter().map(|item| Found { current: item.head, original: item.into() });
        Ok(found.rev().collect())
    }

    async fn open(&self, n: usize) -> Result<BodyStream> {
        let pulled = self.connection.pull(&self.state, Some(Version(n as u64 + 1))).await?;
        Ok(BodyStream { length: pulled.size, bytes: pulled.bytes })
    }
}
