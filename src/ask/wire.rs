//! A question as it comes and as it goes on. What comes is read into a closed type, and what goes on is written from that:
//! whatever AWS adds to its requests is refused by its name until somebody here knows what it does.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Retrieve.html>

use serde::Serialize;

use super::filter::{Condition, Filter, narrowed};
use super::page;
use super::refusal::Refusal;
use super::strict::{self, Members, Node};
use super::whose::Asked;
use crate::api::VectorStore;
use crate::stack::store::finds_words;

/// How many bytes a request may have.
pub const MAX_BYTES: usize = 64 * 1024;
/// How many characters a question may have, in AWS's model; fewer for most knowledge bases, which AWS says itself.
const TEXT: usize = 20_000;
/// How many passages may be asked for.
const RESULTS: u64 = 100;

const SEARCH: &str = "retrievalConfiguration.vectorSearchConfiguration";

/// How passages are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SearchType {
    /// By words and by vectors.
    Hybrid,
    /// By vectors.
    Semantic,
}

/// A question, with all that a client may say of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    text: String,
    filter: Option<Node>,
    results: Option<u64>,
    search: Option<SearchType>,
    next_token: Option<String>,
}

impl Question {
    /// Reads the body of a `Retrieve`.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > MAX_BYTES {
            return Err(Refusal::TooLarge { limit: MAX_BYTES });
        }
        let mut request = Members::of(strict::read(body)?, "")?;
        let text = query(&mut request)?;
        let next_token = request.text("nextToken")?;
        let (filter, results, search) = match request.members("retrievalConfiguration")? {
            None => (None, None, None),
            Some(mut configuration) => {
                let found = configuration.members("vectorSearchConfiguration")?;
                configuration.done()?;
                found.map(vector_search).transpose()?.unwrap_or_default()
            }
        };
        request.done()?;
        Ok(Self { text, filter, results, search, next_token })
    }

    /// The body of the request to AWS, for one tenant: with its condition, and with no more than its store understands.
    pub fn body_for(self, asked: &Asked) -> Result<Vec<u8>, Refusal> {
        let own = asked.filter().map(|(key, value)| Condition::equals(key, value));
        self.body(&asked.tenant_id, own.as_ref(), asked.store)
    }

    fn body(self, tenant_id: &str, own: Option<&Condition>, store: VectorStore) -> Result<Vec<u8>, Refusal> {
        // Such a store's knowledge base fails, or searches by vectors alone and says nothing.
        if self.search == Some(SearchType::Hybrid) && !finds_words(store) {
            let why = format!(
                "must not be HYBRID: {store} finds by meaning alone. Leave it out, or make it SEMANTIC"
            );
            return Err(Refusal::invalid(format!("{SEARCH}.overrideSearchType"), why));
        }
        let path = format!("{SEARCH}.filter");
        let filter = self.filter.map(|node| Filter::read(node, &path, store)).transpose()?;
        let filter = narrowed(own, filter, &path)?;
        let next_token = self.next_token.as_deref().map(|token| page::back(tenant_id, token)).transpose()?;
        let search = Search { filter, number_of_results: self.results, override_search_type: self.search };
        let body = Body {
            retrieval_query: Query { text: &self.text, type_: "TEXT" },
            retrieval_configuration: Configuration { vector_search_configuration: search },
            next_token,
        };
        serde_json::to_vec(&body).map_err(|_| Refusal::invalid("", "The question cannot be written"))
    }
}

/// The text of the question. There is a second kind, a picture, which costs another model.
fn query(request: &mut Members) -> Result<String, Refusal> {
    let needed = || Refusal::invalid("retrievalQuery.text", format!("must have 1 to {TEXT} characters"));
    let mut query = request.members("retrievalQuery")?.ok_or_else(needed)?;
    if query.text("type")?.is_some_and(|kind| kind != "TEXT") {
        return Err(Refusal::invalid("retrievalQuery.type", "must be TEXT"));
    }
    let text = query.text("text")?;
    query.done()?;
    let good = |text: &String| !text.trim().is_empty() && text.chars().count() <= TEXT;
    text.filter(good).ok_or_else(needed)
}

type VectorSearch = (Option<Node>, Option<u64>, Option<SearchType>);

fn vector_search(mut search: Members) -> Result<VectorSearch, Refusal> {
    let filter = search.take("filter");
    let results = match search.take("numberOfResults") {
        None => None,
        Some(Node::Number(number)) if number.as_u64().is_some_and(|n| (1..=RESULTS).contains(&n)) => {
            number.as_u64()
        }
        Some(_) => {
            let why = format!("must be a whole number from 1 to {RESULTS}");
            return Err(Refusal::invalid(search.path("numberOfResults"), why));
        }
    };
    let kind = match search.text("overrideSearchType")?.as_deref() {
        None => None,
        Some("HYBRID") => Some(SearchType::Hybrid),
        Some("SEMANTIC") => Some(SearchType::Semantic),
        Some(_) => {
            return Err(Refusal::invalid(search.path("overrideSearchType"), "must be HYBRID or SEMANTIC"));
        }
    };
    search.done()?;
    Ok((filter, results, kind))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    retrieval_query: Query<'a>,
    retrieval_configuration: Configuration,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'a str>,
}

