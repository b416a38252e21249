//! Reviews over an S3 in memory, cut short anywhere.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use super::*;
use crate::aws::in_memory::{BUCKET, S3};
use crate::documents::sidecar::{Pool, Rules};
use crate::stack::identity::Owner;

const LEDGER: &str = "tenantry/ledger/test";
const TENANTS: [&str; 3] = ["acme", "globex", "umbrella"];

/// A pool over an S3.
struct Test {
    s3: S3,
    aws: Aws,
    rules: Rules,
    owner: Owner,
    leaving: BTreeSet<String>,
    jobs: Vec<JobSummary>,
}

fn is_somebodys(id: &str) -> bool {
    TENANTS.contains(&id)
}

impl Test {
    /// So many documents of each tenant, in pages of so many objects.
    fn new(page: usize, documents: [usize; 3]) -> Self {
        let s3 = S3::new(page);
        for (tenant, documents) in TENANTS.iter().zip(documents) {
            (0..documents).for_each(|n| s3.put(&document(tenant, n), "A text."));
        }
        Self {
            aws: s3.aws(),
            s3,
            rules: Rules { tenant_id_key: "tenantId".into(), attributes: Vec::new() },
            owner: Owner::Stack { name: "standard".into() },
            leaving: BTreeSet::new(),
            jobs: Vec::new(),
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            owner: &self.owner,
            bucket: BUCKET,
            prefix: "pool/",
            ledger: LEDGER,
            pool: Some(Pool { rules: &self.rules, is_somebodys: &is_somebodys }),
            all_first: false,
            leaving: &self.leaving,
        }
    }

    /// A review by a process that knows of no other.
    async fn begin(&self) -> Result<Review, Fault> {
        Review::for_all(&self.aws, &self.scope(), BTreeSet::new(), None).await
    }

    async fn go(&self, review: &mut Review, haste: Haste) -> Result<bool, Fault> {
        review.go(&self.aws, &self.scope(), &self.jobs, haste, &Reviews::default()).await
    }

    /// One of everything.
    async fn whole(&self) -> Review {
        let mut review = self.begin().await.unwrap();
        assert!(self.go(&mut review, Haste::None).await.unwrap());
        assert!(review.is_whole());
        review
    }

    /// A job is started for it, and runs.
    async fn job(&mut self, review: &mut Review) {
        let description = format!("job {}", self.jobs.len());
        review.claim(&self.aws, &self.scope(), &description, &self.jobs).await.unwrap();
        let job = JobSummary {
            id: description.clone(),
            status: "COMPLETE".into(),
            description,
            started: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            statistics: Default::default(),
        };
        self.jobs.insert(0, job);
    }

    fn assert_all_is_right(&self) {
        for key in self.s3.keys("pool/").iter().filter(|key| sidecar::is_document(key)) {
            let wanted = self.rules.sidecar(sidecar::tenant_of(key).unwrap(), None).content;
            let file = self.s3.content(&format!("{key}{}", sidecar::SUFFIX));
            assert_eq!(file.as_deref().map(str::as_bytes), Some(&*wanted), "beside {key}");
        }
    }

    /// The keys of metadata files that were written, in their order.
    fn written(&self) -> Vec<String> {
        let calls = self.s3.calls().into_iter();
        calls
            .filter_map(|call| {
                call.strip_prefix("PUT ").filter(|key| key.starts_with("pool/")).map(Into::into)
            })
            .collect()
    }
}

fn document(tenant: &str, n: usize) -> String {
    format!("pool/{tenant}/{n:04}.md")
}

#[tokio::test]
async fn what_is_right_is_listed_and_not_looked_into() {
    let mut test = Test::new(7, [40, 3, 5]);
    let mut review = test.whole().await;
    assert_eq!((review.findings.documents, review.findings.written), (48, 48));
    test.job(&mut review).await;
    test.assert_all_is_right();
    test.s3.calls();
    let review = test.whole().await;
    assert_eq!((review.findings.documents, review.findings.changed), (48, 0));
    assert!(!review.has_news(&test.jobs));
    let calls = test.s3.calls();
    assert!(
        calls.iter().all(|call| call.starts_with("List") || call.starts_with("GET tenantry/ledger/")),
        "{calls:?}"
    );
}

#[tokio::test]
async fn few_documents_do_not_wait_for_many_of_another_tenant() {
    let mut test = Test::new(50, [400, 3, 5]);
    let mut review = test.begin().await.unwrap();
    assert!(test.go(&mut review, Haste::IfNews).await.unwrap());
    assert_eq!(review.behind(), BTreeSet::from(["acme"]));
    let written = test.written();
    let of = |tenant: &str| written.iter().filter(|key| key.contains(tenant)).count();
    assert_eq!((of("/globex/"), of("/umbrella/")), (3, 5), "they are in the job");
    assert!(of("/acme/") <= 64, "{} of the other's were looked at first", of("/acme/"));

    // It goes on while the job runs, and asks for another.
    test.job(&mut review).await;
    let mut review = review.rest("J").unwrap();
    assert!(test.go(&mut review, Haste::None).await.unwrap());
    assert!(review.is_whole() && review.has_news(&test.jobs));
    assert_eq!(test.written().len(), 400 - of("/acme/"), "each is looked at once");
    test.job(&mut review).await;
    test.assert_all_is_right();
    assert!(!test.whole().await.has_news(&test.jobs));
}

