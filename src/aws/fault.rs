//! How an SDK error becomes a [`Fault`]: one translation for all services.

use std::error::Error;

use aws_sdk_s3::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;

use crate::stack::fault::{Class, Fault, classify};
use crate::stack::operation::Operation;

use super::gate::Gate;

/// One call, as its fault will name it; made by [`Gate::call`].
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) gate: &'a Gate,
    pub(super) operation: Operation,
    pub(super) resource: &'a str,
}

impl Call<'_> {
    /// What went wrong, from what the SDK says. An answer without an error code, as HEAD requests have it, goes by its
    /// HTTP status; what never became an answer is `Timeout` or `Connection`.
    pub(super) fn failed<E>(self) -> impl FnOnce(SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        move |error| {
            let (code, message) = match &error {
                SdkError::ConstructionFailure(_) => return self.unfit(chain(error)),
                SdkError::TimeoutError(_) => ("Timeout".into(), chain(&error)),
                SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                    ("Timeout".into(), chain(&error))
                }
                SdkError::DispatchFailure(_) => ("Connection".into(), chain(&error)),
                answered => {
                    let status = answered.raw_response().map_or(0, |response| response.status().as_u16());
                    let code = answered.code().map_or_else(|| status.to_string(), str::to_owned);
                    let message = match (answered.message(), answered) {
                        (Some(message), _) => message.to_owned(),
                        (None, SdkError::ServiceError(_)) => format!("AWS answers HTTP {status} and no more"),
                        (None, unreadable) => chain(unreadable),
                    };
                    (code, message)
                }
            };
            Fault { request_id: error.request_id().map(Into::into), ..self.refused(&code, &message) }
        }
    }

    /// A refusal that came inside an answer.
    pub(super) fn refused(self, code: &str, message: &str) -> Fault {
        let Self { operation, resource, .. } = self;
        Fault {
            class: classify(operation.name(), code, message),
            service: operation.service(),
            operation: operation.name(),
            resource: resource.into(),
            code: code.into(),
            message: message.into(),
            request_id: None,
        }
    }

    /// A request that the SDK would not even build.
    pub(super) fn unbuilt(self) -> impl FnOnce(BuildError) -> Fault {
        move |error| self.unfit(chain(error))
    }

    /// An answer that lacks what it is there for.
    pub(super) fn empty(self) -> Fault {
        self.refused("EmptyAnswer", "AWS answered without the resource")
    }

    fn unfit(self, message: String) -> Fault {
        Fault { class: Class::Invalid, ..self.refused("InvalidRequest", &message) }
    }
}

/// What is not there is an answer.
pub(super) fn found<T>(result: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match result {
        Err(fault) if fault.class == Class::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// What was gone already is as good as deleted.
pub(super) fn gone<T>(result: Result<T, Fault>) -> Result<(), Fault> {
    found(result).map(drop)
}

/// An error and all its causes, in one line: the SDK's own errors say only "service error".
pub(super) fn chain(error: impl Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::operation::head_bucket::HeadBucketError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use crate::stack::operation::s3;

    fn answered(status: u16, meta: ErrorMetadata) -> Fault {
        let status = StatusCode::try_from(status).expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::empty());
        response.headers_mut().insert("x-amz-request-id", "R1");
        Gate::open().call(s3::HeadBucket, "b").failed()(SdkError::service_error(
            HeadBucketError::generic(meta),
            response,
        ))
    }

    #[test]
    fn an_answer_without_a_code_goes_by_its_status() {
        let fault = answered(403, ErrorMetadata::builder().build());
        assert_eq!((fault.class, fault.code.as_str()), (Class::Denied, "403"));
        assert_eq!(fault.request_id.as_deref(), Some("R1"));
        assert_eq!(answered(404, ErrorMetadata::builder().build()).class, Class::NotFound);
        assert_eq!(answered(429, ErrorMetadata::builder().build()).class, Class::Throttled);
        assert_eq!(answered(503, ErrorMetadata::builder().build()).class, Class::Transient);
    }

    #[test]
    fn a_code_goes_before_the_status() {
        let fault =
            answered(400, ErrorMetadata::builder().code("SlowDown").message("Reduce your rate").build());
        assert_eq!((fault.class, fault.message.as_str()), (Class::Throttled, "Reduce your rate"));
    }

    #[test]
    fn what_never_became_an_answer_passes_by_itself() {
        let timeout: SdkError<HeadBucketError, HttpResponse> = SdkError::timeout_error("30 s");
        let fault = Gate::open().call(s3::HeadBucket, "b").failed()(timeout);
        assert_eq!((fault.class, fault.code.as_str()), (Class::Transient, "Timeout"));
    }
}
