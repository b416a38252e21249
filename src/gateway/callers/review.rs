//! Tokens of ServiceAccounts, which the API server reviews: it knows of deleted pods and accounts.

use std::sync::Arc;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::Semaphore;

use super::caller::User;
use crate::ask::refusal::Refusal;
use crate::gateway::kept::Not;
use crate::gateway::patience::in_time;
use crate::stack::causes::causes;

/// How many reviews are under way at a time: whoever sends many tokens does not keep the API server busy.
const AT_A_TIME: usize = 32;

/// Asks the API server. Clones are the same one.
#[derive(Clone)]
pub struct Reviewer {
    client: Client,
    audience: Arc<str>,
    places: Arc<Semaphore>,
}

impl Reviewer {
    /// For tokens of this audience.
    pub fn new(client: Client, audience: &str) -> Self {
        Self { client, audience: audience.into(), places: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// Whose a token is.
    pub async fn review(&self, token: &str) -> Result<User, Not<Refusal>> {
        let spec =
            TokenReviewSpec { audiences: Some(vec![self.audience.to_string()]), token: Some(token.into()) };
        let review = TokenReview { spec, ..TokenReview::default() };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        match in_time(&self.places, api.create(&PostParams::default(), &review)).await {
            Some(Ok(answer)) => user(&self.audience, answer.status).map_err(Not::Refused),
            Some(Err(error)) => {
                tracing::warn!(error = causes(&error), "a caller's token cannot be reviewed");
                Err(Not::Away(Refusal::IssuerAway))
            }
            None => Err(Not::Away(Refusal::IssuerAway)),
        }
    }
}

/// The user of a review, if the token is good for the audience. An API server that knows no audiences answers without any,
/// and then nobody has looked at them.
fn user(audience: &str, status: Option<TokenReviewStatus>) -> Result<User, Refusal> {
    let status = status.filter(|status| status.authenticated == Some(true)).ok_or(Refusal::TokenInvalid)?;
    let is_ours = status.audiences.iter().flatten().any(|it| it == audience);
    let user = status.user.filter(|_| is_ours).ok_or(Refusal::TokenInvalid)?;
    let name = user.username.filter(|name| !name.is_empty()).ok_or(Refusal::TokenInvalid)?;
    Ok(User {
        name,
        uid: user.uid,
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(status: Value) -> Result<User, Refusal> {
        user("tenantry-gateway", serde_json::from_value(status).unwrap())
    }

    #[test]
    fn only_who_is_authenticated_for_our_audience_is_somebody() {
        let good = json!({
            "authenticated": true, "audiences": ["tenantry-gateway"],
            "user": {"username": "system:serviceaccount:shop:web", "uid": "u", "groups": ["g"], "extra": {"pod": ["p"]}},
        });
        let user = of(good.clone()).unwrap();
        assert_eq!(
            (user.name.as_str(), user.groups.as_slice()),
            ("system:serviceaccount:shop:web", &["g".to_owned()][..])
        );
        for (field, value) in [
            ("authenticated", json!(false)),
            ("authenticated", Value::Null),
            ("audiences", Value::Null),
            ("audiences", json!([])),
            ("audiences", json!(["https://kubernetes.default.svc"])),
            ("user", Value::Null),
            ("user", json!({"username": ""})),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            assert_eq!(of(bad.clone()), Err(Refusal::TokenInvalid), "{bad}");
        }
        assert_eq!(user_of_none(), Err(Refusal::TokenInvalid));
    }

    fn user_of_none() -> Result<User, Refusal> {
        user("tenantry-gateway", None)
    }
}
