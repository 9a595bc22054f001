//! LOCK and UNLOCK, which are one durable commit each.

use std::time::Duration;

use super::super::crew::{Member, Until, drive};
use super::super::report::{Line, Quantity};
use super::super::{Bench, Result, Served};

const TIME: Duration = Duration::from_secs(5);

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let served = bench.serve("locks");
    for (clients, goal) in [(16, Some(0.4)), (1, None)] {
        let (work, disk) = super::beside_disk(bench, || {
            let mut crew = (0..clients).map(|index| member(&served, index, clients)).collect::<Result<Vec<_>>>()?;
            drive(&mut crew, Until::Time(TIME))
        })?;
        let samples = usize::try_from(work.rounds)?;
        let line = Line::new(format!("LOCK+UNLOCK, clients: {clients}"), Quantity::PerSecond(work.rate()), samples);
        let line = line.against("fdatasync", Quantity::PerSecond(disk));
        bench.report(&goal.map_or(line.clone(), |goal| line.at_least(goal)));
    }
    Ok(())
}

fn member(served: &Served, index: u64, clients: u64) -> Result<Member> {
    let state = served.state(&format!("locks-{clients}-{index}"));
    Member::new(&state, vec![state.lock(), state.unlock()], index, clients)
}
