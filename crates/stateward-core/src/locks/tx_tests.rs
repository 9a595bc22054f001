use super::*;
use crate::claim::Claim;
use crate::claim::tests::claim;
use crate::locks::tests::{ask, at, granted, limits};

/// A control record and the claims of all that ever asked.
#[derive(Default)]
struct Room {
    control: Control,
    claims: Claims,
}

impl Room {
    fn begin(&mut self, id: &str, claim: Claim, seconds: i64) -> Answer {
        let mut ask = Ask { mode: Mode::Resources, lease: Some(Duration::from_mins(1)), ..ask(id) };
        ask.attempt = format!("{id}-{seconds}");
        let record = Arc::new(TxRecord::asking(&ask, None, claim, at(seconds)));
        self.claims.insert(record.clone());
        ask.tx = Some(record);
        lock(&mut self.control, &ask, &self.claims, &limits(100), at(seconds))
    }

    fn whole(&mut self, id: &str, seconds: i64) -> Answer {
        let ask = Ask { attempt: format!("{id}-{seconds}"), ..ask(id) };
        lock(&mut self.control, &ask, &self.claims, &limits(100), at(seconds))
    }

    fn open(&self) -> Vec<&str> {
        self.control.txs.iter().map(|tx| tx.id.as_str()).collect()
    }
}

/// Who is in the way, and of what.
fn in_the_way(answer: &Answer) -> (&str, Option<&str>) {
    match answer {
        Answer::Held { by, over, .. } => (by.split('"').nth(3).unwrap(), over.as_deref()),
        _ => ("nobody", None),
    }
}

#[test]
fn disjoint_ones_go_side_by_side_and_others_wait_for_what_they_want() {
    let mut room = Room::default();
    assert!(granted(&room.begin("a", claim(&["x.a"], &["x.r"]), 0)));
    assert!(granted(&room.begin("b", claim(&["x.b"], &["x.r"]), 0)));
    assert_eq!(in_the_way(&room.begin("c", claim(&["x.c", "x.r"], &[]), 0)), ("a", Some("x.r")));
    assert_eq!(in_the_way(&room.whole("w", 0)), ("a", None));
    assert!(granted(&room.begin("d", claim(&["x.d"], &[]), 0)), "who asked only once is not waited for");
    assert!(end(&mut room.control, "a").is_some() && end(&mut room.control, "a").is_none());
    assert_eq!(in_the_way(&room.begin("c", claim(&["x.c", "x.r"], &[]), 1)), ("b", Some("x.r")));
}

#[test]
fn nobody_is_overtaken_by_who_is_in_the_way() {
    let mut room = Room::default();
    room.begin("a", claim(&["x.a"], &[]), 0);
    for seconds in [0, 1] {
        assert_eq!(in_the_way(&room.begin("ab", claim(&["x.a", "x.b"], &[]), seconds)).0, "a");
    }
    assert_eq!(in_the_way(&room.begin("b", claim(&["x.b"], &[]), 2)), ("ab", Some("x.b")), "though x.b is free");
    assert!(granted(&room.begin("c", claim(&["x.c"], &[]), 2)), "it has nothing to do with those who wait");
    assert_eq!(in_the_way(&room.whole("w", 2)).0, "a");
    assert_eq!(in_the_way(&room.whole("w", 3)).0, "a");
    assert_eq!(in_the_way(&room.begin("e", claim(&["x.e"], &[]), 3)), ("w", None), "the whole state is in every way");
    end(&mut room.control, "a");
    assert!(granted(&room.begin("ab", claim(&["x.a", "x.b"], &[]), 4)));
}

