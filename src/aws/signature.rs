//! The signature of requests that no SDK makes.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;

/// For which service and region a request is signed, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signer<'a> {
    /// The service, as its endpoints want it.
    pub(super) service: &'static str,
    /// The region.
    pub(super) region: &'a str,
    /// Whether the body's hash is a header, too: OpenSearch Serverless wants that.
    pub(super) hash_header: bool,
}

/// What all requests are.
const CONTENT_TYPE: (&str, &str) = ("content-type", "application/json");

impl Signer<'_> {
    /// The request with its signature.
    pub(super) fn signed(
        self,
        credentials: Credentials,
        method: &str,
        url: &str,
        body: Vec<u8>,
    ) -> Result<HttpRequest, String> {
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        if self.hash_header {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let signable =
            SignableRequest::new(method, url, [CONTENT_TYPE].into_iter(), SignableBody::Bytes(&body));
        let signature =
            signable.and_then(|request| sign(request, &parameters)).map_err(|it| it.to_string())?;
        let (instructions, _) = signature.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).map_err(|error| error.to_string())?;
        request.set_uri(url).map_err(|error| error.to_string())?;
        request.headers_mut().insert(CONTENT_TYPE.0, CONTENT_TYPE.1);
        for (name, value) in instructions.headers() {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        Ok(request)
    }
}
