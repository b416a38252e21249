//! Reviews over an S3 in memory, cut short anywhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use super::*;
use crate::api::{Attribute, AttributeType};
use crate::aws::in_memory::{BUCKET, S3};
use crate::documents::failures::NOBODYS;
use crate::documents::job_size::Size;
use crate::documents::kept::Kept;
use crate::documents::relocate::{self, Move, OnConflict, StoppedAt};
use crate::documents::sidecar::{self, Pool, Rules};
use crate::documents::tally::{Bound, Bounds};
use crate::stack::identity::Owner;
use crate::stack::store::MetadataLimits;

const LEDGER: &str = "tenantry/ledger/test";
const TENANTS: [&str; 3] = ["acme", "globex", "umbrella"];

/// A pool over an S3.
struct Test {
    s3: S3,
    aws: Aws,
    rules: Rules,
    owner: Owner,
    leaving: BTreeSet<String>,
    limit: Size,
    bounds: Bounds,
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
            rules: Rules {
                tenant_id_key: "tenantId".into(),
                attributes: Vec::new(),
                max_bytes: sidecar::MAX_SIDECAR,
            },
            owner: Owner::Stack { name: "standard".into() },
            leaving: BTreeSet::new(),
            limit: Size::OF_A_JOB,
            bounds: Bounds::default(),
            jobs: Vec::new(),
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            owner: &self.owner,
            bucket: BUCKET,
            prefix: "pool/",
            ledger: LEDGER,
            pool: Some(Pool { rules: &self.rules, is_somebodys: &is_somebodys, bounds: &self.bounds }),
            metadata: None,
            all_first: false,
            limit: self.limit,
            leaving: &self.leaving,
        }
    }

    /// A review by a process that knows of no other.
    async fn begin(&self) -> Result<Review, Fault> {
        Ok(Review::anew(&self.aws, &self.scope(), Vec::new(), None).await?.0)
    }

    async fn go(&self, review: &mut Review, haste: Haste) -> Result<bool, Fault> {
        review.go(&self.aws, &self.scope(), &self.jobs, haste, &Reviews::default(), SLICE).await
    }

    /// One of everything.
    async fn whole(&self) -> Review {
        let mut review = self.begin().await.unwrap();
        // A slow machine takes more than one turn.
        while !self.go(&mut review, Haste::None).await.unwrap() {}
        assert!(review.is_whole());
        review
    }

    /// A job is started for it, and runs.
    async fn job(&mut self, review: &mut Review) {
        let description = format!("job {}", self.jobs.len());
        review.claim(&self.aws, &self.scope(), &description, &self.jobs).await.unwrap();
        self.jobs.insert(0, complete(description));
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

/// A job that has gone through everything.
fn complete(description: String) -> JobSummary {
    JobSummary {
        id: description.clone(),
        status: "COMPLETE".into(),
        description,
        started: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        statistics: Default::default(),
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

/// `aws s3 sync` uploads again what differs in size from what its user has, each time that it runs.
#[tokio::test]
async fn metadata_files_that_are_right_are_not_rewritten_and_those_that_lose_something_are_told_once() {
    let mut test = Test::new(50, [4, 1, 0]);
    test.rules.attributes = vec![Attribute { name: "year".into(), type_: AttributeType::Number }];
    let beside = |n: usize| format!("{}{}", document("acme", n), sidecar::SUFFIX);
    let right = "{\n  \"metadataAttributes\": {\"year\": 2026, \"tenantId\": \"acme\"}\n}\n";
    test.s3.put(&beside(0), right);
    test.s3.put(&beside(1), r#"{"metadataAttributes":{"year":2026}}"#);
    test.s3.put(&beside(2), r#"{"metadataAttributes":{"tenantId":"acme","year":2026,"colour":"red"}}"#);
    test.s3.put(&beside(3), "not JSON");
    let mut review = test.whole().await;
    assert_eq!(test.s3.content(&beside(0)).as_deref(), Some(right), "its size is what its user has");
    let mut whose: Vec<_> = review.findings.lost.iter().collect();
    let (tenant, names) = whose.pop().unwrap();
    assert!(whose.is_empty(), "nobody else has lost anything");
    assert_eq!((tenant.as_str(), names.count), ("acme", 2));
    assert_eq!(names.first, [document("acme", 2), document("acme", 3)]);
    assert_eq!(
        test.s3.keys("tenantry/quarantine/"),
        [2, 3].map(|n| format!("tenantry/quarantine/{}", beside(n)))
    );
    assert_eq!(review.findings.written, 4, "three of acme's, and globex's");
    test.job(&mut review).await;
    let again = test.whole().await;
    assert!(again.findings.lost.is_empty() && !again.has_news(&test.jobs));
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
    let asks = vec![Ask::Request("aa".into())];
    let scope = test.scope();
    let (mut review, _) = Review::anew(&test.aws, &scope, asks, review.rest("J")).await.unwrap();
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
        assert!(review.go(&test.aws, &scope, &[], haste, &Reviews::default(), SLICE).await.unwrap());
        assert!(review.is_whole());
    }
}

/// What nobody has looked at may be gone.
#[tokio::test]
async fn while_three_tenants_may_have_lost_a_fifth_no_job_starts_before_all_were_looked_at() {
    for (changed, is_partly) in [(2, true), (3, false)] {
        let mut test = Test::new(50, [100, 100, 100]);
        let mut review = test.whole().await;
        test.job(&mut review).await;
        for tenant in TENANTS.iter().take(changed) {
            (0..70).for_each(|n| test.s3.put(&document(tenant, n), "It has changed."));
            (70..100).for_each(|n| test.s3.take(&document(tenant, n)));
        }
        test.s3.put(&document("umbrella", 99), "It has changed.");
        let mut review = test.begin().await.unwrap();
        assert!(test.go(&mut review, Haste::Needed).await.unwrap());
        assert_eq!(review.is_whole(), !is_partly, "{changed} have changed much");
        assert_eq!(review.findings.bereft().map(|it| it.len()), (!is_partly).then_some(3));
    }
}

/// A tenant that had nothing has nothing to lose.
#[tokio::test]
async fn new_tenants_of_whom_there_is_much_hold_up_nobody() {
    let test = Test::new(50, [3, 100, 100]);
    let mut review = test.begin().await.unwrap();
    assert!(test.go(&mut review, Haste::Needed).await.unwrap());
    assert_eq!(review.behind(), BTreeSet::from(["globex", "umbrella"]));
    assert!(review.later.iter().all(|range| !range.may_lose));
}

/// The review that was begun before goes over what comes first once more, while others wait. There a range ends between a
/// document and the file beside it.
#[tokio::test]
async fn where_a_range_ends_between_a_document_and_its_file_the_file_is_read() {
    let mut test = Test::new(50, [100, 3, 5]);
    let mut review = test.whole().await;
    test.job(&mut review).await;
    (0..100).for_each(|n| test.s3.put(&document("acme", n), "It has changed."));
    test.s3.put(&document("globex", 0), "It has changed.");
    let mut review = test.begin().await.unwrap();
    assert!(test.go(&mut review, Haste::IfNews).await.unwrap());
    let last = review.later[0].span.after.clone();
    assert!(sidecar::is_document(&last), "{last}");
    test.s3.calls();
    let (mut review, _) = Review::anew(&test.aws, &test.scope(), Vec::new(), Some(review)).await.unwrap();
    assert!(test.go(&mut review, Haste::None).await.unwrap());
    let calls = test.s3.calls();
    assert!(calls.contains(&format!("GET {last}{}", sidecar::SUFFIX)), "{calls:?}");
    test.job(&mut review).await;
    test.assert_all_is_right();
    assert!(!test.whole().await.has_news(&test.jobs));
}

/// The last lines of a ledger are in the order of their keys, or the next review compares wrongly.
#[tokio::test]
async fn what_is_gone_or_banished_comes_in_its_order() {
    let mut test = Test::new(50, [12, 3, 5]);
    let mut review = test.whole().await;
    test.job(&mut review).await;
    // The file of the sixth is missing, and what comes next is gone, or must go.
    test.s3.take(&format!("{}{}", document("acme", 5), sidecar::SUFFIX));
    test.s3.take(&document("acme", 6));
    test.s3.put(&document("acme", 7), "It has changed.");
    let long = format!("pool/acme/0005.md.n{}", "x".repeat(sidecar::MAX_KEY - "pool/acme/0005.md.n".len()));
    test.s3.put(&long, "No file can lie beside this.");
    let mut review = test.whole().await;
    test.job(&mut review).await;
    test.assert_all_is_right();
    let review = test.whole().await;
    assert_eq!((review.findings.changed, review.findings.losses.gone), (0, 0));
    assert!(!review.has_news(&test.jobs));
}

/// Documents that AWS would not take in the same job as all the others wait in quarantine: the newest of the largest tenant.
#[tokio::test]
async fn a_tenant_that_would_make_a_job_too_large_waits_with_its_newest_documents() {
    let mut test = Test::new(7, [20, 3, 5]);
    let mut review = test.whole().await;
    test.job(&mut review).await;
    test.jobs[0].started = Timestamp::from_second(60).unwrap();
    for (minute, numbers) in [(2, 20..30), (4, 0..3), (3, 30..40)] {
        test.s3.at_minute(minute);
        numbers.for_each(|n| test.s3.put(&document("acme", n), "It is new, or has changed."));
    }
    (0..6).for_each(|n| test.s3.put(&document("globex", n), "It is new, or has changed."));
    // Acme's 23 and globex's 6, each with its file, but for two.
    test.limit = Size { files: 2 * (23 + 6 - 2), ..Size::OF_A_JOB };
    let mut review = test.begin().await.unwrap();
    assert!(test.go(&mut review, Haste::Needed).await.unwrap());
    let findings = review.news().unwrap();
    let waiting: Vec<_> =
        findings.set_aside.iter().map(|(tenant, names)| (tenant.as_str(), names.count)).collect();
    // The newest are the three of the fourth minute.
    assert_eq!(waiting, [("acme", 3)]);
    assert_eq!((findings.documents, findings.losses.gone), (51, 0));
    assert_eq!(findings.skipped.by_tenant["acme"].count, 3);
    let aside = test.s3.keys("tenantry/quarantine/");
    assert_eq!(
        aside,
        (0..3).map(|n| format!("tenantry/quarantine/{}", document("acme", n))).collect::<Vec<_>>()
    );
    assert_eq!(test.s3.content(&aside[0]).unwrap(), "It is new, or has changed.");
    assert_eq!(test.s3.keys("pool/acme/").iter().filter(|key| sidecar::is_document(key)).count(), 37);
    test.job(&mut review).await;
    test.assert_all_is_right();

    // What waits is not gone: no brake, no job.
    test.jobs[0].started = Timestamp::from_second(5 * 60).unwrap();
    let review = test.whole().await;
    assert_eq!((review.findings.losses.gone, review.findings.documents), (0, 48));
    assert!(!review.has_news(&test.jobs));
}

/// Keys come behind the last letter that there is, and before the next folder.
#[tokio::test]
async fn a_key_behind_the_last_letter_does_not_jump_over_what_is_left_for_later() {
    let mut test = Test::new(50, [3, 3, 5]);
    let last = |n: usize| format!("pool/acme/\u{10FFFF}{n:02}.md");
    for n in 0..40 {
        test.s3.put(&last(n), "A text.");
        test.s3.put(
            &format!("{}{}", last(n), sidecar::SUFFIX),
            r#"{"metadataAttributes":{"tenantId":"globex"}}"#,
        );
    }
    let mut review = test.begin().await.unwrap();
    let scope = Scope { all_first: true, ..test.scope() };
    assert!(review.go(&test.aws, &scope, &[], Haste::Needed, &Reviews::default(), SLICE).await.unwrap());
    assert_eq!(review.findings.corrected.count, 40);
    test.job(&mut review).await;
    test.assert_all_is_right();
    let review = test.whole().await;
    assert!(!review.has_news(&test.jobs), "nor is everything new each time");
}

/// Until all was looked at, there may be files from when tenants could write them.
#[tokio::test]
async fn where_tenants_could_write_files_before_no_job_starts_before_all_were_looked_at() {
    let mut test = Test::new(50, [100, 3, 5]);
    let mut review = test.begin().await.unwrap();
    let merge = Scope { all_first: true, ..test.scope() };
    assert!(review.go(&test.aws, &merge, &[], Haste::Needed, &Reviews::default(), SLICE).await.unwrap());
    review.claim(&test.aws, &merge, "job 0", &[]).await.unwrap();
    for is_whole in [true, false] {
        (0..100).for_each(|n| test.s3.put(&document("acme", n), "It has changed."));
        (0..3).for_each(|n| test.s3.put(&document("globex", n), "It has changed."));
        let mut review = test.begin().await.unwrap();
        assert!(test.go(&mut review, Haste::IfNews).await.unwrap());
        assert_eq!(review.is_whole(), is_whole);
        test.job(&mut review).await;
    }
}

/// A tenant of whom there is much, and who is through, waits for nobody else.
#[tokio::test]
async fn who_was_left_for_later_and_is_through_is_in_the_next_job() {
    let test = Test::new(50, [3, 60, 400]);
    let mut review = test.begin().await.unwrap();
    let (first, scope) = (AtomicUsize::new(0), test.scope());
    // Until all have been seen, of whom there is not much.
    while !review.first.is_empty() {
        first.store(0, Ordering::Relaxed);
        let is_over = || first.fetch_add(1, Ordering::Relaxed) > 0;
        review.go_until(&test.aws, &scope, &[], Haste::None, &Reviews::default(), &is_over).await.unwrap();
    }
    review.others_changed = false;
    assert!(review.behind().contains("umbrella") && review.behind().contains("globex"));
    while review.behind().contains("globex") {
        assert!(!review.others_changed);
        first.store(0, Ordering::Relaxed);
        let is_over = || first.fetch_add(1, Ordering::Relaxed) > 0;
        review.go_until(&test.aws, &scope, &[], Haste::None, &Reviews::default(), &is_over).await.unwrap();
    }
    assert!(review.others_changed);
}

#[tokio::test]
async fn many_that_are_gone_are_not_gathered() {
    let mut test = Test::new(1000, [3_000, 3, 5]);
    let mut review = test.whole().await;
    test.job(&mut review).await;
    (0..3_000).for_each(|n| test.s3.take(&document("acme", n)));
    test.s3.take(&format!("{}{}", document("globex", 0), sidecar::SUFFIX));
    let mut review = test.whole().await;
    assert_eq!(review.findings.by_tenant["acme"].gone, 3_000);
    test.job(&mut review).await;
    test.assert_all_is_right();
    let review = test.whole().await;
    assert_eq!((review.findings.losses.gone, review.has_news(&test.jobs)), (0, false));
}

#[tokio::test]
async fn what_is_found_after_the_news_is_news_too() {
    let test = Test::new(50, [400, 3, 5]);
    let mut review = test.begin().await.unwrap();
    assert!(test.go(&mut review, Haste::IfNews).await.unwrap());
    assert!(review.news().is_some() && review.news().is_none());
    assert!(test.go(&mut review, Haste::IfNews).await.unwrap(), "it was ready before");
    assert!(review.news().is_none());
    assert!(test.go(&mut review, Haste::None).await.unwrap());
    assert_eq!(review.news().map(|findings| findings.documents), Some(408));
}

#[tokio::test]
async fn a_review_is_relied_upon_for_a_minute_or_as_long_as_it_took() {
    let mut review = Test::new(50, [3, 3, 5]).whole().await;
    let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
    for (took, seen, is_fresh) in [(1, 50, true), (1, 70, false), (100, 90, true), (100, 110, false)] {
        (review.took, review.saw_last) = (Duration::from_secs(took), ago(seen));
        assert_eq!(review.is_fresh(), is_fresh, "it took {took} s and ended {seen} s ago");
    }
}

/// Whoever fails with it has lost it, and so has everybody who remembered it.
#[tokio::test]
async fn a_review_is_kept_by_one_at_a_time() {
    let test = Test::new(50, [3, 3, 5]);
    let (kept, review) = (Kept::default(), test.begin().await.unwrap());
    kept.keep(review.waits_for_turn());
    let another = kept.clone();
    assert!(another.waits_for_turn());
    assert!(kept.take().is_some());
    assert!(!another.waits_for_turn() && another.take().is_none());
}

/// What S3 says of an object, or of whoever asks for it: what its documentation lists, what is met in the field, and
/// what nobody has seen.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const CODES: &[(&str, u16)] = &[
    ("AccessDenied", 403),
    ("AccessPointAlreadyOwnedByYou", 409),
    ("AccountProblem", 403),
    ("AllAccessDisabled", 403),
    ("AmbiguousGrantByEmailAddress", 400),
    ("AuthorizationHeaderMalformed", 400),
    ("BadDigest", 400),
    ("BucketAlreadyExists", 409),
    ("BucketHasAccessPointsAttached", 400),
    ("ConditionalRequestConflict", 409),
    ("ConnectionClosedByRequester", 400),
    ("CredentialsNotSupported", 400),
    ("CrossLocationLoggingProhibited", 403),
    ("EncryptionTypeMismatch", 400),
    ("EntityTooLarge", 400),
    ("EntityTooSmall", 400),
    ("ExpiredToken", 400),
    ("IllegalLocationConstraintException", 400),
    ("IncompleteBody", 400),
    ("InternalError", 500),
    ("InvalidAccessKeyId", 403),
    ("InvalidArgument", 400),
    ("InvalidBucketState", 409),
    ("InvalidDigest", 400),
    ("InvalidEncryptionAlgorithmError", 400),
    ("InvalidObjectState", 403),
    ("InvalidPart", 400),
    ("InvalidPayer", 403),
    ("InvalidRange", 416),
    ("InvalidRequest", 400),
    ("InvalidSecurity", 403),
    ("InvalidStorageClass", 400),
    ("InvalidTag", 400),
    ("InvalidToken", 400),
    ("InvalidURI", 400),
    ("InvalidWriteOffset", 400),
    ("KMS.DisabledException", 400),
    ("KMS.InvalidKeyUsageException", 400),
    ("KMS.KMSInvalidStateException", 400),
    ("KMS.NotFoundException", 400),
    ("KeyTooLongError", 400),
    ("MalformedXML", 400),
    ("MaxMessageLengthExceeded", 400),
    ("MetadataTooLarge", 400),
    ("MethodNotAllowed", 405),
    ("MissingContentLength", 411),
    ("NoSuchKey", 404),
    ("NoSuchUpload", 404),
    ("NoSuchVersion", 404),
    ("NotImplemented", 501),
    ("NotSignedUp", 403),
    ("ObjectAlreadyInActiveTierError", 403),
    ("ObjectNotInActiveTierError", 403),
    ("OperationAborted", 409),
    ("PermanentRedirect", 301),
    ("PreconditionFailed", 412),
    ("Redirect", 307),
    ("RequestIsNotMultiPartContent", 400),
    ("RequestTimeTooSkewed", 403),
    ("RequestTimeout", 400),
    ("RestoreAlreadyInProgress", 409),
    ("ServiceUnavailable", 503),
    ("SignatureDoesNotMatch", 403),
    ("SlowDown", 503),
    ("TemporaryRedirect", 307),
    ("TokenRefreshRequired", 400),
    ("TooManyParts", 400),
    ("TooManyTags", 400),
    ("UnexpectedContent", 400),
    ("UnsupportedSignature", 400),
    ("NobodyHasSeenThisBefore", 418),
];

/// What S3 says where somebody has written or deleted an object meanwhile.
const OVERTAKEN: [&str; 3] = ["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"];

#[tokio::test(start_paused = true)]
async fn whatever_s3_says_of_a_tenants_objects_keeps_no_other_from_a_job() {
    let naming = r#"{"metadataAttributes":{"tenantId":"globex"}}"#;
    for (code, status) in CODES {
        for operation in ["GET", "PUT", "COPY", "DELETE"] {
            let test = Test::new(50, [3, 3, 5]);
            let start = "pool/acme/long";
            let long = format!("{start}{}", "x".repeat(sidecar::MAX_KEY - start.len()));
            test.s3.put(&long, "No file can lie beside this.");
            test.s3.put(&format!("{}{}", document("acme", 1), sidecar::SUFFIX), naming);
            test.s3.put("pool/nobody/1.md", "A text.");
            test.s3.put("pool/nobody/1.md.metadata.json", naming);
            test.s3.refuse(operation, "/acme/", code, *status);
            let what = format!("{operation} is refused with {code}");
            let mut review = test.begin().await.unwrap();
            let is_ready = test.go(&mut review, Haste::Needed).await;
            assert!(is_ready.is_ok_and(|it| it) && review.is_whole(), "{what}");
            for tenant in ["globex", "umbrella"] {
                for key in
                    test.s3.keys(&format!("pool/{tenant}/")).iter().filter(|key| sidecar::is_document(key))
                {
                    let wanted = test.rules.sidecar(tenant, None).content;
                    let file = test.s3.content(&format!("{key}{}", sidecar::SUFFIX));
                    assert_eq!(file.as_deref().map(str::as_bytes), Some(&*wanted), "{what}: {key}");
                }
            }
            let skipped: Vec<_> = review.findings.skipped.by_tenant.keys().map(String::as_str).collect();
            assert!(skipped.is_empty() || skipped == ["acme"], "{what}: {skipped:?} are told");
            let is_told = !skipped.is_empty();
            // A file that cannot be read is replaced, and a document that cannot be deleted was kept.
            // What was written anew meanwhile, or is gone, is no trouble.
            let is_overtaken = ["COPY", "DELETE"].contains(&operation) && OVERTAKEN.contains(code);
            assert_eq!(is_told, operation != "GET" && !is_overtaken, "{what}");
            for key in test.s3.keys("pool/").iter().filter(|key| sidecar::is_sidecar(key)) {
                let names_another =
                    test.s3.content(key).unwrap().contains("globex") && !key.contains("/globex/");
                assert!(!names_another, "{what}: {key} names another");
            }
        }
    }
}

/// What acme leaves behind, as a Pool tenant that leaves does and as one that comes back does.
fn moves(on_conflict: OnConflict) -> [Move; 1] {
    let (from, to) = ("pool/acme/".into(), "tenantry/retained/acme/".into());
    [Move { from, to, on_conflict, is_read: on_conflict == OnConflict::Overwrite, with_files: true }]
}

/// What is retained moves, but for what S3 does not let anybody move.
#[tokio::test(start_paused = true)]
async fn whatever_s3_says_of_an_object_keeps_no_other_from_being_moved() {
    for (code, status) in CODES {
        for (operation, on_conflict) in [
            ("COPY", OnConflict::Overwrite),
            ("COPY", OnConflict::KeepExisting),
            ("DELETE", OnConflict::Overwrite),
            ("HEAD", OnConflict::KeepExisting),
        ] {
            let what = format!("{operation}, {on_conflict:?}: {code}");
            let test = Test::new(50, [5, 3, 5]);
            let stuck = document("acme", 2);
            test.s3.refuse(operation, &stuck, code, *status);
            if operation == "HEAD" {
                // Another is there, and S3 does not say whether it is the same.
                test.s3.put("tenantry/retained/acme/0002.md", "A text.");
            }
            let (mut stopped_at, mut failures) = (StoppedAt::default(), 0);
            let moved = loop {
                match relocate::all(&test.aws, BUCKET, &moves(on_conflict), &mut stopped_at).await {
                    Ok(moved) => break moved,
                    // It may pass, or be mended. The others do not wait for that.
                    Err(_) => {
                        assert_eq!(test.s3.keys("pool/acme/"), std::slice::from_ref(&stuck), "{what}");
                        failures += 1;
                    }
                }
            };
            assert!(failures <= 5, "{what} holds up whatever comes after it");
            assert_eq!(moved.objects, if failures > 0 { 0 } else { 4 }, "{what}: {moved:?}");
            assert_eq!(test.s3.keys("pool/acme/"), [stuck], "{what}");
            if operation == "HEAD" {
                // Its answers have no body, and so no code.
                continue;
            }
            // One that was written anew, or is gone, is moved again.
            if OVERTAKEN.contains(code) {
                assert!(!moved.progress.is_done() && moved.overtaken, "{what}: {moved:?}");
                assert_eq!(moved.stuck.count, 0, "{what}: {moved:?}");
                continue;
            }
            assert!(moved.is_stuck() && moved.stuck.count == 1, "{what}: {moved:?}");
            assert!(moved.stuck.to_string().contains(code), "{what}: {moved:?}");
        }
    }
}

/// A failure that passes leaves nothing behind.
#[tokio::test]
async fn what_s3_failed_to_copy_or_delete_once_is_moved_with_the_next_call() {
    for (operation, on_conflict) in [
        ("COPY", OnConflict::Overwrite),
        ("COPY", OnConflict::KeepExisting),
        ("DELETE", OnConflict::Overwrite),
    ] {
        let test = Test::new(50, [5, 0, 0]);
        let key = document("acme", 2);
        test.s3.refuse(operation, &key, "SlowDown", 503);
        let mut stopped_at = StoppedAt::default();
        let call = async |stopped_at: &mut StoppedAt| {
            relocate::all(&test.aws, BUCKET, &moves(on_conflict), stopped_at).await
        };
        call(&mut stopped_at).await.unwrap_err();
        assert_eq!(test.s3.keys("pool/acme/"), std::slice::from_ref(&key), "{operation}, {on_conflict:?}");
        test.s3.heal();
        let moved = call(&mut stopped_at).await.unwrap();
        assert!(moved.progress.is_done() && !moved.is_stuck(), "{operation}, {on_conflict:?}: {moved:?}");
        assert!(test.s3.keys("pool/acme/").is_empty(), "{operation}, {on_conflict:?}");
        assert_eq!(test.s3.keys("tenantry/retained/acme/").len(), 5, "{operation}, {on_conflict:?}");
    }
}

#[tokio::test]
async fn what_is_uploaded_anew_while_it_moves_is_not_deleted() {
    for on_conflict in [OnConflict::Overwrite, OnConflict::KeepExisting] {
        let test = Test::new(2, [5, 0, 0]);
        let key = document("acme", 2);
        test.s3.rewrite_after("COPY", &key);
        let mut stopped_at = StoppedAt::default();
        let moved = relocate::all(&test.aws, BUCKET, &moves(on_conflict), &mut stopped_at).await.unwrap();
        assert!(!moved.progress.is_done() && !moved.is_stuck(), "{moved:?}");
        assert_eq!(test.s3.content(&key).as_deref(), Some("It was written anew."));
        if on_conflict == OnConflict::Overwrite {
            let moved = relocate::all(&test.aws, BUCKET, &moves(on_conflict), &mut stopped_at).await.unwrap();
            assert!(moved.progress.is_done() && !moved.is_stuck(), "{moved:?}");
            let there = test.s3.content("tenantry/retained/acme/0002.md");
            assert_eq!(there.as_deref(), Some("It was written anew."));
        }
    }
}

/// A file that named another tenant lies in quarantine, and its document is gone.
#[tokio::test]
async fn no_metadata_file_of_a_quarantine_comes_back_with_what_is_retained() {
    let test = Test::new(50, [0, 0, 0]);
    let from = "tenantry/quarantine/pool/acme/";
    test.s3.put(&format!("{from}1.md.metadata.json"), r#"{"metadataAttributes":{"tenantId":"globex"}}"#);
    test.s3.put(&format!("{from}2.md"), "A text.");
    let [back] = moves(OnConflict::KeepExisting);
    let moves = [Move { from: from.into(), with_files: false, ..back }];
    let moved = relocate::all(&test.aws, BUCKET, &moves, &mut StoppedAt::default()).await.unwrap();
    assert!(moved.progress.is_done() && !moved.is_stuck(), "{moved:?}");
    assert_eq!(test.s3.keys("tenantry/retained/"), ["tenantry/retained/acme/2.md"]);
}

#[tokio::test]
async fn what_is_uploaded_anew_while_it_is_put_into_quarantine_is_not_deleted() {
    let nobodys = format!("pool/acme/{}", "x".repeat(sidecar::MAX_KEY - "pool/acme/".len()));
    for (key, limit) in
        [(&nobodys, Size::OF_A_JOB), (&document("acme", 2), Size { files: 16, ..Size::OF_A_JOB })]
    {
        let mut test = Test::new(50, [3, 3, 3]);
        test.limit = limit;
        test.s3.at_minute(1);
        test.s3.put(key, "A text.");
        test.s3.rewrite_after("COPY", key);
        let review = test.whole().await;
        assert_eq!(test.s3.content(key).as_deref(), Some("It was written anew."));
        let told = &review.findings.skipped.by_tenant;
        assert!(told.is_empty() && review.findings.set_aside.is_empty(), "{told:?}");
        test.limit = Size::OF_A_JOB;
        test.whole().await;
        let stays = test.s3.content(key).is_some();
        assert_eq!(stays, *key != nobodys, "{key}");
    }
}

/// A process ends with any of its calls; the next one finds everything out, and what it finds gone is still told.
#[tokio::test(start_paused = true)]
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
            let job_slots = AtomicUsize::new(0);
            let is_over = || !job_slots.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
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

/// A Silo's metadata files are its own, and the operator may not read them. How long they are is in the listing.
#[tokio::test]
async fn what_the_vector_store_does_not_take_of_others_files_is_known_without_reading_them() {
    for page in [1, 2, 100] {
        let s3 = S3::new(page);
        let (fits, too_long) = ("x".repeat(1_024), "x".repeat(1_025));
        let put = |key: &str, content: &str| s3.put(&format!("documents/{key}"), content);
        put("a.md", "A text.");
        put("a.md.metadata.json", &too_long);
        put("b.md", &too_long);
        put("b.md.metadata.json", &fits);
        put("nothing.md.metadata.json", &too_long);
        let (aws, leaving, mut jobs) = (s3.aws(), BTreeSet::new(), Vec::new());
        let owner = Owner::nobody("acme", crate::api::Pattern::Silo, None);
        // What a review says, before the job that follows it.
        let mut told = async |metadata| {
            let scope = Scope {
                owner: &owner,
                bucket: BUCKET,
                prefix: "documents/",
                ledger: LEDGER,
                pool: None,
                metadata,
                all_first: false,
                limit: Size::OF_A_JOB,
                leaving: &leaving,
            };
            let (mut review, _) = Review::anew(&aws, &scope, Vec::new(), None).await.unwrap();
            while !review.go(&aws, &scope, &jobs, Haste::None, &Reviews::default(), SLICE).await.unwrap() {}
            let description = format!("job {}", jobs.len());
            review.claim(&aws, &scope, &description, &jobs).await.unwrap();
            jobs.insert(0, complete(description));
            let skipped = &review.findings.skipped.by_tenant;
            (skipped.get(NOBODYS).map(ToString::to_string), review.findings.changed)
        };
        let limits = Some(MetadataLimits { bytes: 1_024, attributes: 35 });
        let one = Some("documents/a.md.metadata.json: 1025 bytes".to_owned());
        assert_eq!(told(None).await, (None, 5), "another store takes all");
        // It stays so, and is no reason for a job again and again.
        assert_eq!(told(limits).await, (one.clone(), 0));
        assert_eq!(told(limits).await, (one, 0));
        put("a.md.metadata.json", &fits);
        assert_eq!(told(limits).await, (None, 1));
        let read = s3.calls().into_iter().find(|call| call.starts_with("GET documents/"));
        assert_eq!(read, None);
    }
}

fn bound(documents: Option<u64>, bytes: Option<u64>) -> Bounds {
    let bound = Bound { class: "basic".into(), documents, bytes };
    Bounds { known: HashMap::from([("acme".to_owned(), Some(Arc::new(bound)))]), others: None }
}

/// The documents of acme's that somebody finds, by their numbers.
fn found(test: &Test) -> Vec<usize> {
    let has_file =
        |n: &usize| test.s3.content(&format!("{}{}", document("acme", *n), sidecar::SUFFIX)).is_some();
    (0..100).filter(has_file).collect()
}

fn held(review: &Review) -> Option<u64> {
    review.findings.held.get("acme").map(|held| held.tally.documents)
}

#[tokio::test]
async fn what_is_beyond_a_limit_is_found_by_nobody_and_takes_the_room_that_comes() {
    let mut test = Test::new(7, [5, 3, 0]);
    test.bounds = bound(Some(3), None);
    let mut review = test.whole().await;
    assert_eq!((found(&test), held(&review)), (vec![0, 1, 2], Some(2)));
    assert_eq!(review.findings.held["acme"].names.first, [document("acme", 3), document("acme", 4)]);
    assert_eq!(review.findings.by_class()["acme"].tally.documents, 5, "all are counted");
    assert_eq!(review.findings.by_class()["globex"].held, None);
    test.job(&mut review).await;
    // Again, by a process that knows of nothing: the same are held back, and nothing asks for a job.
    test.s3.calls();
    let again = test.whole().await;
    assert_eq!((found(&test), held(&again), again.findings.changed), (vec![0, 1, 2], Some(2), 0));
    assert_eq!(test.written(), [""; 0]);
    // A new one before all others has no room either: who has a place keeps it.
    test.s3.put("pool/acme/0000.a.md", "A text.");
    let mut new = test.whole().await;
    assert_eq!((found(&test), held(&new)), (vec![0, 1, 2], Some(3)));
    test.job(&mut new).await;
    // One goes, and the next in order comes.
    test.s3.take(&document("acme", 1));
    test.s3.take(&format!("{}{}", document("acme", 1), sidecar::SUFFIX));
    let mut after = test.whole().await;
    assert_eq!((found(&test), held(&after)), (vec![0, 2], Some(2)));
    assert!(test.s3.content(&format!("pool/acme/0000.a.md{}", sidecar::SUFFIX)).is_some());
    test.job(&mut after).await;
    // The limit is raised.
    test.bounds = bound(Some(9), None);
    let raised = test.whole().await;
    assert_eq!((found(&test), held(&raised)), (vec![0, 2, 3, 4], None));
    assert!(raised.findings.changed > 0, "a job makes that true in the index");
}

#[tokio::test]
async fn a_limit_that_is_lowered_takes_nothing_away() {
    let mut test = Test::new(50, [6, 0, 0]);
    let mut review = test.whole().await;
    test.job(&mut review).await;
    test.bounds = bound(Some(2), None);
    let lowered = test.whole().await;
    assert_eq!((found(&test), held(&lowered), lowered.findings.changed), ((0..6).collect(), None, 0));
    // One that is replaced keeps its place; a new one has none.
    test.s3.put(&document("acme", 5), "Another text.");
    test.s3.put(&document("acme", 6), "A text.");
    let changed = test.whole().await;
    assert_eq!((found(&test), held(&changed)), ((0..6).collect(), Some(1)));
}

#[tokio::test]
async fn bytes_are_bounded_too_and_a_smaller_document_may_still_have_room() {
    let mut test = Test::new(50, [0, 0, 0]);
    for (n, bytes) in [40, 50, 20, 10].into_iter().enumerate() {
        test.s3.put(&document("acme", n), &"x".repeat(bytes));
    }
    test.bounds = bound(None, Some(100));
    let review = test.whole().await;
    assert_eq!((found(&test), held(&review)), (vec![0, 1, 3], Some(1)));
    assert_eq!(review.findings.by_class()["acme"].tally.bytes, 120);
}

/// Its class is gone, or it came while the review was under way: what it had stays, and nothing new is found by anybody.
#[tokio::test]
async fn of_whom_nobody_knows_what_it_may_have_nothing_new_is_found() {
    let mut test = Test::new(50, [2, 0, 0]);
    let mut review = test.whole().await;
    test.job(&mut review).await;
    test.s3.put(&document("acme", 2), "A text.");
    test.s3.put(&document("globex", 0), "A text.");
    let known = HashMap::from([("globex".to_owned(), None)]);
    test.bounds = Bounds { known, others: Some(Arc::new(Bound::closed(""))) };
    let review = test.whole().await;
    assert_eq!((found(&test), held(&review)), (vec![0, 1], Some(1)));
    assert_eq!(review.findings.held.len(), 1, "who is known to be bound by nothing is not");
    test.bounds = Bounds::default();
    let known = test.whole().await;
    assert_eq!((found(&test), held(&known)), (vec![0, 1, 2], None));
}

/// In a ledger that was lost nobody has a place, but files that only the operator writes say who had one.
#[tokio::test]
async fn a_lost_ledger_takes_nobody_out_of_the_index() {
    let mut test = Test::new(50, [5, 0, 0]);
    let mut review = test.whole().await;
    test.job(&mut review).await;
    test.s3.keys(LEDGER).iter().for_each(|key| test.s3.take(key));
    test.bounds = bound(Some(2), None);
    let review = test.whole().await;
    assert_eq!((found(&test), held(&review)), ((0..5).collect(), None));
}

/// Where tenants write metadata files, one of their own gives a document no place.
#[tokio::test]
async fn nobody_gets_in_by_a_file_of_its_own() {
    let mut test = Test::new(50, [2, 0, 0]);
    test.bounds = bound(Some(2), None);
    let mut review = test.whole().await;
    test.job(&mut review).await;
    test.s3.put(&document("acme", 2), "A text.");
    let file = format!("{}{}", document("acme", 2), sidecar::SUFFIX);
    test.s3.put(&file, r#"{"metadataAttributes":{"tenantId":"acme"}}"#);
    let scope = Scope { all_first: true, ..test.scope() };
    let (mut review, _) = Review::anew(&test.aws, &scope, Vec::new(), None).await.unwrap();
    let reviews = Reviews::default();
    assert!(review.go(&test.aws, &scope, &test.jobs, Haste::None, &reviews, SLICE).await.unwrap());
    assert_eq!((found(&test), held(&review)), (vec![0, 1], Some(1)));
    assert_eq!(test.s3.keys("tenantry/quarantine/"), [format!("tenantry/quarantine/{file}")]);
    assert!(review.findings.changed > 0, "a job forgets what the file said");
}

/// A tenant of whom there is much is gone over in many turns, and has no more room because of that.
#[tokio::test]
async fn in_many_turns_there_is_no_more_room_than_in_one() {
    for page in [3, 10, 1000] {
        let mut test = Test::new(page, [60, 3, 40]);
        test.bounds = bound(Some(50), None);
        let mut review = test.begin().await.unwrap();
        let (aws, reviews) = (test.aws.clone(), Reviews::default());
        // Each turn is over after one page.
        while !review.go_until(&aws, &test.scope(), &test.jobs, Haste::None, &reviews, &once()).await.unwrap()
        {
        }
        assert_eq!((found(&test).len(), held(&review)), (50, Some(10)), "pages of {page}");
        test.job(&mut review).await;
    }
}

/// Says no once, and yes from then on.
fn once() -> impl Fn() -> bool + Sync {
    let asked = AtomicUsize::new(0);
    move || asked.fetch_add(1, Ordering::Relaxed) > 0
}
