//! What waits is looked at, and only that; and what AWS said is not asked again.

use std::time::Duration;

use super::*;
use Layer::{Bucket, Index, KnowledgeBase, Role, VectorStore};

/// One whose vector store, or whose knowledge base, AWS is making, as far as it can be built meanwhile.
async fn being_made(layer: Layer) -> Object {
    let mut silo = Object::named("silo");
    silo.aws(|aws| *aws.being_made.get_mut(layer) = true);
    for _ in 0..6 {
        silo.pass().await;
    }
    silo.calls();
    silo
}

#[tokio::test]
async fn what_aws_is_making_is_asked_how_far_it_is_and_nothing_else_is_asked() {
    // Where no vector store answers nobody is asked for the index.
    for (layer, calls) in [
        (VectorStore, vec!["look how far VectorStore", "look Index", "ensure VectorStore"]),
        (KnowledgeBase, vec!["look how far KnowledgeBase", "ensure KnowledgeBase"]),
    ] {
        let mut silo = being_made(layer).await;
        silo.pass().await;
        assert_eq!(silo.calls(), calls);
        silo.aws(|aws| {
            aws.being_made = PerLayer::default();
            if let Observed::Ours(StoreFacts::OpenSearchServerless(facts)) = &mut aws.observed.vector_store {
                facts.collection.as_mut().unwrap().status = "ACTIVE".into();
            }
            if let Observed::Ours(facts) = &mut aws.observed.knowledge_base {
                facts.status = "ACTIVE".into();
            }
        });
        silo.until_ready().await;
    }
}

#[tokio::test]
async fn what_is_gone_while_it_is_made_is_made_again() {
    for layer in [VectorStore, KnowledgeBase] {
        let mut silo = being_made(layer).await;
        silo.aws(|aws| {
            ideal::teardown(layer, &mut aws.observed);
            aws.being_made = PerLayer::default();
        });
        silo.until_ready().await;
    }
}

#[tokio::test]
async fn a_knowledge_base_that_is_refused_for_now_is_asked_for_again_without_a_look() {
    let mut silo = Object::named("silo");
    silo.aws(|aws| aws.refuses.knowledge_base = Some(fault(Class::NotYet)));
    for _ in 0..6 {
        silo.pass().await;
    }
    silo.calls();
    silo.pass().await;
    assert_eq!(silo.calls(), ["ensure KnowledgeBase"]);
    // Somebody else is faster: then what is there is looked at.
    silo.aws(|aws| aws.refuses.knowledge_base = Some(fault(Class::Conflict)));
    silo.pass().await;
    silo.calls();
    silo.pass().await;
    assert_eq!(silo.calls(), ["look KnowledgeBase", "ensure KnowledgeBase"]);
    silo.aws(|aws| aws.refuses.knowledge_base = None);
    silo.until_ready().await;
}

#[tokio::test]
async fn what_aws_said_it_makes_is_not_asked_for_again_before_it_had_time_to_show() {
    for layer in [Bucket, VectorStore, Index, Role, KnowledgeBase] {
        let mut silo = Object::named("silo");
        silo.aws(|aws| *aws.slow.get_mut(layer) = true);
        for _ in 0..8 {
            silo.pass().await;
        }
        let ensured = silo.ensured();
        assert_eq!(ensured.iter().filter(|it| **it == layer).count(), 1, "{layer}: {ensured:?}");
        // It was lost, or somebody has removed it.
        silo.memory.attention.age(Duration::from_secs(31));
        silo.aws(|aws| *aws.slow.get_mut(layer) = false);
        silo.until_ready().await;
        assert!(silo.is_ready());
    }
}

#[tokio::test]
async fn a_process_that_has_forgotten_what_it_waits_for_looks_at_everything() {
    for layer in [VectorStore, KnowledgeBase] {
        let mut silo = being_made(layer).await;
        silo.memory = Memory::default();
        let passed = silo.pass().await;
        assert_eq!(silo.layers_of("look").len(), 6);
        // It does not know when that began: it may be there in a moment.
        assert!(passed.look_again <= Some(Duration::from_secs(2)), "{layer}: {:?}", passed.look_again);
    }
}

