//! What others say, kept for a while: whoever wants to know the same at the same moment waits for one answer; what grows
//! old is asked for again before it is needed; and while nobody answers, what was said last goes on to count for a while.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

/// How long an answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Until then it is just used.
    pub young: Duration,
    /// Until then it is used, and asked for again meanwhile.
    pub fresh: Duration,
    /// Until then it is used if nobody answers.
    pub usable: Duration,
}

impl Life {
    /// Of what the cluster says of callers and rights. A right that is withdrawn is withdrawn within a minute, and who is known
    /// goes on for five minutes while the API server is away.
    pub const OF_THE_CLUSTERS_WORD: Self = Self {
        young: Duration::from_secs(30),
        fresh: Duration::from_secs(45),
        usable: Duration::from_secs(300),
    };
}

/// Why there is no answer that one could go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Not<R> {
    /// It is refused. What was said before does not count any more.
    Refused(R),
    /// Nobody answers. What was said before may count.
    Away(R),
}

/// What is said to one question.
pub type Answer<V, R> = Result<(V, Life), Not<R>>;

/// How many refusals are remembered, and questions that nobody answers. They have a place of their own: whoever asks for much
/// that is refused, such as with made-up tokens, has nothing else forgotten.
const REFUSALS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8_191);

/// Answers, by what they are about; those that nobody has used for longest are forgotten. Clones are the same ones.
pub struct Kept<K, V, R> {
    slots: Slots<K, V, R>,
    refusals: Refusals<K, R>,
    /// How many answers are kept.
    most: NonZeroUsize,
    /// How long a refusal counts, and how long it is until somebody is asked again who did not answer.
    pause: Duration,
}

/// What is known, or being asked for.
type Slots<K, V, R> = Arc<Mutex<LruCache<K, Arc<Slot<V, R>>>>>;
/// Since when something is refused, and why.
type Refusals<K, R> = Arc<Mutex<LruCache<K, (R, Instant)>>>;

impl<K, V, R> Clone for Kept<K, V, R> {
    fn clone(&self) -> Self {
        let (slots, refusals) = (self.slots.clone(), self.refusals.clone());
        Self { slots, refusals, most: self.most, pause: self.pause }
    }
}

struct Slot<V, R> {
    known: Mutex<Known<V, R>>,
    /// Whoever has it asks.
    turn: Turn<()>,
}

struct Known<V, R> {
    said: Option<(V, Life, Instant)>,
    // Of most there is neither, and a refusal is large.
    refused: Option<Box<(R, Instant)>>,
    away: Option<Box<(R, Instant)>>,
}

impl<V, R> Default for Slot<V, R> {
    fn default() -> Self {
        let known = Known { said: None, refused: None, away: None };
        Self { known: Mutex::new(known), turn: Turn::default() }
    }
}

/// What follows from what is known.
enum Now<V, R> {
    Use(V),
    UseAndAsk(V),
    Refuse(R),
    Ask,
}

impl<V: Clone, R: Clone> Slot<V, R> {
    fn now(&self, pause: Duration) -> Now<V, R> {
        let known = self.known.lock();
        let away = known.away.as_deref().map(|(why, since)| (why, since.elapsed()));
        let is_paused = away.is_some_and(|(_, since)| since < pause);
        if let Some((value, life, since)) = &known.said {
            let age = since.elapsed();
            // That nobody answered counts no longer than an answer would: by then it may be over, and what was said before
            // withdrawn.
            let is_away = away.is_some_and(|(_, since)| since < life.fresh);
            if age < life.young {
                return Now::Use(value.clone());
            }
            if age < life.fresh || (age < life.usable && is_away) {
                return if is_paused { Now::Use(value.clone()) } else { Now::UseAndAsk(value.clone()) };
            }
        }
        if let Some((why, _)) = away.filter(|_| is_paused) {
            return Now::Refuse(why.clone());
        }
        match known.refused.as_deref() {
            Some((why, since)) if since.elapsed() < pause => Now::Refuse(why.clone()),
            _ => Now::Ask,
        }
    }

