use actix::{Handler, Message};

use super::super::shards::Shards;
use super::*;

#[derive(Clone, Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for BudgetActor {
    type Result = ();
    fn handle(&mut self, _order: Panic, _context: &mut Self::Context) {
        panic!("asked to");
    }
}

fn handle(limit: i64) -> Arc<BudgetHandle> {
    let record = BudgetRecord::named("b", "b", limit);
    BudgetHandle::start(record, (0, 0), &Shards::start(1))
}

#[actix::test]
async fn a_dropped_hold_is_released() {
    let budget = handle(100);
    let hold = budget.reserve(10, 60).await.unwrap().unwrap();
    assert_eq!(hold.amount(), 60);
    drop(hold);
    assert!(!budget.rested(60), "it was asked just now");
    let view = budget.observe().await.unwrap();
    assert_eq!((view.spent, view.held), (0, 0));
}

#[actix::test]
async fn an_asker_that_leaves_leaks_nothing() {
    let budget = handle(100);
    {
        let asking = budget.reserve(10, 60);
        futures_util::pin_mut!(asking);
        // Polled once, so that the message is on its way, then dropped with whatever was answered meanwhile.
        let _answered = futures_util::poll!(asking.as_mut());
    }
    let view = budget.observe().await.unwrap();
    assert_eq!(view.held, 0);
}

#[actix::test]
async fn a_refusal_tells_what_is_left() {
    let budget = handle(100);
    let _hold = budget.reserve(90, 90).await.unwrap().unwrap();
    let refusal = budget.reserve(20, 20).await.unwrap().err().unwrap();
    assert_eq!((refusal.limit, refusal.spent, refusal.held), (100, 0, 90));
}

#[actix::test]
async fn a_panicked_budget_comes_back_with_spend_and_holds() {
    let budget = handle(100);
    let mut hold = budget.reserve(40, 40).await.unwrap().unwrap();
    budget.reserve(10, 10).await.unwrap().unwrap().settle(7);
    assert!(budget.owner().address().send(Panic).await.is_err());
    let view = budget.observe().await.unwrap();
    assert_eq!((view.spent, view.held), (7, 40));
    hold.settle(30);
    let view = budget.observe().await.unwrap();
    assert_eq!((view.spent, view.held), (37, 0));
}

#[actix::test]
async fn what_a_refusal_collected_survives_the_actor() {
    let budget = handle(100);
    let hold = budget.reserve(60, 60).await.unwrap().unwrap();
    // Its figures are put down, and the message that tells of them is not sent yet.
    assert_eq!(budget.ended(60, 50), Some(true));
    std::mem::forget(hold);
    let refused = budget.reserve(90, 90);
    let dying = budget.owner().reach(|address| address.send(Panic));
    assert_eq!(refused.await.unwrap().err().unwrap().spent, 50);
    assert!(dying.await.is_err());
    let view = budget.observe().await.unwrap();
    assert_eq!((view.spent, view.held), (50, 0));
}

#[actix::test]
async fn several_are_asked_at_once_and_all_grant_or_all_give_back() {
    let budgets = [handle(100), handle(50), handle(10)];
    let of = |_: &BudgetHandle| (10, 20);
    let holds = reserve_all(&budgets, of).await.unwrap().unwrap_or_else(|_| panic!("enough is left"));
    let amounts: Vec<_> = holds.iter().map(|hold| (hold.amount(), hold.limit(), hold.left())).collect();
    assert_eq!(amounts, [(20, 100, 80), (20, 50, 30), (10, 10, 0)]);
    let (short, exhausted) = reserve_all(&budgets, of).await.unwrap().err().unwrap();
    assert!(Arc::ptr_eq(&short, &budgets[2]));
    assert_eq!((exhausted.limit, exhausted.held), (10, 10));
    assert_eq!(budgets[0].observe().await.unwrap().held, 20, "what the others granted came back");
    assert!(reserve_all(&[], of).await.unwrap().is_ok_and(|holds| holds.is_empty()));
}

#[actix::test]
async fn one_that_died_with_the_question_is_asked_again() {
    let budgets = [handle(100), handle(100)];
    let of = |_: &BudgetHandle| (10, 20);
    let asking = budgets[1].owner().reach(|address| address.send(Panic));
    // The question lies behind the message that ends its actor.
    let reserving = reserve_all(&budgets, of);
    assert!(asking.await.is_err());
    let holds = reserving.await.unwrap().unwrap_or_else(|_| panic!("enough is left"));
    assert_eq!(holds.len(), 2);
    drop(holds);
    for budget in &budgets {
        assert_eq!(budget.observe().await.unwrap().held, 0);
    }
}

