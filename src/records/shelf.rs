//! Where records lie.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::aws::{Content, Objects, Over, Put};
use crate::stack::fault::Fault;

/// What a shelf answers, later.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Fault>>;

/// A record is a few hundred bytes.
const MAX_RECORD: u64 = 64 * 1024;

/// What records need of a bucket. Tests have one in memory.
pub trait Shelf: Send + Sync {
    /// An object, if it is there. A bucket that is not there is a fault.
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Content>>;
    /// Writes an object, if the condition holds.
    fn put<'a>(&'a self, key: &'a str, content: Vec<u8>, over: Over<'a>) -> Answer<'a, Put>;
    /// The keys under a prefix, with their ETags.
    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, String)>>;
}

/// A bucket in S3.
pub struct S3 {
    objects: Objects,
    bucket: String,
}

impl S3 {
    /// This one.
    pub fn new(objects: &Objects, bucket: &str) -> Self {
        Self { objects: objects.clone(), bucket: bucket.into() }
    }
}

impl Shelf for S3 {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Content>> {
        self.objects.read_from(&self.bucket, key, MAX_RECORD).boxed()
    }

    fn put<'a>(&'a self, key: &'a str, content: Vec<u8>, over: Over<'a>) -> Answer<'a, Put> {
        self.objects.put_over(&self.bucket, key, content, over).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, String)>> {
        async move {
            let (mut all, mut next) = (Vec::new(), None::<String>);
            loop {
                let page = self.objects.list(&self.bucket, prefix, next.as_deref(), None).await?;
                all.extend(page.objects.into_iter().map(|object| (object.key, object.etag)));
                next = page.next;
                if next.is_none() {
                    return Ok(all);
                }
            }
        }
        .boxed()
    }
}
