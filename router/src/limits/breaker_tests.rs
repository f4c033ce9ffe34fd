//! Every transition of the breaker, in virtual time.

use super::*;
use proptest::prelude::*;
use proptest::strategy::Strategy as Shape;

const START: Duration = Duration::from_secs(3_600);
const COOLDOWN: Duration = Duration::from_secs(30);

fn rules(faults: Option<u64>, percent: Option<f64>, minimum: u64) -> BreakerRules {
    BreakerRules { faults, percent, minimum, window: Duration::from_secs(60), cooldown: COOLDOWN }
}

fn at(seconds: u64) -> Duration {
    START + Duration::from_secs(seconds)
}

/// Makes an attempt of one moment.
fn attempt(breaker: &mut Breaker, now: Duration, sign: Sign) {
    let pass = breaker.enter(now).expect("let through");
    breaker.settle(now, pass, sign);
}

/// A breaker that opened at `START`.
fn opened() -> Breaker {
    let mut breaker = Breaker::new(rules(Some(3), None, 5));
    for _ in 0..3 {
        attempt(&mut breaker, START, Sign::Fault);
    }
    assert_eq!(breaker.view(START).state, "open");
    breaker
}

/// A breaker with its probe out, since the end of the cooldown.
fn probing() -> (Breaker, Pass) {
    let mut breaker = opened();
    let probe = breaker.enter(at(30)).expect("the cooldown is over");
    assert_eq!(breaker.view(at(30)).state, "half_open");
    (breaker, probe)
}

#[test]
fn so_many_faults_open_it_for_the_cooldown() {
    let mut breaker = Breaker::new(rules(Some(3), None, 5));
    attempt(&mut breaker, START, Sign::Fault);
    attempt(&mut breaker, START, Sign::Sound);
    attempt(&mut breaker, START, Sign::Fault);
    assert_eq!(breaker.shut_until(), None);
    attempt(&mut breaker, at(10), Sign::Fault);
    assert_eq!(breaker.shut_until(), Some(at(40)));
    assert_eq!(breaker.enter(at(10)), Err(COOLDOWN));
    assert_eq!(breaker.enter(at(39)), Err(Duration::from_secs(1)));
    assert!(breaker.enter(at(40)).is_ok());
}

#[test]
fn a_share_of_faults_counts_from_so_many_attempts_on() {
    let mut breaker = Breaker::new(rules(None, Some(50.0), 5));
    for _ in 0..4 {
        attempt(&mut breaker, START, Sign::Fault);
    }
    assert_eq!(breaker.shut_until(), None, "four attempts prove nothing");
    attempt(&mut breaker, START, Sign::Fault);
    assert!(breaker.shut_until().is_some());

    let mut breaker = Breaker::new(rules(None, Some(50.0), 5));
    for _ in 0..10 {
        attempt(&mut breaker, START, Sign::Sound);
    }
    for _ in 0..9 {
        attempt(&mut breaker, START, Sign::Fault);
    }
    assert_eq!(breaker.shut_until(), None, "9 of 19");
    attempt(&mut breaker, START, Sign::Fault);
    assert!(breaker.shut_until().is_some(), "10 of 20");
}

#[test]
fn faults_that_are_long_past_do_not_add_up() {
    let mut breaker = Breaker::new(rules(Some(3), None, 5));
    for second in [0, 40, 80, 120, 160] {
        attempt(&mut breaker, at(second), Sign::Fault);
        assert_eq!(breaker.shut_until(), None, "after {second} s");
    }
    attempt(&mut breaker, at(161), Sign::Fault);
    assert!(breaker.shut_until().is_some(), "three within a minute");
}

#[test]
fn what_says_nothing_is_not_counted() {
    let mut breaker = Breaker::new(rules(Some(1), Some(1.0), 1));
    for _ in 0..9 {
        attempt(&mut breaker, START, Sign::Nothing);
    }
    assert_eq!((breaker.shut_until(), breaker.view(START).requests), (None, 0));
}

