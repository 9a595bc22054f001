//! Clients side by side, each repeating a script of requests, on one thread.

use std::net::TcpStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::Result;
use super::clock::Stopwatch;
use super::target::{Mark, Request, Target};
use super::wire::Client;

/// How long a crew works.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    Time(Duration),
    /// So many rounds of each member.
    Rounds(u64),
}

/// How much a crew did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    /// Times that a script came to its end.
    pub(super) rounds: u64,
    pub(super) seconds: f64,
}

/// One client. In each round its lock ID is another, its serial is the next, and its name counts through all names, each of
/// which one member gets.
pub(super) struct Member {
    client: Client,
    script: Vec<Request>,
    index: u64,
    members: u64,
    round: u64,
    step: usize,
}

impl Member {
    pub(super) fn new(target: &Target, script: Vec<Request>, index: u64, members: u64) -> Result<Self> {
        Ok(Self { client: Client::connect(target)?, script, index, members, round: 0, step: 0 })
    }

    fn send(&mut self) -> Result<()> {
        if self.step == 0 {
            self.round += 1;
            let [lock, serial, name] = numbers(self.index, self.members, self.round);
            for request in &mut self.script {
                request.number(Mark::LockId, lock);
                request.number(Mark::Serial, serial);
                request.number(Mark::Name, name);
            }
        }
        Ok(self.client.send(&self.script[self.step].bytes)?)
    }

    /// Reads an answer; says whether it was the script's last.
    fn receive(&mut self) -> Result<bool> {
        self.client.expect_ok(&self.script[self.step].what)?;
        self.step = (self.step + 1) % self.script.len();
        Ok(self.step == 0)
    }
}

/// The numbers for lock ID, serial and name. Rounds count from 1, names from 0.
fn numbers(index: u64, members: u64, round: u64) -> [u64; 3] {
    [index * 10_000_000 + round, super::document::FIRST_SERIAL + round, (round - 1) * members + index]
}

/// Lets all members work. Each ends with a whole round; what ends after the time does not count.
pub(super) fn drive(crew: &mut [Member], until: Until) -> Result<Work> {
    let sockets = crew.iter().map(|member| member.client.socket()).collect::<std::io::Result<Vec<TcpStream>>>()?;
    let mut waiting: Vec<PollFd<'_>> = sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
    let mut active = crew.len();
    let mut work = Work::default();
    let watch = Stopwatch::start();
    crew.iter_mut().try_for_each(Member::send)?;
    while active > 0 {
        poll(&mut waiting, None)?;
        for ((member, socket), wait) in crew.iter_mut().zip(&sockets).zip(&mut waiting) {
            if wait.revents().is_empty() {
                continue;
            }
            if member.receive()? {
                let (counts, ends) = match until {
                    Until::Time(time) => (watch.elapsed() <= time, watch.elapsed() >= time),
                    Until::Rounds(rounds) => (true, member.round >= rounds),
                };
                work.rounds += u64::from(counts);
                if ends {
                    *wait = PollFd::new(socket, PollFlags::empty());
                    active -= 1;
                    continue;
                }
            }
            member.send()?;
        }
    }
    work.seconds = match until {
        Until::Time(time) => time.as_secs_f64(),
        Until::Rounds(_) => watch.elapsed().as_secs_f64(),
    };
    Ok(work)
}

impl Work {
    pub(super) fn rate(self) -> f64 {
        super::stats::float(self.rounds) / self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once_each() {
        let mut names: Vec<u64> =
            (0..16).flat_map(|index| (1..=5).map(move |round| numbers(index, 16, round)[2])).collect();
        names.sort_unstable();
        assert_eq!(names, (0..80).collect::<Vec<u64>>());
    }

    #[test]
    fn lock_ids_differ_and_serials_grow() {
        assert_ne!(numbers(0, 16, 1)[0], numbers(1, 16, 1)[0]);
        assert!(numbers(3, 16, 2)[1] > numbers(3, 16, 1)[1]);
        assert!(numbers(15, 16, 9_999_999)[0] < 10_000_000_000);
    }
}
