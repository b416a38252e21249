//! Tenantry turns a `Tenant` resource into an isolated retrieval-augmented-generation stack on Amazon Bedrock
//! Knowledge Bases, keeps it so, and takes it apart again safely.
//!
//! **A stack is six layers: key, bucket, collection, index, role, knowledge base. The isolation pattern says who owns
//! each: the tenant, or a SharedStack it borrows from. The owner builds a layer, watches over it and takes it apart;
//! the borrower only uses it. One pass does all three: resolve → observe → plan → act → report; for a deleted object
//! the plan is the way back. Beside it one loop looks after documents: list → stamp → sync.**
//!
//! # The map
//!
//! | folder | what it is |
//! |---|---|
//! | [`api`] | what users write and read: the two kinds, the ownership table, conditions and reasons |
//! | [`stack`] | pure: names, what is asked of AWS (`iam`), what each store wants (`store`), the reconcile `model`, forecasts |
//! | [`ask`] | pure: a question as clients send it, as AWS gets it, and what of the answer is the tenant's |
//! | [`layers`] | effects, one file a layer, the same three verbs: look · ensure · teardown |
//! | [`aws`] | adapters, the only folder that knows an AWS SDK: one file a service |
//! | [`records`] | whose a tenantId is: the installation's bucket, its lock, one record an id |
//! | [`documents`] | sidecars, ingestion jobs, and the removal of documents |
//! | [`reconcile`] | one pass over an object: resolve → observe → plan → act → report; and the way back |
//! | [`operator`] | the process: start, leader election, watches, probes, metrics |
//! | [`gateway`] | the other process: who asks for whom, questions in turn, answers that are the tenant's |
//! | [`cli`] | `run`, `gateway`, `crds`, `iam-policy`, `plan`, `retrieve`, `delete --dry-run`, `retained`, `release`, `documents`, `tenants` |
//!
//! `api ← stack ← ask`, `stack ← aws ← records ← documents ← layers ← reconcile ← operator`: a folder may use those before it.
//! `gateway` may use those up to `records`, and `ask`. `cli` may use what comes before `reconcile`, and its verbs `run` and
//! `gateway` those two. `stack` knows neither `aws` nor a client; within it: `iam ← store ← model ← forecast`. No file uses one
//! that uses it. [`settings`], [`clock`] and [`serve`] may be used from `reconcile` on. A test holds the folders to it.
//!
//! # The words
//!
//! | word | meaning |
//! |---|---|
//! | **stack** | what answers one customer's questions: six layers in AWS, which are key, bucket, vector store, index, role and knowledge base |
//! | **pattern** | how isolated a Tenant is, `Silo`, `Bridge` or `Pool`: it says which layers the Tenant owns and which it borrows |
//! | **owner, borrower** | the owner of a layer builds it, watches it and deletes it; the borrower only uses it |
//! | **pool** | the part of a SharedStack that many Pool tenants share: one index, one role and one knowledge base, with a filter in each query |
//! | **installation** | the name of one operator's work: the prefix of all its names in AWS and its finalizer in the cluster; one cluster, one account, one region |
//! | **pass** | one comparison of one object with AWS, and what follows: resolve, observe, plan, act, report; a resync is a pass that nothing but time has caused |
//! | **record** | one file for each tenantId, in the installation's bucket: it says which Tenant has the id, or who left documents under it |
//! | **sidecar** | the file `<document>.metadata.json` beside a document of a pool: it says whose the document is; Bedrock calls it the metadata file |
//! | **review** | the look at all documents of a bucket before an ingestion job: it writes sidecars and decides whether a job is needed; what it has seen is kept in the ledger |
//! | **grace** | the time between the deletion of a Tenant and the first change in AWS because of it, ten minutes by default: time to change one's mind |
//!
//! # Who acts
//!
//! Of several processes one: whoever holds the lease ([`operator::lease`]). Each renewal opens a [`aws::Fence`] for a
//! while, and before it stands every call to AWS that changes something ([`aws::Gate`]) and every request to Kubernetes
//! that does ([`api_server`]). So a process that has lost its lease without knowing it, because it was stopped or
//! cut off, changes nothing any more. What it said it would do is done by the next, which finds things by their names.
//!
//! # What follows from a failed AWS call
//!
//! The class of a [`stack::fault::Fault`] decides, and nothing else does. Before a process works it waits whatever the
//! class ([`operator::wait_for_aws`]).
//!
//! | class | what follows |
//! |---|---|
//! | Throttled, Transient | tried again with growing distance; after two minutes `Reconciling` says so, and of what was never ready, or may not answer, the layer; that is `Stalled` after its deadline |
//! | Unnamed: a code that nobody knows | likewise; `Stalled` after the layer's deadline, also of what was ready |
//! | NotYet, Conflict, NotFound | waiting: looked at again, ever more rarely, and `Ready` stays where answers do; `Stalled` after the layer's deadline, until AWS is at work on it: that has all its time |
//! | Denied, Quota, Unreachable | `Stalled`, with what to allow, raise or open in the message; tried again every five minutes |
//! | Invalid | `Stalled` until the cause is gone; tried again every five minutes |

// The map speaks of rooms that are the crate's own; `cargo doc --document-private-items` has them.
#![allow(rustdoc::private_intra_doc_links)]

pub mod api;
mod api_server;
pub mod ask;
pub mod aws;
pub mod cli;
pub mod clock;
pub mod documents;
pub mod gateway;
pub(crate) mod layers;
pub mod operator;
pub(crate) mod reconcile;
pub(crate) mod records;
pub(crate) mod serve;
pub mod settings;
pub mod stack;
