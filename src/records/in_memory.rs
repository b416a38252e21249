//! For unit tests: a bucket in memory, which decides as S3 does, and can be made to fail.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use parking_lot::Mutex;

use super::shelf::{Answer, Shelf};
use crate::aws::{Content, Over, Put};
use crate::stack::fault::{Class, Fault};

/// When something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing does.
    None,
    /// It is refused before anything happens.
    Before,
    /// It happens, and the answer is lost.
    After,
    /// Nothing ever comes back.
    Hangs,
}

/// The bucket.
pub struct InMemory {
    objects: Mutex<BTreeMap<String, (Vec<u8>, String)>>,
    versions: AtomicU64,
    calls: Mutex<Vec<String>>,
    mishap: Box<dyn Fn(&str) -> Mishap + Send + Sync>,
    is_there: Mutex<bool>,
}

impl Default for InMemory {
    fn default() -> Self {
        Self::with(|_| Mishap::None)
    }
}

impl InMemory {
    /// One in which `mishap` decides, call by call, what goes wrong.
    pub fn with(mishap: impl Fn(&str) -> Mishap + Send + Sync + 'static) -> Self {
        Self {
            objects: Mutex::default(),
            versions: AtomicU64::new(1),
            calls: Mutex::default(),
            mishap: Box::new(mishap),
            is_there: Mutex::new(true),
        }
    }

    /// What was asked since this was last asked, such as `PUT tenants/acme.json`.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock())
    }

    /// Somebody deletes the bucket, or restores it.
    pub fn is_there(&self, is_there: bool) {
        *self.is_there.lock() = is_there;
    }

    /// Somebody deletes an object.
    pub fn lose(&self, key: &str) {
        self.objects.lock().remove(key);
    }

    /// Somebody writes an object, whatever is there.
    pub fn overwrite(&self, key: &str, content: &str) {
        let etag = self.next_etag();
        self.objects.lock().insert(key.into(), (content.into(), etag));
    }

    /// What an object says, as JSON.
    pub fn says(&self, key: &str) -> Option<serde_json::Value> {
        let objects = self.objects.lock();
        objects.get(key).map(|(content, _)| serde_json::from_slice(content).unwrap())
    }

    fn next_etag(&self) -> String {
        format!("\"{:x}\"", self.versions.fetch_add(1, Ordering::Relaxed))
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        key: &str,
        work: impl FnOnce(&Self) -> T,
    ) -> Result<T, Fault> {
        let call = format!("{operation} {key}");
        // Whoever else is under way may come in between.
        tokio::task::yield_now().await;
        let mishap = (self.mishap)(&call);
        self.calls.lock().push(call);
        let fault = |class, code: &str| Fault {
            class,
            service: "s3",
            operation,
            resource: key.into(),
            code: code.into(),
            message: "as the test wants it".into(),
            request_id: None,
        };
        if mishap == Mishap::Hangs {
            return std::future::pending().await;
        }
        if mishap == Mishap::Before {
            return Err(fault(Class::Transient, "SlowDown"));
        }
        if !*self.is_there.lock() {
            return Err(fault(Class::NotFound, "NoSuchBucket"));
        }
        let done = work(self);
        tokio::task::yield_now().await;
        if mishap == Mishap::After { Err(fault(Class::Transient, "Timeout")) } else { Ok(done) }
    }
}

impl Shelf for InMemory {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Content>> {
        self.call("GET", key, move |it| {
            let objects = it.objects.lock();
            objects.get(key).map(|(bytes, etag)| Content { bytes: bytes.clone(), etag: etag.clone() })
        })
        .boxed()
    }

    fn put<'a>(&'a self, key: &'a str, content: Vec<u8>, over: Over<'a>) -> Answer<'a, Put> {
        self.call("PUT", key, move |it| {
            let mut objects = it.objects.lock();
            match (objects.get(key), over) {
                (Some(_), Over::Nothing) => return Put::Refused,
                (None, Over::Version(_)) => return Put::Missing,
                (Some((_, etag)), Over::Version(version)) if etag != version => return Put::Refused,
                _ => {}
            }
            let etag = it.next_etag();
            objects.insert(key.into(), (content, etag.clone()));
            Put::Written(etag)
        })
        .boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, String)>> {
        self.call("LIST", prefix, move |it| {
            let objects = it.objects.lock();
            let under = objects.iter().filter(|(key, _)| key.starts_with(prefix));
            under.map(|(key, (_, etag))| (key.clone(), etag.clone())).collect()
        })
        .boxed()
    }
}