    /// Notes an answer, and says what follows from it.
    fn note(&self, answer: Answer<V, R>) -> Result<V, R> {
        let (mut known, now) = (self.known.lock(), Instant::now());
        match answer {
            Ok((value, life)) => {
                *known = Known { said: Some((value.clone(), life, now)), refused: None, away: None };
                Ok(value)
            }
            Err(Not::Refused(why)) => {
                *known = Known { said: None, refused: Some(Box::new((why.clone(), now))), away: None };
                Err(why)
            }
            Err(Not::Away(why)) => {
                known.away = Some(Box::new((why.clone(), now)));
                match &known.said {
                    Some((value, life, since)) if since.elapsed() < life.usable => Ok(value.clone()),
                    _ => Err(why),
                }
            }
        }
    }
}

impl<K, V, R> Kept<K, V, R>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    /// Keeps so many at most. A refusal counts as long as `pause`, and who does not answer is left alone for as long.
    pub fn new(most: NonZeroUsize, pause: Duration) -> Self {
        // Bounded by `put`: a cache with a bound of its own takes memory for all that it may ever keep.
        let (slots, refusals) = (Mutex::new(LruCache::unbounded()), Mutex::new(LruCache::unbounded()));
        Self { slots: Arc::new(slots), refusals: Arc::new(refusals), most, pause }
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.slots.lock().len()
    }

    /// Forgets one.
    pub fn forget(&self, key: &K) {
        self.slots.lock().pop(key);
    }

    /// What is said of `key`; `ask` asks for it.
    pub async fn get<F>(&self, key: &K, ask: impl FnOnce() -> F) -> Result<V, R>
    where
        F: Future<Output = Answer<V, R>> + Send + 'static,
    {
        if let Some(why) = self.refusal(key) {
            return Err(why);
        }
        let slot = self.slot(key);
        match slot.now(self.pause) {
            Now::Use(value) => return Ok(value),
            Now::Refuse(why) => return Err(why),
            Now::UseAndAsk(value) => {
                if slot.turn.try_lock().is_ok() {
                    let (kept, key, asked) = (self.clone(), key.clone(), ask());
                    tokio::spawn(async move {
                        // Somebody else may have asked meanwhile.
                        if let Ok(_turn) = slot.turn.try_lock() {
                            let answer = asked.await;
                            let _ = kept.note(&key, &slot, answer);
                        }
                    });
                }
                return Ok(value);
            }
            Now::Ask => {}
        }
        let _turn = slot.turn.lock().await;
        // Somebody else may have asked meanwhile.
        match slot.now(self.pause) {
            Now::Use(value) | Now::UseAndAsk(value) => Ok(value),
            Now::Refuse(why) => Err(why),
            // What asks is large, and whoever is known at once carries its future along.
            Now::Ask => self.note(key, &slot, Box::pin(ask()).await),
        }
    }

    /// Notes an answer. Where there is nothing that one could go by, it is why not that is kept.
    fn note(&self, key: &K, slot: &Slot<V, R>, answer: Answer<V, R>) -> Result<V, R> {
        let said = slot.note(answer);
        if let Err(why) = &said {
            put(&mut self.refusals.lock(), REFUSALS, key, (why.clone(), Instant::now()));
            self.slots.lock().pop(key);
        }
        said
    }

    fn refusal(&self, key: &K) -> Option<R> {
        let mut refusals = self.refusals.lock();
        let (why, since) = refusals.get(key)?;
        if since.elapsed() < self.pause {
            return Some(why.clone());
        }
        refusals.pop(key);
        None
    }

    /// The same, asked for now, whatever is known; if nobody answers, what is known may count.
    pub async fn renew<F>(&self, key: &K, ask: impl FnOnce() -> F) -> Result<V, R>
    where
        F: Future<Output = Answer<V, R>> + Send + 'static,
    {
        let slot = self.slot(key);
        let _turn = slot.turn.lock().await;
        self.note(key, &slot, Box::pin(ask()).await)
    }

    fn slot(&self, key: &K) -> Arc<Slot<V, R>> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(key) {
            return slot.clone();
        }
        let slot = Arc::<Slot<V, R>>::default();
        put(&mut slots, self.most, key, slot.clone());
        slot
    }
}