#[tokio::test]
async fn what_was_left_alone_for_a_while_is_looked_at_before_it_is_changed() {
    let mut silo = Object::named("silo with a key");
    silo.pass().await;
    assert_eq!(silo.ensured(), [Layer::Key]);
    silo.pass().await;
    let calls = silo.calls();
    for layer in [Bucket, VectorStore, Role] {
        let at = |verb: &str| calls.iter().position(|call| *call == format!("{verb} {layer:?}"));
        assert!(at("look").is_some() && at("look") < at("ensure"), "{layer}: {calls:?}");
    }
    // Nobody has asked for it yet, and that it is there would be said then.
    assert!(!calls.contains(&"look KnowledgeBase".into()), "{calls:?}");
}

#[tokio::test]
async fn what_is_done_at_once_is_followed_by_the_next_step() {
    let mut bridge = Object::named("bridge");
    bridge.pass_on().await;
    assert_eq!(bridge.ensured(), [Role, Index], "nothing but the index takes time");
    bridge.pass_on().await;
    assert_eq!(bridge.ensured(), [KnowledgeBase]);
    bridge.pass_on().await;
    assert_eq!(bridge.ensured(), [KnowledgeBase], "its data source");
    assert!(bridge.is_ready());
}

/// Nothing of it takes time but the knowledge base.
#[tokio::test]
async fn a_store_that_is_there_at_once_is_followed_by_all_that_stands_on_it() {
    let mut silo = Object::named("silo on S3 Vectors");
    silo.pass_on().await;
    assert_eq!(silo.ensured(), [Layer::Key, Bucket, VectorStore, Role, Index, Role, KnowledgeBase]);
    silo.until_ready().await;
}

#[tokio::test]
async fn what_should_be_done_at_once_and_is_not_ends_the_pass() {
    let mut bridge = Object::named("bridge");
    bridge.aws(|aws| aws.slow.role = true);
    let passed = bridge.pass_on().await;
    assert_eq!(bridge.ensured(), [Role]);
    assert!(passed.look_again.is_some());
}

#[tokio::test]
async fn what_aws_shows_late_is_asked_for_once_in_a_pass() {
    let lost = |layer| {
        let mut observed = Object::named("silo").sample.built();
        match layer {
            Bucket => ours(&mut observed.bucket).policy = None,
            Role => ours(&mut observed.role).role.as_mut().unwrap().policies.clear(),
            _ => ours(&mut observed.knowledge_base).data_source = None,
        }
        observed
    };
    for layer in [Bucket, Role, KnowledgeBase] {
        let mut silo = Object::built("silo").await;
        silo.aws(|aws| {
            aws.observed = lost(layer);
            aws.was = Some((layer, Box::new(lost(layer))));
        });
        for round in 1..3 {
            silo.memory.looked_at_all = None;
            let passed = silo.pass_on().await;
            assert_eq!(silo.ensured(), [layer], "pass {round}");
            assert!(passed.look_again.is_some());
        }
        silo.aws(|aws| aws.was = None);
        silo.pass_on().await;
        assert!(silo.is_ready());
    }
}

/// It waits for the vector store, and is there all the same.
#[tokio::test]
async fn a_role_that_was_made_is_not_made_again_before_it_had_time_to_show() {
    let mut silo = Object::named("silo");
    silo.aws(|aws| {
        aws.being_made.vector_store = true;
        aws.was = Some((Role, Box::default()));
    });
    for _ in 0..4 {
        silo.pass_on().await;
    }
    let ensured = silo.ensured();
    assert_eq!(ensured.iter().filter(|layer| **layer == Role).count(), 1, "{ensured:?}");
    silo.memory.attention.age(Duration::from_secs(31));
    silo.pass_on().await;
    assert!(silo.ensured().contains(&Role), "it was lost, or somebody has removed it");
}
