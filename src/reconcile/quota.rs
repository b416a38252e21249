//! Room: an account has 100 knowledge bases, and a namespace may have so many of them, and so many Tenants. Who would be
//! one too many is refused before anything is built, and woken when a place is free.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::listing::{Listing, Names};
use super::places::{Applicant, Bound, Full, Limits, Places};
use super::stop::PassStop;
use crate::api::{ConditionType, Reason, Severity, Status};
use crate::clock::Clock;
use crate::stack::fault::Fault;
use crate::stack::identity::{Identity, Owner};
use crate::stack::max_knowledge_bases::MAX_KNOWLEDGE_BASES;
use crate::stack::model::blocked::Blocked;

/// How old AWS's answer may be for a refusal.
const REFUSES: Duration = Duration::from_secs(30);

/// How old it may be for a promise: knowledge bases of others may have come since. Ours are promised before they come.
const PROMISES: Duration = Duration::from_secs(5);

/// Who has a place, who waits for one, and what AWS said last.
#[derive(Default)]
pub struct Reservations {
    places: Mutex<Places>,
    listing: Listing,
    /// When it was last looked who is there.
    kept: Mutex<Option<Instant>>,
}

/// Whether an object that was accepted keeps the promise of its knowledge base: it has it, it is being made, or the object
/// gets on. Nothing goes on while it is Stalled or paused.
pub fn keeps_promise(status: &Status) -> bool {
    let is_being_made = status.condition(ConditionType::KnowledgeBaseReady).is_some_and(|said| {
        let waits = Reason::parse(&said.reason).is_some_and(|reason| reason.severity() != Severity::Stalled);
        said.status == "False" && waits
    });
    let gets_on = !status.is_true(ConditionType::Stalled) && !status.is_true(ConditionType::Paused);
    status.knowledge_base_id.is_some() || is_being_made || gets_on
}

/// Whom to wake.
pub type Next = Vec<Owner>;

impl Reservations {
    /// A Tenant that has its tenantId is in, however many there are.
    pub fn is_in(&self, id: &Identity) {
        self.places.lock().is_in(id);
    }

    /// A Tenant waited for its place in its namespace before this process began.
    pub fn waited(&self, applicant: &Applicant) {
        self.places.lock().waited(applicant);
    }

    /// Promises a knowledge base without asking: it is there, or was promised before.
    pub fn promise(&self, id: &Identity) {
        self.places.lock().promise(id);
    }

    /// Whether an object has the promise of a knowledge base.
    pub fn is_promised(&self, uid: &str) -> bool {
        self.places.lock().is_promised(uid)
    }

    /// Whether an object waits for a knowledge base.
    pub fn waits_for_knowledge_base(&self, uid: &str) -> bool {
        self.places.lock().waits_for_knowledge_base(uid)
    }

    /// The uids of all that have the promise of a knowledge base.
    #[cfg(test)]
    pub fn promised(&self) -> Vec<String> {
        self.places.lock().promised()
    }

    /// The object is gone, and its knowledge base may be.
    pub fn forget(&self, uid: &str) -> Next {
        let mut places = self.places.lock();
        let lapsed = places.lapse(uid);
        if !lapsed.is_empty() {
            self.listing.spoil();
        }
        let freed = [lapsed, places.leave(uid), places.stops_waiting(uid)].concat();
        next(&places, &freed)
    }

    /// What AWS said of the account's knowledge bases is not said again.
    pub fn ask_anew(&self) {
        self.listing.spoil();
    }

    /// The object has no knowledge base and does not get on: it stands in nobody's way.
    pub fn lapse(&self, uid: &str) -> Next {
        let mut places = self.places.lock();
        let freed = places.lapse(uid);
        next(&places, &freed)
    }

    /// The Tenant has not its tenantId: it has no place in its namespace.
    pub fn leave(&self, uid: &str) -> Next {
        let mut places = self.places.lock();
        let freed = places.leave(uid);
        next(&places, &freed)
    }

    /// The object waits no more; if it was woken, the next is.
    pub fn stops_waiting(&self, uid: &str) -> Next {
        let mut places = self.places.lock();
        let passed_on = places.stops_waiting(uid);
        next(&places, &passed_on)
    }

