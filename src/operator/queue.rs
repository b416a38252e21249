//! Chooses the next object. Namespaces take turns: each waits for one pass of each other namespace at most.
//!
//! A pass that works holds a *place*, and the number of places is limited. A pass that waits for its turn at AWS gives it up.
//! It takes it back when its turn comes, even if that makes one place too many. The number of passes under way, with or
//! without a place, is limited too, for each namespace and for all: each takes memory.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// The most passes of one namespace that are under way, as a multiple of the places.
const OF_ONE: usize = 4;
/// The most passes of all namespaces that are under way, as a multiple of the places.
const OF_ALL: usize = 16;

#[derive(Debug, PartialEq, Eq)]
enum State {
    Waits,
    Works,
    /// Something has happened since its pass began.
    IsDueAgain,
}

/// The objects that are due, and those that have a pass. Each is in it once.
#[derive(Debug)]
pub(super) struct Queue<T> {
    places: usize,
    /// How many passes hold a place.
    working: usize,
    /// By namespace: how many passes are under way, with or without a place.
    begun: HashMap<String, usize>,
    /// How many are under way in all namespaces.
    under_way: usize,
    /// By namespace: objects that wait, the oldest first.
    waiting: HashMap<String, VecDeque<T>>,
    /// How many wait in all namespaces.
    waits: usize,
    /// The namespaces in which objects wait. The first is next.
    turns: VecDeque<String>,
    states: HashMap<T, State>,
}

