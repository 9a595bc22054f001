use jiff::SignedDuration;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

pub(super) fn ask(id: &str) -> Ask {
    Ask {
        id: id.into(),
        raw: format!("{{\"ID\":\"{id}\"}}"),
        who: format!("{id}@host"),
        operation: "OperationTypeApply".into(),
        tool: "1.15.5".into(),
        token: None,
        mode: Mode::Whole,
        waiting: false,
        attempt: format!("{id}-1"),
        lease: None,
        tx: None,
    }
}

fn leased(id: &str) -> Ask {
    Ask { lease: Some(MINUTE), ..ask(id) }
}

fn poll(id: &str, n: u32) -> Ask {
    Ask { attempt: format!("{id}-{n}"), ..ask(id) }
}

fn waiting(id: &str) -> Ask {
    Ask { waiting: true, ..ask(id) }
}

fn plan(id: &str) -> Ask {
    Ask { mode: Mode::Plan, ..ask(id) }
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn try_lock(control: &mut Control, ask: &Ask, seconds: i64) -> Answer {
    lock(control, ask, &Claims::default(), &limits(100), at(seconds))
}

pub(super) fn limits(queue: usize) -> Limits {
    Limits { queue, plan_locks: 10, ..Limits::default() }
}

pub(super) fn granted(answer: &Answer) -> bool {
    matches!(answer, Answer::Granted { .. })
}

/// Who is in the way, by lock ID.
fn in_the_way(answer: &Answer) -> &str {
    match answer {
        Answer::Held { by, .. } => by.split('"').nth(3).unwrap(),
        _ => "nobody",
    }
}

#[test]
fn one_holder_and_a_repeated_lock_is_granted_again() {
    let mut control = Control::default();
    assert_eq!(try_lock(&mut control, &ask("a"), 0), Answer::Granted { fence: 1, again: false });
    assert_eq!(try_lock(&mut control, &poll("a", 2), 5), Answer::Granted { fence: 1, again: true });
    assert_eq!(in_the_way(&try_lock(&mut control, &ask("b"), 6)), "a");
    assert!(matches!(unlock(&mut control, Release::Id("a")), Released::Now(_)));
    assert_eq!(unlock(&mut control, Release::Id("a")), Released::Before);
    assert_eq!(try_lock(&mut control, &poll("b", 2), 7), Answer::Granted { fence: 2, again: false });
    assert_eq!(unlock(&mut control, Release::Id("a")), Released::Before, "a late repetition does not touch b's lock");
    assert!(matches!(unlock(&mut control, Release::Id("c")), Released::Other(held) if held.id == "b"));
}

#[test]
fn who_asked_once_and_left_holds_nobody_up() {
    let mut control = Control::default();
    try_lock(&mut control, &ask("a"), 0);
    try_lock(&mut control, &ask("once"), 1);
    unlock(&mut control, Release::Id("a"));
    assert!(granted(&try_lock(&mut control, &ask("b"), 2)));
}

#[test]
fn who_polls_keeps_the_place_of_its_first_try() {
    let mut control = Control::default();
    try_lock(&mut control, &ask("a"), 0);
    try_lock(&mut control, &poll("first", 1), 1);
    try_lock(&mut control, &poll("second", 1), 2);
    try_lock(&mut control, &poll("second", 2), 3);
    try_lock(&mut control, &poll("first", 2), 4);
    unlock(&mut control, Release::Id("a"));
    assert_eq!(in_the_way(&try_lock(&mut control, &poll("second", 3), 5)), "first");
    assert!(granted(&try_lock(&mut control, &poll("first", 3), 6)));
}

#[test]
fn a_place_lapses_when_its_client_does_not_come_back() {
    let mut control = Control::default();
    try_lock(&mut control, &ask("a"), 0);
    try_lock(&mut control, &poll("gone", 1), 1);
    try_lock(&mut control, &poll("gone", 2), 2);
    unlock(&mut control, Release::Id("a"));
    assert_eq!(in_the_way(&try_lock(&mut control, &poll("b", 1), 3)), "gone");
    assert!(granted(&try_lock(&mut control, &poll("b", 2), 12)));

    let mut control = Control::default();
    try_lock(&mut control, &ask("a"), 0);
    try_lock(&mut control, &waiting("dead server"), 1);
    unlock(&mut control, Release::Id("a"));
    assert_eq!(in_the_way(&try_lock(&mut control, &poll("b", 1), 20)), "dead server");
    assert!(granted(&try_lock(&mut control, &poll("b", 2), 22)));
}

#[test]
fn terraform_s_own_polling_keeps_its_place_at_every_gap() {
    let mut control = Control::default();
    try_lock(&mut control, &ask("a"), 0);
    let mut now = 0;
    for (n, gap) in [1, 2, 4, 8, 16, 16, 16].into_iter().enumerate() {
        try_lock(&mut control, &poll("patient", u32::try_from(n).unwrap()), now);
        now += gap;
        assert!(!control.queue[0].has_lapsed(at(now)), "after {gap} s");
    }
}

#[test]
fn plans_share_never_wait_and_never_write() {
    let mut control = Control::default();
    try_lock(&mut control, &ask("a"), 0);
    assert!(granted(&try_lock(&mut control, &plan("p1"), 1)) && granted(&try_lock(&mut control, &plan("p2"), 1)));
    assert_eq!(may_write(&control, Some("p1"), at(1)), Err(WriteRefusal::PlanLock));
    unlock(&mut control, Release::Id("a"));
    assert!(granted(&try_lock(&mut control, &ask("b"), 2)), "plans keep nobody waiting");
    assert!(matches!(unlock(&mut control, Release::Id("p1")), Released::Now(released) if released[0].id == "p1"));
    (0..20).for_each(|n| drop(try_lock(&mut control, &plan(&format!("x{n}")), 3)));
    assert_eq!(control.plans.len(), 10, "plans are bounded");
}

#[test]
fn writes_need_the_live_lock() {
    let mut control = Control::default();
    let may_write = |control: &Control, id| may_write(control, id, at(0)).map(|held| held.map(|held| held.fence));
    assert_eq!(may_write(&control, None), Ok(None));
    assert_eq!(may_write(&control, Some("a")), Err(WriteRefusal::NotTheLock { holder: None }));
    try_lock(&mut control, &ask("a"), 0);
    assert_eq!(may_write(&control, Some("a")), Ok(Some(1)));
    assert!(matches!(may_write(&control, None), Err(WriteRefusal::Locked(held)) if held.id == "a"));
    assert!(
        matches!(may_write(&control, Some("b")), Err(WriteRefusal::NotTheLock { holder: Some(held) }) if held.id == "a")
    );
}

#[test]
fn a_lease_that_lapses_keeps_nobody_out() {
    let mut control = Control::default();
    assert!(granted(&try_lock(&mut control, &leased("a"), 0)));
    assert_eq!(in_the_way(&try_lock(&mut control, &ask("b"), 60)), "a");
    assert!(control.live_lock(at(60)).is_some() && control.live_lock(at(61)).is_none());
    assert_eq!(try_lock(&mut control, &poll("b", 2), 61), Answer::Granted { fence: 2, again: false });
    assert_eq!(unlock(&mut control, Release::Id("a")), Released::Before, "its late UNLOCK does not touch b's lock");
    assert!(control.live_lock(at(10_000)).is_some(), "b has no lease");
}

#[test]
fn a_lease_is_renewed_by_its_holder_alone_also_when_it_has_lapsed_and_nobody_came() {
    let mut control = Control::default();
    let renewed = |control: &mut Control, id: &str, token, seconds| match renew(control, id, token, MINUTE, at(seconds))
    {
        Renewal::Until(until) => until.duration_since(at(seconds)).as_secs(),
        Renewal::NoLease => 0,
        Renewal::Lost { holder } => holder.map_or(-1, |_| -2),
    };
    assert_eq!(renewed(&mut control, "a", None, 0), -1);
    try_lock(&mut control, &Ask { token: Some("t".into()), ..leased("a") }, 0);
    assert_eq!(renewed(&mut control, "a", Some("t"), 50), 60);
    assert_eq!(in_the_way(&try_lock(&mut control, &ask("b"), 100)), "a");
    assert_eq!(renewed(&mut control, "a", None, 100), -2, "another token");
    assert_eq!(renewed(&mut control, "a", Some("t"), 500), 60, "nobody has taken it");
    try_lock(&mut control, &poll("b", 2), 600);
    assert_eq!(renewed(&mut control, "a", Some("t"), 601), -2);
    assert_eq!(renewed(&mut control, "b", None, 601), 0, "a lock without a lease stays one");
    assert_eq!(control.lock.unwrap().lease_until, None);
}

#[test]
fn writes_around_a_lapsed_lease() {
    let mut control = Control::default();
    try_lock(&mut control, &leased("a"), 0);
    let may_write =
        |control: &Control, id, seconds| may_write(control, id, at(seconds)).map(|held| held.map(|held| held.fence));
    assert!(matches!(may_write(&control, None, 60), Err(WriteRefusal::Locked(_))));
    assert_eq!(may_write(&control, None, 61), Ok(None), "as on an unlocked state");
    assert_eq!(may_write(&control, Some("a"), 61), Ok(Some(1)), "nobody has taken it");
    assert_eq!(may_write(&control, Some("c"), 61), Err(WriteRefusal::NotTheLock { holder: None }));
    try_lock(&mut control, &ask("b"), 62);
    assert!(matches!(may_write(&control, Some("a"), 62), Err(WriteRefusal::NotTheLock { holder: Some(_) })));
}

#[test]
fn plans_with_a_lease_go_with_it() {
    let mut control = Control::default();
    try_lock(&mut control, &Ask { lease: Some(MINUTE), ..plan("gone") }, 0);
    try_lock(&mut control, &Ask { lease: Some(MINUTE), ..plan("kept") }, 0);
    assert!(matches!(renew(&mut control, "kept", None, MINUTE, at(30)), Renewal::Until(_)));
    try_lock(&mut control, &plan("new"), 70);
    assert_eq!(control.plans.iter().map(|held| held.id.as_str()).collect::<Vec<_>>(), ["kept", "new"]);
}

#[test]
fn force_unlock_takes_the_whole_lock_first_and_plans_else() {
    let mut control = Control::default();
    try_lock(&mut control, &plan("p"), 0);
    try_lock(&mut control, &ask("a"), 0);
    assert!(matches!(unlock(&mut control, Release::Whatever), Released::Now(released) if released[0].id == "a"));
    assert!(matches!(unlock(&mut control, Release::Whatever), Released::Now(released) if released[0].id == "p"));
    assert_eq!(unlock(&mut control, Release::Whatever), Released::Before);
}

#[test]
fn a_client_that_is_gone_gives_back_only_what_its_own_request_took() {
    let mut control = Control::default();
    try_lock(&mut control, &poll("a", 1), 0);
    try_lock(&mut control, &poll("a", 2), 1);
    assert!(!abandon(&mut control, "a", "a-1"), "the repeated request has taken over");
    assert!(!abandon(&mut control, "a", "a-2"), "the first answer may have arrived");
    assert!(control.lock.is_some());
    let mut control = Control::default();
    try_lock(&mut control, &poll("a", 1), 0);
    assert!(abandon(&mut control, "a", "a-1"));
    assert!(control.lock.is_none());
}

#[test]
fn the_queue_is_bounded() {
    let mut control = Control::default();
    try_lock(&mut control, &ask("a"), 0);
    for n in 0..3 {
        assert_eq!(
            in_the_way(&lock(&mut control, &waiting(&format!("w{n}")), &Claims::default(), &limits(3), at(1))),
            "a"
        );
    }
    assert_eq!(lock(&mut control, &waiting("w3"), &Claims::default(), &limits(3), at(1)), Answer::QueueFull);
}

mod model {
    //! The same rules, said as simply as possible, against random sequences of requests.

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Request {
        Lock(u8),
        Lease(u8),
        Renew(u8),
        Wait(u8),
        Plan(u8),
        Unlock(u8),
        Force,
        Gone(u8),
        Pass(u8),
    }

    fn request() -> impl Strategy<Value = Request> {
        prop_oneof![
            4 => (0u8..6).prop_map(Request::Lock),
            3 => (0u8..6).prop_map(Request::Lease),
            2 => (0u8..6).prop_map(Request::Renew),
            3 => (0u8..6).prop_map(Request::Wait),
            1 => (6u8..9).prop_map(Request::Plan),
            4 => (0u8..9).prop_map(Request::Unlock),
            1 => Just(Request::Force),
            1 => (0u8..6).prop_map(Request::Gone),
            2 => (1u8..30).prop_map(Request::Pass),
        ]
    }

    /// The model: who holds and until when, and who is in line since its first try, with an open connection or not.
    #[derive(Debug, Default)]
    struct Model {
        holder: Option<u8>,
        until: Option<i64>,
        line: Vec<(u8, bool)>,
    }

    impl Model {
        fn has_lapsed(&self, now: i64) -> bool {
            self.until.is_some_and(|until| until < now)
        }

        fn leaves(&mut self, id: u8) {
            self.line.retain(|(known, _)| *known != id);
        }

        fn stands(&mut self, id: u8, waits: bool) {
            match self.line.iter_mut().find(|(known, _)| *known == id) {
                Some(place) => place.1 = waits,
                None => self.line.push((id, waits)),
            }
        }
    }

    proptest! {
        #[test]
        fn never_two_holders_fences_grow_and_the_line_is_kept(requests in prop::collection::vec(request(), 1..120)) {
            let (mut control, mut model, mut now, mut fence) = (Control::default(), Model::default(), 0i64, 0);
            let name = |id: u8| format!("c{id}");
            for (n, request) in requests.iter().enumerate() {
                let attempt = format!("t{n}");
                // Everybody on an open connection keeps saying so.
                control.queue.iter_mut().filter(|ticket| ticket.waiting).for_each(|ticket| ticket.last_seen = at(now));
                match request {
                    Request::Lock(id) | Request::Wait(id) | Request::Lease(id) => {
                        let waits = matches!(request, Request::Wait(_));
                        let lease = matches!(request, Request::Lease(_)).then_some(MINUTE);
                        let ask = Ask { waiting: waits, attempt, lease, ..ask(&name(*id)) };
                        if let Answer::Granted { fence: got, again } = lock(&mut control, &ask, &Claims::default(), &limits(100), at(now)) {
                            prop_assert_eq!(again, model.holder == Some(*id));
                            if !again {
                                prop_assert!(model.holder.is_none() || model.has_lapsed(now), "two holders");
                                let first = model.line.iter().find(|(known, waits)| *waits || known == id);
                                prop_assert!(first.is_none_or(|(first, _)| first == id), "somebody who waits was overtaken");
                                prop_assert!(got > fence);
                                fence = got;
                            }
                            model.holder = Some(*id);
                            model.until = lease.map(|_| now + 60);
                            model.leaves(*id);
                        } else {
                            prop_assert!(model.holder != Some(*id));
                            model.stands(*id, waits);
                        }
                    }
                    Request::Renew(id) => {
                        let renewal = renew(&mut control, &name(*id), None, MINUTE, at(now));
                        let is_holder = model.holder == Some(*id);
                        prop_assert_eq!(is_holder, !matches!(renewal, Renewal::Lost { .. }));
                        if is_holder {
                            model.until = model.until.map(|_| now + 60);
                        }
                    }
                    Request::Plan(id) => {
                        let ask = Ask { mode: Mode::Plan, attempt, ..ask(&name(*id)) };
                        prop_assert!(granted(&lock(&mut control, &ask, &Claims::default(), &limits(100), at(now))), "a plan never waits");
                        fence = fence.max(control.fence);
                    }
                    Request::Unlock(id) => {
                        unlock(&mut control, Release::Id(&name(*id)));
                        model.holder.take_if(|holder| holder == id);
                        model.leaves(*id);
                    }
                    Request::Force => {
                        unlock(&mut control, Release::Whatever);
                        model.holder = None;
                    }
                    Request::Gone(id) => {
                        let Some(ticket) = control.queue.iter().find(|ticket| ticket.id == name(*id)).cloned() else { continue };
                        abandon(&mut control, &ticket.id, &ticket.attempt);
                        model.leaves(*id);
                    }
                    Request::Pass(seconds) => now += i64::from(*seconds),
                }
                // Only who does not wait on an open connection may lapse.
                model.line.retain(|(id, waits)| *waits || control.queue.iter().any(|ticket| ticket.id == name(*id)));
                prop_assert_eq!(control.lock.as_ref().map(|held| held.id.clone()), model.holder.map(name));
                prop_assert_eq!(line_of(&control), model.line.clone());
            }
        }
    }

    fn line_of(control: &Control) -> Vec<(u8, bool)> {
        control.queue.iter().map(|ticket| (ticket.id[1..].parse().unwrap(), ticket.waiting)).collect()
    }
}

#[test]
fn lapse_times_are_those_that_the_documentation_names() {
    let lapse = |polls, waiting| {
        let ticket = Ticket { polls, waiting, ..Ticket::new(&ask("x"), at(0)) };
        (0..60).find(|s| ticket.has_lapsed(at(0) + SignedDuration::from_secs(*s))).unwrap()
    };
    assert_eq!(
        [lapse(1, false), lapse(2, false), lapse(3, false), lapse(4, false), lapse(9, false), lapse(1, true)],
        [6, 8, 12, 20, 20, 21]
    );
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_the_queue() {
    let mut control = Control::default();
    try_lock(&mut control, &ask("a"), 3600);
    try_lock(&mut control, &waiting("gone"), 3601);
    unlock(&mut control, Release::Id("a"));
    // NTP sets the clock back by an hour; the server that waited is dead.
    assert!(
        granted(&try_lock(&mut control, &ask("b"), 300)),
        "5 minutes later: {}",
        in_the_way(&try_lock(&mut control, &ask("b"), 300))
    );
}

#[test]
fn a_client_with_a_rhythm_of_its_own_keeps_its_place() {
    let mut control = Control::default();
    try_lock(&mut control, &ask("a"), 0);
    for n in 0..4 {
        try_lock(&mut control, &poll("slow", n), i64::from(n) * 30);
    }
    try_lock(&mut control, &poll("eager", 1), 91);
    unlock(&mut control, Release::Id("a"));
    assert_eq!(in_the_way(&try_lock(&mut control, &poll("eager", 2), 92)), "slow");
    assert!(granted(&try_lock(&mut control, &poll("slow", 9), 120)));
}
