//! Who gets an id, and what everybody is told: all of it, as a table.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::stack::identity::Scope;

/// Who asks, down; what the record says, across. `T/acme` of namespace `tenants` had the id, in the pool of `standard`.
///
/// `has`: it is the holder · `inherits`: gets it, with what was left · `gets`: gets it, and takes up nothing · `taken`: not its
/// own, as everybody is told · `retained`: a neighbour's, with a code that opens · `differs`: its own, but left elsewhere, with
/// a code that opens.
const PER_NAMESPACE: &str = "
                            | held,    held,    retained  gone   gone, empty  gone, empty  free  none
                            | living   is gone                   a day ago    just now
the same object             | has      has      inherits  gets   gets         gets         gets  gets
the same name               | taken    inherits inherits  gets   gets         gets         gets  gets
another name                | taken    retained retained  gets   gets         gets         gets  gets
namespace made again        | taken    taken    taken     taken  gets         taken        gets  gets
made again, and named       | taken    inherits inherits  gets   gets         gets         gets  gets
again, named, another name  | taken    retained retained  gets   gets         gets         gets  gets
another namespace           | taken    taken    taken     taken  gets         taken        gets  gets
another namespace, named    | taken    taken    taken     taken  gets         taken        gets  gets
restored cluster            | inherits inherits inherits  gets   gets         gets         gets  gets
restored, another name      | retained retained retained  gets   gets         gets         gets  gets
restored, another namespace | taken    taken    taken     taken  gets         taken        gets  gets
cluster not taken over      | taken    taken    taken     taken  gets         taken        gets  gets
not taken over, named       | taken    taken    taken     taken  gets         taken        gets  gets
migrated, no uids           | taken    inherits inherits  gets   gets         gets         gets  gets
migrated, other namespace   | taken    taken    taken     taken  gets         taken        gets  gets
migrated, nobody's          | taken    taken    taken     taken  gets         taken        gets  gets
another pattern             | taken    differs  differs   gets   gets         gets         gets  gets
another stack               | taken    differs  differs   gets   gets         gets         gets  gets
another pattern and name    | taken    differs  differs   gets   gets         gets         gets  gets
";

/// The same where ids that are gone are anybody's. What is held or retained is not.
const REUSE: &str = "
                            | held,    held,    retained  gone   gone, empty  gone, empty  free  none
                            | living   is gone                   a day ago    just now
the same object             | has      has      inherits  gets   gets         gets         gets  gets
the same name               | taken    inherits inherits  gets   gets         gets         gets  gets
another name                | taken    retained retained  gets   gets         gets         gets  gets
namespace made again        | taken    taken    taken     gets   gets         gets         gets  gets
made again, and named       | taken    inherits inherits  gets   gets         gets         gets  gets
again, named, another name  | taken    retained retained  gets   gets         gets         gets  gets
another namespace           | taken    taken    taken     gets   gets         gets         gets  gets
another namespace, named    | taken    taken    taken     gets   gets         gets         gets  gets
restored cluster            | inherits inherits inherits  gets   gets         gets         gets  gets
restored, another name      | retained retained retained  gets   gets         gets         gets  gets
restored, another namespace | taken    taken    taken     gets   gets         gets         gets  gets
cluster not taken over      | taken    taken    taken     gets   gets         gets         gets  gets
not taken over, named       | taken    taken    taken     gets   gets         gets         gets  gets
migrated, no uids           | taken    inherits inherits  gets   gets         gets         gets  gets
migrated, other namespace   | taken    taken    taken     gets   gets         gets         gets  gets
migrated, nobody's          | taken    taken    taken     gets   gets         gets         gets  gets
another pattern             | taken    differs  differs   gets   gets         gets         gets  gets
another stack               | taken    differs  differs   gets   gets         gets         gets  gets
another pattern and name    | taken    differs  differs   gets   gets         gets         gets  gets
";

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// What a record says, in the order of the columns; whether its holder is there.
fn states() -> [Option<(State, Option<SignedDuration>, bool)>; 8] {
    let not_empty = |state, lives| Some((state, None, lives));
    [
        not_empty(State::Held, true),
        not_empty(State::Held, false),
        not_empty(State::Retained, false),
        not_empty(State::Gone, false),
        Some((State::Gone, Some(EMPTY_FOR), false)),
        Some((State::Gone, Some(EMPTY_FOR - SignedDuration::from_secs(1)), false)),
        not_empty(State::Free, false),
        None,
    ]
}

/// One who asks, and what the record says of who had the id.
struct Row {
    id: Identity,
    namespace_uid: &'static str,
    named: bool,
    holder: Holder,
}

