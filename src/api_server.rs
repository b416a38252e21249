//! The way to the API server: every request is counted, and one that changes something is sent only while the fence is
//! open.

use http::Request;
use kube::Client;
use kube::client::Body;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tower::{BoxError, service_fn};

use crate::api::metric::{KUBERNETES_REQUESTS, Labels};
use crate::aws::Fence;

/// The same client behind a fence.
pub fn behind(fence: &Fence, client: &Client, counted: &Family<Labels<2>, Counter>) -> Client {
    let (inner, fence, counted) = (client.clone(), fence.clone(), counted.clone());
    let service = service_fn(move |request: Request<Body>| {
        let (inner, fence, counted) = (inner.clone(), fence.clone(), counted.clone());
        async move {
            let method = request.method().clone();
            if !method.is_safe() && !fence.is_open() {
                return Err(BoxError::from("this process does not hold the lease at the moment"));
            }
            let answer = inner.send(request).await;
            let code =
                answer.as_ref().map_or("<error>".into(), |answer| answer.status().as_u16().to_string());
            counted.get_or_create(&KUBERNETES_REQUESTS.of([&code, method.as_str()])).inc();
            answer.map_err(BoxError::from)
        }
    });
    Client::new::<_, Body, _>(service, client.default_namespace())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use http::Response;
    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;
    use kube::api::{Patch, PatchParams};
    use serde_json::json;

    use super::*;
    use crate::aws::Moment;

    #[tokio::test]
    async fn behind_a_closed_fence_requests_only_read() {
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let seen = arrived.clone();
        let server = Client::new(
            service_fn(move |request: Request<Body>| {
                seen.lock().unwrap().push(request.method().to_string());
                let namespace =
                    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "here"}});
                async move { Ok::<_, BoxError>(Response::new(Body::from(namespace.to_string().into_bytes()))) }
            }),
            "here",
        );
        let (fence, counted) = (Fence::closed(), Family::default());
        let api: Api<Namespace> = Api::all(behind(&fence, &server, &counted));
        let patch = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
        let change = async || api.patch("here", &PatchParams::default(), &patch).await;

        assert!(api.get("here").await.is_ok());
        let refused = change().await.unwrap_err();
        assert!(refused.to_string().contains("does not hold the lease"), "{refused}");
        assert_eq!(*arrived.lock().unwrap(), ["GET"]);
        fence.set(Some(Moment::now().after(Duration::from_secs(3600))));
        assert!(change().await.is_ok());
        assert_eq!(*arrived.lock().unwrap(), ["GET", "PATCH"]);
        let patches = counted.get(&KUBERNETES_REQUESTS.of(["200", "PATCH"])).map(|counted| counted.get());
        assert_eq!(patches, Some(1), "what was not sent is not counted");
    }
}
