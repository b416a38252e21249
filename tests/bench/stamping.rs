//! A review of a pool's documents: what its metadata files cost beyond writing them, and what it costs where nothing has
//! changed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use futures::{StreamExt, TryStreamExt, stream};
use tenantry::aws::{Aws, Gate, Pace};
use tenantry::documents::findings::Findings;
use tenantry::documents::job_size::Size;
use tenantry::documents::review::{Haste, Review, SLICE};
use tenantry::documents::reviews::Reviews;
use tenantry::documents::scope::Scope;
use tenantry::documents::sidecar::{Pool, Rules};
use tenantry::documents::tally::Bounds;
use tenantry::stack::identity::Owner;

use crate::memory::Growth;
use crate::report::{Bound, Report, median};
use crate::s3::{BUCKET, S3, document};

/// How many documents, unless this variable says otherwise.
const DOCUMENTS: usize = 100_000;
const VARIABLE: &str = "TENANTRY_BENCH_DOCUMENTS";
/// Both sides in turn so many times; the round in the middle counts, as each is compared with the moment before it.
const ROUNDS: usize = 3;
/// As many writes side by side as a review has.
const CONCURRENCY: usize = 32;
/// Objects of a page of S3's.
const PAGE: usize = 1000;
/// Lines of a part of the ledger.
const PART: usize = 20_000;
/// An account, as every S3 call names one.
const ACCOUNT: &str = "111122223333";

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let documents = std::env::var(VARIABLE).ok().map_or(Ok(DOCUMENTS), |n| n.parse())?;
    let s3 = S3::start()?;
    let bench = Bench { aws: aws(s3.endpoint()).await, rules: rules(), documents };

    // The first of everything costs more: connections, and what an allocator keeps.
    bench.turn(&s3).await?;
    let growth = Growth::since_now()?;
    let (mut bare, mut stamped, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let [without, with] = bench.turn(&s3).await?;
        eprintln!("stamping, round {round} of {ROUNDS}: {without:.1?} bare, {with:.1?} stamped");
        bare.push(without.as_secs_f64());
        stamped.push(with.as_secs_f64());
        times.push(with.as_secs_f64() / without.as_secs_f64());
    }
    report.raw("stamping.bare-puts-seconds", &bare);
    report.raw("stamping.stamped-seconds", &stamped);
    report.judge("stamping-unstamped/bare-puts", median(times), Bound::AtMost(1.2));

    s3.served().await?;
    let begun = Instant::now();
    let findings = bench.review().await?;
    let again = begun.elapsed();
    anyhow::ensure!(
        (findings.documents, findings.changed, findings.written) == (documents, 0, 0),
        "{findings:?}"
    );
    let served = s3.served().await?;
    let count = |operation: &str| served.get(operation).copied().unwrap_or(0) as f64;
    let pages = (2 * documents).div_ceil(PAGE);
    // The page that shows that there is much of one tenant comes again, and one more finds nobody else behind it.
    report.judge("stamping-again-list-calls", count("ListObjectsV2"), Bound::Exactly(pages + 2));
    // The index, and each part once, or twice where a turn ends in it.
    let parts = (2 * documents).div_ceil(PART);
    report.judge("stamping-again-get-calls", count("GetObject"), Bound::AtMost((2 * parts + 2) as f64));
    let others = served.values().sum::<usize>() as f64 - count("ListObjectsV2") - count("GetObject");
    report.judge("stamping-again-other-calls", others, Bound::Exactly(0));
    report.judge("stamping-memory-growth-mib", growth.mebibytes()?, Bound::AtMost(32.0));
    let (bare, stamped) = (median(bare), median(stamped));
    report.note(format!(
        "{documents} documents: bare PUTs {bare:.1} s, stamping {stamped:.1} s (medians of {ROUNDS}), again {again:.1?}"
    ));
    Ok(())
}

struct Bench {
    aws: Aws,
    rules: Rules,
    documents: usize,
}

impl Bench {
    /// Both sides, one after the other: the metadata files written by whoever knows that all are missing, and the review.
    async fn turn(&self, s3: &S3) -> anyhow::Result<[Duration; 2]> {
        s3.fill(&[("acme", self.documents)]).await?;
        let begun = Instant::now();
        let content = self.rules.sidecar("acme", None).content;
        let put = async |n| {
            let key = format!("{}.metadata.json", document("acme", n));
            self.aws.objects.put(BUCKET, &key, content.clone(), "application/json").await.map(drop)
        };
        stream::iter(0..self.documents).map(put).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        let bare = begun.elapsed();

        s3.fill(&[("acme", self.documents)]).await?;
        let begun = Instant::now();
        let findings = self.review().await?;
        anyhow::ensure!(
            (findings.documents, findings.written) == (self.documents, self.documents),
            "{findings:?}"
        );
        Ok([bare, begun.elapsed()])
    }

    async fn review(&self) -> anyhow::Result<Findings> {
        review(&self.aws, &self.rules, &["acme"]).await
    }
}

/// As before a job that only changes ask for: what is found, and the ledger that says so.
pub async fn review(aws: &Aws, rules: &Rules, tenants: &[&str]) -> anyhow::Result<Findings> {
    let is_somebodys = |id: &str| tenants.contains(&id);
    let scope = Scope {
        owner: &Owner::Stack { name: "bench".into() },
        bucket: BUCKET,
        prefix: "pool/",
        ledger: "tenantry/ledger/bench",
        pool: Some(Pool { rules, is_somebodys: &is_somebodys, bounds: &Bounds::default() }),
        metadata: None,
        all_first: false,
        limit: Size::OF_A_JOB,
        leaving: &BTreeSet::new(),
    };
    let (mut review, _) = Review::anew(aws, &scope, Vec::new(), None).await?;
    while !review.go(aws, &scope, &[], Haste::IfNews, &Reviews::default(), SLICE).await? {}
    if review.has_news(&[]) {
        review.claim(aws, &scope, "first", &[]).await?;
    }
    Ok(review.findings)
}

pub fn rules() -> Rules {
    Rules { tenant_id_key: "tenantId".into(), attributes: Vec::new(), max_bytes: 10 * 1024 }
}

pub async fn aws(endpoint: &str) -> Aws {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new(ACCOUNT, "not-a-secret", None, None, "bench"))
        .load()
        .await;
    Aws::new(&config, ACCOUNT, &Gate::new(Pace::FULL))
}
