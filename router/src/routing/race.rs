//! A fallback whose next child may start beside a slow one: who starts when, and whose answer counts. Pure; time is the
//! caller's.
//!
//! Children start in their order, each once. One that starts because another is slow is a *hedge*: its failure decides
//! nothing while another one still runs. Any other failure is judged as in every fallback.

/// What a child came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// To an answer that the fallback keeps.
    Answer,
    /// To a failure that the fallback leaves behind.
    Falls,
    /// To a failure that the fallback keeps.
    Stays,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// This is the answer; whatever else runs is stopped.
    Done,
    /// Others run on.
    Wait,
    /// This child starts.
    Start(usize),
}

/// Children of one fallback.
#[derive(Clone, Debug)]
pub struct Race {
    children: usize,
    started: usize,
    running: usize,
    hedges: u32,
}

impl Race {
    /// Begins with the first child running. `most`: how many may start beside others.
    #[must_use]
    pub fn new(children: usize, most: u32) -> Self {
        Self { children, started: 1, running: 1, hedges: most }
    }

    /// Returns whether another child may start beside those that run.
    #[must_use]
    pub fn may_hedge(&self) -> bool {
        self.hedges > 0 && self.started < self.children
    }

    /// Starts the next child beside those that run.
    pub fn hedge(&mut self) -> Option<usize> {
        if !self.may_hedge() {
            return None;
        }
        self.hedges -= 1;
        Some(self.start())
    }

    /// Takes what a child came to; `hedged`: it started beside another.
    pub fn ended(&mut self, hedged: bool, came: Came) -> Then {
        self.running -= 1;
        match came {
            Came::Answer => Then::Done,
            Came::Stays if !hedged || self.running == 0 => Then::Done,
            _ if self.running > 0 => Then::Wait,
            _ if self.started < self.children => Then::Start(self.start()),
            _ => Then::Done,
        }
    }

    /// Returns the first child that was not started.
    #[must_use]
    pub fn next(&self) -> usize {
        self.started
    }

    fn start(&mut self) -> usize {
        self.started += 1;
        self.running += 1;
        self.started - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_a_hedge_it_is_a_fallback() {
        let mut race = Race::new(3, 1);
        assert_eq!(race.ended(false, Came::Falls), Then::Start(1));
        assert_eq!(race.ended(false, Came::Falls), Then::Start(2));
        assert_eq!(race.ended(false, Came::Falls), Then::Done);
        assert_eq!(Race::new(3, 1).ended(false, Came::Stays), Then::Done);
        assert_eq!(Race::new(3, 1).ended(false, Came::Answer), Then::Done);
    }

    #[test]
    fn a_hedge_that_fails_decides_nothing_while_another_runs() {
        for came in [Came::Falls, Came::Stays] {
            let mut race = Race::new(2, 1);
            assert_eq!(race.hedge(), Some(1));
            assert_eq!(race.hedge(), None);
            assert_eq!(race.ended(true, came), Then::Wait);
            assert_eq!(race.ended(false, Came::Answer), Then::Done);
        }
    }

    #[test]
    fn the_last_one_running_is_judged_like_any_other() {
        let mut race = Race::new(3, 1);
        assert_eq!(race.hedge(), Some(1));
        assert_eq!(race.ended(false, Came::Falls), Then::Wait);
        assert_eq!(race.ended(true, Came::Falls), Then::Start(2));
        let mut race = Race::new(3, 1);
        race.hedge();
        assert_eq!(race.ended(false, Came::Falls), Then::Wait);
        assert_eq!(race.ended(true, Came::Stays), Then::Done);
    }

    proptest! {
        #[test]
        fn every_child_starts_at_most_once_in_order_and_a_race_ends(
            children in 1_usize..8, most in 0_u32..6, events in prop::collection::vec((0_u8..4, any::<bool>()), 1..64),
        ) {
            let mut race = Race::new(children, most);
            let (mut begun, mut running) = (vec![0], vec![false]);
            let mut over = false;
            for (event, last) in events {
                if event == 3 {
                    if let Some(child) = race.hedge() {
                        begun.push(child);
                        running.push(true);
                    }
                    continue;
                }
                let hedged = if last { running.pop() } else { Some(running.remove(0)) };
                let came = [Came::Answer, Came::Falls, Came::Stays][usize::from(event)];
                match race.ended(hedged.unwrap_or(false), came) {
                    Then::Done => {
                        over = true;
                        break;
                    }
                    Then::Wait => prop_assert!(!running.is_empty()),
                    Then::Start(child) => {
                        prop_assert!(running.is_empty());
                        begun.push(child);
                        running.push(false);
                    }
                }
            }
            prop_assert_eq!(&begun, &(0..begun.len()).collect::<Vec<_>>());
            prop_assert!(begun.len() <= children);
            prop_assert!(over || !running.is_empty());
        }
    }
}