impl<T: Clone + Eq + Hash> Queue<T> {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places,
            working: 0,
            begun: HashMap::new(),
            under_way: 0,
            waiting: HashMap::new(),
            waits: 0,
            turns: VecDeque::new(),
            states: HashMap::new(),
        }
    }

    /// An object is due. It waits after the others of its namespace. If it has a pass, it does so when that is over.
    pub(super) fn due(&mut self, namespace: &str, object: T) {
        match self.states.get_mut(&object) {
            Some(State::Waits) => {}
            Some(works) => *works = State::IsDueAgain,
            None => self.wait(namespace, object),
        }
    }

    fn wait(&mut self, namespace: &str, object: T) {
        self.states.insert(object.clone(), State::Waits);
        let group = self.waiting.entry(namespace.into()).or_default();
        if group.is_empty() {
            self.turns.push_back(namespace.into());
        }
        group.push_back(object);
        self.waits += 1;
    }

    /// How many objects wait.
    pub(super) fn waiting(&self) -> usize {
        self.waits
    }

    /// Gives a place to the next object, if one is free. A namespace with too many passes under way keeps its turn.
    pub(super) fn next(&mut self) -> Option<(String, T)> {
        if self.working >= self.places || self.under_way >= OF_ALL * self.places {
            return None;
        }
        let most = OF_ONE * self.places;
        let turn = self.turns.iter().position(|it| self.begun.get(it).is_none_or(|begun| *begun < most))?;
        let namespace = self.turns.remove(turn)?;
        let group = self.waiting.get_mut(&namespace)?;
        let object = group.pop_front()?;
        self.waits -= 1;
        if group.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.turns.push_back(namespace.clone());
        }
        self.states.insert(object.clone(), State::Works);
        *self.begun.entry(namespace.clone()).or_default() += 1;
        (self.working, self.under_way) = (self.working + 1, self.under_way + 1);
        Some((namespace, object))
    }

    /// A pass gives up its place.
    pub(super) fn step_aside(&mut self) {
        self.working -= 1;
    }

    /// A pass takes its place back.
    pub(super) fn step_back(&mut self) {
        self.working += 1;
    }

    /// A pass is over. It held a place.
    pub(super) fn end(&mut self, namespace: &str, object: T) {
        self.working -= 1;
        if let Some(begun) = self.begun.get_mut(namespace) {
            *begun -= 1;
            self.under_way -= 1;
            if *begun == 0 {
                self.begun.remove(namespace);
            }
        }
        if self.states.remove(&object) == Some(State::IsDueAgain) {
            self.wait(namespace, object);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    type Object = (&'static str, usize);

    fn queue(places: usize, waiting: &[(&'static str, usize)]) -> Queue<Object> {
        let mut queue = Queue::new(places);
        for (namespace, many) in waiting {
            (0..*many).for_each(|name| queue.due(namespace, (*namespace, name)));
        }
        queue
    }

    fn next(queue: &mut Queue<Object>) -> Option<Object> {
        let (namespace, object) = queue.next()?;
        assert_eq!(namespace, object.0);
        Some(object)
    }

    /// Passes that begin one after the other, each over before the next.
    fn passes(queue: &mut Queue<Object>) -> Vec<Object> {
        std::iter::from_fn(|| {
            let object = next(queue)?;
            queue.end(object.0, object);
            Some(object)
        })
        .collect()
    }

    #[test]
    fn twelve_wait_for_one_pass_each_of_three_thousand() {
        let mut queue = queue(32, &[("many", 3000), ("few", 12)]);
        let begun = passes(&mut queue);
        assert_eq!(begun.len(), 3012);
        for turn in 0..12 {
            assert_eq!(begun[2 * turn..][..2], [("many", turn), ("few", turn)]);
        }
        let rest: Vec<_> = (12..3000).map(|name| ("many", name)).collect();
        assert_eq!(begun[24..], rest, "and first come, first served");
        assert_eq!((queue.waiting(), queue.working, queue.begun.len(), queue.states.len()), (0, 0, 0, 0));
    }

    #[test]
    fn whoever_comes_late_waits_for_one_pass_of_each_other() {
        let mut queue = queue(1, &[("a", 100), ("b", 100), ("c", 1)]);
        let mut namespace = || {
            let object = next(&mut queue).unwrap();
            queue.end(object.0, object);
            if object.0 == "c" {
                queue.due("c", object);
            }
            object.0
        };
        let begun: String = (0..12).map(|_| namespace()).collect();
        assert_eq!(begun, "abcabcabcabc");
    }

    #[test]
    fn an_object_waits_once_and_works_once() {
        let mut queue = queue(9, &[("a", 3)]);
        queue.due("a", ("a", 0));
        assert_eq!(queue.waiting(), 3);
        let first = next(&mut queue).unwrap();
        queue.due("a", first);
        queue.due("a", first);
        assert_eq!((next(&mut queue), next(&mut queue)), (Some(("a", 1)), Some(("a", 2))));
        assert_eq!((next(&mut queue), queue.waiting()), (None, 0));
        queue.end("a", first);
        assert_eq!(next(&mut queue), Some(first), "what has happened meanwhile is not lost");
        queue.end("a", first);
        assert_eq!(next(&mut queue), None);
    }

    #[test]
    fn between_two_passes_of_a_namespace_there_is_one_at_most_of_each_other() {
        const ALL: [&str; 4] = ["a", "b", "c", "d"];
        let mut random = fastrand::Rng::with_seed(7);
        for places in [1, 2, 5] {
            let mut queue = queue(places, &[]);
            let (mut working, mut away) = (Vec::<Object>::new(), Vec::<Object>::new());
            // By namespace that could have begun a pass all the while: whose have begun meanwhile.
            let mut passed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            let mut begun = 0;
            for _ in 0..50_000 {
                match random.u32(..8) {
                    0..3 => {
                        let namespace = ALL[random.usize(..4)];
                        queue.due(namespace, (namespace, random.usize(..20)));
                    }
                    3 if !working.is_empty() => {
                        let object = working.swap_remove(random.usize(..working.len()));
                        queue.end(object.0, object);
                    }
                    4 if !working.is_empty() => {
                        away.push(working.swap_remove(random.usize(..working.len())));
                        queue.step_aside();
                    }
                    5 if !away.is_empty() => {
                        working.push(away.swap_remove(random.usize(..away.len())));
                        queue.step_back();
                    }
                    _ => {
                        let free = working.len() < places && working.len() + away.len() < OF_ALL * places;
                        let Some(object) = next(&mut queue) else { continue };
                        assert!(free);
                        passed.remove(object.0);
                        for (waits, others) in &mut passed {
                            assert!(others.insert(object.0), "{} passes {waits} twice", object.0);
                        }
                        working.push(object);
                        begun += 1;
                    }
                }
                let of = |it: &str| working.iter().chain(&away).filter(|object| object.0 == it).count();
                for namespace in ALL {
                    assert!(of(namespace) <= OF_ONE * places);
                    // Whoever has enough under way could not begin, and begins to wait anew.
                    if queue.waiting.contains_key(namespace) && of(namespace) < OF_ONE * places {
                        passed.entry(namespace).or_default();
                    } else {
                        passed.remove(namespace);
                    }
                }
                assert_eq!(queue.working, working.len());
            }
            assert!(begun > 2000, "{begun}");
        }
    }

    #[test]
    fn whoever_waits_for_aws_holds_no_place() {
        let mut queue = queue(2, &[("a", 9)]);
        assert!(next(&mut queue).is_some() && next(&mut queue).is_some() && next(&mut queue).is_none());
        queue.due("b", ("b", 0));
        assert_eq!(next(&mut queue), None);
        queue.step_aside();
        assert_eq!(next(&mut queue), Some(("a", 2)));
        queue.step_aside();
        assert_eq!(next(&mut queue), Some(("b", 0)), "it takes its turn");
        // Both are back, as two more than there are places.
        queue.step_back();
        queue.step_back();
        for over in 0..3 {
            assert_eq!(next(&mut queue), None);
            queue.end("a", ("a", over));
        }
        assert_eq!(next(&mut queue), Some(("a", 3)));
    }

    #[test]
    fn a_namespace_has_no_more_under_way_than_its_share_whatever_it_waits_for() {
        let others = ["n1", "n2", "n3", "n4", "n5"];
        let mut queue = queue(2, &[("n0", 100)]);
        let mut all_begin = |more: &[&'static str], each: usize| {
            for namespace in more {
                (0..each).for_each(|name| queue.due(namespace, (namespace, name)));
            }
            std::iter::from_fn(|| {
                let object = next(&mut queue)?;
                queue.step_aside();
                Some(object.0)
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(all_begin(&[], 0).len(), 2 * OF_ONE);
        assert_eq!(all_begin(&["late"], 1), ["late"], "others begin all the same");
        let begun = all_begin(&others, 100);
        assert_eq!(begun.len(), 2 * OF_ALL - 2 * OF_ONE - 1, "all together have a limit too");
        for namespace in others {
            assert!(begun.iter().filter(|it| **it == namespace).count() <= 2 * OF_ONE);
        }
        queue.step_back();
        queue.end("n0", ("n0", 0));
        assert_eq!(next(&mut queue), Some(("n0", 2 * OF_ONE)), "it has not lost its turn");
    }
}
