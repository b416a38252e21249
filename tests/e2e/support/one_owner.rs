//! What a call of the operator's touches belongs to one owner, and what it says names no other.
//!
//! The journal itself tells who owns what: every create carries its owner in tags, or in the description that stands
//! for them. From then on a name, and the id that AWS gave, are that owner's for ever; so is what lies under a
//! tenant's prefix. Of each call that changes something, whatever came of it, all words are looked up. They must name
//! one owner, whose lender may be named beside it; a call that names nobody touches something that is not ours.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tenantry::stack::identity::Identity;

use crate::support::double::{Call, Journal, is_of_records};

/// `tenant acme` or `SharedStack/standard-w1`: a tenantId is one tenant's, for ever.
type Owner = String;

/// What a journal tells of who owns what.
#[derive(Default)]
struct Owners {
    /// Names and ids, and whose they are.
    words: BTreeMap<String, Owner>,
    /// Whom tenants borrow from.
    lenders: BTreeMap<Owner, BTreeSet<Owner>>,
}

/// Fails if any of these calls, all of them operators', concerns two owners, or nobody's things.
pub fn assert(journal: &Journal) {
    let found = violations(journal);
    assert!(found.is_empty(), "each call should be about one owner's things, and yet:\n{}", found.join("\n"));
}

fn violations(journal: &Journal) -> Vec<String> {
    let owners = Owners::of(journal);
    let emptied = |call: &Call| {
        let later = |it: &&Call| it.seq > call.seq && it.operation == "DeleteBucket";
        journal.iter().filter(later).any(|later| later.resource == call.resource)
    };
    let told = journal.iter().filter(|call| call.mutating).filter_map(|call| {
        let named = owners.named(call);
        let apart = owners.without_lenders(&named);
        let what = match apart.len() {
            _ if is_nowhere(call) => "writes where nobody's documents are",
            1 => return None,
            // The grant of the operator itself is no object's.
            0 if call.operation.ends_with("AccessPolicy") && call.resource.ends_with("-operator") => {
                return None;
            }
            // Nor is a bucket for records that an administrator has made.
            0 if is_of_records(&call.resource) => return None,
            0 => "names nobody",
            // A bucket that goes takes along what tenants have retained in it.
            _ if call.operation == "DeleteObjects" && emptied(call) => return None,
            _ => "names several owners",
        };
        Some(format!("{call}\n       {what}: {named:?} in {}", call.text()))
    });
    told.collect()
}

/// Whether a call is about an object in a bucket that lies neither under a prefix for documents nor under the operator's; or
/// in the installation's bucket, and is no record.
fn is_nowhere(call: &Call) -> bool {
    let Some((bucket, key)) = call.resource.split_once('/').filter(|_| call.service == "s3") else {
        return false;
    };
    if is_of_records(bucket) {
        return key != "lock.json" && !(key.starts_with("tenants/") && key.ends_with(".json"));
    }
    !["documents/", "bridge/", "pool/", "tenantry/"].iter().any(|it| key.starts_with(it))
}

impl Owners {
    fn of(journal: &Journal) -> Self {
        let mut owners = Self::default();
        for call in journal.iter() {
            owners.learn(call);
        }
        owners
    }