#[test]
fn what_lapsed_gives_way_to_who_wants_it_and_to_nobody_else() {
    let mut room = Room::default();
    room.begin("a", claim(&["x.a"], &[]), 0);
    room.begin("b", claim(&["x.b"], &[]), 0);
    assert!(granted(&room.begin("c", claim(&["x.c"], &["x.a"]), 100)));
    assert_eq!(room.open(), ["b", "c"]);
    let renewal = renew(&mut room.control, "b", None, Duration::from_mins(1), at(100));
    assert_eq!(renewal, Renewal::Until(at(161)));
    assert!(matches!(renew(&mut room.control, "a", None, Duration::from_mins(1), at(100)), Renewal::Lost { .. }));
    assert_eq!(in_the_way(&room.whole("w", 101)).0, "b");
    assert!(granted(&room.whole("w", 200)));
    assert_eq!(room.open(), [""; 0]);
    unlock(&mut room.control, Release::Id("w"));
    room.begin("d", claim(&["x.d"], &[]), 200);
    room.begin("e", claim(&["x.e"], &[]), 200 + 25 * 3600);
    assert_eq!(room.open(), ["e"], "a day later it is over");
}

#[test]
fn an_unknown_transaction_claims_everything() {
    let mut room = Room::default();
    room.begin("a", claim(&["x.a"], &[]), 0);
    room.claims = Claims::default();
    assert_eq!(in_the_way(&room.begin("b", claim(&["x.b"], &[]), 1)), ("a", None));
}

mod laws {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Deed {
        Begin(u8, Vec<u8>, Vec<u8>),
        Whole(u8),
        End(u8),
        Renew(u8),
        Pass(u8),
    }

    fn deed() -> impl Strategy<Value = Deed> {
        let parts = || prop::collection::vec(0u8..5, 0..3);
        prop_oneof![
            6 => (0u8..6, parts(), parts()).prop_map(|(id, write, read)| Deed::Begin(id, write, read)),
            2 => (6u8..8).prop_map(Deed::Whole),
            5 => (0u8..8).prop_map(Deed::End),
            2 => (0u8..6).prop_map(Deed::Renew),
            2 => (1u8..40).prop_map(Deed::Pass),
        ]
    }

    proptest! {
        /// Whatever is asked in whatever order: no two live holders of a part of which one writes it, none beside a whole lock, and
        /// who has waited (and comes back) is never overtaken by who is in its way.
        #[test]
        fn no_two_holders_and_no_overtaking(deeds in prop::collection::vec(deed(), 1..80)) {
            let (mut room, mut now) = (Room::default(), 0);
            for deed in deeds {
                match deed {
                    Deed::Begin(id, write, read) => {
                        let name = format!("t{id}");
                        if room.control.tx(&name).is_some() || room.control.queue.iter().any(|ticket| ticket.id == name) {
                            // An ID is for one transaction.
                            let claim = room.claims.get(&name).unwrap().claim.clone();
                            room.begin(&name, claim, now);
                        } else {
                            let names = |parts: &[u8]| parts.iter().map(|part| format!("x.p{part}")).collect::<Vec<_>>();
                            let claim = Claim::parse(&names(&write), &names(&read)).unwrap();
                            let before = room.control.clone();
                            if granted(&room.begin(&name, claim.clone(), now)) {
                                for ticket in before.queue.iter().filter(|ticket| ticket.counts(at(now))) {
                                    let theirs = ticket.resources.then(|| &room.claims.get(&ticket.id).unwrap().claim);
                                    prop_assert!(theirs.is_some_and(|theirs| theirs.conflict(&claim).is_none()), "overtaken");
                                }
                            }
                        }
                    }
                    Deed::Whole(id) => drop(room.whole(&format!("t{id}"), now)),
                    Deed::End(id) => {
                        let name = format!("t{id}");
                        end(&mut room.control, &name);
                        unlock(&mut room.control, Release::Id(&name));
                    }
                    Deed::Renew(id) => drop(renew(&mut room.control, &format!("t{id}"), None, Duration::from_mins(1), at(now))),
                    Deed::Pass(seconds) => now += i64::from(seconds),
                }
                let live: Vec<&Claim> =
                    room.control.live_txs(at(now)).map(|tx| &room.claims.get(&tx.id).unwrap().claim).collect();
                prop_assert!(live.is_empty() || room.control.live_lock(at(now)).is_none());
                for (n, one) in live.iter().enumerate() {
                    for other in &live[n + 1..] {
                        prop_assert_eq!(one.conflict(other), None);
                    }
                }
            }
        }
    }
}