#[actix::test]
async fn who_asks_several_and_leaves_leaks_nothing() {
    let budgets = [handle(100), handle(100)];
    let reserving = reserve_all(&budgets, |_| (10, 60));
    drop(reserving);
    for budget in &budgets {
        assert_eq!(budget.observe().await.unwrap().held, 0);
    }
}

#[actix::test]
async fn holds_that_end_together_are_told_once_and_counted_each() {
    let budget = handle(1_000);
    let mut holds = Vec::new();
    for _ in 0..10 {
        holds.push(budget.reserve(10, 10).await.unwrap().unwrap());
    }
    let told: Vec<_> = holds.iter().map(|_| budget.ended(10, 70).unwrap()).collect();
    let first = told.iter().position(|told| *told);
    assert_eq!(first, Some(7), "560 of 1,000 are more than half");
    assert_eq!(told.iter().filter(|told| **told).count(), 1, "until the actor heard it");
    holds.into_iter().for_each(std::mem::forget);
    let view = budget.observe().await.unwrap();
    assert_eq!((view.spent, view.held), (700, 0));
    budget.owner().address().send(Ended).await.unwrap();
    assert_eq!(budget.ended(0, 99), Some(false), "nobody waits for 799");
    assert_eq!(budget.ended(0, 1), Some(true), "it heard, and must be told again");
}

/// Four threads hold and settle until each was refused often. Returns what they spent.
async fn hammer(
    budget: &Arc<BudgetHandle>,
    amount: i64,
    pays: impl Fn(i64) -> i64 + Copy + Send + 'static,
) -> i64 {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let budget = budget.clone();
            std::thread::spawn(move || {
                actix::System::new().block_on(async move {
                    let (mut spent, mut refused, mut round) = (0, 0, 0);
                    while refused < 100 {
                        round += 1;
                        let budgets = [budget.clone()];
                        let Ok(mut holds) = reserve_all(&budgets, |_| (amount, amount)).await.unwrap() else {
                            refused += 1;
                            continue;
                        };
                        if round % 3 == 0 {
                            tokio::task::yield_now().await;
                        }
                        let mut hold = holds.pop().unwrap();
                        assert_eq!(hold.amount(), amount);
                        assert!(hold.left() >= 0);
                        spent += pays(round);
                        hold.settle(pays(round));
                    }
                    spent
                })
            })
        })
        .collect();
    let mut spent = 0;
    for thread in threads {
        while !thread.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        spent += thread.join().unwrap();
    }
    spent
}

#[actix::test]
async fn holds_of_many_threads_never_pass_the_limit_and_all_come_back() {
    // The first has no plenty; the second has, and is asked and held in advance by turns.
    for limit in [1_000, 50_000] {
        let budget = BudgetHandle::start(BudgetRecord::named("b", "b", limit), (0, 0), &Shards::start(2));
        let spent = hammer(&budget, 7, |round| round % 2 * 5 + 2).await;
        let view = budget.observe().await.unwrap();
        assert_eq!((view.spent, view.held), (spent, 0));
        assert!(spent > limit - 7 && spent <= limit, "{spent} of {limit}");
    }
}