    /// What a call tells of who owns what.
    fn learn(&mut self, call: &Call) {
        let text = |name: &str| call.params[name].as_str().unwrap_or_default().to_owned();
        let known = |owners: &Self, word: &str| owners.words.get(word).cloned();
        let (owner, words) = match call.operation.as_str() {
            "CreateBucket"
            | "CreateRole"
            | "CreateKey"
            | "CreateCollection"
            | "CreateKnowledgeBase"
            | "CreateSecurityPolicy"
            | "CreateAccessPolicy" => {
                let tags = tags(call);
                let owner = owner(&tags);
                if let (Some(owner), Some(stack)) = (&owner, tags.get("tenantry.dev/stack")) {
                    self.lenders.entry(owner.clone()).or_default().insert(format!("SharedStack/{stack}"));
                }
                (owner, vec![call.resource.clone(), text("name")])
            }
            "CreateVectorBucket" => (owner(&tags(call)), vec![text("vectorBucketName")]),
            "CreateIndex" if call.service == "s3vectors" => {
                let tags = tags(call);
                let owner = owner(&tags);
                if let (Some(owner), Some(stack)) = (&owner, tags.get("tenantry.dev/stack")) {
                    self.lenders.entry(owner.clone()).or_default().insert(format!("SharedStack/{stack}"));
                }
                (owner, vec![text("indexName")])
            }
            "CreateAlias" => {
                let alias = text("AliasName").replacen("alias/", "", 1);
                let target = text("TargetKeyId");
                (known(self, target.rsplit('/').next().unwrap_or_default()), vec![alias])
            }
            "CreateDataSource" => match call.resource.split_once('/') {
                Some((knowledge_base, source)) => (known(self, knowledge_base), vec![source.to_owned()]),
                None => return,
            },
            // The journal shows a collection by its name, and the call had its id.
            _ if call.service == "aoss" => {
                (known(self, call.resource.split('/').next().unwrap_or_default()), vec![text("id")])
            }
            _ => return,
        };
        let Some(owner) = owner else { return };
        for word in words.into_iter().filter(|word| !word.is_empty()) {
            // Whoever was first has it: a second owner of a name is found by its tags.
            self.words.entry(word).or_insert_with(|| owner.clone());
        }
    }

    /// All owners that a call names.
    fn named(&self, call: &Call) -> BTreeSet<Owner> {
        let text = call.text();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let words = text.split(|c: char| !is_word(c));
        let mut named: BTreeSet<Owner> = words.filter_map(|word| self.words.get(word).cloned()).collect();
        let paths = text.split(|c: char| !is_word(c) && !"/._*".contains(c));
        for path in paths.map(|path| path.split('/').collect::<Vec<_>>()) {
            // In the bucket of its SharedStack a tenant is known by its prefix alone.
            let bucket = path.first().and_then(|first| self.words.get(*first));
            let key = if bucket.is_some() { &path[1..] } else { &path[..] };
            let tenant = match key {
                ["pool" | "bridge", tenant, _, ..] => tenant,
                ["tenantry", "retained", marker, ..] => marker.trim_end_matches(".json"),
                _ => continue,
            };
            if !tenant.is_empty() && tenant != "*" {
                named.insert(format!("tenant {tenant}"));
            }
        }
        named.extend(owner(&tags(call)));
        // An item of the registry is its tenant's, by its key.
        let item = call.params.pointer("/Key/tenantId/S").and_then(Value::as_str);
        named.extend(item.map(|tenant| format!("tenant {tenant}")));
        named
    }

    /// Who is left if whoever lends to another of them does not count. A Pool tenant owns nothing that says from whom
    /// it borrows; its documents may lie with anybody.
    fn without_lenders(&self, named: &BTreeSet<Owner>) -> BTreeSet<Owner> {
        let tenants = || named.iter().filter(|owner| owner.starts_with("tenant "));
        let owns_nothing = |tenant: &Owner| !self.words.values().any(|owner| owner == tenant);
        let lends = |stack: &Owner| {
            tenants().any(|tenant| match self.lenders.get(tenant) {
                Some(lenders) => lenders.contains(stack),
                None => owns_nothing(tenant),
            })
        };
        let counts = |owner: &&Owner| owner.starts_with("tenant ") || !lends(owner);
        named.iter().filter(counts).cloned().collect()
    }
}

/// Whose a thing with these tags is.
fn owner(tags: &BTreeMap<String, String>) -> Option<Owner> {
    match tags.get("tenantry.dev/tenant-id") {
        Some(tenant) => Some(format!("tenant {tenant}")),
        None => tags.get("tenantry.dev/owner").cloned(),
    }
}

