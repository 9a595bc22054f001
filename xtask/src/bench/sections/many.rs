//! What a number of states does to the cost of one.

use super::super::clock::timed;
use super::super::crew::{Member, Until, Work, drive};
use super::super::document::Document;
use super::super::report::{Line, Quantity};
use super::super::stats::Samples;
use super::super::target::{Mark, Request};
use super::super::wire::Client;
use super::super::{Bench, Result, Served};

const FEW: u64 = 10;
const MANY: u64 = 100_000;
const LOADERS: u64 = 10;
const WARMUP: u64 = 50;
const TIMES: u64 = 500;

/// A store with a number of states, and a connection to its server.
struct Store {
    served: Served,
    states: u64,
    client: Client,
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let (mut few, _) = Store::load(bench.serve("many-few"), FEW)?;
    let (mut many, loaded) = Store::load(bench.serve("many"), MANY)?;
    let name = format!("loading {MANY} states of 1 KB took {:.0} s", loaded.seconds);
    bench.report(&Line::new(name, Quantity::PerSecond(loaded.rate()), usize::try_from(MANY)?));

    let mut compare = |name: &str, requests: fn(&Store) -> Vec<Request>, goal: Option<f64>| -> Result<()> {
        let (few, many) = by_turns(&mut few, &mut many, requests)?;
        let line = Line::new(name, Quantity::Millis(many.median()), many.len());
        let line = line.against(format!("with {FEW}"), Quantity::Millis(few.median()));
        bench.report(&goal.map_or(line.clone(), |goal| line.at_most(goal)));
        Ok(())
    };
    compare("page of 10 from the middle, of 100,000", |store| vec![store.page(FEW)], Some(1.5))?;
    compare("page of 100 from the middle (with 10: of 10)", |store| vec![store.page(100)], None)?;
    compare("LOCK+UNLOCK, among 100,000", Store::pair, Some(1.5))
}

/// How long these requests take in both stores, by turns, so that both see the same machine.
fn by_turns(few: &mut Store, many: &mut Store, requests: fn(&Store) -> Vec<Request>) -> Result<(Samples, Samples)> {
    let mut sides = [(requests(few), few, Samples::default()), (requests(many), many, Samples::default())];
    for round in 1..=WARMUP + TIMES {
        for (requests, store, samples) in &mut sides {
            requests.iter_mut().for_each(|request| request.number(Mark::LockId, round));
            let (time, done) = timed(|| requests.iter().try_for_each(|request| store.client.exchange(request)));
            done?;
            if round > WARMUP {
                samples.push_time(time);
            }
        }
    }
    let [few, many] = sides.map(|(_, _, samples)| samples);
    Ok((few, many))
}

impl Store {
    /// Stores a small state under each of so many names, over several connections.
    fn load(served: Served, states: u64) -> Result<(Self, Work)> {
        let document = Document::of_size(1000);
        let state = served.state(Mark::Name.text());
        let post = state.request("POST", "", &document.bytes);
        let member = |index| Member::new(&state, vec![post.clone()], index, LOADERS);
        let mut crew = (0..LOADERS).map(member).collect::<Result<Vec<_>>>()?;
        let work = drive(&mut crew, Until::Rounds(states / LOADERS))?;
        let client = Client::connect(&state)?;
        Ok((Self { served, states, client }, work))
    }

    fn middle(&self) -> String {
        Mark::Name.with(self.states / 2)
    }

    /// Asks for a page from the middle, which ten states do not have: there from the start.
    fn page(&self, limit: u64) -> Request {
        let after = if self.states == FEW { String::new() } else { format!("&after={}", self.middle()) };
        self.served.target("/api/v1/states").request("GET", &format!("?limit={limit}{after}"), b"")
    }

    fn pair(&self) -> Vec<Request> {
        let state = self.served.state(&self.middle());
        vec![state.lock(), state.unlock()]
    }
}