#[test]
fn half_open_one_attempt_passes_and_its_success_closes() {
    let (mut breaker, probe) = probing();
    assert_eq!(breaker.enter(at(30)), Err(COOLDOWN));
    assert_eq!(breaker.enter(at(59)), Err(Duration::from_secs(1)));
    breaker.settle(at(40), probe, Sign::Sound);
    let view = breaker.view(at(40));
    assert_eq!((view.state, view.faults), ("closed", 0), "the past is forgotten");
    attempt(&mut breaker, at(40), Sign::Fault);
    attempt(&mut breaker, at(40), Sign::Fault);
    assert_eq!(breaker.shut_until(), None);
    attempt(&mut breaker, at(40), Sign::Fault);
    assert!(breaker.shut_until().is_some());
}

#[test]
fn half_open_a_fault_opens_for_another_cooldown() {
    let (mut breaker, probe) = probing();
    breaker.settle(at(40), probe, Sign::Fault);
    assert_eq!(breaker.shut_until(), Some(at(70)));
    assert!(breaker.enter(at(69)).is_err());
    assert!(breaker.enter(at(70)).is_ok());
}

#[test]
fn a_probe_that_found_nothing_out_lets_the_next_one_pass_at_once() {
    let (mut breaker, probe) = probing();
    breaker.settle(at(31), probe, Sign::Nothing);
    assert!(breaker.enter(at(31)).is_ok());
    assert!(breaker.enter(at(31)).is_err(), "one at a time");
}

#[test]
fn a_probe_that_hangs_is_followed_by_another_after_a_cooldown() {
    let (mut breaker, hanging) = probing();
    assert!(breaker.enter(at(59)).is_err());
    let second = breaker.enter(at(60)).expect("the first one hangs");
    assert!(breaker.enter(at(60)).is_err());
    // The first one's end is old news unless it is good.
    breaker.settle(at(61), hanging, Sign::Fault);
    assert_eq!(breaker.view(at(61)).state, "half_open");
    breaker.settle(at(62), second, Sign::Fault);
    assert_eq!(breaker.shut_until(), Some(at(92)));

    let (mut breaker, hanging) = probing();
    let second = breaker.enter(at(60)).expect("the first one hangs");
    breaker.settle(at(61), hanging, Sign::Sound);
    assert_eq!(breaker.view(at(61)).state, "closed");
    breaker.settle(at(62), second, Sign::Fault);
    assert_eq!(breaker.view(at(62)).state, "closed", "it began before the breaker closed");
}

#[test]
fn a_probe_that_begins_to_answer_lets_the_others_in() {
    let (mut breaker, probe) = probing();
    breaker.began(probe);
    attempt(&mut breaker, at(31), Sign::Sound);
    breaker.settle(at(90), probe, Sign::Sound);
    assert_eq!(breaker.view(at(90)).state, "closed");
    // Its number is used up.
    breaker.settle(at(91), probe, Sign::Fault);
    assert_eq!(breaker.view(at(91)).state, "closed");
}

#[test]
fn a_probe_that_breaks_off_in_the_middle_opens_it_again() {
    let (mut breaker, probe) = probing();
    breaker.began(probe);
    let other = breaker.enter(at(31)).expect("closed for now");
    breaker.settle(at(35), probe, Sign::Fault);
    assert_eq!(breaker.shut_until(), Some(at(65)));
    breaker.settle(at(36), other, Sign::Sound);
    assert_eq!(breaker.shut_until(), Some(at(65)), "what began before says nothing now");
}

#[test]
fn what_began_before_it_opened_neither_closes_nor_prolongs_it() {
    let mut breaker = Breaker::new(rules(Some(2), None, 5));
    let (slow, slower) = (breaker.enter(START).expect("closed"), breaker.enter(START).expect("closed"));
    attempt(&mut breaker, START, Sign::Fault);
    attempt(&mut breaker, START, Sign::Fault);
    breaker.settle(at(20), slow, Sign::Sound);
    breaker.settle(at(20), slower, Sign::Fault);
    assert_eq!(breaker.shut_until(), Some(at(30)));
}

