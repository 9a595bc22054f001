//! What a number of states does to the cost of one.

use super::super::crew::{Member, Until, Work, drive};
use super::super::document::Document;
use super::super::report::{Line, Quantity};
use super::super::stats::Samples;
use super::super::target::Mark;
use super::super::wire::Client;
use super::super::{Bench, Result, Served};

const FEW: u64 = 10;
const MANY: u64 = 100_000;
const LOADERS: u64 = 10;
const PAGES: usize = 300;
const PAIRS: usize = 1000;

/// Costs in a store of one size.
struct Costs {
    loaded: Work,
    /// A page of as many states as the small store has.
    short_page: Samples,
    page: Samples,
    pair: Samples,
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let few = measure(&bench.serve("many-few"), FEW)?;
    let many = measure(&bench.serve("many"), MANY)?;
    let name = format!("loading {MANY} states of 1 KB took {:.0} s", many.loaded.seconds);
    bench.report(&Line::new(name, Quantity::PerSecond(many.loaded.rate()), usize::try_from(MANY)?));
    let mut line = |name: &str, of: fn(&Costs) -> &Samples, goal: Option<f64>| {
        let line = Line::new(name, Quantity::Millis(of(&many).median()), of(&many).len());
        let line = line.against(format!("with {FEW}"), Quantity::Millis(of(&few).median()));
        bench.report(&goal.map_or(line.clone(), |goal| line.at_most(goal)));
    };
    line("page of 10 from the middle, of 100,000", |costs| &costs.short_page, Some(1.5));
    line("page of 100 from the middle (with 10: of 10)", |costs| &costs.page, None);
    line("LOCK+UNLOCK, among 100,000", |costs| &costs.pair, Some(1.5));
    Ok(())
}

fn measure(served: &Served, states: u64) -> Result<Costs> {
    let loaded = load(served, states)?;
    let middle = Mark::Name.with(states / 2);
    let state = served.state(&middle);
    let mut client = Client::connect(&state)?;
    let mut page = |limit: u64, times: usize| {
        // Ten states have no middle from which a page of ten could be had.
        let after = if states == FEW { String::new() } else { format!("&after={middle}") };
        let request = served.target("/api/v1/states").request("GET", &format!("?limit={limit}{after}"), b"");
        super::repeated(times, || client.exchange(&request))
    };
    page(100, PAGES / 10)?;
    let (short_page, page) = (page(FEW, PAGES)?, page(100, PAGES)?);

    let (mut lock, mut unlock) = (state.lock(), state.unlock());
    let mut round = 0;
    let mut client = Client::connect(&state)?;
    let pair = super::repeated(PAIRS, || {
        round += 1;
        lock.number(Mark::LockId, round);
        unlock.number(Mark::LockId, round);
        client.exchange(&lock)?;
        client.exchange(&unlock)
    })?;
    Ok(Costs { loaded, short_page, page, pair })
}

/// Stores a small state under each of so many names, over several connections.
fn load(served: &Served, states: u64) -> Result<Work> {
    let document = Document::of_size(1000);
    let state = served.state(Mark::Name.text());
    let post = state.request("POST", "", &document.bytes);
    let member = |index| Member::new(&state, vec![post.clone()], index, LOADERS);
    let mut crew = (0..LOADERS).map(member).collect::<Result<Vec<_>>>()?;
    drive(&mut crew, Until::Rounds(states / LOADERS))
}
