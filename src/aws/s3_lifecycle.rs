//! S3: when objects, their older versions and unfinished uploads expire, one rule a prefix.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html>

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration,
    LifecycleRule as Rule, LifecycleRuleFilter, NoncurrentVersionExpiration,
};

use super::Buckets;
use super::fault::gone;
use super::s3_facts::set;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::s3;
use crate::stack::model::observed::LifecycleRule;

impl Buckets {
    /// The rules, sorted. One that is not in our terms (a transition, a filter by tag, one that is switched off) has
    /// -1 days, which no wanted rule has.
    pub(super) async fn lifecycle(&self, name: &str) -> Result<Vec<LifecycleRule>, Fault> {
        let call = self.gate.call(s3::GetBucketLifecycleConfiguration, name);
        let request = self.client.get_bucket_lifecycle_configuration().bucket(name);
        let request = request.expected_bucket_owner(&self.account);
        let answer = set(call.send(request.send()).await)?;
        let rules = answer.and_then(|answer| answer.rules).unwrap_or_default();
        let mut rules: Vec<_> = rules.iter().map(read).collect();
        rules.sort();
        Ok(rules)
    }

    /// Replaces all rules. Those that do nothing are left out, since S3 refuses a rule without an action; without
    /// any rule the whole configuration goes (IAM action s3:PutLifecycleConfiguration too).
    pub async fn put_lifecycle(&self, name: &str, rules: &[LifecycleRule]) -> Result<(), Fault> {
        let rules: Result<Vec<_>, _> =
            rules.iter().filter(|rule| rule.does_anything()).map(written).collect();
        let call = self.gate.call(s3::PutBucketLifecycleConfiguration, name);
        let rules = rules.map_err(call.unbuilt())?;
        if rules.is_empty() {
            return self.delete_lifecycle(name).await;
        }
        let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
        let request = self.client.put_bucket_lifecycle_configuration().bucket(name);
        let request = request.lifecycle_configuration(configuration.map_err(call.unbuilt())?);
        call.send(request.expected_bucket_owner(&self.account).send()).await.map(drop)
    }

    async fn delete_lifecycle(&self, name: &str) -> Result<(), Fault> {
        let request = self.client.delete_bucket_lifecycle().bucket(name).expected_bucket_owner(&self.account);
        gone(self.gate.call(s3::DeleteBucketLifecycle, name).send(request.send()).await)
    }
}

fn written(rule: &LifecycleRule) -> Result<Rule, BuildError> {
    let days = |days: i32| (days > 0).then_some(days);
    let current = days(rule.expiration_days).map(|days| LifecycleExpiration::builder().days(days).build());
    // A delete marker whose versions have all expired would stay for ever. With days of their own objects' markers go too.
    let markers = || LifecycleExpiration::builder().expired_object_delete_marker(true).build();
    let current = current.or_else(|| days(rule.noncurrent_expiration_days).map(|_| markers()));
    let noncurrent = days(rule.noncurrent_expiration_days)
        .map(|days| NoncurrentVersionExpiration::builder().noncurrent_days(days).build());
    let uploads = days(rule.abort_uploads_days)
        .map(|days| AbortIncompleteMultipartUpload::builder().days_after_initiation(days).build());
    Rule::builder()
        .id(rule.prefix.trim_end_matches('/'))
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(&rule.prefix).build())
        .set_expiration(current)
        .set_noncurrent_version_expiration(noncurrent)
        .set_abort_incomplete_multipart_upload(uploads)
        .build()
}

/// A rule that we could have written is read back; any other shows as one that we never write.
fn read(rule: &Rule) -> LifecycleRule {
    let prefix = rule.filter.as_ref().and_then(|filter| filter.prefix.clone()).unwrap_or_default();
    let current = rule.expiration.as_ref().and_then(|expiration| expiration.days).unwrap_or(0);
    let noncurrent =
        rule.noncurrent_version_expiration.as_ref().and_then(|it| it.noncurrent_days).unwrap_or(0);
    let uploads = rule.abort_incomplete_multipart_upload.as_ref();
    let ours = LifecycleRule {
        prefix,
        expiration_days: current,
        noncurrent_expiration_days: noncurrent,
        abort_uploads_days: uploads.and_then(|uploads| uploads.days_after_initiation).unwrap_or(0),
    };
    match written(&ours) {
        Ok(mut again) => {
            again.id.clone_from(&rule.id);
            if again == *rule { ours } else { never_written(ours) }
        }
        Err(_) => never_written(ours),
    }
}

fn never_written(rule: LifecycleRule) -> LifecycleRule {
    LifecycleRule { expiration_days: -1, noncurrent_expiration_days: -1, abort_uploads_days: -1, ..rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_rules_read_back_as_written_and_no_others_do() {
        let days = |expiration_days, noncurrent_expiration_days, abort_uploads_days| LifecycleRule {
            prefix: "pool/".into(),
            expiration_days,
            noncurrent_expiration_days,
            abort_uploads_days,
        };
        for ours in [days(400, 0, 0), days(0, 0, 7), days(400, 30, 7)] {
            assert_eq!(read(&written(&ours).expect("a rule")), ours);
        }
        let ours = days(0, 30, 0);
        let rule = written(&ours).expect("a rule");
        assert_eq!(read(&rule), ours);
        let markers = |rule: &Rule| rule.expiration.as_ref().and_then(|it| it.expired_object_delete_marker);
        assert_eq!(markers(&rule), Some(true), "a marker alone does not stay for ever");
        assert_eq!(markers(&written(&days(400, 30, 0)).expect("a rule")), None, "S3 takes one or the other");
        let mut off = rule.clone();
        off.status = ExpirationStatus::Disabled;
        assert_eq!(read(&off).expiration_days, -1);
        let mut large = rule;
        large.filter = Some(LifecycleRuleFilter::builder().object_size_greater_than(1).build());
        assert_eq!(read(&large).expiration_days, -1);
    }
}
