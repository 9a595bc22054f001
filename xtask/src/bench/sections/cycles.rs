//! What a small apply does: LOCK, GET, POST, UNLOCK.

use std::time::Duration;

use super::super::crew::{Member, Until, drive};
use super::super::document::Document;
use super::super::report::{Line, Quantity};
use super::super::target::Mark;
use super::super::wire::Client;
use super::super::{Bench, Result, Served};

const TIME: Duration = Duration::from_secs(5);
const CLIENTS: u64 = 16;
const SIZE: usize = 21_000;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let served = bench.serve("cycles");
    let mut document = Document::of_size(SIZE);
    let mut crew = (0..CLIENTS).map(|index| member(&served, &mut document, index)).collect::<Result<Vec<_>>>()?;
    let (work, disk) = super::beside_disk(bench, || drive(&mut crew, Until::Time(TIME)))?;
    let name = format!("LOCK+GET+POST {} KB+UNLOCK, clients: {CLIENTS}", document.bytes.len() / 1000);
    let line = Line::new(name, Quantity::PerSecond(work.rate()), usize::try_from(work.rounds)?);
    bench.report(&line.against("fdatasync", Quantity::PerSecond(disk)).at_least(0.12));
    Ok(())
}

/// A client with a state of its own, which is there already. Without `Content-MD5`: computing it is the client's work.
fn member(served: &Served, document: &mut Document, index: u64) -> Result<Member> {
    let state = served.state(&format!("cycles-{index}"));
    document.renew(index + 1);
    Client::connect(&state)?.exchange(&state.request("POST", "", &document.bytes))?;
    let post = state.request("POST", &format!("?ID={}", Mark::LockId.text()), &document.bytes);
    let script = vec![state.lock(), state.request("GET", "", b""), post, state.unlock()];
    Member::new(&state, script, index, CLIENTS)
}