#[test]
fn attempts_that_were_forced_through_can_close_it() {
    let mut breaker = opened();
    let (first, second) = (breaker.force(at(1)), breaker.force(at(1)));
    breaker.settle(at(2), first, Sign::Fault);
    assert_eq!(breaker.shut_until(), Some(at(30)), "that it is down was known");
    breaker.settle(at(3), second, Sign::Sound);
    assert_eq!(breaker.shut_until(), None);
    let mut breaker = opened();
    let began = breaker.force(at(1));
    breaker.began(began);
    assert_eq!(breaker.shut_until(), None);
    // After the cooldown the one that is forced is the probe.
    let mut breaker = opened();
    assert!(matches!(breaker.force(at(30)).kind, Kind::Probe(_)));
    assert!(matches!(breaker.force(at(30)).kind, Kind::Forced));
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Wait(u64),
    Enter,
    Force,
    Begin(usize),
    Settle(usize, Sign),
}

fn moves() -> impl Shape<Value = Vec<Move>> {
    let sign = prop_oneof![Just(Sign::Sound), Just(Sign::Fault), Just(Sign::Fault), Just(Sign::Nothing)];
    let one = prop_oneof![
        (0_u64..20_000).prop_map(Move::Wait),
        Just(Move::Enter),
        Just(Move::Enter),
        Just(Move::Force),
        (0_usize..8).prop_map(Move::Begin),
        (0_usize..8, sign).prop_map(|(at, sign)| Move::Settle(at, sign)),
    ];
    prop::collection::vec(one, 1..300)
}

proptest! {
    #[test]
    fn half_open_lets_exactly_one_through(moves in moves()) {
        let mut breaker = Breaker::new(rules(Some(3), Some(50.0), 4));
        let mut now = START;
        let mut inside: Vec<Pass> = Vec::new();
        // The probe that is out, and since when.
        let mut probe: Option<(Pass, Duration)> = None;
        for step in moves {
            let before = breaker.view(now);
            match step {
                Move::Wait(ms) => now += Duration::from_millis(ms),
                Move::Enter => match breaker.enter(now) {
                    Ok(pass) => {
                        if matches!(pass.kind, Kind::Probe(_)) {
                            if let Some((_, since)) = probe {
                                prop_assert!(now - since >= COOLDOWN, "two probes at once");
                            }
                            probe = Some((pass, now));
                        } else {
                            prop_assert_eq!(before.state, "closed");
                        }
                        inside.push(pass);
                    }
                    Err(wait) => {
                        prop_assert!(before.state != "closed");
                        prop_assert!(wait > Duration::ZERO && wait <= COOLDOWN, "{:?}", wait);
                    }
                },
                Move::Force => {
                    let pass = breaker.force(now);
                    if matches!(pass.kind, Kind::Probe(_)) {
                        probe = Some((pass, now));
                    }
                    inside.push(pass);
                }
                Move::Begin(at) if at < inside.len() => breaker.began(inside[at]),
                Move::Settle(at, sign) if at < inside.len() => {
                    let pass = inside.swap_remove(at);
                    breaker.settle(now, pass, sign);
                    if probe.is_some_and(|(out, _)| out == pass) {
                        probe = None;
                    }
                }
                Move::Begin(_) | Move::Settle(..) => {}
            }
            let view = breaker.view(now);
            prop_assert!(view.faults <= view.requests);
            prop_assert!(view.retry_in_ms <= 30_000);
            if view.state != "half_open" {
                probe = None;
            }
        }
        // However it got there, it is asked again one cooldown later.
        prop_assert!(breaker.enter(now + COOLDOWN).is_ok());
    }
}
