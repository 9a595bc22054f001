//! `stateward state push`.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{StreamExt, TryStreamExt};
use stateward_client::{Source, push};
use stateward_core::{BodyStream, StateId};

use super::told;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Result;
use crate::input::Input;
use crate::output::progress::Progress;
use crate::store::Missing;

/// What a refusal begins with.
const NOT_PUSHED: &str = "the file was not pushed";

pub(super) async fn run(context: &Context, name: &StateId, file: &Path, force: bool) -> Result<Exit> {
    let source =
        if file == Path::new("-") { Input::standard(force, NOT_PUSHED)? } else { Input::file(file, NOT_PUSHED)? };
    let connection = context.connect(Missing::Make).await?;
    let stored = {
        let progress = Progress::bytes("pushing", source.length());
        push(&*connection, name, &Counted { source: &source, count: Arc::new(progress.counter()) }, force).await?
    };
    let done = if stored.renumbered { "stored under a new serial" } else { "stored" };
    context.out.answer(&stored, || told(name, &stored, done))
}

/// A source whose bytes are counted as they go.
struct Counted<'a, C> {
    source: &'a Input,
    count: Arc<C>,
}

#[async_trait]
impl<C: Fn(usize) + Send + Sync + 'static> Source for Counted<'_, C> {
    async fn open(&self) -> stateward_core::Result<BodyStream> {
        let BodyStream { length, bytes } = self.source.open().await?;
        let count = Arc::clone(&self.count);
        Ok(BodyStream { length, bytes: bytes.inspect_ok(move |piece| count(piece.len())).boxed() })
    }
}
