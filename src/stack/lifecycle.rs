//! How long an embedding model is on offer, and what is said of that.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-lifecycle.html>

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// How many days before its end a model is told of anew, the fewest first.
const TOLD: [i64; 3] = [7, 30, 90];

const REMEDY: &str = "Vectors of two models cannot be compared: make another Tenant or SharedStack with a model that stays, \
                      and move the documents there";

/// What Bedrock says of a model's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// Whether it is on its way out.
    pub is_legacy: bool,
    /// From when on it cannot be asked any more, once AWS has said so.
    pub ends: Option<Timestamp>,
}

/// What is said of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Whether it stays for as long as anybody can see.
    pub stays: bool,
    /// In words. They change only where a person should read them anew.
    pub message: String,
}

impl Lifecycle {
    /// Reads the answer of GetFoundationModel; `None` if it says nothing of the model. A model of whose life it says
    /// nothing is on offer.
    pub fn read(answer: &Value) -> Option<Self> {
        let life = &answer.get("modelDetails")?.as_object()?.get("modelLifecycle").unwrap_or(&Value::Null);
        Some(Self {
            is_legacy: life["status"] == "LEGACY",
            ends: life["endOfLifeTime"].as_str().and_then(|at| at.parse().ok()),
        })
    }
}

/// What is to be said of a model at a moment; `lifecycle` is `None` if Bedrock does not know it.
pub fn word(model: &str, lifecycle: Option<&Lifecycle>, now: Timestamp) -> Word {
    let goes = |how: String| Word { stays: false, message: format!("{how}. {REMEDY}") };
    let Some(Lifecycle { is_legacy, ends }) = lifecycle else {
        return goes(format!("Bedrock does not know {model} any more"));
    };
    let Some(ends) = *ends else {
        return if *is_legacy {
            goes(format!("{model} is a legacy model, and AWS has not said when it ends"))
        } else {
            Word { stays: true, message: format!("{model} is on offer, and AWS has set it no end") }
        };
    };
    let date = ends.to_zoned(TimeZone::UTC).date();
    if ends <= now {
        return goes(format!("{model} ended on {date}: neither documents nor questions can be embedded"));
    }
    let left = ends.duration_since(now);
    match TOLD.iter().find(|days| left < jiff::SignedDuration::from_hours(**days * 24)) {
        Some(days) => goes(format!("{model} ends on {date}, in less than {days} days")),
        None if *is_legacy => goes(format!("{model} is a legacy model and ends on {date}")),
        None => Word { stays: true, message: format!("{model} is on offer until {date}") },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_end_of_a_model_is_told_at_90_30_and_7_days_and_in_between_in_the_same_words() {
        let now = at("2026-06-01T12:00:00Z");
        let ends = |days: i64| Some(now + jiff::SignedDuration::from_hours(days * 24));
        for (is_legacy, ends, stays, said) in [
            (false, None, true, "m is on offer, and AWS has set it no end"),
            (true, None, false, "m is a legacy model, and AWS has not said when it ends"),
            (false, ends(90), true, "m is on offer until 2026-08-30"),
            (true, ends(90), false, "m is a legacy model and ends on 2026-08-30"),
            (false, ends(89), false, "m ends on 2026-08-29, in less than 90 days"),
            (true, ends(31), false, "m ends on 2026-07-02, in less than 90 days"),
            (true, ends(29), false, "m ends on 2026-06-30, in less than 30 days"),
            (true, ends(8), false, "m ends on 2026-06-09, in less than 30 days"),
            (true, ends(6), false, "m ends on 2026-06-07, in less than 7 days"),
            (true, ends(0), false, "m ended on 2026-06-01"),
            (false, ends(-1), false, "m ended on 2026-05-31"),
        ] {
            let word = word("m", Some(&Lifecycle { is_legacy, ends }), now);
            assert_eq!(word.stays, stays, "{said}");
            assert!(word.message.starts_with(said), "{said}: {}", word.message);
            assert_eq!(word.message.contains(REMEDY), !stays, "{said}");
        }
        assert!(!word("m", None, now).stays);
    }

    #[test]
    fn what_bedrock_says_of_a_models_life_is_read() {
        let read =
            |life: Value| Lifecycle::read(&json!({"modelDetails": {"modelId": "m", "modelLifecycle": life}}));
        let legacy = json!({"status": "LEGACY", "endOfLifeTime": "2026-11-30T00:00:00+00:00", "legacyTime": "2026-05-30T00:00:00Z"});
        let ends = Some(at("2026-11-30T00:00:00Z"));
        assert_eq!(read(legacy), Some(Lifecycle { is_legacy: true, ends }));
        let stays = Some(Lifecycle { is_legacy: false, ends: None });
        for active in
            [json!({"status": "ACTIVE"}), json!({"status": "ACTIVE", "endOfLifeTime": null}), Value::Null]
        {
            assert_eq!(read(active), stays);
        }
        assert_eq!(Lifecycle::read(&json!({"modelDetails": {"modelId": "m"}})), stays);
        for nothing in [Value::Null, json!({}), json!({"modelDetails": null}), json!("<html>")] {
            assert_eq!(Lifecycle::read(&nothing), None, "{nothing}");
        }
    }
}
