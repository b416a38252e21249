//! What `--help` says after the options: an example, and what of the environment is read.

/// For what asks AWS alone.
pub(super) const AWS: [(&str, &str); 3] = [
    ("AWS_REGION, AWS_PROFILE, …", "region and credentials, as every client of AWS reads them"),
    ("HTTPS_PROXY, NO_PROXY", "the proxies before AWS and the API server"),
    ("AWS_CA_BUNDLE, AWS_USE_FIPS_ENDPOINT, …", "docs/proxies.md has the rest"),
];

/// For what asks the cluster.
pub(super) const CLUSTER: [(&str, &str); 2] = [
    ("KUBECONFIG", "default: ~/.kube/config, or else the cluster of this pod"),
    ("HTTPS_PROXY, NO_PROXY", "the proxy before the API server, if the kubeconfig names none"),
];

/// For the operator, which alone writes a log.
pub(super) const LOG: (&str, &str) = ("RUST_LOG", "what is logged, such as info,tenantry=debug");

/// The text.
pub(super) fn after(example: &str, environment: &[(&str, &str)]) -> String {
    let mut text = format!("Example: {example}");
    if !environment.is_empty() {
        text += "\n\nEnvironment, besides that of the options:";
    }
    for (variable, says) in environment {
        text += &format!("\n  {variable:<40} {says}");
    }
    text
}

/// For what asks both.
pub(super) fn both() -> Vec<(&'static str, &'static str)> {
    [&CLUSTER[..1], &AWS].concat()
}
