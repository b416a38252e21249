//! How long an ingestion takes, before there is one: the embedding model grants so many requests and so many tokens a
//! minute, and whichever is used up first binds.
//!
//! Everything that Bedrock does beside embedding is left out. A later job embeds only what has changed since, so that
//! what is said here is the first one, or the longest.

use serde::Serialize;

use crate::api::ChunkingSettings;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// The minutes that may lie between two jobs of an even schedule: those that divide an hour, and the hours that divide a
/// day. A job has a minute or so of its own, so that less than five make no sense.
const INTERVALS: [u64; 15] = [5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440];

/// What one embedding model grants to an account and region, in a minute.
/// <https://docs.aws.amazon.com/general/latest/gr/bedrock.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rates {
    /// Requests: one embeds one chunk.
    pub requests_per_minute: u64,
    /// Tokens.
    pub tokens_per_minute: u64,
}

/// What is said of a typical document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// How long it is.
    pub tokens_per_document: u64,
    /// How many chunks are made of it, if that is known; else it follows from its length and the chunking.
    pub chunks_per_document: Option<u64>,
    /// How long these are, if that is known; else as long as the chunking lets them be.
    pub tokens_per_chunk: Option<u64>,
}

/// How a typical document is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cut {
    /// Into how many chunks.
    pub chunks_per_document: u64,
    /// How long each is, at the most.
    pub tokens_per_chunk: u64,
    /// What was assumed for that.
    pub assumed: &'static str,
}

/// What is to be embedded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Documents.
    pub documents: u64,
    /// Their chunks, each of which is a request.
    pub requests: u64,
    /// The tokens in these.
    pub tokens: u64,
}

/// Which of a model's rates is used up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Bound {
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
}

/// How long it takes, and how often a day that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// What is embedded.
    #[serde(flatten)]
    pub load: Load,
    /// How long the requests take.
    pub seconds_by_requests: u64,
    /// How long the tokens take.
    pub seconds_by_tokens: u64,
    /// Which takes longer.
    pub bound: Bound,
    /// The densest even schedule by requests alone.
    pub schedule_by_requests: Option<Schedule>,
    /// The densest even schedule by tokens alone.
    pub schedule_by_tokens: Option<Schedule>,
}

/// Jobs at even distances, which begin at the same times every day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// How many a day.
    pub jobs_per_day: u64,
    /// The minutes between two of them.
    pub minutes: u64,
}

impl Load {
    /// So many documents, each cut like this.
    pub fn new(documents: u64, cut: &Cut) -> Self {
        let requests = documents.saturating_mul(cut.chunks_per_document);
        Self { documents, requests, tokens: requests.saturating_mul(cut.tokens_per_chunk) }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            documents: self.documents.saturating_add(other.documents),
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }

    /// How long that takes at these rates.
    pub fn at(self, rates: Rates) -> Estimate {
        let seconds_by_requests = seconds(self.requests, rates.requests_per_minute);
        let seconds_by_tokens = seconds(self.tokens, rates.tokens_per_minute);
        let tokens_bind = seconds_by_tokens > seconds_by_requests;
        Estimate {
            load: self,
            seconds_by_requests,
            seconds_by_tokens,
            bound: if tokens_bind { Bound::Tokens } else { Bound::Requests },
            schedule_by_requests: Schedule::densest(seconds_by_requests),
            schedule_by_tokens: Schedule::densest(seconds_by_tokens),
        }
    }
}

/// How long `amount` takes at so much a minute, in whole seconds.
fn seconds(amount: u64, per_minute: u64) -> u64 {
    let seconds = (u128::from(amount) * u128::from(MINUTE)).div_ceil(u128::from(per_minute.max(1)));
    u64::try_from(seconds).unwrap_or(u64::MAX)
}

impl Estimate {
    /// How long it takes.
    pub fn seconds(&self) -> u64 {
        self.seconds_by_requests.max(self.seconds_by_tokens)
    }

    /// The densest even schedule that fits; none if one job takes more than a day.
    pub fn schedule(&self) -> Option<Schedule> {
        Schedule::densest(self.seconds())
    }
}

impl Schedule {
    /// The one with the least time between two jobs that is enough for one.
    pub fn densest(seconds: u64) -> Option<Self> {
        let minutes = INTERVALS.into_iter().find(|minutes| minutes * MINUTE >= seconds)?;
        Some(Self { jobs_per_day: DAY / (minutes * MINUTE), minutes })
    }

    /// As `ingestion.schedule` takes it.
    pub fn cron(&self) -> String {
        match (self.minutes, self.minutes / 60) {
            (minutes @ ..60, _) => format!("*/{minutes} * * * *"),
            (_, 1) => "0 * * * *".into(),
            (_, hours @ ..24) => format!("0 */{hours} * * *"),
            _ => "0 0 * * *".into(),
        }
    }
}