    /// Whom those have to wake who were refused for something else than what they waited for.
    pub fn passed_on(&self) -> Next {
        let mut places = self.places.lock();
        let passed_on = places.passed_on();
        next(&places, &passed_on)
    }

    /// Whoever is there no more has no place and does not wait. As often as AWS is asked: all of them are looked at.
    pub fn keep(&self, clock: Clock, is_there: impl Fn(&Owner, &str) -> bool) {
        let mut kept = self.kept.lock();
        if kept.is_none_or(|at| clock.since(at) >= REFUSES) {
            self.places.lock().keep(is_there);
            *kept = Some(Instant::now());
        }
    }

    /// Asks for a Tenant's place in its namespace. `takes`, or only wants to know.
    pub fn enter(&self, applicant: &Applicant, limit: usize, takes: bool) -> Result<Next, Blocked> {
        let mut places = self.places.lock();
        places.enter(applicant, limit, takes).map_err(|full| refusal(&full, applicant.begun))?;
        let bound = match &applicant.id.owner {
            Owner::Tenant { namespace, .. } if takes => vec![Bound::Tenants(namespace.clone())],
            _ => Vec::new(),
        };
        // Who gets a place wakes the next: there may be more of them.
        Ok(next(&places, &bound))
    }

    /// Whether it is known, without asking AWS, that there is no room for one more knowledge base.
    pub fn is_full(&self, clock: Clock, applicant: &Applicant, limits: Limits) -> Option<Blocked> {
        let names = self.listing.known(clock, REFUSES)?;
        self.places
            .lock()
            .reserve(applicant, &names, limits, false)
            .err()
            .map(|full| refusal(&full, applicant.begun))
    }

    /// Asks for room for one more knowledge base. `ask` lists those of the account.
    pub async fn reserve<F>(
        &self,
        clock: Clock,
        applicant: &Applicant,
        limits: Limits,
        ask: impl Fn() -> F,
    ) -> Result<Next, PassStop>
    where
        F: Future<Output = Result<Vec<String>, Fault>>,
    {
        let tries = |names: &Names, takes| {
            self.places
                .lock()
                .reserve(applicant, names, limits, takes)
                .map_err(|full| refusal(&full, applicant.begun))
        };
        let names = self.listing.names(clock, REFUSES, &ask).await.map_err(PassStop::of_asking)?;
        tries(&names, false)?;
        let names = self.listing.names(clock, PROMISES, &ask).await.map_err(PassStop::of_asking)?;
        tries(&names, true)?;
        let mut bounds = vec![Bound::Account];
        if let Owner::Tenant { namespace, .. } = &applicant.id.owner {
            bounds.push(Bound::KnowledgeBases(namespace.clone()));
        }
        Ok(next(&self.places.lock(), &bounds))
    }
}

/// The oldest that waits for each of these.
fn next(places: &Places, bounds: &[Bound]) -> Next {
    bounds.iter().filter_map(|bound| places.next(bound)).map(|id| id.owner.clone()).collect()
}

