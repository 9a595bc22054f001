//! Several requests at once, but not too many.

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use stateward_store::Result;

/// Requests of one operation that are under way at once.
const TOGETHER: usize = 16;

/// Does all of this, in any order, and gives the results in the order of the work. Ends at the first error.
pub async fn all<'a, T>(work: impl IntoIterator<Item = BoxFuture<'a, Result<T>>>) -> Result<Vec<T>> {
    // Boxed: the compiler cannot see that the futures of closures over references may change threads.
    let work: Vec<_> = work.into_iter().collect();
    stream::iter(work).buffered(TOGETHER).try_collect().await
}

/// Does all of this, whatever becomes of it.
pub async fn each<'a, T>(work: impl IntoIterator<Item = BoxFuture<'a, T>>) -> Vec<T> {
    let work: Vec<_> = work.into_iter().collect();
    stream::iter(work).buffered(TOGETHER).collect().await
}
