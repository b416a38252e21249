//! The way back.

use super::*;
use crate::stack::model::teardown_order::OnDelete;
use Layer::{Bucket, Index, Key, KnowledgeBase, Role, VectorStore};

impl Object {
    /// One pass on the way back, `documents` being what becomes of those in a borrowed bucket.
    async fn back(
        &mut self,
        on_delete: OnDelete,
        documents: Result<Progress, Fault>,
    ) -> Result<Progress, Fault> {
        let mut memory = self.memory.clone();
        let journal = &self.aws.0;
        let documents = async {
            journal.lock().journal.push("documents".into());
            documents
        }
        .boxed();
        let stack = Stack { blueprint: Blueprint::Nothing, ..self.stack() };
        let progress = teardown(&self.world(), &stack, on_delete, &mut memory, documents).await;
        self.memory = memory;
        progress
    }

    async fn goes(&mut self) -> Result<Progress, Fault> {
        self.back(OnDelete::Delete, Ok(Progress::Done)).await
    }

    /// What each pass took apart, until nothing was left.
    async fn until_gone(&mut self, on_delete: OnDelete) -> Vec<Vec<Layer>> {
        let mut passes = Vec::new();
        for _ in 0..20 {
            let progress = self.back(on_delete, Ok(Progress::Done)).await.unwrap();
            if progress.is_done() {
                return passes;
            }
            passes.push(self.layers_of("teardown"));
        }
        panic!("not gone after 20 passes");
    }
}