impl Row {
    fn of(who: &str) -> Self {
        let has = |word: &str| who.contains(word);
        let holder = Holder {
            cluster: match () {
                () if has("migrated") => "",
                () if has("restored") => "the-old-one",
                () if has("not taken over") => "a-strange-one",
                () => "here",
            }
            .into(),
            namespace: if has("nobody's") { "" } else { "tenants" }.into(),
            namespace_uid: (!has("migrated")).then(|| "n-1".into()),
            name: "acme".into(),
            uid: "u-1".into(),
        };
        let owner = Owner::Tenant {
            namespace: if has("other namespace") { "others" } else { "tenants" }.into(),
            name: if has("another name") && !has("another namespace") || who.ends_with("and name") {
                "neo"
            } else {
                "acme"
            }
            .into(),
            tenant_id: "acme-1".into(),
            pattern: if has("another pattern") { Pattern::Bridge } else { Pattern::Pool },
            stack: Some(if has("another stack") { "second" } else { "standard" }.into()),
        };
        let scope = Arc::new(Scope::new("prod", "111122223333", "eu-central-1"));
        let same_namespace = match () {
            () if has("again") || has("restored") || has("not taken over") => "n-2",
            () if has("other namespace") => "n-9",
            () => "n-1",
        };
        Self {
            id: Identity::new(scope, owner, if who == "the same object" { "u-1" } else { "u-2" }),
            namespace_uid: same_namespace,
            named: has("named"),
            holder,
        }
    }

    fn record(&self, (state, empty_since, _): (State, Option<SignedDuration>, bool)) -> Record {
        Record {
            tenant_id: "acme-1".into(),
            state,
            holder: self.holder.clone(),
            pattern: Pattern::Pool,
            stack: Some("standard".into()),
            store: VectorStore::default(),
            since: NOW - empty_since.unwrap_or(SignedDuration::from_hours(1000)),
            empty: empty_since.is_some(),
            nonce: "n".into(),
        }
    }

    /// What it is told in the cell of this state; as in the program, only who may live is looked for.
    fn told(
        &self,
        state: Option<(State, Option<SignedDuration>, bool)>,
        policy: IdPolicy,
        approved: Option<&str>,
    ) -> Ruling {
        let terms = Terms { cluster: "here".into(), took_over: vec!["the-old-one".into()], policy };
        let claimant = Claimant {
            id: &self.id,
            store: VectorStore::default(),
            namespace_uid: self.namespace_uid,
            named: self.named,
            approved,
        };
        let record = state.map(|state| self.record(state));
        let lives = state.is_some_and(|(.., lives)| lives)
            && record.as_ref().is_some_and(|record| may_live(record, &claimant, &terms));
        rule(record.as_ref(), &claimant, &terms, lives, NOW)
    }

    fn takeover_code(&self) -> String {
        self.id.takeover_code(&self.holder.tag(), &self.holder.uid)
    }

    fn differs_code(&self) -> String {
        let facts = [&*self.holder.tag(), "u-1", "Pool of SharedStack 'standard'"];
        approval::code(&self.id.uid, Reason::RetainedDiffers, &facts)
    }

    /// What a word of the table stands for.
    fn expected(&self, word: &str) -> Ruling {
        let refused = |reason, message| Ruling::Refused(Blocked { reason, message });
        match word {
            "has" => Ruling::Held,
            "inherits" => Ruling::Granted { inherits: true },
            "gets" => Ruling::Granted { inherits: false },
            "taken" => refused(
                Reason::TenantIdTaken,
                "tenantId 'acme-1' belongs to another Tenant, or did so once. This one continues by itself if the id is given to \
                 anybody; or choose another tenantId in a new Tenant"
                    .into(),
            ),
            "retained" => refused(
                Reason::TenantIdRetained,
                format!(
                    "tenantId 'acme-1' is retained: Tenant/tenants/acme was deleted and left what it had. Nothing was changed. \
                     To go on all the same, set the annotation tenantry.dev/approve={}, and it is taken over; or choose \
                     another tenantId",
                    self.takeover_code()
                ),
            ),
            "differs" => refused(
                Reason::RetainedDiffers,
                format!(
                    "tenantId 'acme-1' is retained as Pool of SharedStack 'standard': Tenant/tenants/acme left it there. Nothing \
                     was changed. Make it Pool of SharedStack 'standard' in a new object to take that over. To go on all the \
                     same, set the annotation tenantry.dev/approve={}: this Tenant then has the id, and what is retained stays \
                     in AWS and is forgotten",
                    self.differs_code()
                ),
            ),
            other => panic!("no such word: {other}"),
        }
    }
}

/// The rows of a table: who asks, and a word for each state.
fn rows(table: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = table.lines().skip(3).filter_map(|line| line.split_once('|'));
    rows.map(|(who, words)| (who.trim(), words.split_whitespace().collect())).collect()
}