/// In words, with what helps.
fn refusal(Full { bound, taken, ahead, limit }: &Full, begun: bool) -> Blocked {
    let so_far = if begun { "The knowledge base is not made" } else { "Nothing was built" };
    let message = match bound {
        Bound::Account => format!(
            "The account has or is promised {taken} knowledge bases and --max-knowledge-bases is {limit}. {so_far}. Use the \
             Pool pattern, make room, or raise the limit (AWS allows 100 an account and region)"
        ),
        Bound::KnowledgeBases(namespace) => format!(
            "Namespace '{namespace}' has or is promised {taken} knowledge bases and its annotation {MAX_KNOWLEDGE_BASES} is \
             {limit}. {so_far}. Use the Pool pattern, delete a Silo or Bridge tenant of the namespace, or ask an administrator"
        ),
        Bound::Tenants(namespace) if *ahead > 0 => format!(
            "Namespace '{namespace}' has {taken} Tenants, {ahead} older ones wait, and --max-tenants-per-namespace is {limit}. \
             {so_far}. Delete one, or ask an administrator"
        ),
        Bound::Tenants(namespace) => format!(
            "Namespace '{namespace}' has {taken} Tenants and --max-tenants-per-namespace is {limit}. {so_far}. Delete one, or \
             ask an administrator"
        ),
    };
    let reason = match bound {
        Bound::Tenants(_) => Reason::TooManyTenants,
        Bound::Account | Bound::KnowledgeBases(_) => Reason::QuotaReserved,
    };
    Blocked { reason, message }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, LazyLock};

    use futures::future::join_all;

    use super::*;
    use crate::api::{Layer, Pattern};
    use crate::stack::identity::Scope;

    static SCOPE: LazyLock<Arc<Scope>> =
        LazyLock::new(|| Arc::new(Scope::new("prod", "123456789012", "eu-central-1")));

    fn bridge(n: usize) -> Applicant {
        let (namespace, name, tenant_id) = ("web".to_owned(), format!("bridge-{n:02}"), format!("t{n}"));
        let stack = Some("standard".to_owned());
        let owner =
            Owner::Tenant { namespace, name: name.clone(), tenant_id, pattern: Pattern::Bridge, stack };
        let born = jiff::Timestamp::from_second(i64::try_from(n).unwrap()).ok();
        Applicant { id: Identity::new(SCOPE.clone(), owner, &name), born, begun: false }
    }

    /// An account with these knowledge bases, that counts how often it is asked.
    #[derive(Default)]
    struct Account {
        asked: AtomicUsize,
        has: Mutex<BTreeSet<String>>,
    }

    impl Account {
        async fn list(&self) -> Result<Vec<String>, Fault> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(self.has.lock().iter().cloned().collect())
        }

        fn asked(&self) -> usize {
            self.asked.swap(0, Ordering::SeqCst)
        }
    }

    async fn asks(
        rooms: &Reservations,
        account: &Account,
        limits: Limits,
        n: usize,
    ) -> Result<Next, Blocked> {
        match rooms.reserve(Clock::new(1), &bridge(n), limits, || account.list()).await {
            Ok(next) => Ok(next),
            Err(PassStop::Refused(refused)) => Err(refused),
            Err(_) => panic!("AWS was asked in vain"),
        }
    }

    fn names(next: &Next) -> Vec<&str> {
        next.iter()
            .map(|owner| match owner {
                Owner::Tenant { name, .. } | Owner::Stack { name } => name.as_str(),
            })
            .collect()
    }

    const LIMITS: Limits = Limits { account: 4, namespace: None };

    fn status(says: &[(ConditionType, &str, Reason)]) -> Status {
        let mut status = Status::default();
        for (kind, word, reason) in says {
            status.set(*kind, word, *reason, "", None, crate::clock::now());
        }
        status
    }

    #[test]
    fn who_waits_for_a_person_keeps_no_place_from_others_and_who_is_being_built_does() {
        use ConditionType::{KnowledgeBaseReady, Paused, Reconciling, Stalled};
        let invalid = [(Stalled, "True", Reason::Invalid), (KnowledgeBaseReady, "False", Reason::Invalid)];
        let role =
            [(Stalled, "True", Reason::Denied), (KnowledgeBaseReady, "Unknown", Reason::WaitingForRole)];
        let being_made = [(Stalled, "True", Reason::Denied), (KnowledgeBaseReady, "False", Reason::Creating)];
        let no_room =
            [(Stalled, "True", Reason::QuotaReserved), (KnowledgeBaseReady, "False", Reason::QuotaReserved)];
        for (says, keeps) in [
            (&[][..], true),
            (&[(Reconciling, "True", Reason::Creating)], true),
            (&[(Stalled, "False", Reason::Ready)], true),
            (&invalid, false),
            (&role, false),
            (&no_room, false),
            (&[(Paused, "True", Reason::Paused)], false),
            (&being_made, true),
        ] {
            let mut status = status(says);
            assert_eq!(keeps_promise(&status), keeps, "{says:?}");
            status.knowledge_base_id = Some("KB1".into());
            assert!(keeps_promise(&status), "{says:?}: its knowledge base is there");
        }
    }

    #[tokio::test]
    async fn fifty_for_whom_there_is_no_room_do_not_ask_aws_fifty_times() {
        let (rooms, account) = (Reservations::default(), Account::default());
        account.has.lock().extend((0..4).map(|n| format!("somebodys-{n}")));
        for _ in 0..3 {
            let answers = join_all((0..50).map(|n| asks(&rooms, &account, LIMITS, n))).await;
            for answer in answers {
                let refused = answer.unwrap_err();
                assert_eq!(refused.reason, Reason::QuotaReserved);
                assert!(refused.message.contains("4 knowledge bases"), "{}", refused.message);
            }
        }
        assert_eq!(account.asked(), 1);
        assert!(rooms.is_full(Clock::new(1), &bridge(1), LIMITS).is_some());
        assert_eq!(account.asked(), 0, "what is known is known without asking");
    }

    #[tokio::test]
    async fn who_has_made_room_is_not_refused_for_what_was_counted_before() {
        let (rooms, account) = (Reservations::default(), Account::default());
        account.has.lock().extend((0..4).map(|n| format!("somebodys-{n}")));
        assert!(asks(&rooms, &account, LIMITS, 1).await.is_err());
        account.has.lock().clear();
        assert!(asks(&rooms, &account, LIMITS, 1).await.is_err(), "it was counted a moment ago");
        rooms.ask_anew();
        assert!(asks(&rooms, &account, LIMITS, 1).await.is_ok());
    }

    #[tokio::test]
    async fn of_fifty_who_ask_at_once_no_more_get_room_than_there_is() {
        let (rooms, account) = (Reservations::default(), Account::default());
        account.has.lock().insert("somebodys".into());
        let answers = join_all((0..50).map(|n| asks(&rooms, &account, LIMITS, n))).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
        assert_eq!(rooms.promised().len(), 3);
        assert_eq!(account.asked(), 1);
    }

    #[tokio::test]
    async fn who_gets_no_further_makes_room_for_the_oldest_and_not_for_all() {
        let (rooms, account) = (Reservations::default(), Account::default());
        for n in [10, 11, 12, 13] {
            asks(&rooms, &account, LIMITS, n).await.unwrap();
        }
        for n in [3, 1, 2] {
            asks(&rooms, &account, LIMITS, n).await.unwrap_err();
        }
        assert_eq!(account.asked(), 1);
        assert_eq!(names(&rooms.lapse("bridge-10")), ["bridge-01"]);
        assert_eq!(names(&rooms.lapse("bridge-10")), [] as [&str; 0], "it had nothing more to give");
        // Who gets room wakes the next, who is refused as long as there is none.
        assert_eq!(names(&asks(&rooms, &account, LIMITS, 1).await.unwrap()), ["bridge-02"]);
        asks(&rooms, &account, LIMITS, 2).await.unwrap_err();
        // Who was woken and is refused for another reason passes it on.
        assert_eq!(names(&rooms.lapse("bridge-11")), ["bridge-02"]);
        assert_eq!(names(&rooms.stops_waiting("bridge-02")), ["bridge-03"]);
        assert_eq!(names(&asks(&rooms, &account, LIMITS, 3).await.unwrap()), [] as [&str; 0]);
        assert_eq!(account.asked(), 0, "nothing went in AWS, and nothing was asked");
    }

    #[tokio::test]
    async fn who_is_woken_for_a_place_that_it_may_not_have_keeps_it_from_nobody() {
        let (rooms, account) = (Reservations::default(), Account::default());
        for n in 10..14 {
            asks(&rooms, &account, LIMITS, n).await.unwrap();
        }
        for n in [1, 2] {
            asks(&rooms, &account, LIMITS, n).await.unwrap_err();
        }
        assert_eq!(names(&rooms.passed_on()), [] as [&str; 0]);
        assert_eq!(names(&rooms.lapse("bridge-10")), ["bridge-01"]);
        // Meanwhile its namespace has as many as it may have.
        asks(&rooms, &account, Limits { namespace: Some(3), ..LIMITS }, 1).await.unwrap_err();
        assert_eq!(names(&rooms.passed_on()), ["bridge-02"], "the account has room");
        assert_eq!(names(&rooms.passed_on()), [] as [&str; 0]);
        asks(&rooms, &account, LIMITS, 2).await.unwrap();
        // Who has its place in the namespace goes on waiting for another.
        for n in [3, 4] {
            asks(&rooms, &account, LIMITS, n).await.unwrap_err();
        }
        assert_eq!(names(&rooms.lapse("bridge-11")), ["bridge-03", "bridge-01"]);
        rooms.enter(&bridge(3), 9, true).unwrap();
        asks(&rooms, &account, Limits { namespace: Some(3), ..LIMITS }, 3).await.unwrap_err();
        assert_eq!(names(&rooms.passed_on()), ["bridge-04"], "it did not lose its place in line");
    }

    #[tokio::test]
    async fn a_knowledge_base_that_is_deleted_makes_room_at_once() {
        let (rooms, account) = (Reservations::default(), Account::default());
        for n in 10..14 {
            asks(&rooms, &account, LIMITS, n).await.unwrap();
            account.has.lock().insert(bridge(n).id.name(Layer::KnowledgeBase));
        }
        rooms.listing.spoil();
        asks(&rooms, &account, LIMITS, 1).await.unwrap_err();
        account.has.lock().remove(&bridge(10).id.name(Layer::KnowledgeBase));
        assert_eq!(names(&rooms.forget("bridge-10")), ["bridge-01"]);
        asks(&rooms, &account, LIMITS, 1).await.unwrap();
    }

    #[test]
    fn who_went_unseen_is_noticed_and_not_looked_for_at_each_question() {
        let rooms = Reservations::default();
        let gone = |_: &Owner, _: &str| false;
        rooms.promise(&bridge(1).id);
        rooms.keep(Clock::new(1), gone);
        assert_eq!(rooms.promised(), [] as [&str; 0]);
        rooms.promise(&bridge(1).id);
        rooms.keep(Clock::new(1), gone);
        assert_eq!(rooms.promised(), ["bridge-01"], "a moment ago all were there");
        // By the clock ÷1,000,000,000 half a minute is over at once.
        rooms.keep(Clock::new(1_000_000_000), gone);
        assert_eq!(rooms.promised(), [] as [&str; 0]);
    }

    #[tokio::test]
    async fn a_namespace_that_has_what_it_may_is_told_so_and_others_are_not() {
        let (rooms, account) = (Reservations::default(), Account::default());
        let limits = Limits { account: 4, namespace: Some(1) };
        asks(&rooms, &account, limits, 1).await.unwrap();
        let refused = asks(&rooms, &account, limits, 2).await.unwrap_err();
        assert_eq!(refused.reason, Reason::QuotaReserved);
        for part in
            ["'web'", "1 knowledge bases", "tenantry.dev/max-knowledge-bases is 1", "Nothing was built"]
        {
            assert!(refused.message.contains(part), "'{part}' is not in: {}", refused.message);
        }
        assert!(!refused.message.contains("bridge-01"), "{}", refused.message);
        assert_eq!(names(&rooms.lapse("bridge-01")), ["bridge-02"]);
    }

    #[test]
    fn a_namespace_with_as_many_tenants_as_it_may_have_is_told_so() {
        let rooms = Reservations::default();
        rooms.is_in(&bridge(1).id);
        let refused = rooms.enter(&bridge(2), 1, false).unwrap_err();
        assert_eq!(refused.reason, Reason::TooManyTenants);
        for part in ["'web' has 1 Tenants", "--max-tenants-per-namespace is 1", "Nothing was built"] {
            assert!(refused.message.contains(part), "'{part}' is not in: {}", refused.message);
        }
        assert!(!refused.message.contains("bridge-01"), "{}", refused.message);
        let behind = rooms.enter(&bridge(3), 1, true).unwrap_err();
        for part in
            ["'web' has 1 Tenants, 1 older ones wait", "--max-tenants-per-namespace is 1", "Delete one"]
        {
            assert!(behind.message.contains(part), "'{part}' is not in: {}", behind.message);
        }
        assert_eq!(names(&rooms.forget("bridge-01")), ["bridge-02"]);
        assert_eq!(names(&rooms.enter(&bridge(2), 1, true).unwrap()), ["bridge-03"]);
        assert_eq!(names(&rooms.leave("bridge-02")), ["bridge-03"]);
    }
}