fn waits_for(progress: &Result<Progress, Fault>) -> Option<Reason> {
    match progress {
        Ok(Progress::Waiting { reason, .. }) => Some(*reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_stack_goes_in_the_order_in_which_it_leans() {
    let mut silo = Object::built("silo with a key").await;
    let passes = silo.until_gone(OnDelete::Delete).await;
    let expected: [&[Layer]; 4] = [&[KnowledgeBase], &[Index, Bucket], &[VectorStore, Role], &[Key]];
    assert_eq!(passes, expected);
    let mut bridge = Object::built("bridge").await;
    let expected: [&[Layer]; 3] = [&[KnowledgeBase], &[Index], &[Role]];
    assert_eq!(
        bridge.until_gone(OnDelete::Delete).await,
        expected,
        "what is borrowed is nobody's to take apart"
    );
}

#[tokio::test]
async fn it_is_done_only_in_a_pass_that_finds_nothing_left() {
    let mut stack = Object::built("shared stack").await;
    stack.aws(|aws| (aws.observed.bucket, aws.observed.vector_store) = (Observed::Absent, Observed::Absent));
    let progress = stack.goes().await;
    assert_eq!(waits_for(&progress), Some(Reason::Deleting));
    assert_eq!(stack.layers_of("teardown"), [Key]);
    assert_eq!(stack.goes().await, Ok(Progress::Done));
}

#[tokio::test]
async fn documents_that_stay_keep_their_bucket_and_its_key() {
    let mut silo = Object::built("silo with a key").await;
    let flat = silo.until_gone(OnDelete::KeepDocuments).await.concat();
    assert_eq!(flat, [KnowledgeBase, Index, VectorStore, Role]);
    let observed = &silo.aws.0.lock().observed;
    assert!(observed.bucket.ours().is_some() && observed.key.ours().is_some());
}

#[tokio::test]
async fn what_is_stuck_holds_up_only_what_it_stands_on() {
    let mut silo = Object::built("silo with a key").await;
    silo.aws(|aws| aws.refuses.bucket = Some(fault(Class::Denied)));
    let mut reasons = Vec::new();
    for _ in 0..6 {
        reasons.push(waits_for(&silo.goes().await));
    }
    assert_eq!(reasons.last(), Some(&Some(Reason::Denied)), "{reasons:?}");
    let torn = silo.layers_of("teardown");
    assert_eq!(torn.iter().filter(|layer| **layer == Bucket).count(), 1, "not at each pass: {torn:?}");
    assert!(!torn.contains(&Key) && torn.contains(&VectorStore) && torn.contains(&Role), "{torn:?}");
    silo.clock = later();
    let _ = silo.goes().await;
    assert!(silo.layers_of("teardown").contains(&Bucket), "after five minutes it is tried again");
    silo.clock = Clock::new(1);
    silo.aws(|aws| aws.refuses.bucket = None);
    silo.memory = Memory::default();
    let expected: [&[Layer]; 2] = [&[Bucket], &[Key]];
    assert_eq!(silo.until_gone(OnDelete::Delete).await, expected);
}

#[tokio::test]
async fn what_cannot_be_seen_may_well_stand() {
    let mut silo = Object::built("silo with a key").await;
    silo.aws(|aws| aws.blind.index = Some(fault(Class::Denied)));
    let _ = silo.until_gone(OnDelete::Delete).await;
    assert!(silo.aws.0.lock().observed.vector_store.ours().is_none(), "its own collection takes it along");

    let mut silo = Object::built("silo with a key").await;
    silo.aws(|aws| aws.blind.bucket = Some(fault(Class::Denied)));
    for _ in 0..6 {
        assert!(waits_for(&silo.goes().await).is_some());
    }
    let torn = silo.layers_of("teardown");
    assert!(!torn.contains(&Bucket) && !torn.contains(&Key), "{torn:?}");
    assert!(torn.contains(&Role) && torn.contains(&VectorStore), "{torn:?}");

    let mut bridge = Object::built("bridge").await;
    bridge.aws(|aws| aws.no_way_to_index = Some(fault(Class::Unreachable)));
    for _ in 0..4 {
        assert!(waits_for(&bridge.goes().await).is_some());
    }
    assert_eq!(waits_for(&bridge.goes().await), Some(Reason::EndpointUnreachable));
    assert!(!bridge.layers_of("teardown").contains(&Role), "it alone says whose the index is");
}

/// AWS deletes no vector bucket that has an index, and says of none which it is.
#[tokio::test]
async fn a_store_that_does_not_take_its_index_along_waits_for_it() {
    let mut silo = Object::built("silo on S3 Vectors").await;
    silo.aws(|aws| aws.blind.index = Some(fault(Class::Denied)));
    for _ in 0..6 {
        assert!(waits_for(&silo.goes().await).is_some());
    }
    assert_eq!(waits_for(&silo.goes().await), Some(Reason::Denied), "whoever can give the right is told");
    let torn = silo.layers_of("teardown");
    assert!(!torn.contains(&VectorStore) && torn.contains(&Bucket) && torn.contains(&Role), "{torn:?}");
    silo.aws(|aws| {
        aws.blind.index = None;
        aws.observed.index = Observed::Foreign(Foreign { resource: "index i".into(), ..foreign() });
    });
    match silo.goes().await {
        Ok(Progress::Waiting { reason: Reason::OwnedByAnother, message, .. }) => {
            assert!(message.contains("index i") && message.starts_with("Vector bucket prod-"), "{message}");
        }
        other => panic!("it goes on over somebody's index: {other:?}"),
    }
    assert_eq!(silo.layers_of("teardown"), []);
    silo.aws(|aws| aws.observed.index = Observed::Absent);
    assert_eq!(silo.until_gone(OnDelete::Delete).await, [[VectorStore], [Key]]);
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone_with_the_key_that_may_have_encrypted_it() {
    let mut silo = Object::built("silo with a key").await;
    silo.aws(|aws| aws.observed.bucket = Observed::Foreign(foreign()));
    let flat = silo.until_gone(OnDelete::Delete).await.concat();
    assert_eq!(flat, [KnowledgeBase, Index, VectorStore, Role]);
    assert!(silo.aws.0.lock().observed.key.ours().is_some());
}

#[tokio::test]
async fn documents_in_a_borrowed_bucket_go_when_nobody_answers_from_them_any_more() {
    let mut bridge = Object::built("bridge").await;
    let emptying = || Ok(Progress::waiting(Reason::Deleting, "documents go"));
    bridge.back(OnDelete::Delete, emptying()).await.unwrap();
    assert!(!bridge.calls().contains(&"documents".to_string()), "the knowledge base stands");
    for _ in 0..4 {
        assert_eq!(waits_for(&bridge.back(OnDelete::Delete, emptying()).await), Some(Reason::Deleting));
    }
    assert!(bridge.calls().contains(&"documents".to_string()));
    assert_eq!(bridge.goes().await, Ok(Progress::Done));
}

#[tokio::test]
async fn failures_that_pass_are_told_once_they_have_lasted() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| aws.refuses.knowledge_base = Some(fault(Class::Transient)));
    let failed = silo.goes().await;
    assert_eq!(failed.map_err(|fault| fault.class), Err(Class::Transient));
    silo.clock = later();
    assert_eq!(waits_for(&silo.goes().await), Some(Reason::Transient));
    silo.aws(|aws| aws.refuses.knowledge_base = None);
    silo.clock = Clock::new(1);
    silo.until_gone(OnDelete::Delete).await;
    assert_eq!(silo.memory.failing_since, None);
}

#[tokio::test]
async fn what_does_not_go_in_time_needs_a_person() {
    let mut silo = Object::built("silo").await;
    silo.aws(|aws| aws.slow.knowledge_base = true);
    assert_eq!(waits_for(&silo.goes().await), Some(Reason::Creating));
    silo.clock = later();
    assert_eq!(waits_for(&silo.goes().await), Some(Reason::DeadlineExceeded));
}

#[tokio::test]
async fn the_way_back_begins_without_grudges_of_the_way_there() {
    let mut silo = Object::built("silo").await;
    silo.memory.refused.knowledge_base = Some((Instant::now(), fault(Class::Denied)));
    silo.goes().await.unwrap();
    assert_eq!(silo.layers_of("teardown"), [KnowledgeBase]);
}

#[tokio::test]
async fn what_stays_is_marked_as_left_behind() {
    for (on_delete, tagged) in [
        (OnDelete::Keep, vec![Key, Bucket, VectorStore, Index, Role, KnowledgeBase]),
        (OnDelete::KeepDocuments, vec![Key, Bucket]),
    ] {
        let silo = Object::built("silo with a key").await;
        // An index has no tags, and whether anybody can see it does not matter.
        silo.aws(|aws| aws.blind.index = Some(fault(Class::Denied)));
        let mut memory = silo.memory.clone();
        let stack = Stack { blueprint: Blueprint::Nothing, ..silo.stack() };
        retain(&silo.world(), &stack, on_delete, &mut memory).await.unwrap();
        assert_eq!(silo.layers_of("tag retained"), tagged);
    }
    let silo = Object::built("silo").await;
    let stack = Stack { blueprint: Blueprint::Nothing, ..silo.stack() };
    for (look, tag) in [(true, false), (false, true)] {
        silo.aws(|aws| {
            aws.blind.role = look.then(|| fault(Class::Transient));
            aws.refuses.bucket = tag.then(|| fault(Class::Transient));
        });
        let retained = retain(&silo.world(), &stack, OnDelete::Keep, &mut Memory::default()).await;
        assert_eq!(retained.map_err(|fault| fault.class), Err(Class::Transient));
    }
}