/// Puts something into a cache of so many at most; what nobody has used for longest makes room.
fn put<K: Hash + Eq + Clone, V>(cache: &mut LruCache<K, V>, most: NonZeroUsize, key: &K, value: V) {
    cache.put(key.clone(), value);
    if cache.len() > most.get() {
        cache.pop_lru();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIFE: Life = Life::OF_THE_CLUSTERS_WORD;

    type Said = Answer<usize, &'static str>;
    type Says = fn(usize) -> Said;

    /// Somebody who is asked.
    struct Source {
        kept: Kept<u8, usize, &'static str>,
        asked: Arc<AtomicUsize>,
        says: Arc<Mutex<Says>>,
        takes: Duration,
    }

    fn yes(count: usize) -> Said {
        Ok((count, LIFE))
    }

    fn away(_: usize) -> Said {
        Err(Not::Away("away"))
    }

    fn no(_: usize) -> Said {
        Err(Not::Refused("no"))
    }

    impl Source {
        fn new() -> Self {
            let kept = Kept::new(NonZeroUsize::new(2).unwrap(), 5 * SECOND);
            let says = Arc::new(Mutex::new(yes as Says));
            Self { kept, asked: Arc::default(), says, takes: SECOND / 10 }
        }

        fn now_says(&self, says: Says) {
            *self.says.lock() = says;
        }

        async fn get(&self, key: u8) -> Result<usize, &'static str> {
            let (asked, says, takes) = (self.asked.clone(), self.says.clone(), self.takes);
            let ask = || async move {
                let count = asked.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::time::sleep(takes).await;
                let says = *says.lock();
                says(count)
            };
            self.kept.get(&key, ask).await
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_at_once_wait_for_one_answer() {
        let source = Source::new();
        let all = futures::future::join_all((0..100).map(|_| source.get(1))).await;
        assert!(all.iter().all(|said| *said == Ok(1)));
        assert_eq!(source.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_grows_old_is_asked_for_again_before_it_is_needed() {
        let source = Source::new();
        assert_eq!(source.get(1).await, Ok(1));
        tokio::time::advance(29 * SECOND).await;
        assert_eq!((source.get(1).await, source.asked()), (Ok(1), 1));
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(source.get(1).await, Ok(1), "nobody waits");
        tokio::time::sleep(SECOND).await;
        assert_eq!((source.get(1).await, source.asked()), (Ok(2), 2));
        tokio::time::advance(46 * SECOND).await;
        assert_eq!(source.get(1).await, Ok(3), "what is no longer fresh is waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn while_nobody_answers_what_was_said_last_counts_for_a_while() {
        let source = Source::new();
        assert_eq!(source.get(1).await, Ok(1));
        source.now_says(away);
        tokio::time::advance(100 * SECOND).await;
        assert_eq!(source.get(1).await, Ok(1));
        let asked = source.asked();
        assert_eq!((source.get(1).await, source.asked()), (Ok(1), asked), "not at each question");
        assert_eq!(source.get(2).await, Err("away"), "nobody new");
        tokio::time::advance(201 * SECOND).await;
        assert_eq!(source.get(1).await, Err("away"), "five minutes are over");
        source.now_says(yes);
        tokio::time::advance(6 * SECOND).await;
        assert!(source.get(1).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_somebody_who_does_not_answer_as_long_as_what_was_said_counts() {
        let mut source = Source::new();
        let begun = Instant::now();
        assert_eq!(source.get(1).await, Ok(1));
        source.now_says(away);
        source.takes = 5 * SECOND;
        while begun.elapsed() < 299 * SECOND {
            let asked = Instant::now();
            assert_eq!(source.get(1).await, Ok(1), "after {:?}", begun.elapsed());
            assert_eq!(asked.elapsed(), Duration::ZERO, "after {:?}", begun.elapsed());
            tokio::time::sleep(SECOND).await;
        }
        assert!(source.asked() > 20, "it is asked all the time, and was {} times", source.asked());
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(source.get(1).await, Err("away"));
        source.now_says(yes);
        tokio::time::sleep(6 * SECOND).await;
        assert!(source.get(1).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn that_nobody_answered_once_lets_nothing_old_be_used_for_long() {
        let source = Source::new();
        assert_eq!(source.get(1).await, Ok(1));
        source.now_says(away);
        tokio::time::advance(46 * SECOND).await;
        assert_eq!(source.get(1).await, Ok(1));
        source.now_says(no);
        tokio::time::advance(46 * SECOND).await;
        assert_eq!(source.get(1).await, Err("no"), "it was there again long ago");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_counts_at_once_and_for_a_short_while() {
        let source = Source::new();
        assert_eq!(source.get(1).await, Ok(1));
        source.now_says(no);
        tokio::time::advance(46 * SECOND).await;
        assert_eq!(source.get(1).await, Err("no"));
        source.now_says(away);
        assert_eq!(source.get(1).await, Err("no"), "it is not asked for at each question");
        tokio::time::advance(6 * SECOND).await;
        assert_eq!(source.get(1).await, Err("away"), "what was said before it does not come back");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_refused_much_has_nothing_else_forgotten() {
        let source = Source::new();
        assert!(source.get(1).await.is_ok() && source.get(2).await.is_ok());
        source.now_says(no);
        for key in 3..100 {
            assert_eq!(source.get(key).await, Err("no"));
            assert_eq!(source.get(2).await, Ok(2));
        }
        assert_eq!(source.asked(), 2 + 97);
        assert_eq!(source.get(50).await, Err("no"));
        assert_eq!(source.asked(), 2 + 97, "refusals are remembered, too");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_much_while_nobody_answers_has_nothing_else_forgotten() {
        let source = Source::new();
        assert_eq!(source.get(1).await, Ok(1));
        source.now_says(away);
        for key in 2..100 {
            assert_eq!(source.get(key).await, Err("away"));
        }
        assert_eq!(source.get(1).await, Ok(1));
        assert_eq!((source.asked(), source.kept.len()), (1 + 98, 1));
        assert_eq!(source.get(50).await, Err("away"));
        assert_eq!(source.asked(), 1 + 98, "nobody is asked about the same again at once");
    }

    #[tokio::test(start_paused = true)]
    async fn those_are_forgotten_that_nobody_has_used_for_longest() {
        let source = Source::new();
        for key in [1, 2, 1, 3] {
            assert!(source.get(key).await.is_ok());
        }
        assert_eq!((source.asked(), source.kept.len()), (3, 2));
        assert!(source.get(1).await.is_ok());
        assert_eq!(source.asked(), 3);
        source.kept.forget(&1);
        assert!(source.get(1).await.is_ok());
        assert_eq!(source.asked(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_anew_does_not_lose_what_is_known() {
        let source = Source::new();
        assert_eq!(source.get(1).await, Ok(1));
        assert_eq!(source.kept.renew(&1, || async { yes(7) }).await, Ok(7));
        assert_eq!(source.kept.renew(&1, || async { away(0) }).await, Ok(7));
        assert_eq!(source.get(1).await, Ok(7));
        assert_eq!(source.kept.renew(&2, || async { away(0) }).await, Err("away"));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_goes_away_keeps_nobody_waiting() {
        let source = Source::new();
        let gone = tokio::time::timeout(SECOND / 100, source.get(1)).await;
        assert!(gone.is_err());
        assert_eq!(source.get(1).await, Ok(2));
    }
}