#[derive(Serialize)]
struct Query<'a> {
    text: &'a str,
    #[serde(rename = "type")]
    type_: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    vector_search_configuration: Search,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Search {
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Filter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_of_results: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    override_search_type: Option<SearchType>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::Pattern;
    use crate::ask::whose::tests::asked;

    fn sent(body: &Value, pattern: Pattern) -> Result<Value, String> {
        sent_to(body, &asked(pattern))
    }

    fn sent_to(body: &Value, asked: &Asked) -> Result<Value, String> {
        let question = Question::parse(body.to_string().as_bytes());
        let body = question.and_then(|question| question.body_for(asked));
        body.map(|body| serde_json::from_slice(&body).unwrap()).map_err(|refusal| refusal.message())
    }

    #[test]
    fn a_question_goes_on_with_the_tenants_filter() {
        let own = json!({"equals": {"key": "customer", "value": "acme"}});
        let least = json!({"retrievalQuery": {"text": "How many?"}});
        let query = json!({"text": "How many?", "type": "TEXT"});
        assert_eq!(
            sent(&least, Pattern::Pool),
            Ok(
                json!({"retrievalQuery": query, "retrievalConfiguration": {"vectorSearchConfiguration": {"filter": own}}})
            )
        );
        assert_eq!(
            sent(&least, Pattern::Silo),
            Ok(json!({"retrievalQuery": query, "retrievalConfiguration": {"vectorSearchConfiguration": {}}}))
        );
        let filter = json!({"in": {"key": "year", "value": ["2025", "2026"]}});
        let search = |filter: Value| {
            json!({"vectorSearchConfiguration":
            {"filter": filter, "numberOfResults": 7, "overrideSearchType": "HYBRID"}})
        };
        let most = json!({"retrievalQuery": query, "retrievalConfiguration": search(filter.clone()), "nextToken": "acme.abc"});
        for (pattern, filter) in
            [(Pattern::Pool, json!({"andAll": [own, filter]})), (Pattern::Bridge, filter.clone())]
        {
            let expected = json!({"retrievalQuery": query, "retrievalConfiguration": search(filter), "nextToken": "abc"});
            assert_eq!(sent(&most, pattern), Ok(expected), "{pattern}");
        }
        let nothing = json!({"retrievalQuery": {"text": "How many?"}, "retrievalConfiguration": null, "userContext": null});
        assert_eq!(sent(&nothing, Pattern::Pool), sent(&least, Pattern::Pool));
    }

    #[test]
    fn whatever_else_is_asked_for_is_refused_by_its_name() {
        let of = |path: &str, value: Value| {
            let mut body = json!({"retrievalQuery": {"text": "q"}, "retrievalConfiguration": {"vectorSearchConfiguration": {}}});
            let (parent, name) = path.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[name] = value;
            sent(&body, Pattern::Pool).unwrap_err()
        };
        let configuration = "retrievalConfiguration";
        for (path, value) in [
            ("/userContext".to_owned(), json!({"userId": "x"})),
            ("/guardrailConfiguration".into(), json!({"guardrailId": "g", "guardrailVersion": "1"})),
            ("/knowledgeBaseId".into(), json!("KB00000000")),
            ("/filter".into(), json!({})),
            ("/retrievalQuery/image".into(), json!({"format": "png"})),
            (format!("/{configuration}/managedSearchConfiguration"), json!({"filter": {}})),
            (
                format!("/{configuration}/vectorSearchConfiguration/implicitFilterConfiguration"),
                json!({"modelArn": "m"}),
            ),
            (
                format!("/{configuration}/vectorSearchConfiguration/rerankingConfiguration"),
                json!({"type": "x"}),
            ),
            (
                format!("/{configuration}/vectorSearchConfiguration/Filter"),
                json!({"equals": {"key": "a", "value": 1}}),
            ),
        ] {
            let name = path[1..].replace('/', ".");
            assert_eq!(of(&path, value), format!("{name}: is not taken by this gateway"));
        }
        let results = format!("/{configuration}/vectorSearchConfiguration/numberOfResults");
        for value in [json!(0), json!(101), json!(-1), json!(1.5), json!("5"), json!(1e30), json!(true)] {
            let message = of(&results, value.clone());
            assert!(
                message.ends_with("numberOfResults: must be a whole number from 1 to 100"),
                "{value}: {message}"
            );
        }
        for (path, value, why) in [
            ("/retrievalQuery/text", json!(" "), "retrievalQuery.text: must have 1 to 20000 characters"),
            (
                "/retrievalQuery/text",
                json!("x".repeat(20_001)),
                "retrievalQuery.text: must have 1 to 20000 characters",
            ),
            ("/retrievalQuery/text", json!(7), "retrievalQuery.text: must be a text"),
            ("/retrievalQuery", json!(null), "retrievalQuery.text: must have 1 to 20000 characters"),
            ("/retrievalQuery/type", json!("IMAGE"), "retrievalQuery.type: must be TEXT"),
            ("/nextToken", json!("umbrella.abc"), "nextToken: is none that this tenant was given"),
            ("/nextToken", json!("abc"), "nextToken: is none that this tenant was given"),
            (
                "/retrievalConfiguration/vectorSearchConfiguration/overrideSearchType",
                json!("ALL"),
                "retrievalConfiguration.vectorSearchConfiguration.overrideSearchType: must be HYBRID or SEMANTIC",
            ),
            (
                "/retrievalConfiguration/vectorSearchConfiguration/filter",
                json!({"equals": {"key": "a"}}),
                "retrievalConfiguration.vectorSearchConfiguration.filter.equals.value: is needed",
            ),
        ] {
            assert_eq!(of(path, value), why);
        }
    }

    #[test]
    fn no_words_are_looked_for_where_there_are_none() {
        let search = |kind: &str| {
            json!({"retrievalQuery": {"text": "q"},
                "retrievalConfiguration": {"vectorSearchConfiguration": {"overrideSearchType": kind}}})
        };
        for pattern in [Pattern::Silo, Pattern::Bridge, Pattern::Pool] {
            let asked = |store| {
                let mut asked = asked(pattern);
                asked.store = store;
                asked
            };
            let (collection, bucket) =
                (asked(VectorStore::OpenSearchServerless), asked(VectorStore::S3Vectors));
            assert!(sent_to(&search("HYBRID"), &collection).is_ok(), "{pattern}");
            assert!(sent_to(&search("SEMANTIC"), &bucket).is_ok(), "{pattern}");
            let refused = sent_to(&search("HYBRID"), &bucket).unwrap_err();
            let wanted = "retrievalConfiguration.vectorSearchConfiguration.overrideSearchType: must not be HYBRID: S3Vectors \
                          finds by meaning alone";
            assert!(refused.starts_with(wanted), "{refused}");
        }
    }

    #[test]
    fn what_is_too_large_or_said_twice_is_refused() {
        let large = format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_BYTES));
        assert_eq!(Question::parse(large.as_bytes()), Err(Refusal::TooLarge { limit: MAX_BYTES }));
        let twice = r#"{"retrievalQuery":{"text":"q"},"retrievalConfiguration":{"vectorSearchConfiguration":{"filter":{"equals":{"key":
            "customer","value":"acme"}},"filter":{"equals":{"key":"customer","value":"umbrella"}}}}}"#;
        assert_eq!(Question::parse(twice.as_bytes()).unwrap_err().message(), "filter: is there twice");
    }

    /// Any JSON, with the names that decide among its members.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            Just(json!("acme")),
            Just(json!("umbrella")),
            Just(json!("HYBRID"))
        ];
        let name = prop_oneof![
            Just("retrievalQuery"),
            Just("text"),
            Just("retrievalConfiguration"),
            Just("vectorSearchConfiguration"),
            Just("filter"),
            Just("equals"),
            Just("andAll"),
            Just("orAll"),
            Just("key"),
            Just("value"),
            Just("nextToken"),
            Just("x")
        ];
        leaf.prop_recursive(6, 40, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name.clone(), inner), 0..4).prop_map(|members| {
                    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
                }),
            ]
        })
    }

    proptest! {
        /// Whatever is sent: it is refused, or it goes on with the tenant's condition first and in a question's shape.
        #[test]
        fn nothing_goes_on_to_a_pool_without_its_filter(filter in any_json(), body in any_json()) {
            let _ = sent(&body, Pattern::Pool);
            let body = json!({"retrievalQuery": {"text": "q"}, "retrievalConfiguration": {"vectorSearchConfiguration": {"filter": filter}}});
            if let Ok(sent) = sent(&body, Pattern::Pool) {
                let own = json!({"equals": {"key": "customer", "value": "acme"}});
                let filter = &sent["retrievalConfiguration"]["vectorSearchConfiguration"]["filter"];
                let first = |of: &Value| *of == own || of["andAll"][0] == own;
                let alternatives = filter["orAll"].as_array();
                prop_assert!(alternatives.map_or_else(|| first(filter), |all| all.iter().all(first)), "{}", filter);
            }
        }

        #[test]
        fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Question::parse(&bytes);
        }
    }
}