#[test]
fn each_gets_what_the_table_says_and_is_told_why_not() {
    for (policy, table) in [(IdPolicy::PerNamespace, PER_NAMESPACE), (IdPolicy::Reuse, REUSE)] {
        assert_eq!(rows(table).len(), 19);
        for (who, words) in rows(table) {
            assert_eq!(words.len(), states().len(), "{who}");
            let row = Row::of(who);
            for (word, state) in words.into_iter().zip(states()) {
                let told = row.told(state, policy, None);
                assert_eq!(told, row.expected(word), "{who}, {state:?}, {policy:?}");
            }
        }
    }
}

#[test]
fn a_code_opens_its_own_cell_and_no_other() {
    for (policy, table) in [(IdPolicy::PerNamespace, PER_NAMESPACE), (IdPolicy::Reuse, REUSE)] {
        for (who, words) in rows(table) {
            let row = Row::of(who);
            for (word, state) in words.into_iter().zip(states()) {
                let opened = |code: &str| row.told(state, policy, Some(code));
                let stays = row.expected(word);
                let taken_over = if word == "retained" { row.expected("inherits") } else { stays.clone() };
                let forgotten = if word == "differs" { row.expected("gets") } else { stays.clone() };
                assert_eq!(opened(&row.takeover_code()), taken_over, "{who}, {state:?}");
                assert_eq!(opened(&row.differs_code()), forgotten, "{who}, {state:?}");
                let later = Identity { uid: "u-3".into(), ..row.id.clone() };
                let of_another = later.takeover_code(&row.holder.tag(), &row.holder.uid);
                for wrong in ["", "TenantIdRetained-000000", "RetainedDiffers-000000", &of_another] {
                    let mut opened = opened(wrong);
                    if let Ruling::Refused(told) = &mut opened {
                        let remark = format!("The annotation has '{wrong}', which does not open this. ");
                        told.message = told.message.replace(&remark, "");
                    }
                    assert_eq!(opened, stays, "{who}, {state:?}, {wrong}");
                }
            }
        }
    }
}

#[test]
fn a_stranger_is_told_the_same_whatever_became_of_the_id() {
    let strangers =
        ["another namespace", "namespace made again", "cluster not taken over", "migrated, nobody's"];
    let mut messages = BTreeSet::new();
    for who in strangers {
        for state in states() {
            if let Ruling::Refused(told) = Row::of(who).told(state, IdPolicy::PerNamespace, None) {
                messages.insert(told.message);
            }
        }
    }
    // Whoever asks while a neighbour of its own namespace lives is told it too.
    let neighbour = Row::of("another name").told(states()[0], IdPolicy::PerNamespace, None);
    assert_eq!(neighbour, Ruling::Refused(taken("acme-1")));
    assert_eq!(messages.len(), 1, "{messages:?}");
    for message in messages {
        let names = ["tenants", "u-1", "n-1", "Pool", "standard", "retained", "deleted", "held"];
        assert!(!names.iter().any(|name| message.contains(name)), "{message}");
    }
}

#[test]
fn only_one_of_ones_own_that_this_cluster_could_know_is_looked_for() {
    let held = Some((State::Held, None, true));
    let looked_for: Vec<_> = rows(PER_NAMESPACE)
        .into_iter()
        .map(|(who, _)| who)
        .filter(|who| {
            let row = Row::of(who);
            let terms = Terms {
                cluster: "here".into(),
                took_over: vec!["the-old-one".into()],
                policy: IdPolicy::PerNamespace,
            };
            let claimant = Claimant {
                id: &row.id,
                store: VectorStore::default(),
                namespace_uid: row.namespace_uid,
                named: row.named,
                approved: None,
            };
            held.is_some_and(|held| may_live(&row.record(held), &claimant, &terms))
        })
        .collect();
    assert_eq!(
        looked_for,
        [
            "the same name",
            "another name",
            "made again, and named",
            "again, named, another name",
            "migrated, no uids",
            "another pattern",
            "another stack",
            "another pattern and name",
        ]
    );
}

#[test]
fn a_record_says_whose_an_id_is_in_words_that_stay() {
    let row = Row::of("another name");
    let record = Record::of(&row.id, "here", Some("n-1".into()), State::Held, NOW).unwrap();
    let said = serde_json::to_value(&record).unwrap();
    let expected = serde_json::json!({
        "tenantId": "acme-1", "state": "held", "pattern": "Pool", "stack": "standard", "store": "OpenSearchServerless",
        "holder": {"cluster": "here", "namespace": "tenants", "namespaceUid": "n-1", "name": "neo", "uid": "u-2"},
        "since": "2027-01-15T08:00:00Z", "nonce": "",
    });
    assert_eq!(said, expected);
    assert_eq!(serde_json::from_value::<Record>(said).unwrap(), record);
    let stack = Identity::of_stack(row.id.scope.clone(), "standard", "u-9");
    assert_eq!(Record::of(&stack, "here", None, State::Held, NOW), None, "a SharedStack has no id");
}