/// The tags that a call writes, in whatever shape its service has them.
fn tags(call: &Call) -> BTreeMap<String, String> {
    let params = &call.params;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut tags = Identity::parse_description(&text(&params["description"]));
    for listed in [&params["tags"], &params["Tags"]] {
        for tag in listed.as_array().into_iter().flatten() {
            for (key, value) in [("key", "value"), ("TagKey", "TagValue")] {
                tags.insert(text(&tag[key]), text(&tag[value]));
            }
        }
        for (key, value) in listed.as_object().into_iter().flatten() {
            tags.insert(key.clone(), text(value));
        }
    }
    for (name, value) in params.as_object().into_iter().flatten() {
        if let Some(number) = name.strip_prefix("Tags.member.").and_then(|rest| rest.strip_suffix(".Key")) {
            tags.insert(text(value), text(&params[format!("Tags.member.{number}.Value")]));
        }
    }
    // S3's are XML.
    let body = text(&params["body"]);
    for tag in body.split("<Tag>").skip(1) {
        let element = |name: &str| {
            let (_, rest) = tag.split_once(&format!("<{name}>"))?;
            rest.split_once('<').map(|(value, _)| value.to_owned())
        };
        tags.extend(element("Key").zip(element("Value")));
    }
    tags
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A SharedStack, a Bridge and a Silo tenant, as an operator makes them.
    fn life() -> Vec<Value> {
        let description = |tenant: &str, stack: &str| {
            format!("installation=e2e,owner=Tenant/w1/{tenant},owner-uid=1,tenant-id={tenant},stack={stack}")
        };
        vec![
            json!({"operation": "CreateBucket", "resource": "e2e-sa-stand-bucket", "params": {"body":
                "<Tags><Tag><Key>tenantry.dev/owner</Key><Value>SharedStack/standard</Value></Tag></Tags>"}}),
            json!({"operation": "CreateAccessPolicy", "resource": "e2e-ta-acme-index",
                "params": {"name": "e2e-ta-acme-index", "description": description("acme", "standard")}}),
            json!({"operation": "CreateRole", "resource": "e2e-ta-acme-role",
                "params": {"Tags.member.1.Key": "tenantry.dev/tenant-id", "Tags.member.1.Value": "acme"}}),
            json!({"operation": "CreateKnowledgeBase", "resource": "KBOFACME00", "params": {"name": "e2e-ta-acme-kb",
                "tags": {"tenantry.dev/tenant-id": "acme"}}}),
            json!({"operation": "CreateKnowledgeBase", "resource": "KBOFOTHER0", "params": {"name": "e2e-ta-other-kb",
                "tags": {"tenantry.dev/tenant-id": "other"}}}),
        ]
    }

    fn told(operation: &str, resource: &str, params: Value) -> Vec<String> {
        let call = json!({"operation": operation, "resource": resource, "params": params});
        let calls = life().into_iter().chain([call]).enumerate().map(|(n, mut call)| {
            let more = json!({"seq": n, "time": 0.0, "service": "any", "caller": "x/operator", "mutating": true,
                              "status": 200, "error": ""});
            call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            call
        });
        violations(&Journal::read(calls.collect()))
    }

    #[test]
    fn a_call_about_one_owner_may_name_its_lender() {
        let policy = json!({"PolicyDocument": "arn:aws:s3:::e2e-sa-stand-bucket/bridge/acme/*"});
        assert_eq!(told("PutRolePolicy", "e2e-ta-acme-role", policy), Vec::<String>::new());
        assert_eq!(told("PutObject", "e2e-sa-stand-bucket/pool/pia/a.md.metadata.json", json!({})), [""; 0]);
        assert_eq!(told("PutBucketPolicy", "e2e-sa-stand-bucket", json!({})), [""; 0]);
    }

    #[test]
    fn a_call_about_two_owners_or_nobodys_things_is_found() {
        for (operation, resource, params) in [
            (
                "PutRolePolicy",
                "e2e-ta-acme-role",
                json!({"PolicyDocument": "e2e-sa-stand-bucket/bridge/other/*"}),
            ),
            (
                "UpdateAssumeRolePolicy",
                "e2e-ta-acme-role",
                json!({"PolicyDocument": "knowledge-base/KBOFOTHER0"}),
            ),
            (
                "TagResource",
                "",
                json!({"resourceArn": "knowledge-base/KBOFOTHER0", "tags": {"tenantry.dev/tenant-id": "acme"}}),
            ),
            (
                "DeleteObjects",
                "e2e-sa-stand-bucket",
                json!({"body": "<Key>pool/a/x.md</Key><Key>pool/b/x.md</Key>"}),
            ),
            ("DeleteBucket", "somebodys-bucket", json!({})),
            ("DeleteKnowledgeBase", "KBOFNOBODY", json!({})),
        ] {
            assert_eq!(told(operation, resource, params).len(), 1, "{operation} {resource}");
        }
    }
}