/// How a document is cut by this strategy.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/kb-chunking.html>
pub fn cut(chunking: &ChunkingSettings, said: &Sizes) -> Cut {
    let tokens = said.tokens_per_document;
    let (chunks, longest, assumed) = match *chunking {
        ChunkingSettings::FixedSize { max_tokens, overlap_percentage } => {
            let longest = whole(max_tokens);
            let repeated = longest * whole(overlap_percentage) / 100;
            (
                pieces(tokens, longest, repeated),
                longest,
                "each chunk is as long as it may be, overlap included",
            )
        }
        ChunkingSettings::Hierarchical { parent_max_tokens, child_max_tokens, overlap_tokens } => {
            let (parent, child, repeated) =
                (whole(parent_max_tokens), whole(child_max_tokens), whole(overlap_tokens));
            let parents = pieces(tokens, parent, repeated);
            let last =
                tokens.saturating_sub((parents - 1).saturating_mul(parent.saturating_sub(repeated).max(1)));
            let children = (parents - 1).saturating_mul(pieces(parent, child, repeated));
            let children = children.saturating_add(pieces(last, child, repeated));
            (children, child, "only child chunks are embedded, each as long as it may be, overlap included")
        }
        ChunkingSettings::Semantic { max_tokens, .. } => (
            pieces(tokens, whole(max_tokens), 0),
            whole(max_tokens),
            "each chunk is as long as it may be: where the meaning changes sooner there are more, and what the strategy \
             itself asks the model to find that out comes on top",
        ),
        ChunkingSettings::None => {
            (1, tokens, "a document is one chunk, and no longer than the model takes at once")
        }
    };
    match (said.chunks_per_document, said.tokens_per_chunk) {
        (Some(chunks_per_document), Some(tokens_per_chunk)) => {
            Cut { chunks_per_document, tokens_per_chunk, assumed: "both as given" }
        }
        (Some(chunks_per_document), None) => {
            let assumed = "as many chunks as given, each as long as the chunking lets it be";
            Cut { chunks_per_document, tokens_per_chunk: longest, assumed }
        }
        (None, given) => Cut {
            chunks_per_document: chunks,
            tokens_per_chunk: given.unwrap_or(longest.min(tokens)),
            assumed,
        },
    }
}

fn whole(number: i32) -> u64 {
    u64::try_from(number).unwrap_or_default().max(1)
}

