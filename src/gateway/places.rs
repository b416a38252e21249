//! Places: so many in all, and so many for each who takes them. Whoever takes all that it may leaves some to the others.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// See the [module](self).
pub struct Places<K> {
    all: usize,
    each: usize,
    taken: Mutex<Taken<K>>,
}

struct Taken<K> {
    all: usize,
    by: HashMap<K, usize>,
}

/// A place that is taken, as long as this is kept.
pub struct Place<K: Hash + Eq> {
    places: Arc<Places<K>>,
    who: K,
}

impl<K: Hash + Eq + Clone> Places<K> {
    /// So many in all, and so many of them for each.
    pub fn new(all: usize, each: usize) -> Arc<Self> {
        let taken = Mutex::new(Taken { all: 0, by: HashMap::new() });
        Arc::new(Self { all, each, taken })
    }

    /// How many each may have.
    pub fn each(&self) -> usize {
        self.each
    }

    /// A place for somebody, if there is one left.
    pub fn take(self: &Arc<Self>, who: &K) -> Option<Place<K>> {
        let taken = &mut *self.taken.lock();
        let by = taken.by.get(who).copied().unwrap_or_default();
        if taken.all >= self.all || by >= self.each {
            return None;
        }
        taken.all += 1;
        taken.by.insert(who.clone(), by + 1);
        Some(Place { places: self.clone(), who: who.clone() })
    }
}

impl<K: Hash + Eq> Place<K> {
    /// Whose it is.
    pub fn who(&self) -> &K {
        &self.who
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let taken = &mut *self.places.taken.lock();
        taken.all -= 1;
        if let Some(by) = taken.by.get_mut(&self.who) {
            *by -= 1;
            if *by == 0 {
                taken.by.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_what_is_the_others() {
        let places = Places::new(5, 3);
        let mut of_one: Vec<_> = (0..3).map(|_| places.take(&"one").unwrap()).collect();
        assert!(places.take(&"one").is_none(), "it has all that it may have");
        let of_two = [places.take(&"two"), places.take(&"two")];
        assert!(of_two.iter().all(Option::is_some));
        assert!(places.take(&"three").is_none(), "there are no more");
        of_one.pop();
        assert!(places.take(&"three").is_some() && places.take(&"one").is_some(), "what is over makes room");
    }

    #[test]
    fn who_has_no_place_is_not_remembered() {
        let places = Places::new(1000, 1);
        for who in 0..1000 {
            drop(places.take(&who));
            assert!(places.taken.lock().by.is_empty());
        }
    }
}