#[actix::test]
async fn where_there_is_plenty_nobody_asks_and_all_is_counted() {
    let budget = handle(64_000);
    let budgets = [budget.clone()];
    let of = |_: &BudgetHandle| (100, 100);
    let asked = reserve_all(&budgets, of).await.unwrap().unwrap_or_else(|_| panic!("enough is left"));
    assert_eq!((asked[0].amount(), asked[0].left()), (100, 63_900));
    // The actor gets no turn between these.
    let mut holds: Vec<Hold> = Vec::new();
    while let Some(hold) = budget.take(clock::unix(), 100, 100) {
        let taken = i64::try_from(holds.len()).unwrap() + 2;
        assert_eq!((hold.limit(), hold.amount(), hold.left()), (64_000, 100, 64_000 - 100 * taken));
        holds.push(hold);
    }
    assert_eq!(holds.len(), 9, "of 63,900 a 64th part");
    holds[0].settle(30);
    holds.truncate(4);
    let view = budget.observe().await.unwrap();
    assert_eq!((view.spent, view.held), (30, 400));
    assert!(budget.take(clock::unix(), 1, 1).is_none(), "whoever looks takes the advance back");
    // Of several budgets some may have plenty and others not.
    let budgets = [handle(64_000), handle(150), budget.clone()];
    for round in 0..2 {
        let granted = reserve_all(&budgets, of).await.unwrap();
        assert_eq!(granted.is_ok(), round == 0, "the second has 50 left");
        let holds = granted.unwrap_or_default();
        assert!(holds.iter().zip(&budgets).all(|(hold, budget)| Arc::ptr_eq(hold.budget(), budget)));
        holds.into_iter().for_each(|mut hold| hold.settle(100));
    }
    let mut views = Vec::new();
    for budget in &budgets {
        let view = budget.observe().await.unwrap();
        views.push((view.spent, view.held));
    }
    assert_eq!(views, [(100, 0), (100, 0), (130, 400)]);
}

#[actix::test]
async fn what_was_held_in_advance_survives_the_actor_and_a_lower_limit() {
    let budget = handle(64_000);
    budget.reserve(100, 100).await.unwrap().unwrap().settle(60);
    let mut first = budget.take(clock::unix(), 100, 100).unwrap();
    let _second = budget.take(clock::unix(), 100, 100).unwrap();
    assert!(budget.owner().address().send(Panic).await.is_err());
    first.settle(10);
    let view = budget.observe().await.unwrap();
    assert_eq!((view.spent, view.held), (70, 100));
    let _third = budget.reserve(100, 100).await.unwrap().unwrap();
    let _fourth = budget.take(clock::unix(), 100, 100).unwrap();
    budget.reload(BudgetRecord::named("b", "b", 400)).await.unwrap();
    let refusal = budget.reserve(50, 50).await.unwrap().err().unwrap();
    assert_eq!((refusal.limit, refusal.spent, refusal.held), (400, 70, 300));
}

#[actix::test]
async fn a_slice_of_a_stream_is_as_long_in_advance() {
    let budget = handle(i64::MAX);
    let asked = budget.reserve(1, 10).await.unwrap().unwrap().amount();
    let taken = budget.take(clock::unix(), 1, 10).unwrap().amount();
    assert_eq!(asked, taken);
    assert!(asked > 10);
}

#[actix::test]
async fn a_period_that_is_over_takes_what_ended_with_it_and_people_are_told_anew() {
    let at = clock::unix() + 2;
    let record = BudgetRecord { restarts_at: Some(at), ..BudgetRecord::named("b", "b", 64_000) };
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let shards = Shards::start(1);
    let listening = told.clone();
    shards.news().listen(move |story| {
        if let Story::Spent { before, after, .. } = story {
            listening.lock().unwrap().push((before, after));
        }
    });
    let budget = BudgetHandle::start(record, (0, 0), &shards);
    budget.reserve(100, 100).await.unwrap().unwrap().settle(60);
    let mut late = budget.take(at - 1, 100, 100).unwrap();
    let mut ended = budget.take(at - 1, 100, 100).unwrap();
    // Nobody asks the actor, and it is told at once.
    ended.settle(40_000);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(*told.lock().unwrap(), [(0, 40_060)]);
    budget.reserve(100, 100).await.unwrap().unwrap().settle(11);
    assert!(budget.take(at, 1, 1).is_none(), "the advance is of the period before");
    while clock::unix() < at {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // Nobody asked the actor in the new period yet.
    late.settle(33_000);
    let view = budget.observe().await.unwrap();
    assert_eq!((view.spent, view.held, view.period_start), (33_000, 0, at));
    assert_eq!(told.lock().unwrap()[1..], [(0, 33_000)]);
}

#[test]
fn people_are_told_at_shares_of_any_limit() {
    for (limit, spent, next) in [
        (190, 0, 95),
        (190, 95, 152),
        (190, 152, 190),
        (190, 190, i64::MAX),
        (10, 0, 5),
        (10, 5, 8),
        (3, 0, 2),
        (1, 0, 1),
        (i64::MAX, 0, i64::MAX / 2 + 1),
    ] {
        let record = BudgetRecord::named("b", "b", limit);
        assert_eq!(next_alert(&record, spent), next, "{spent} of {limit}");
    }
}