#[tokio::test]
async fn who_waits_is_not_looked_over_by_the_reviews_that_begin_meanwhile() {
    let mut test = Test::new(50, [400, 3, 5]);
    let mut review = test.begin().await.unwrap();
    assert!(test.go(&mut review, Haste::IfNews).await.unwrap());
    test.job(&mut review).await;
    test.s3.put(&document("globex", 9), "Another text.");
    test.s3.put(&document("acme", 0), "It has changed.");
    test.s3.take(&document("acme", 399));
    test.s3.calls();
    let asks = BTreeSet::from(["request aa".to_string()]);
    let scope = test.scope();
    let mut review = Review::for_all(&test.aws, &scope, asks, review.rest("J")).await.unwrap();
    assert!(test.go(&mut review, Haste::IfNews).await.unwrap());
    assert!(test.written().iter().any(|key| key.contains("/globex/")));
    assert_eq!(review.behind(), BTreeSet::from(["acme"]));
    assert!(test.go(&mut review, Haste::None).await.unwrap());
    test.job(&mut review).await;
    test.assert_all_is_right();
    assert!(!test.whole().await.has_news(&test.jobs));
}

#[tokio::test]
async fn where_files_may_name_another_no_job_starts_before_all_were_looked_at() {
    let test = Test::new(50, [400, 3, 5]);
    let mut review = test.begin().await.unwrap();
    let scope = Scope { all_first: true, ..test.scope() };
    for haste in [Haste::Needed, Haste::IfNews] {
        assert!(review.go(&test.aws, &scope, &[], haste, &Reviews::default()).await.unwrap());
        assert!(review.is_whole());
    }
}

/// A process ends with any of its calls; the next one finds everything out, and what it finds gone is still told.
#[tokio::test]
async fn cut_short_at_any_call_it_ends_as_if_it_had_not_been() {
    for ends_after in 0.. {
        let mut test = Test::new(7, [30, 3, 5]);
        let mut review = test.whole().await;
        test.job(&mut review).await;
        (0..12).for_each(|n| test.s3.take(&document("acme", n)));
        (0..4).for_each(|n| test.s3.put(&document("globex", n), "It has changed."));
        test.s3.take(&format!("{}{}", document("umbrella", 2), sidecar::SUFFIX));
        test.s3.ends_after(Some(ends_after));
        let cut = async {
            let mut review = test.begin().await?;
            // It is saved after every page.
            let turns = AtomicUsize::new(0);
            let is_over = || !turns.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
            let scope = test.scope();
            while !review
                .go_until(&test.aws, &scope, &test.jobs, Haste::None, &Reviews::default(), &is_over)
                .await?
            {}
            Ok::<_, Fault>(())
        };
        let is_cut = cut.await.is_err();
        test.s3.ends_after(None);
        let mut review = test.whole().await;
        let Findings { losses, gone_keys, by_tenant, .. } = &review.findings;
        assert_eq!((losses.gone, by_tenant["acme"].gone), (12, 12), "after {ends_after} calls");
        let told = gone_keys.digest();
        assert_eq!(test.whole().await.findings.gone_keys.digest(), told, "and no other documents");
        assert!(review.has_news(&test.jobs));
        test.job(&mut review).await;
        test.assert_all_is_right();
        let review = test.whole().await;
        assert_eq!(
            (review.findings.losses.gone, review.findings.changed),
            (0, 0),
            "after {ends_after} calls"
        );
        assert!(!review.has_news(&test.jobs));
        if !is_cut {
            return;
        }
    }
}

/// A metadata file that lay there before its document is nobody's, whenever the document comes and whatever the review had
/// come to.
#[tokio::test]
async fn a_file_that_was_there_before_its_document_is_never_trusted() {
    for ends_after in 0.. {
        let mut test = Test::new(3, [5, 3, 2]);
        let key = document("acme", 3);
        test.s3.take(&key);
        let file = format!("{key}{}", sidecar::SUFFIX);
        test.s3.put(&file, r#"{"metadataAttributes":{"tenantId":"globex"}}"#);
        let mut review = test.whole().await;
        test.job(&mut review).await;
        test.s3.put(&key, "It comes later.");
        test.s3.ends_after(Some(ends_after));
        let cut = async {
            let mut review = test.begin().await?;
            let is_over = || true;
            let scope = test.scope();
            for _ in 0..20 {
                // Nothing but saving, between two pages.
                let turn = AtomicUsize::new(0);
                let is_over = || turn.fetch_add(1, Ordering::Relaxed) > 0 && is_over();
                review
                    .go_until(&test.aws, &scope, &test.jobs, Haste::None, &Reviews::default(), &is_over)
                    .await?;
            }
            Ok::<_, Fault>(())
        };
        let is_cut = cut.await.is_err();
        test.s3.ends_after(None);
        let mut review = test.whole().await;
        test.job(&mut review).await;
        test.assert_all_is_right();
        if !is_cut {
            return;
        }
    }
}