/// How many pieces of at most `longest` tokens there are, each of which repeats some of the one before.
fn pieces(tokens: u64, longest: u64, repeated: u64) -> u64 {
    let step = longest.saturating_sub(repeated).max(1);
    tokens.saturating_sub(longest).div_ceil(step).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITAN: Rates = Rates { requests_per_minute: 2_000, tokens_per_minute: 300_000 };
    const SIZES: Sizes =
        Sizes { tokens_per_document: 5_000, chunks_per_document: None, tokens_per_chunk: None };

    /// 10 tenants with 100 documents of 220 chunks of 1,000 tokens: 1h 50m and 12 a day by requests, 12h 13m and 1 a day
    /// by tokens, which bind.
    #[test]
    fn the_worked_example() {
        let said = Sizes { chunks_per_document: Some(220), tokens_per_chunk: Some(1_000), ..SIZES };
        let cut = cut(&ChunkingSettings::default(), &said);
        let estimate = Load::new(10 * 100, &cut).at(TITAN);
        assert_eq!(estimate.load, Load { documents: 1_000, requests: 220_000, tokens: 220_000_000 });
        assert_eq!(estimate.seconds_by_requests, 110 * MINUTE);
        assert_eq!(estimate.schedule_by_requests, Some(Schedule { jobs_per_day: 12, minutes: 120 }));
        assert_eq!(estimate.seconds_by_tokens, 733 * MINUTE + 20);
        assert_eq!(estimate.schedule_by_tokens, Some(Schedule { jobs_per_day: 1, minutes: 1440 }));
        assert_eq!((estimate.bound, estimate.seconds()), (Bound::Tokens, 44_000));
        assert_eq!(estimate.schedule(), estimate.schedule_by_tokens);
        assert_eq!(estimate.schedule_by_requests.map(|it| it.cron()).as_deref(), Some("0 */2 * * *"));
    }

    #[test]
    fn what_is_used_up_first_binds() {
        for (requests, tokens, bound) in [
            (2_000, 300_000, Bound::Requests),
            (2_000, 300_001, Bound::Tokens),
            (2_001, 300_000, Bound::Requests),
        ] {
            let estimate = Load { documents: 1, requests: requests * 60, tokens: tokens * 60 }.at(TITAN);
            assert_eq!(estimate.bound, bound, "{requests} {tokens}");
            assert_eq!(estimate.seconds(), estimate.seconds_by_requests.max(estimate.seconds_by_tokens));
        }
        assert_eq!(Load::default().at(TITAN).seconds(), 0);
    }

    #[test]
    fn what_takes_more_than_a_day_has_no_schedule() {
        assert_eq!(Schedule::densest(DAY).map(|it| it.jobs_per_day), Some(1));
        assert_eq!(Schedule::densest(DAY + 1), None);
        let huge = Load { documents: u64::MAX, requests: u64::MAX, tokens: u64::MAX };
        assert_eq!(
            huge.and(huge).at(Rates { requests_per_minute: 0, tokens_per_minute: 1 }).schedule(),
            None
        );
    }

    /// For every duration of a day: it fits, it is even, and nothing denser would do.
    #[test]
    fn the_densest_even_schedule_fits() {
        for seconds in (0..=DAY).step_by(7) {
            let Some(Schedule { jobs_per_day, minutes }) = Schedule::densest(seconds) else {
                panic!("{seconds} seconds fit into a day")
            };
            assert!(minutes * MINUTE >= seconds, "{seconds}");
            assert_eq!(jobs_per_day * minutes * MINUTE, DAY, "{seconds}");
            let denser = INTERVALS.into_iter().filter(|it| *it < minutes).max();
            assert!(denser.is_none_or(|it| it * MINUTE < seconds), "{seconds}: {denser:?}");
        }
    }

    #[test]
    fn a_schedule_is_a_line_of_cron() {
        for (seconds, line) in [
            (0, "*/5 * * * *"),
            (31 * MINUTE, "0 * * * *"),
            (181 * MINUTE, "0 */4 * * *"),
            (721 * MINUTE, "0 0 * * *"),
        ] {
            assert_eq!(Schedule::densest(seconds).map(|it| it.cron()).as_deref(), Some(line));
        }
    }

    #[test]
    fn chunks_follow_from_the_strategy() {
        let chunks = |chunking, tokens| {
            let cut = cut(&chunking, &Sizes { tokens_per_document: tokens, ..SIZES });
            (cut.chunks_per_document, cut.tokens_per_chunk)
        };
        let fixed = ChunkingSettings::FixedSize { max_tokens: 300, overlap_percentage: 20 };
        // 300 tokens, then 240 new ones at a time.
        for (tokens, expected) in
            [(1, (1, 1)), (300, (1, 300)), (301, (2, 300)), (540, (2, 300)), (541, (3, 300))]
        {
            assert_eq!(chunks(fixed, tokens), expected, "{tokens}");
        }
        let levels = ChunkingSettings::Hierarchical {
            parent_max_tokens: 1500,
            child_max_tokens: 300,
            overlap_tokens: 60,
        };
        // A whole parent has 1 + 1200/240 children; after 1,440 tokens the next one begins.
        assert_eq!(chunks(levels, 1500), (6, 300));
        assert_eq!(chunks(levels, 1501), (7, 300));
        assert_eq!(chunks(levels, 2940), (12, 300));
        let absurd = ChunkingSettings::Hierarchical {
            parent_max_tokens: 10,
            child_max_tokens: 10,
            overlap_tokens: 8192,
        };
        assert_eq!(chunks(absurd, 12), (3, 10));
        let semantic = ChunkingSettings::Semantic {
            max_tokens: 500,
            buffer_size: 1,
            breakpoint_percentile_threshold: 95,
        };
        assert_eq!(chunks(semantic, 1001), (3, 500));
        assert_eq!(chunks(ChunkingSettings::None, 4000), (1, 4000));
    }

    #[test]
    fn no_number_is_too_large() {
        let said = Sizes { tokens_per_document: u64::MAX, ..SIZES };
        for chunking in [
            ChunkingSettings::FixedSize { max_tokens: 1, overlap_percentage: 99 },
            ChunkingSettings::Hierarchical { parent_max_tokens: 2, child_max_tokens: 1, overlap_tokens: 1 },
            ChunkingSettings::None,
        ] {
            let load = Load::new(u64::MAX, &cut(&chunking, &said));
            assert_eq!(load.and(load).at(TITAN).schedule(), None, "{chunking:?}");
        }
    }

    /// More tokens are never fewer chunks, and the chunks hold them all.
    #[test]
    fn chunks_hold_the_whole_document() {
        for (max_tokens, overlap_percentage) in [(1, 1), (20, 99), (300, 20), (8192, 50)] {
            let chunking = ChunkingSettings::FixedSize { max_tokens, overlap_percentage };
            let mut before = 0;
            for tokens in (1..20_000).step_by(13) {
                let Cut { chunks_per_document: chunks, tokens_per_chunk: each, .. } =
                    cut(&chunking, &Sizes { tokens_per_document: tokens, ..SIZES });
                assert!(
                    chunks >= before && chunks * each >= tokens,
                    "{chunking:?} {tokens}: {chunks} x {each}"
                );
                before = chunks;
            }
        }
    }
}
